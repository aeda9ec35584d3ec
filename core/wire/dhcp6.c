/* Reads a DHCPv6 message whole. What leaves a doubt it refuses: two readers must never see two messages. */
#include "core/wire/dhcp6.h"
#include "core/wire/ipv6.h"

enum {
	MESSAGE_HEADER = 4, /* type and id, RFC 8415 8 */
	OPTION_HEADER = 4,
	DATAGRAM_MAX = 1452, /* an Ethernet frame's worth */
	OPTIONS_MAX = 64
};

enum option6 {
	CLIENT_IDENTIFIER = 1,
	SERVER_IDENTIFIER = 2,
	IA_ADDRESS = 5,
	SERVER_UNICAST = 12,
	STATUS_CODE = 13,
	OPTION_REQUEST = 6,
	ELAPSED_TIME = 8,
	USER_CLASS = 15,
	VENDOR_CLASS = 16,
	RECONFIGURE_ACCEPT = 20,
	RAPID_COMMIT = 14,
	RELAY_MESSAGE = 9,
	INTERFACE_ID = 18,
	RESOLVERS = 23,
	IA_PREFIX = 26,
	REFRESH_TIME = 32,
	REMOTE_ID = 37,
	SUBSCRIBER_ID = 38,
	CLIENT_FQDN = 39,
	RELAY_ID = 53,
	RELAY_SUPPLIED = 66,
	SUBNET_OF_VPN = 68,
	CLIENT_LINK_LAYER = 79,
	IA_LL = 138
};

/* One option: r covers its value and nothing else. */
struct option {
	uint16_t code;
	struct reader r;
};

/* The options of a message, or of an option that holds others. */
struct level {
	struct reader first, next;
	uint32_t *options; /* counts them over all levels */
};

static struct level level_of(const struct reader *r, uint32_t *options)
{
	return (struct level){ *r, *r, options };
}

static bool cut_option(struct reader *r, struct option *o)
{
	o->code = read_be16(r);
	uint32_t octets = read_be16(r);
	if (!r->ok || octets > octets_left(r))
		return false;
	o->r = read_from(r->frame, r->at, r->at + octets);
	skip_bytes(r, octets);
	return true;
}

static bool same_octets(struct reader a, struct reader b)
{
	if (octets_left(&a) != octets_left(&b))
		return false;
	while (octets_left(&a) > 0)
		if (read_u8(&a) != read_u8(&b))
			return false;
	return a.ok && b.ok;
}

/* Readers that take the first one, the last one or all of them see the same then. */
static bool repeats_earlier(const struct level *l, const struct option *o)
{
	struct reader r = l->first;
	struct option earlier;
	while (cut_option(&r, &earlier) && earlier.r.at < o->r.at)
		if (earlier.code == o->code && same_octets(earlier.r, o->r))
			return true;
	return false;
}

enum step { STEP_END, STEP_OPTION, STEP_BROKEN };

/* The next option that says something new. */
static enum step next_option(struct level *l, struct option *o)
{
	do {
		if (l->next.ok && octets_left(&l->next) < OPTION_HEADER)
			return STEP_END;
		if (!cut_option(&l->next, o) || ++*l->options > OPTIONS_MAX)
			return STEP_BROKEN;
	} while (repeats_earlier(l, o));
	return STEP_OPTION;
}

/* Behind the code stands text for people. */
static bool read_status(struct reader *r, bool *seen, uint16_t *status)
{
	bool first = !*seen;
	*seen = true;
	*status = read_be16(r);
	return first && r->ok;
}

static bool lists_address(const struct dhcp6 *m, const struct dhcp6_address *a)
{
	for (uint32_t i = 0; i < m->address_count; i++)
		if (same_address(m->addresses[i].address, a->address) && m->addresses[i].length == a->length)
			return true;
	return false;
}

static bool lists_association(const struct dhcp6 *m, uint32_t identity, uint8_t type)
{
	for (uint32_t i = 0; i < m->association_count; i++)
		if (m->associations[i].identity == identity && m->associations[i].type == type)
			return true;
	return false;
}

