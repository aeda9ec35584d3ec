/* Extension headers and fragments: all chains there are, against a model that is too simple to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "amount.h"
#include "test_judge6.h"

#include <cmocka.h>

enum { CHAIN_MAX = 8, WALKABLE = 5, TRANSPORT = 24 };

/* The first five lead on to another header. */
static const uint8_t kinds[] = { 0, 43, 44, 51, 60, 135, 139, 140, 59, 50, 253, 6, 17, 58 };
enum { KINDS = sizeof kinds };

struct chain {
	uint8_t type[CHAIN_MAX + 1]; /* behind the last one that leads on: UDP */
	uint32_t length;
	bool more; /* of the first Fragment header */
};

static bool leads_on(uint8_t type)
{
	return memchr(kinds, type, WALKABLE) != NULL;
}

static bool hides_the_rest(uint8_t type)
{
	return type == 135 || type == 139 || type == 140 || type == 59 || type == 253;
}

/* RFC 8200 4.1, and rows H2, H3 and H5, from the outside to the inside. */
static enum verdict verdict_of_chain(const struct chain *c)
{
	uint32_t options = 0, fragments = 0;
	for (uint32_t i = 0; i < c->length; i++) {
		uint8_t type = c->type[i], next = c->type[i + 1];
		if (type == 43)
			return DROP_IP6_ROUTING_HEADER;
		if (hides_the_rest(type) || (leads_on(type) && i == 6) || (type == 0 && i > 0))
			return DROP_IP6_EXT_HEADER;
		if ((type == 60 && ++options > 2) || (type == 44 && ++fragments > 1))
			return DROP_IP6_EXT_HEADER;
		if (type == 44 && c->more && (leads_on(next) || hides_the_rest(next)))
			return DROP_IP6_FRAGMENT;
	}
	return PASS;
}

static uint32_t octets_of_header(uint8_t type)
{
	return !leads_on(type) ? TRANSPORT : type == 51 ? 16 : 8;
}

static void put_header(uint8_t type, uint8_t next, bool more)
{
	put_number(&w, next, 1);
	put_number(&w, type == 51 ? 2 : 0, 1); /* RFC 4302 2.2: in units of 4 octets, minus 2 */
	put_number(&w, type == 44 ? more : 0x0104, 2);
	put_zeros(&w, octets_of_header(type) - 4);
}

static void put_transport(uint8_t protocol)
{
	put_udp(&w, protocol == 58 ? ECHO << 8 : 4000, 4000, TRANSPORT - 8);
	put_zeros(&w, TRANSPORT - 8);
}

/* The fixed header, then the chain; what leads on at its end leads to UDP. */
static void put_chain(const struct chain *c, bool outward)
{
	uint32_t octets = leads_on(c->type[c->length - 1]) ? TRANSPORT : 0;
	for (uint32_t i = 0; i < c->length; i++)
		octets += octets_of_header(c->type[i]);
	put_ethernet(&w, outward ? GATEWAY_MAC : GUEST_MAC, outward ? GUEST_MAC : GATEWAY_MAC, 0x86dd);
	put_ipv6(&w, outward ? GUEST_PRIVACY : GLOBAL_IP6, outward ? GLOBAL_IP6 : GUEST_PRIVACY, c->type[0], 255, octets);
	for (uint32_t i = 0; i < c->length && leads_on(c->type[i]); i++)
		put_header(c->type[i], c->type[i + 1], c->more);
	uint8_t last = c->type[c->length - 1];
	put_transport(leads_on(last) ? 17 : last);
}

/* What a guest may never send is seen behind every chain (P51). */
static void look_for_hidden_messages(const struct chain *c)
{
	struct {
		uint8_t type;
		enum verdict wanted;
	} rows[] = {
		{ RA, DROP_RA_FROM_GUEST }, { REDIRECT, DROP_ICMP6_REDIRECT }, { NA, DROP_ND_EXT_HEADER },
		{ NS, DROP_ND_EXT_HEADER }, { RS, DROP_ND_EXT_HEADER },        { 130, DROP_MLD_INVALID },
		{ 143, DROP_MLD_INVALID },  { 139, DROP_ICMP6_TYPE },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		w.frame[w.length - TRANSPORT] = rows[i].type;
		if (c->length > 1)
			JUDGED_FROM_GUEST(rows[i].wanted);
	}
}

