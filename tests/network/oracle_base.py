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


def charge(times, now, burst, per_second, why):
    """A leaky bucket over the times that were seen; a little more than the guard's, for the clocks differ."""
    times.append(now)
    window = [time for time in times if time > now - 60]
    times[:] = window
    for at, first in enumerate(window):
        require(len(window) - at <= (burst + 2) + per_second * (now - first + 1), why)