/* An address, or a prefix: its fields stand in another order. */
static struct dhcp6_address read_leased(struct reader *r, bool is_prefix)
{
	struct dhcp6_address a = { .length = DHCP6_ADDRESS_BITS };
	if (!is_prefix)
		a.address = read_address6(r);
	a.preferred_s = read_be32(r);
	a.valid_s = read_be32(r);
	if (is_prefix) {
		a.length = read_u8(r);
		a.address = read_address6(r);
	}
	return a;
}

static bool read_address(struct reader *r, struct dhcp6 *m, uint32_t association, uint32_t *options)
{
	bool is_prefix = m->associations[association].type == IA_PD, has_status = false;
	struct dhcp6_address a = read_leased(r, is_prefix);
	a.association = association;
	if (!r->ok || a.length > DHCP6_ADDRESS_BITS || m->address_count == DHCP6_ADDRESSES_MAX || lists_address(m, &a))
		return false;
	struct level level = level_of(r, options);
	struct option o;
	enum step step;
	while ((step = next_option(&level, &o)) == STEP_OPTION)
		if (o.code == STATUS_CODE && !read_status(&o.r, &has_status, &a.status))
			return false;
	m->addresses[m->address_count++] = a;
	return step == STEP_END;
}

static bool read_association(struct reader *r, struct dhcp6 *m, uint8_t type, uint32_t *options)
{
	uint32_t identity = read_be32(r);
	if (type != IA_TA)
		skip_bytes(r, 8); /* T1, T2: when to renew is the guest's to know */
	if (!r->ok || m->association_count == DHCP6_ASSOCIATIONS_MAX || lists_association(m, identity, type))
		return false;
	uint32_t index = m->association_count++;
	struct dhcp6_association *ia = &m->associations[index];
	*ia = (struct dhcp6_association){ .identity = identity, .type = type };
	struct level level = level_of(r, options);
	struct option o;
	enum step step;
	bool has_status = false;
	while ((step = next_option(&level, &o)) == STEP_OPTION)
		if ((o.code == STATUS_CODE && !read_status(&o.r, &has_status, &ia->status)) ||
		    (o.code == (type == IA_PD ? IA_PREFIX : IA_ADDRESS) && !read_address(&o.r, m, index, options)))
			return false;
	return step == STEP_END;
}

static bool is_duid_length(uint32_t octets)
{
	return octets >= DUID_OCTETS_MIN && octets <= DUID_OCTETS_MAX;
}

static bool read_client_id(struct reader *r, struct dhcp6 *m)
{
	if (!is_duid_length(octets_left(r)) || m->client_id_length > 0)
		return false;
	m->client_id_length = octets_left(r);
	read_bytes(r, m->client_id, m->client_id_length);
	return true;
}

/* RFC 3646 3. More than fit are ignored. */
static bool read_resolvers(struct reader *r, struct dhcp6 *m)
{
	uint32_t octets = octets_left(r);
	for (uint32_t i = 0; i < octets / 16; i++)
		set_add(&m->resolvers, read_address6(r));
	return octets % 16 == 0;
}

/* At the top, where only a registration has an IA Address; it decides about that, so it is read once. */
static bool read_single_address(struct reader *r, bool *seen, struct address *to, bool must_end)
{
	bool first = !*seen;
	*seen = true;
	*to = read_address6(r);
	return first && r->ok && (!must_end || r->at == r->end);
}

/* The server repeats what the client has said, or knows better: that binds nobody. */
static bool read_fqdn(struct reader *r, struct dhcp6 *m)
{
	bool is_reply = m->type == DHCP6_ADVERTISE || m->type == DHCP6_REPLY;
	return is_reply || read_name_option(r, &m->fqdn);
}

