/* Reads a DHCP message whole. What it cannot read without doubt it refuses: two readers must never see two messages. */
#include "core/wire/dhcp.h"
#include "core/wire/dhcp_routes.h"

enum {
	FIXED_OCTETS = 240,  /* op to the magic cookie */
	DATAGRAM_MAX = 1472, /* an Ethernet frame's worth */
	OPTIONS_MAX = 128,
	SNAME_AT = 44,
	SNAME_OCTETS = 64,
	FILE_AT = 108,
	FILE_OCTETS = 128,
	MAGIC_COOKIE = 0x63825363
};

enum option {
	PAD = 0,
	SUBNET_MASK = 1,
	ROUTER = 3,
	RESOLVER = 6,
	HOST_NAME = 12,
	REQUESTED_ADDRESS = 50,
	LEASE_TIME = 51,
	OVERLOAD = 52,
	MESSAGE_TYPE = 53,
	SERVER_IDENTIFIER = 54,
	CLIENT_IDENTIFIER = 61,
	RAPID_COMMIT = 80,
	CLIENT_FQDN = 81,
	RELAY_INFORMATION = 82,
	IPV6_ONLY = 108,
	SUBNET_SELECTION = 118,
	ROUTES = 121,
	PORT_PARAMETERS = 159,
	SUBNET_ALLOCATION = 220,
	SUBNET_OF_VPN = 221,
	OLD_ROUTES = 249,
	END = 255
};

/* An option that may stand only once, as a number: copies of it must agree. */
struct single {
	bool seen;
	uint32_t value;
};

/* How far the reader is, over all areas. */
struct progress {
	bool is_reply;
	bool in_options; /* and not in file or sname */
	uint32_t options;
	struct single mask, requested, lease_time, overload, type, server;
	struct route_reader routes, old_routes;
};

/* The options that decide, or that say who is meant. One of them that is cut leaves a doubt. */
static bool decides(uint8_t code)
{
	switch ((enum option)code) {
	case SUBNET_MASK:
	case ROUTER:
	case RESOLVER:
	case HOST_NAME:
	case REQUESTED_ADDRESS:
	case LEASE_TIME:
	case OVERLOAD:
	case MESSAGE_TYPE:
	case SERVER_IDENTIFIER:
	case CLIENT_IDENTIFIER:
	case RAPID_COMMIT:
	case CLIENT_FQDN:
	case RELAY_INFORMATION:
	case SUBNET_SELECTION:
	case PORT_PARAMETERS:
	case SUBNET_ALLOCATION:
	case SUBNET_OF_VPN:
		return true;
	case PAD:
	case IPV6_ONLY:
	case ROUTES:
	case OLD_ROUTES:
	case END:
		return false;
	}
	return false;
}

/*
 * What clients ask with, and every server can read. Some servers pass over a message whole when one option of it has a length
 * that its RFC does not give it; what a server makes of others nobody knows.
 */
static bool is_odd(uint8_t code, uint8_t octets)
{
	enum {
		MESSAGE_SIZE = 57,
		VENDOR_CLASS = 60,
		PARAMETERS = 55,
		USER_CLASS = 77,
		ARCHITECTURE = 93,
		NETWORK_INTERFACE = 94,
		MACHINE = 97,
		AUTO_CONFIGURE = 116,
		NONCE_CAPABLE = 145,
		IPXE = 175
	};
	switch (code) {
	case MESSAGE_SIZE:
		return octets != 2;
	case ARCHITECTURE:
		return octets == 0 || octets % 2 != 0;
	case NETWORK_INTERFACE:
		return octets != 3;
	case MACHINE:
		return octets != 17;
	case AUTO_CONFIGURE:
		return octets != 1;
	case RAPID_COMMIT:
		return octets != 0;
	case PARAMETERS:
	case VENDOR_CLASS:
	case USER_CLASS:
	case NONCE_CAPABLE:
	case IPXE:
		return octets == 0;
	case HOST_NAME: /* these are read, and a fault in them is refused */
	case REQUESTED_ADDRESS:
	case LEASE_TIME:
	case MESSAGE_TYPE:
	case SERVER_IDENTIFIER:
	case CLIENT_IDENTIFIER:
	case CLIENT_FQDN:
		return false;
	default:
		return true;
	}
}

static uint32_t prefix_length_of(uint32_t mask)
{
	for (uint32_t n = 0; n <= 32; n++)
		if (ipv4_mask(n) == mask)
			return n;
	return 32; /* not contiguous: no subnet can be told, so none is assumed */
}

static bool read_single(struct reader *r, uint32_t octets, const struct progress *p, struct single *option)
{
	if (p->is_reply && octets_left(r) == 0)
		return true;
	if (octets_left(r) != octets)
		return false;
	uint32_t value = octets == 1 ? read_u8(r) : read_be32(r);
	bool agrees = !option->seen || (p->is_reply && option->value == value);
	*option = (struct single){ true, value };
	return agrees;
}

/*
 * RFC 2132 9.7: four octets. Of a server that says it twice ISC's client makes one option (RFC 3396), and gives it back so:
 * the same address twice, of which every server reads the same.
 */
static bool read_server(struct reader *r, const struct progress *p, struct single *option)
{
	uint32_t octets = octets_left(r);
	uint32_t value = octets >= 4 ? read_be32(r) : 0;
	for (uint32_t i = 1; i < octets / 4; i++)
		if (read_be32(r) != value)
			return false;
	bool agrees = !option->seen || (p->is_reply && option->value == value);
	if (octets > 0)
		*option = (struct single){ true, value };
	return octets % 4 == 0 && (octets > 0 ? agrees : p->is_reply);
}

/*
 * A list of addresses. More than fit are ignored, what is no whole address, and 0.0.0.0, by which some servers say that
 * there is none.
 */
