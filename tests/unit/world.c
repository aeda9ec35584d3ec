/* Builds frames octet by octet, independently of the parsers under test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "world.h"
#include "core/wire/writer.h"

#include <cmocka.h>

static void on_event(void *context, const struct event *event)
{
	struct world *w = context;
	w->last_event = *event;
	w->events++;
}

static bool on_claim(void *context, struct address a)
{
	(void)a;
	return !((struct world *)context)->claim_refused;
}

uint32_t next_random(void)
{
	static uint64_t state = 88172645463325252ULL;
	state ^= state << 13; /* xorshift64, Marsaglia 2003 */
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static struct flows flows; /* of the world that was started last */

void start_world(struct world *w, bool anchored)
{
	static const struct rate rates[RATE_CLASSES_END] = {
#define X(name, text, refill, burst, reason) [RATE_OF_##name] = { refill, burst },
		RATE_CLASSES(X)
#undef X
	};
	memset(w, 0, sizeof *w);
	w->now_ms = 1000000;
	w->config.vm_mac = GUEST_MAC;
	w->config.max_frame = 1514;
	w->config.isolation = 1;
	w->config.ipv6_off = 1; /* world6.h turns it on */
	memcpy(w->config.rates, rates, sizeof rates);
	if (anchored) {
		set_add(&w->config.host, address_of_ipv4(GATEWAY_IP));
		mac_set_add(&w->config.gateway_macs, GATEWAY_MAC);
	}
	assert_true(compile_policy(&w->config.policy, NULL, 0));
	w->state.hash_key[0] = 1;
	w->guard = (struct guard){ .config = &w->config,
				   .state = &w->state,
				   .buckets = &w->buckets,
				   .flows = &flows,
				   .claim = on_claim,
				   .event = on_event,
				   .context = w };
	start_guard(&w->guard, w->now_ms);
}

void empty_bucket(struct world *w, enum rate_class class)
{
	struct bucket empty = { 0, w->now_ms };
	if (class < FIRST_PEER_RATE)
		w->buckets.of[class] = empty;
	for (int i = 0; i < PEER_BUCKETS && class >= FIRST_PEER_RATE; i++)
		w->buckets.of_peer[class - FIRST_PEER_RATE][i] = empty;
}

void put_number(struct world *w, uint64_t value, uint32_t octets)
{
	assert_true(w->length + octets <= sizeof w->frame);
	for (uint32_t i = octets; i > 0; i--)
		w->frame[w->length++] = (uint8_t)(value >> 8 * (i - 1));
}

void put_zeros(struct world *w, uint32_t n)
{
	assert_true(w->length + n <= sizeof w->frame);
	memset(w->frame + w->length, 0, n);
	w->length += n;
}

void put_bytes(struct world *w, const void *bytes, uint32_t n)
{
	assert_true(w->length + n <= sizeof w->frame);
	if (n > 0)
		memcpy(w->frame + w->length, bytes, n);
	w->length += n;
}

void put_ethernet(struct world *w, uint64_t to, uint64_t from, uint16_t type)
{
	w->length = 0;
	put_number(w, to, 6);
	put_number(w, from, 6);
	put_number(w, type, 2);
}

void put_arp(struct world *w, uint16_t op, uint64_t sha, uint32_t spa, uint32_t tpa)
{
	put_number(w, 0x000108000604, 6);
	put_number(w, op, 2);
	put_number(w, sha, 6);
	put_number(w, spa, 4);
	put_number(w, 0, 6);
	put_number(w, tpa, 4);
}

void put_ipv4(struct world *w, uint32_t from, uint32_t to, uint8_t protocol, uint16_t flags_offset, uint32_t payload)
{
	put_number(w, 0x4500, 2);
	put_number(w, 20 + payload, 2);
	put_number(w, 1, 2);
	put_number(w, flags_offset, 2);
	put_number(w, 64, 1);
	put_number(w, protocol, 1);
	put_number(w, 0, 2);
	put_number(w, from, 4);
	put_number(w, to, 4);
	uint8_t *header = &w->frame[w->length - 20];
	uint16_t sum = checksum(sum_of(header, 20, 0));
	header[10] = (uint8_t)(sum >> 8);
	header[11] = (uint8_t)sum;
}

void put_udp(struct world *w, uint16_t from, uint16_t to, uint32_t payload)
{
	put_number(w, from, 2);
	put_number(w, to, 2);
	put_number(w, 8 + payload, 2);
	put_number(w, 0, 2);
}

static void put_option(struct world *w, uint8_t code, uint64_t value, uint8_t octets)
{
	put_number(w, code, 1);
	put_number(w, octets, 1);
	put_number(w, value, octets);
}