static void check_chain(const struct chain *c)
{
	enum verdict wanted = verdict_of_chain(c);
	put_chain(c, false);
	JUDGED_TO_GUEST(wanted);
	put_chain(c, true);
	JUDGED_FROM_GUEST(wanted);
	if (wanted == PASS && c->type[c->length - 1] == 58)
		look_for_hidden_messages(c);
}

/* The number of the chain is its headers: five choices for each but the last, which has all. */
static bool make_chain(struct chain *c, uint32_t length, uint32_t number)
{
	bool fragment = false;
	c->length = length;
	c->type[length - 1] = kinds[number % KINDS];
	number /= KINDS;
	for (uint32_t i = 0; i + 1 < length; i++, number /= WALKABLE)
		c->type[i] = kinds[number % WALKABLE];
	c->type[length] = 17;
	for (uint32_t i = 0; i < length; i++)
		fragment = fragment || c->type[i] == 44;
	return fragment;
}

void all_header_chains(void **state)
{
	(void)state;
	struct chain c = { .more = false };
	uint32_t chains = KINDS;
	bound6();
	for (uint32_t length = 1; length <= (amount(4) < 4 ? CHAIN_MAX - 1 : CHAIN_MAX); length++, chains *= WALKABLE)
		for (uint32_t number = 0; number < chains; number++) {
			c.more = false;
			bool fragment = make_chain(&c, length, number);
			check_chain(&c);
			c.more = true;
			if (fragment)
				check_chain(&c);
		}
}

static void put_both_ways(bool outward)
{
	if (outward)
		put_udp6(&w, GUEST_PRIVACY, GLOBAL_IP6, 4000, 4000, 16);
	else
		put_udp6_to_guest(&w, GATEWAY_MAC, GLOBAL_IP6, GUEST_PRIVACY, 4000, 4000, 16);
}

/* H3, H4: a guest has options of 8 octets; from the network they may be of any length. */
void sizes_of_headers(void **state)
{
	(void)state;
	bound6();
	for (uint32_t octets = 8; octets <= 128; octets += 8)
		for (uint8_t type = 0; type <= 60; type += 60) {
			put_both_ways(true);
			insert_options(&w, type, octets);
			GUEST_SENDS(octets == 8 ? PASS : DROP_IP6_EXT_HEADER);
			put_both_ways(false);
			insert_options(&w, type, octets);
			GUEST_GETS(PASS);
		}
	for (uint32_t length = 0; length < 256; length++) {
		uint8_t header[24] = { 0, (uint8_t)length };
		uint32_t octets = length < 4 ? 4 * (length + 2) : 24;
		put_both_ways(true);
		insert_header(&w, 51, header, octets);
		GUEST_SENDS(length == 0                      ? DROP_IP6_EXT_HEADER
			    : 4 * (length + 2) > octets + 24 ? DROP_IP6_MALFORMED
			    : length > 4                     ? DROP_L4_MALFORMED
							     : PASS);
		if (length > 4)
			continue; /* what stands behind is another matter */
		put_both_ways(false);
		insert_header(&w, 51, header, octets);
		GUEST_GETS(length == 0 ? DROP_IP6_EXT_HEADER : PASS);
	}
	static const uint8_t jumbo[8] = { 0, 0, 0xc2, 4, 0, 1, 0, 0 }, too_long[8] = { 0, 255, 1, 4 };
	put_both_ways(true);
	insert_header(&w, 0, jumbo, 8);
	GUEST_SENDS(DROP_IP6_EXT_HEADER);
	put_both_ways(false);
	insert_header(&w, 0, jumbo, 8);
	GUEST_GETS(DROP_IP6_EXT_HEADER);
	put_both_ways(false);
	insert_header(&w, 60, too_long, 8);
	GUEST_GETS(DROP_IP6_MALFORMED);
	for (uint32_t octets = 1; octets < 8; octets++) { /* the packet ends in the header */
		put_packet6(&w, GUEST_PRIVACY, GLOBAL_IP6, 60, octets);
		GUEST_SENDS(DROP_IP6_MALFORMED);
		put_packet6_to_guest(&w, GATEWAY_MAC, GLOBAL_IP6, GUEST_PRIVACY, 44, octets);
		GUEST_GETS(DROP_IP6_MALFORMED);
	}
}

