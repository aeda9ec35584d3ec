"""What both halves of the oracle, oracle.py and oracle6.py, are made of: records, faults, and octets."""

import dataclasses

# Where a record was seen: LEFT, from the guest, on the uplink; ARRIVED, from the network, in front of the guard;
# DELIVERED, from the network, behind the guard. What arrived is not judged: it is what the guard is there for.
LEFT, ARRIVED, DELIVERED = "left", "arrived", "delivered"

SLACK = 0.5                 # s; between the guard's decision and the capture's timestamp


@dataclasses.dataclass
class Record:
    time: float
    where: str
    data: bytes


@dataclasses.dataclass
class Fault:
    record: Record
    why: str

    def __str__(self):
        return f"{self.record.time:.3f} {self.record.where}: {self.why}: {self.record.data[:80].hex()}"


class Forbidden(Exception):
    pass


def require(condition, why):
    if not condition:
        raise Forbidden(why)


def mac_at(data, at):
    return data[at:at + 6].hex(":")


def u16(data, at):
    return data[at] << 8 | data[at + 1]


def is_group(mac):
    return int(mac[:2], 16) & 1 == 1


def charge_neighbor(sent, now, what, *, is_claim, is_answer, to_gateway, about_gateway, destination):
    """ARP and neighbor discovery have a limit for each kind, and answers one for each machine that gets them."""
    why = f"more {what} than the limit"
    if is_claim:
        charge(sent.setdefault("claim", []), now, 60, 10, why)
    elif is_answer and not to_gateway:
        charge(sent.setdefault(destination, []), now, 100, 50, why)
    elif is_answer or about_gateway:
        charge(sent.setdefault("gateway", []), now, 40, 20, why)
    else:
        charge(sent.setdefault("question", []), now, 100, 50, why)


def charge(times, now, burst, per_second, why):
    """A leaky bucket over the times that were seen; a little more than the guard's, for the clocks differ."""
    times.append(now)
    window = [time for time in times if time > now - 60]
    times[:] = window
    for at, first in enumerate(window):
        require(len(window) - at <= (burst + 2) + per_second * (now - first + 1), why)


def labels_of(octets):
    """A host name as DNS writes it (RFC 1035 3.1); None if the octets are none."""
    labels = []
    while octets and octets[0]:
        if octets[0] > 63 or len(octets) <= octets[0]:
            return None
        labels.append(octets[1:1 + octets[0]])
        octets = octets[1 + octets[0]:]
    return None if len(octets) > 1 else b".".join(labels)


def may_have_names(own, names):
    """Whether a guest with these names (None: any but those of services) may give itself those; None cannot be read."""
    if own is None:
        return all(name is None or name.split(b".")[0] not in (b"wpad", b"isatap") for name in names)
    return all(name in [one.encode() for one in own] for name in names)


def host_names(options):
    """The names in options 12 and 81, in small letters; None stands for one that cannot be read."""
    fqdn = options.get(81, b"")
    found = [options.get(12, b""), labels_of(fqdn[3:]) if fqdn[:1] and fqdn[0] & 4 else fqdn[3:]]
    return [name if name is None else name.rstrip(b"\0").removesuffix(b".").lower() for name in found if name != b""]
