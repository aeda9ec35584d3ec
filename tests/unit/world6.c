/* Builds IPv6 frames octet by octet, independently of the parsers under test. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "world6.h"

#include <cmocka.h>

enum {
	ETHERNET = 14,
	FIXED_HEADER = 40,
	NEXT_AT = ETHERNET + 6,
	LENGTH_AT = ETHERNET + 4,
	HOP_LIMIT_AT = ETHERNET + 7
};

void start_world6(struct world *w, bool anchored)
{
	start_world(w, anchored);
	w->config.ipv6_off = 0;
	if (anchored)
		set_add(&w->config.host6, ROUTER_LL);
}

static bool is_group(struct address a)
{
	return a.high >> 56 == 0xff;
}

uint64_t mac_for6(struct address to)
{
	return is_group(to) ? 0x333300000000ULL | (to.low & 0xffffffff) : GATEWAY_MAC;
}

static uint64_t guest_mac_for6(struct address to)
{
	return is_group(to) ? mac_for6(to) : GUEST_MAC;
}

void put_address6(struct world *w, struct address a)
{
	put_number(w, a.high, 8);
	put_number(w, a.low, 8);
}

void put_ipv6(struct world *w, struct address from, struct address to, uint8_t next, uint8_t hop_limit, uint32_t payload)
{
	put_number(w, 0x60000000, 4);
	put_number(w, payload, 2);
	put_number(w, next, 1);
	put_number(w, hop_limit, 1);
	put_address6(w, from);
	put_address6(w, to);
}

void put_packet6(struct world *w, struct address from, struct address to, uint8_t protocol, uint32_t payload)
{
	put_ethernet(w, mac_for6(to), GUEST_MAC, 0x86dd);
	put_ipv6(w, from, to, protocol, 64, payload);
	put_zeros(w, payload);
}

void put_packet6_to_guest(struct world *w, uint64_t mac, struct address from, struct address to, uint8_t protocol,
			  uint32_t payload)
{
	put_ethernet(w, guest_mac_for6(to), mac, 0x86dd);
	put_ipv6(w, from, to, protocol, 64, payload);
	put_zeros(w, payload);
}

static void fill_in_udp(struct world *w, uint16_t source, uint16_t port, uint32_t payload)
{
	w->length = ETHERNET + FIXED_HEADER;
	put_udp(w, source, port, payload);
	put_zeros(w, payload);
}

void put_udp6(struct world *w, struct address from, struct address to, uint16_t source, uint16_t port, uint32_t payload)
{
	put_packet6(w, from, to, 17, 8 + payload);
	fill_in_udp(w, source, port, payload);
}

void put_udp6_to_guest(struct world *w, uint64_t mac, struct address from, struct address to, uint16_t source,
		       uint16_t port, uint32_t payload)
{
	put_packet6_to_guest(w, mac, from, to, 17, 8 + payload);
	fill_in_udp(w, source, port, payload);
}

void put_icmp6(struct world *w, struct address from, struct address to, uint8_t type, uint32_t octets)
{
	put_packet6(w, from, to, 58, octets);
	w->frame[ETHERNET + FIXED_HEADER] = type;
}

void put_icmp6_to_guest(struct world *w, uint64_t mac, struct address from, struct address to, uint8_t type,
			uint32_t octets)
{
	put_packet6_to_guest(w, mac, from, to, 58, octets);
	w->frame[ETHERNET + FIXED_HEADER] = type;
}

void set_hop_limit(struct world *w, uint8_t hop_limit)
{
	w->frame[HOP_LIMIT_AT] = hop_limit;
}

void insert_header(struct world *w, uint8_t type, const uint8_t *header, uint32_t octets)
{
	uint32_t at = ETHERNET + FIXED_HEADER, payload = w->length - at + octets;
	assert_true(w->length + octets <= sizeof w->frame);
	memmove(w->frame + at + octets, w->frame + at, w->length - at);
	memcpy(w->frame + at, header, octets);
	w->frame[at] = w->frame[NEXT_AT];
	w->frame[NEXT_AT] = type;
	w->frame[LENGTH_AT] = (uint8_t)(payload >> 8);
	w->frame[LENGTH_AT + 1] = (uint8_t)payload;
	w->length += octets;
}

void insert_options(struct world *w, uint8_t type, uint32_t octets)
{
	uint8_t header[2048] = { 0, (uint8_t)(octets / 8 - 1), 1, (uint8_t)(octets - 4) }; /* PadN, RFC 8200 4.2 */
	insert_header(w, type, header, octets);
}

void insert_fragment(struct world *w, uint32_t offset, bool more)
{
	uint8_t header[8] = { 0, 0, (uint8_t)(offset >> 8), (uint8_t)((offset & 0xf8) | more), 0, 0, 0, 7 };
	insert_header(w, 44, header, sizeof header);
}

void insert_router_alert(struct world *w)
{
	static const uint8_t header[8] = { 0, 0, 5, 2, 0, 0, 1, 0 }; /* RFC 2711, then PadN */
	insert_header(w, 0, header, sizeof header);
}

static void put_lla_option(struct world *w, uint8_t type, uint64_t mac)
{
	if (mac == 0)
		return;
	put_number(w, type, 1);
	put_number(w, 1, 1);
	put_number(w, mac, 6);
}

static void put_nd_body(struct world *body, const struct nd_spec *s)
{
	body->length = 0;
	put_number(body, s->type, 1);
	put_number(body, s->code, 1);
	put_number(body, 0, 2);
	put_number(body, s->flags, 1);
	put_number(body, 0, 3);
	if (s->type != RS)
		put_address6(body, s->target);
	put_lla_option(body, 1, s->source_lla);
	put_lla_option(body, 2, s->target_lla);
	put_bytes(body, s->extra, s->extra_octets);
}