/* H5, H6 */
static enum verdict verdict_of_fragment(uint8_t protocol, uint32_t offset, uint32_t octets, bool more)
{
	uint32_t need = protocol == 6 ? 20 : 8;
	if (offset + octets > 65535 || (more && octets % 8 != 0) || (offset > 0 && offset < 24))
		return DROP_IP6_FRAGMENT;
	if (offset == 0 && octets < need)
		return more ? DROP_IP6_FRAGMENT : DROP_L4_MALFORMED;
	return PASS;
}

static void put_fragment(uint8_t protocol, uint32_t offset, uint32_t octets, bool more)
{
	put_packet6(&w, GUEST_PRIVACY, GLOBAL_IP6, protocol, octets);
	if (octets >= 8)
		memcpy(w.frame + 54, (uint8_t[]){ ECHO, 0, 15, 160, (uint8_t)(octets >> 8), (uint8_t)octets }, 6);
	insert_fragment(&w, offset, more);
}

void fragments_at_every_offset(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { 6, 17, 58 };
	static const uint32_t sizes[] = { 1, 7, 8, 9, 16, 20, 23, 24, 1400 };
	bound6();
	for (uint32_t offset = 0; offset <= 65528; offset += 8)
		for (size_t i = 0; i < 3 * sizeof sizes / sizeof sizes[0] * 2; i++) {
			uint8_t protocol = protocols[i % 3];
			uint32_t octets = sizes[i / 6];
			bool more = i / 3 % 2 != 0;
			put_fragment(protocol, offset, octets, more);
			JUDGED_FROM_GUEST(verdict_of_fragment(protocol, offset, octets, more));
		}
}

void what_fragments_may_hide(void **state)
{
	(void)state;
	static const uint8_t headers[] = { 0, 43, 44, 51, 60, 59, 135, 139, 140, 253, 254, 255 };
	bound6();
	for (size_t i = 0; i < sizeof headers; i++) {
		put_packet6(&w, GUEST_PRIVACY, GLOBAL_IP6, headers[i], 64);
		insert_fragment(&w, 1024, false);
		GUEST_SENDS(DROP_IP6_FRAGMENT);
		put_packet6_to_guest(&w, GATEWAY_MAC, GLOBAL_IP6, GUEST_PRIVACY, headers[i], 64);
		insert_fragment(&w, 1024, true);
		GUEST_GETS(DROP_IP6_FRAGMENT);
	}
	put_udp6(&w, GUEST_PRIVACY, GLOBAL_IP6, 547, 546, 16); /* ports in a later fragment are data */
	insert_fragment(&w, 1024, false);
	GUEST_SENDS(PASS);
	put_icmp6(&w, GUEST_PRIVACY, GLOBAL_IP6, RA, 64); /* and so is a type */
	insert_fragment(&w, 1024, false);
	GUEST_SENDS(PASS);
	put_packet6(&w, VICTIM_LL, GLOBAL_IP6, 58, 64); /* but sources and destinations count */
	insert_fragment(&w, 1024, false);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	put_packet6(&w, GUEST_PRIVACY, VICTIM_LEASED, 58, 64);
	insert_fragment(&w, 1024, false);
	GUEST_SENDS(DROP_DST_PRIVATE);
	put_ra(&w, &(struct ra_spec){
		       .router_s = 1800, .resolver = ADDRESS6(0xfd65000000000000ULL, 0x53), .resolver_s = 600 });
	GUEST_GETS(PASS);
	put_udp6(&w, GUEST_PRIVACY, ADDRESS6(0xfd65000000000000ULL, 0x53), 4000, 53, 56);
	GUEST_SENDS(PASS);
	insert_fragment(&w, 0, true);
	GUEST_SENDS(PASS);
	put_udp6(&w, GUEST_PRIVACY, ADDRESS6(0xfd65000000000000ULL, 0x53), 4000, 53, 56);
	insert_fragment(&w, 64, false); /* where ports decide, the first fragment did */
	GUEST_SENDS(PASS);
	w.now_ms += 61000;
	GUEST_SENDS(DROP_PORTS_UNKNOWN);
}