static void put_dhcp(struct world *w, const struct dhcp_spec *s, uint8_t op)
{
	put_number(w, op, 1);
	put_number(w, 0x0106, 2);
	put_number(w, s->hops, 1);
	put_number(w, s->xid ? s->xid : XID, 4);
	put_number(w, 0, 4);
	put_number(w, s->ciaddr, 4);
	put_number(w, s->yiaddr, 4);
	put_number(w, 0, 4);
	put_number(w, s->giaddr, 4);
	put_number(w, s->chaddr ? s->chaddr : GUEST_MAC, 6);
	put_zeros(w, 10 + 64 + 128);
	put_number(w, 0x63825363, 4);
	if (s->type)
		put_option(w, 53, s->type, 1);
	if (s->requested)
		put_option(w, 50, s->requested, 4);
	if (s->server)
		put_option(w, 54, s->server, 4);
	if (s->lease_s)
		put_option(w, 51, s->lease_s, 4);
	if (s->mask)
		put_option(w, 1, s->mask, 4);
	if (s->router)
		put_option(w, 3, s->router, 4);
	if (s->resolver)
		put_option(w, 6, s->resolver, 4);
	if (s->rapid_commit)
		put_option(w, 80, 0, 0);
	put_bytes(w, s->extra, s->extra_octets);
	put_number(w, 255, 1);
}

static void put_dhcp_frame(struct world *w, const struct dhcp_spec *s, bool client)
{
	static struct world body;
	body.length = 0;
	put_dhcp(&body, s, s->op ? s->op : (client ? 1 : 2));
	uint64_t from = client ? GUEST_MAC : GATEWAY_MAC;
	put_ethernet(w, s->mac_to ? s->mac_to : MAC_BROADCAST, s->mac_from ? s->mac_from : from, 0x0800);
	put_ipv4(w, s->ip_from, s->ip_to ? s->ip_to : 0xffffffff, 17, 0, 8 + body.length);
	put_udp(w, client ? 68 : 67, client ? 67 : 68, body.length);
	put_bytes(w, body.frame, body.length);
}

void put_client_message(struct world *w, const struct dhcp_spec *s)
{
	put_dhcp_frame(w, s, true);
}

void put_server_message(struct world *w, const struct dhcp_spec *s)
{
	struct dhcp_spec with_source = *s;
	if (with_source.ip_from == 0)
		with_source.ip_from = GATEWAY_IP;
	put_dhcp_frame(w, &with_source, false);
}

enum verdict from_guest(struct world *w)
{
	struct frame frame = { .bytes = w->frame, .length = w->length };
	return decide(&w->guard, FROM_GUEST, &frame, w->now_ms);
}

enum verdict to_guest(struct world *w)
{
	struct frame frame = { .bytes = w->frame, .length = w->length };
	return decide(&w->guard, TO_GUEST, &frame, w->now_ms);
}

static bool seen[VERDICTS];

void expect_verdict(const struct world *w, enum verdict got, enum verdict wanted, const char *file, int line)
{
	seen[got] = true;
	if (got == wanted)
		return;
	print_error("%s:%d: expected %s, got %s: ", file, line, verdict_name(wanted), verdict_name(got));
	for (uint32_t i = 0; i < w->length; i++)
		fprintf(stderr, "%02x", w->frame[i]);
	fail_msg("%s", "");
}

bool was_seen(enum verdict verdict)
{
	return seen[verdict];
}

void lease(struct world *w, uint32_t address, uint32_t seconds)
{
	put_client_message(w, &(struct dhcp_spec){ .type = 1 });
	assert_int_equal(from_guest(w), PASS);
	struct dhcp_spec answer = { .type = 2,
				    .yiaddr = address,
				    .server = GATEWAY_IP,
				    .lease_s = seconds,
				    .mask = 0xffffff00,
				    .router = GATEWAY_IP,
				    .resolver = GATEWAY_IP };
	put_server_message(w, &answer);
	assert_int_equal(to_guest(w), PASS);
	put_client_message(w, &(struct dhcp_spec){ .type = 3, .requested = address, .server = GATEWAY_IP });
	assert_int_equal(from_guest(w), PASS);
	answer.type = 5;
	put_server_message(w, &answer);
	assert_int_equal(to_guest(w), PASS);
}

bool is_reason_of_names(enum verdict verdict)
{
	return verdict >= DROP_DNS_NAME && verdict <= DROP_QUIC_INITIAL;
}

bool is_ipv6_reason(enum verdict verdict)
{
	static const char *const starts[] = { "ip6-m",         "ip6-e",         "ip6-r",      "ip6-f",
					      "ip6-s",         "ip6-g",         "icmp6-",     "rs-",
					      "ra-",           "nd-",           "mld-",       "dhcp6-",
					      "binding-limit", "dst-local-net", "dst-nat64-", "rate-nd" };
	for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
		if (strncmp(verdict_name(verdict), starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}