static bool read_addresses(struct reader *r, struct address_set *set, uint32_t most)
{
	uint32_t octets = octets_left(r);
	for (uint32_t i = 0; i < octets / 4; i++) {
		struct address a = address_of_ipv4(read_be32(r));
		if (set->count < most && !is_unset(a))
			set_add(set, a);
	}
	return true;
}

static void read_routes(struct reader *r, struct route_reader *routes)
{
	for (uint32_t octets = octets_left(r); octets > 0; octets--)
		read_route_octet(routes, read_u8(r));
}

static bool read_client_id(struct reader *r, struct dhcp *m)
{
	if (m->has_client_id || octets_left(r) < 2) /* RFC 2132 9.14 */
		return false;
	m->has_client_id = true;
	m->client_id_length = octets_left(r);
	read_bytes(r, m->client_id, m->client_id_length);
	return true;
}

/* One option; r covers its value and nothing else. */
static bool read_option(uint8_t code, struct reader *r, struct dhcp *m, struct progress *p)
{
	switch (code) {
	case SUBNET_MASK:
		return read_single(r, 4, p, &p->mask);
	case ROUTER:
		return read_addresses(r, &m->routers, 2);
	case RESOLVER:
		return read_addresses(r, &m->resolvers, ADDRESS_SET_MAX);
	case HOST_NAME:
		return p->is_reply || read_name_option(r, &m->host_name);
	case REQUESTED_ADDRESS:
		return p->is_reply || read_single(r, 4, p, &p->requested);
	case LEASE_TIME:
		return read_single(r, 4, p, &p->lease_time);
	case OVERLOAD:
		return read_single(r, 1, p, &p->overload);
	case MESSAGE_TYPE:
		return read_single(r, 1, p, &p->type);
	case SERVER_IDENTIFIER:
		return read_server(r, p, &p->server);
	case CLIENT_IDENTIFIER:
		return p->is_reply || read_client_id(r, m); /* RFC 6842: the server repeats it */
	case RAPID_COMMIT:
		m->rapid_commit = true;
		return true;
	case ROUTES:
		read_routes(r, &p->routes);
		return true;
	case OLD_ROUTES:
		read_routes(r, &p->old_routes);
		return true;
	case CLIENT_FQDN:
		return p->is_reply || read_name_option(r, &m->fqdn);
	case RELAY_INFORMATION: /* RFC 3046 */
	case SUBNET_SELECTION:  /* RFC 3011: from which subnet the address shall be */
	case SUBNET_ALLOCATION: /* RFC 6656: a whole subnet for the client to give away */
	case SUBNET_OF_VPN:     /* RFC 6607 */
		m->has_relay_option = true;
		return true;
	case IPV6_ONLY:
		m->prefers_ipv6 = true;
		return true;
	case PORT_PARAMETERS:
		m->is_shared = true;
		return true;
	default:
		return true;
	}
}

/* The options in [at, end). Of a request END may be missing only where the datagram ends. */
static bool read_options(const struct frame *frame, uint32_t at, uint32_t end, struct dhcp *m, struct progress *p)
{
	struct reader r = read_from(frame, at, end);
	while (octets_left(&r) > 0) {
		uint8_t code = read_u8(&r);
		if (code == END)
			return true;
		if (code == PAD)
			continue;
		uint8_t octets = read_u8(&r);
		m->fault = code;
		if (!r.ok || octets > octets_left(&r))
			return p->is_reply && !decides(code);
		bool is_hidden = !p->is_reply && !p->in_options && decides(code);
		if (is_hidden || ++p->options > OPTIONS_MAX)
			return false;
		struct reader value = read_from(frame, r.at, r.at + octets);
		if (!read_option(code, &value, m, p) || !value.ok)
			return false;
		m->fault = 0;
		m->is_odd = m->is_odd || is_odd(code, octets);
		skip_bytes(&r, octets);
	}
	return r.ok && (p->is_reply || p->in_options);
}

/* RFC 2131 4.1: the options field, then file, then sname; each ends by itself. */
static bool read_areas(const struct frame *frame, uint32_t at, uint32_t end, struct dhcp *m, struct progress *p)
{
	p->in_options = true;
	if (!read_options(frame, at + FIXED_OCTETS, end, m, p))
		return false;
	p->in_options = false;
	uint32_t areas = p->overload.value;
	return areas <= 3 && (p->overload.seen == (areas > 0)) &&
	       (!(areas & 1) || read_options(frame, at + FILE_AT, at + FILE_AT + FILE_OCTETS, m, p)) &&
	       (!(areas & 2) || read_options(frame, at + SNAME_AT, at + SNAME_AT + SNAME_OCTETS, m, p)) &&
	       areas == p->overload.value; /* and says nothing else in there */
}

bool parse_dhcp(const struct frame *frame, uint32_t at, uint32_t end, struct dhcp *m)
{
	*m = (struct dhcp){ 0 };
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

	struct progress p = { .is_reply = m->op == BOOTREPLY };
	if (!read_areas(frame, at, end, m, &p))
		return false;
	m->type = (uint8_t)p.type.value;
	m->prefix_length = p.mask.seen ? prefix_length_of(p.mask.value) : 32;
	m->has_requested = p.requested.seen;
	m->requested = p.requested.seen ? address_of_ipv4(p.requested.value) : (struct address){ 0, 0 };
	m->has_lease = p.lease_time.seen;
	m->lease_s = p.lease_time.value;
	m->has_server = p.server.seen;
	m->server = p.server.seen ? address_of_ipv4(p.server.value) : (struct address){ 0, 0 };
	add_routers(&p.routes, m->yiaddr, &m->routers);
	add_routers(&p.old_routes, m->yiaddr, &m->routers);
	return true;
}
