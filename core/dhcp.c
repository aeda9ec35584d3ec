/* Reads a DHCP message whole. What it cannot read without doubt it refuses: two readers must never see two messages. */
#include "dhcp.h"

enum {
	FIXED_OCTETS = 240,      /* op to the magic cookie */
	DATAGRAM_MAX = 1472,     /* an Ethernet frame's worth */
	OPTIONS_MAX = 128,
	SNAME_AT = 44, SNAME_OCTETS = 64,
	FILE_AT = 108, FILE_OCTETS = 128,
	MAGIC_COOKIE = 0x63825363
};

enum option {
	PAD = 0, SUBNET_MASK = 1, ROUTER = 3, RESOLVER = 6, REQUESTED_ADDRESS = 50, LEASE_TIME = 51, OVERLOAD = 52,
	MESSAGE_TYPE = 53, SERVER_IDENTIFIER = 54, CLIENT_IDENTIFIER = 61, RAPID_COMMIT = 80, RELAY_INFORMATION = 82,
	END = 255
};

/* Which of the options that may stand only once were seen, and how many options so far, over all areas. */
struct progress {
	bool mask, router, type, overload;
	uint8_t overload_value;
	uint32_t options;
};

/* True the first time. */
static bool only_once(bool *seen)
{
	bool first = !*seen;
	*seen = true;
	return first;
}

static uint32_t prefix_length_of(uint32_t mask)
{
	for (uint32_t n = 0; n <= 32; n++)
		if (ipv4_mask(n) == mask)
			return n;
	return 32; /* not contiguous: no subnet can be told, so none is assumed */
}

/*
 * A list of addresses; a length that is no multiple of four is no list. More than fit are ignored, and so is 0.0.0.0,
 * by which some servers say that there is none.
 */
static bool read_addresses(struct reader *r, struct address_set *set, uint32_t most)
{
	uint32_t octets = octets_left(r);
	if (octets == 0 || octets % 4 != 0)
		return false;
	for (uint32_t i = 0; i < octets / 4; i++) {
		struct address a = address_of_ipv4(read_be32(r));
		if (set->count < most && !is_unset(a))
			set_add(set, a);
	}
	return true;
}

static bool read_client_id(struct reader *r, struct dhcp *m)
{
	m->client_id_length = octets_left(r);
	if (m->client_id_length < 2) /* RFC 2132 9.14 */
		return false;
	read_bytes(r, m->client_id, m->client_id_length);
	return true;
}

/* One option; r covers its value and nothing else. */
static bool read_option(uint8_t code, struct reader *r, struct dhcp *m, struct progress *seen)
{
	uint32_t octets = octets_left(r);
	switch (code) {
	case SUBNET_MASK:
		if (octets != 4 || !only_once(&seen->mask))
			return false;
		m->prefix_length = prefix_length_of(read_be32(r));
		return true;
	case ROUTER:
		return !only_once(&seen->router) || read_addresses(r, &m->routers, 2);
	case RESOLVER:
		return read_addresses(r, &m->resolvers, ADDRESS_SET_MAX);
	case REQUESTED_ADDRESS:
		if (octets != 4 || !only_once(&m->has_requested))
			return false;
		m->requested = address_of_ipv4(read_be32(r));
		return true;
	case LEASE_TIME:
		if (octets != 4 || !only_once(&m->has_lease))
			return false;
		m->lease_s = read_be32(r);
		return true;
	case OVERLOAD:
		if (octets != 1 || !only_once(&seen->overload))
			return false;
		seen->overload_value = read_u8(r);
		return seen->overload_value >= 1 && seen->overload_value <= 3;
	case MESSAGE_TYPE:
		if (octets != 1 || !only_once(&seen->type))
			return false;
		m->type = read_u8(r);
		return true;
	case SERVER_IDENTIFIER:
		if (octets != 4 || !only_once(&m->has_server))
			return false;
		m->server = address_of_ipv4(read_be32(r));
		return true;
	case CLIENT_IDENTIFIER:
		return only_once(&m->has_client_id) && read_client_id(r, m);
	case RAPID_COMMIT:
		m->rapid_commit = true;
		return true;
	case RELAY_INFORMATION:
		m->relay_information = true;
		return true;
	default:
		return true;
	}
}

/* The options in [at, end). END may be missing only where the datagram ends. */
static bool read_options(const struct frame *frame, uint32_t at, uint32_t end, bool needs_end, struct dhcp *m,
			 struct progress *seen)
{
	struct reader r = read_from(frame, at, end);
	while (octets_left(&r) > 0) {
		uint8_t code = read_u8(&r);
		if (code == END)
			return true;
		if (code == PAD)
			continue;
		uint8_t octets = read_u8(&r);
		if (!r.ok || octets > octets_left(&r) || ++seen->options > OPTIONS_MAX)
			return false;
		struct reader value = read_from(frame, r.at, r.at + octets);
		if (!read_option(code, &value, m, seen) || !value.ok)
			return false;
		skip_bytes(&r, octets);
	}
	return r.ok && !needs_end;
}

bool parse_dhcp(const struct frame *frame, uint32_t at, uint32_t end, struct dhcp *m)
{
	*m = (struct dhcp){ .prefix_length = 32 };
	struct reader r = read_from(frame, at, end);
	if (octets_left(&r) < FIXED_OCTETS || octets_left(&r) > DATAGRAM_MAX)
		return false;
	m->op = read_u8(&r);
	m->hardware_type = read_u8(&r);
	m->hardware_length = read_u8(&r);
	m->hops = read_u8(&r);
	m->xid = read_be32(&r);
	skip_bytes(&r, 4); /* secs, flags */
	m->ciaddr = address_of_ipv4(read_be32(&r));
	m->yiaddr = address_of_ipv4(read_be32(&r));
	skip_bytes(&r, 4); /* siaddr: where to boot from, no concern of the guard */
	m->giaddr = address_of_ipv4(read_be32(&r));
	m->chaddr = read_be48(&r);
	skip_bytes(&r, 10 + SNAME_OCTETS + FILE_OCTETS);
	if (read_be32(&r) != MAGIC_COOKIE || !r.ok)
		return false;

	struct progress seen = { 0 };
	if (!read_options(frame, at + FIXED_OCTETS, end, false, m, &seen))
		return false;
	m->overloaded = seen.overload;
	/* RFC 2131 4.1: the file field first, then sname; each ends by itself. */
	uint8_t areas = seen.overload_value;
	return (!(areas & 1) || read_options(frame, at + FILE_AT, at + FILE_AT + FILE_OCTETS, true, m, &seen)) &&
	       (!(areas & 2) || read_options(frame, at + SNAME_AT, at + SNAME_AT + SNAME_OCTETS, true, m, &seen));
}