static struct address nd_destination(const struct nd_spec *s)
{
	struct address solicited = { 0xff02000000000000ULL, 0x1ff000000ULL | (s->target.low & 0xffffff) };
	if (!is_unset(s->to))
		return s->to;
	return s->type == NS ? solicited : s->type == RS ? ROUTERS_GROUP : NODES_GROUP;
}

void put_checksum6(struct world *w)
{
	enum { ADDRESSES = ETHERNET + 8, MESSAGE = ETHERNET + FIXED_HEADER };
	uint32_t sum = w->length - MESSAGE + 58;
	w->frame[MESSAGE + 2] = w->frame[MESSAGE + 3] = 0;
	for (uint32_t i = ADDRESSES; i < w->length; i++)
		sum += (uint32_t)w->frame[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	w->frame[MESSAGE + 2] = (uint8_t)(~sum >> 8);
	w->frame[MESSAGE + 3] = (uint8_t)~sum;
}

static void put_nd_frame(struct world *w, const struct nd_spec *s, uint64_t from_mac, uint64_t to_mac)
{
	static struct world body;
	put_nd_body(&body, s);
	put_ethernet(w, to_mac, from_mac, 0x86dd);
	put_ipv6(w, s->from, nd_destination(s), 58, s->hop_limit ? s->hop_limit : 255, body.length);
	put_bytes(w, body.frame, body.length);
	put_checksum6(w);
}

void put_nd(struct world *w, const struct nd_spec *s)
{
	put_nd_frame(w, s, s->mac_from ? s->mac_from : GUEST_MAC, s->mac_to ? s->mac_to : mac_for6(nd_destination(s)));
}

void put_nd_to_guest(struct world *w, const struct nd_spec *s)
{
	put_nd_frame(w, s, s->mac_from ? s->mac_from : GATEWAY_MAC,
		     s->mac_to ? s->mac_to : guest_mac_for6(nd_destination(s)));
}

/* RFC 4861 4.6.2 */
static void put_prefix(struct world *w, const struct ra_spec *s)
{
	if (is_unset(s->prefix))
		return;
	put_number(w, 0x0304, 2);
	put_number(w, s->prefix_length ? s->prefix_length : 64, 1);
	put_number(w, s->flags ? s->flags : PREFIX_ON_LINK | PREFIX_AUTONOMOUS, 1);
	put_number(w, s->valid_s, 4);
	put_number(w, s->preferred_s ? s->preferred_s : s->valid_s / 2, 4);
	put_number(w, 0, 4);
	put_address6(w, s->prefix);
}

/* RFC 8106 5.1 */
static void put_resolver(struct world *w, const struct ra_spec *s)
{
	if (is_unset(s->resolver))
		return;
	put_number(w, 0x19030000, 4);
	put_number(w, s->resolver_s, 4);
	put_address6(w, s->resolver);
}

/* RFC 8781 4: thirteen bits of lifetime in units of 8 seconds, three that tell the length, 96 bits of prefix. */
static void put_pref64(struct world *w, const struct ra_spec *s)
{
	static const uint8_t lengths[] = { 96, 64, 56, 48, 40, 32 };
	if (is_unset(s->nat64))
		return;
	for (uint32_t code = 0; code < sizeof lengths; code++)
		if (lengths[code] == s->nat64_bits) {
			put_number(w, 0x2602, 2);
			put_number(w, s->nat64_s / 8 << 3 | code, 2);
			put_number(w, s->nat64.high, 8);
			put_number(w, s->nat64.low >> 32, 4);
		}
}

void put_ra(struct world *w, const struct ra_spec *s)
{
	static struct world body;
	body.length = 0;
	put_number(&body, 0x86000000, 4);
	put_number(&body, 64, 1);
	put_number(&body, 0, 1);
	put_number(&body, s->router_s, 2);
	put_zeros(&body, 8);
	put_lla_option(&body, 1, s->source_lla);
	put_prefix(&body, s);
	put_resolver(&body, s);
	put_pref64(&body, s);
	put_bytes(&body, s->extra, s->extra_octets);
	put_ethernet(w, mac_for6(NODES_GROUP), s->mac ? s->mac : GATEWAY_MAC, 0x86dd);
	put_ipv6(w, is_unset(s->from) ? ROUTER_LL : s->from, NODES_GROUP, 58, 255, body.length);
	put_bytes(w, body.frame, body.length);
}

/* RFC 3810 5.2: one record, CHANGE_TO_EXCLUDE. RFC 2710 3 */
void put_mld(struct world *w, uint8_t type, struct address from, struct address to, struct address group)
{
	put_icmp6(w, from, to, type, 8);
	if (type == 143) {
		w->frame[w->length - 1] = 1;
		put_number(w, 0x04000000, 4);
	}
	put_address6(w, group);
	set_hop_limit(w, 1);
	insert_router_alert(w);
}

void announce(struct world *w, uint64_t prefix)
{
	put_ra(w, &(struct ra_spec){ .router_s = 1800, .prefix = { prefix, 0 }, .valid_s = 86400 });
	assert_int_equal(to_guest(w), PASS);
}

enum verdict solicit_dad(struct world *w, struct address a)
{
	put_nd(w, &(struct nd_spec){ .type = NS, .target = a });
	return from_guest(w);
}

void claim_address(struct world *w, struct address a)
{
	assert_int_equal(solicit_dad(w, a), PASS);
	w->now_ms += 2000;
}

bool sends_from6(struct world *w, struct address from)
{
	bool local = from.high == LINK_LOCAL_PREFIX;
	put_udp6(w, from, local ? MDNS_GROUP : GLOBAL_IP6, local ? 5353 : 4000, local ? 5353 : 4000, 4);
	return from_guest(w) == PASS;
}