static bool read_option(struct option *o, struct dhcp6 *m, uint32_t *options)
{
	uint32_t octets = octets_left(&o->r);
	switch (o->code) {
	case CLIENT_IDENTIFIER:
		return read_client_id(&o->r, m);
	case SERVER_IDENTIFIER:
		if (!is_duid_length(octets) || m->has_server_id)
			return false;
		m->has_server_id = true;
		return true;
	case IA_NA:
	case IA_TA:
	case IA_PD:
		return read_association(&o->r, m, (uint8_t)o->code, options);
	case IA_LL:
		m->asks_for_more = true;
		return true;
	case IA_ADDRESS:
		return read_single_address(&o->r, &m->has_registered, &m->registered, false);
	case SERVER_UNICAST:
		return read_single_address(&o->r, &m->has_unicast, &m->unicast, true);
	case STATUS_CODE:
		return read_status(&o->r, &m->has_status, &m->status);
	case RAPID_COMMIT:
		m->rapid_commit = true;
		return octets == 0;
	case OPTION_REQUEST: /* RFC 8415 21.7, 21.9: of another length some servers pass over the message */
		m->is_odd = m->is_odd || octets % 2 != 0;
		return true;
	case ELAPSED_TIME:
		m->is_odd = m->is_odd || octets != 2;
		return true;
	case RECONFIGURE_ACCEPT:
		m->is_odd = m->is_odd || octets != 0;
		return true;
	case USER_CLASS:
	case VENDOR_CLASS:
		m->is_odd = m->is_odd || octets < 4;
		return true;
	case CLIENT_FQDN:
		return read_fqdn(&o->r, m);
	case RELAY_MESSAGE:     /* RFC 8415 21.10 */
	case INTERFACE_ID:      /* RFC 8415 21.18 */
	case REMOTE_ID:         /* RFC 4649 */
	case SUBSCRIBER_ID:     /* RFC 4580 */
	case RELAY_ID:          /* RFC 5460 */
	case RELAY_SUPPLIED:    /* RFC 6422 */
	case SUBNET_OF_VPN:     /* RFC 6607 */
	case CLIENT_LINK_LAYER: /* RFC 6939: the client's MAC address, on the relay's word */
		m->has_relay_option = true;
		return true;
	case RESOLVERS:
		return read_resolvers(&o->r, m);
	case REFRESH_TIME:
		if (octets != 4 || m->has_refresh)
			return false;
		m->has_refresh = true;
		m->refresh_s = read_be32(&o->r);
		return true;
	default:
		return true;
	}
}

bool parse_dhcp6(const struct frame *frame, uint32_t at, uint32_t end, struct dhcp6 *m)
{
	*m = (struct dhcp6){ 0 };
	struct reader r = read_from(frame, at, end);
	if (octets_left(&r) < MESSAGE_HEADER || octets_left(&r) > DATAGRAM_MAX)
		return false;
	uint32_t header = read_be32(&r);
	m->type = (uint8_t)(header >> 24);
	if (m->type == DHCP6_RELAY_FORWARD || m->type == DHCP6_RELAY_REPLY)
		return r.ok;
	m->id = header & 0xffffff;
	uint32_t options = 0;
	struct level level = level_of(&r, &options);
	struct option o;
	enum step step;
	while ((step = next_option(&level, &o)) == STEP_OPTION)
		if (!read_option(&o, m, &options))
			return false;
	return step == STEP_END;
}

bool duid_names_other_mac(const uint8_t *duid, uint32_t octets, uint64_t mac)
{
	if (octets < 4)
		return false;
	uint32_t type = (uint32_t)duid[0] << 8 | duid[1], hardware = (uint32_t)duid[2] << 8 | duid[3];
	uint32_t at = type == 1 ? 8 : 4; /* 1: link-layer plus time, 3: link-layer; hardware type 1 is Ethernet */
	if ((type != 1 && type != 3) || hardware != 1 || octets != at + 6)
		return false;
	uint64_t named = 0;
	for (uint32_t i = 0; i < 6; i++)
		named = named << 8 | duid[at + i];
	return named != mac;
}
