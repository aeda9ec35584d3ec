"""A DHCPv4 message, from octets to what the tables of docs/filter.md ask of it (K1, R11)."""

from words import number

LENGTHS = {1: 4, 50: 4, 51: 4, 52: 1, 53: 1, 54: 4}
READ_ONCE = {1, 12, 50, 51, 52, 53, 54, 61, 81}
OF_REPLY = {1, 51, 52, 53, 54}              # of the above, what counts in a reply
DECIDES = READ_ONCE | {3, 6, 80, 82, 118, 159, 220, 221}
LONGEST_NAME, OPTIONS_MAX = 255, 128
# What servers can read beside these (docs/filter.md, Evidence: a server that is gone), and its length.
PLAIN = {12: None, 50: None, 51: None, 53: None, 54: None, 61: None, 81: None, 55: (1, 255), 57: (2, 2), 60: (1, 255), 77: (1, 255),
         80: (0, 0), 94: (3, 3), 97: (17, 17), 116: (1, 1), 145: (1, 255), 175: (1, 255)}


class Message4:
    """wanted: option 50; server: option 54; None: it is not there."""


def read_message(data, is_reply):
    """None: it cannot be read."""
    if len(data) < 240 or len(data) > 1472 and not is_reply or number(data, 236, 4) != 0x63825363:
        return None
    m = Message4()
    m.op, m.htype, m.hlen, m.hops, m.xid = data[0], data[1], data[2], data[3], number(data, 4, 4)
    m.ciaddr, m.yiaddr, m.giaddr, m.chaddr = number(data, 12, 4), number(data, 16, 4), number(data, 24, 4), number(data, 28, 6)
    listed = read_areas(data, is_reply)
    if listed is None:
        return None
    m.options, m.is_odd = {}, any(is_odd(code, value) for code, value in listed)
    once = OF_REPLY if is_reply else READ_ONCE
    for code, value in listed:
        if is_reply and not value and code != 80:
            continue
        if code == 54 and value and len(value) % 4 == 0 and value == value[:4] * (len(value) // 4):
            value = value[:4]               # the same address several times is one
        if code in (3, 6, 121, 249):
            m.options[code] = m.options.get(code, b"") + value
        elif code in once and m.options.get(code, value) != value or code in once and code in m.options and not is_reply:
            return None
        else:
            m.options[code] = value
    return m if take(m, is_reply) else None


def is_odd(code, value):
    if code == 93:
        return not value or len(value) % 2 != 0
    return code not in PLAIN or PLAIN[code] is not None and not PLAIN[code][0] <= len(value) <= PLAIN[code][1]


def take(m, is_reply):
    """The options that decide, into fields. False: one has a wrong length."""
    for code, value in m.options.items():
        if code in LENGTHS and len(value) != LENGTHS[code] and not (is_reply and code == 50):
            return False
        if not is_reply and (code == 61 and len(value) < 2 or code in (12, 81) and len(value) > LONGEST_NAME):
            return False

    def address(code):
        return number(m.options[code], 0, 4) if code in m.options else None

    m.wanted, m.server, m.lease = address(50), address(54), address(51)
    m.identifier = bytes(m.options.get(61, b""))
    m.type = m.options[53][0] if 53 in m.options else None
    m.length = length_of(address(1))
    m.resolvers = addresses(m.options.get(6, b""))
    m.routers = addresses(m.options.get(3, b""))[:2]
    m.routers += [a for code in (121, 249) for a in routers_of_routes(m.options.get(code, b"")) if a != m.yiaddr]
    return True


def length_of(mask):
    """Of the subnet: without a mask, or with one that is none, a host is alone."""
    return next((n for n in range(33) if mask == (0xFFFFFFFF << 32 - n) & 0xFFFFFFFF), 32)


def addresses(value):
    """A rest that is no whole address is ignored, and so is 0.0.0.0."""
    found = []
    for at in range(0, len(value) - 3, 4):
        a = number(value, at, 4)
        if a and a not in found:
            found.append(a)
    return found[:8]


def routers_of_routes(value):
    """RFC 3442: the length of a prefix, so many octets of it as matter, and a router. A broken list says nothing."""
    found, at = [], 0
    while at < len(value):
        end = at + 1 + (value[at] + 7) // 8 + 4
        if value[at] > 32 or end > len(value):
            return []
        router = number(value, end - 4, 4)
        if router >> 24 not in (0, 127) and router >> 29 != 7:
            found.append(router)
        at = end
    return found[:8]


def read_areas(data, is_reply):
    """(code, value) of the options field, then of file and sname, as far as option 52 says so."""
    listed = read_options(data[240:], is_reply, True)
    if listed is None:
        return None
    areas = [value for code, value in listed if code == 52 and (value or not is_reply)]
    if not areas:
        return listed
    if len(areas[0]) != 1 or not 1 <= areas[0][0] <= 3:
        return None
    for bit, begin, end in ((1, 108, 236), (2, 44, 108)):
        if areas[0][0] & bit:
            inner = read_options(data[begin:end], is_reply, is_reply)
            if inner is None or not is_reply and any(code in DECIDES for code, _ in inner):
                return None
            listed = listed + inner
    return listed


def read_options(data, is_reply, may_lack_end):
    listed, at = [], 0
    while at < len(data):
        if data[at] == 255:
            return listed
        if data[at] == 0:
            at += 1
            continue
        if len(listed) >= OPTIONS_MAX:
            return None
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            return listed if is_reply and data[at] not in DECIDES else None
        listed.append((data[at], data[at + 2:at + 2 + data[at + 1]]))
        at += 2 + data[at + 1]
    return listed if may_lack_end else None
