/* Frames and rules for tests of names. */
#include <setjmp.h>
#include <stdarg.h>

#include "world_names.h"

#include <cmocka.h>

#include "core/names/read/dns.h"
#include "softnet/names/quic_crypto.h"

enum { GUEST_ISN = 0xfffffff0, SERVER_ISN = 0x80000000, QUESTION_ID = 0x77 };

static struct names names;
static struct name_rules rule_sets[2];

static void on_event(void *context, const struct name_event *event)
{
	struct names_world *nw = context;
	nw->last_event = *event;
	nw->events++;
}

static struct name name_of(const char *text)
{
	struct name name = { .length = 0 };
	for (; *text != '\0'; text++)
		assert_true(add_to_name(&name, (uint8_t)*text));
	return name;
}

static void fill_rules(struct name_rules *set, const struct named_rule *rules)
{
	clear_name_rules(set);
	for (; rules->name; rules++) {
		bool is_zone = strncmp(rules->name, "*.", 2) == 0;
		struct name name = name_of(rules->name + (is_zone ? 2 : 0));
		struct name_use use = { .naming = rules->naming,
					.protocol = rules->protocol ? rules->protocol : TCP,
					.first_port = rules->port ? rules->port : 443,
					.last_port = rules->port ? rules->port : 443 };
		assert_true(add_name_use(set, &name, is_zone, &use));
	}
	link_patterns(set);
}

void start_names_world(struct names_world *nw, const struct named_rule *rules)
{
	const uint64_t key[2] = { 3, 4 };
	struct world *w = &nw->w;
	nw->events = 0;
	nw->sent.count = nw->sent.dropped = 0;
	start_flow_world(w, false, INBOUND_ANY);
	struct rule closed[] = {
		rule_for(CLASS_BLOCKED, OUTWARD, address_of_ipv4(0), 96),
		rule_for(CLASS_BLOCKED, OUTWARD, (struct address){ 0, 0 }, 0),
		{ .class = CLASS_ALLOWED,
		  .directions = OUTWARD,
		  .alias = ALIAS_DNS,
		  .only = { .has_ports = 1, .first_port = 53, .last_port = 53 } },
	};
	set_rules(w, closed, 3);
	set_add(&w->config.resolvers, address_of_ipv4(RESOLVER_IP));
	w->config.has_names = 1;
	memset(&names, 0, sizeof names);
	fill_rules(&rule_sets[0], rules);
	names.config = &w->config;
	names.state = &w->state;
	names.rules = &rule_sets[0];
	names.settings = (struct name_settings){ .ttl_floor_ms = 300000, .ttl_ceiling_ms = 86400000 };
	names.open_initial = client_initial_opener();
	names.event = on_event;
	names.context = nw;
	start_names(&names, key);
	nw->names = w->guard.names = &names;
}

void change_rules(struct names_world *nw, const struct named_rule *rules)
{
	struct name_rules *other = names.rules == &rule_sets[0] ? &rule_sets[1] : &rule_sets[0];
	fill_rules(other, rules);
	change_name_rules(&names, rules->name ? other : NULL, nw->w.now_ms);
}

static void keep_sent(struct names_world *nw, const uint8_t *bytes, uint32_t length)
{
	assert_true(nw->sent.count < sizeof nw->sent.frames / sizeof *nw->sent.frames);
	struct octets *o = &nw->sent.frames[nw->sent.count++];
	o->length = 0;
	put_octets(o, bytes, length);
}

enum verdict send_frame(struct names_world *nw)
{
	struct frame left;
	enum verdict verdict = from_guest(&nw->w), why;
	while (take_from_hold(&names, &left, &why)) {
		if (why == PASS)
			keep_sent(nw, left.bytes, left.length);
		else
			nw->sent.dropped++, nw->sent.why = why;
	}
	if (verdict == PASS)
		keep_sent(nw, nw->w.frame, nw->w.length);
	return verdict;
}

enum verdict receive_frame(struct names_world *nw)
{
	return to_guest(&nw->w);
}

static void put_udp_frame(struct names_world *nw, bool to_guest, uint32_t peer, uint16_t port, const void *data,
			  uint32_t octets)
{
	struct world *w = &nw->w;
	put_ethernet(w, to_guest ? GUEST_MAC : GATEWAY_MAC, to_guest ? GATEWAY_MAC : GUEST_MAC, 0x0800);
	put_ipv4(w, to_guest ? peer : GUEST_IP, to_guest ? GUEST_IP : peer, UDP, 0, 8 + octets);
	put_udp(w, to_guest ? port : GUEST_PORT, to_guest ? GUEST_PORT : port, octets);
	put_bytes(w, data, octets);
}

static void put_dotted(struct octets *o, const char *name)
{
	while (*name != '\0') {
		uint32_t label = (uint32_t)strcspn(name, ".");
		put_value(o, label, 1);
		put_octets(o, name, label);
		name += label + (name[label] == '.');
	}
	put_value(o, 0, 1);
}

static void put_message(struct octets *o, uint16_t flags, uint16_t answers, const char *name, uint16_t type)
{
	o->length = 0;
	put_value(o, QUESTION_ID, 2);
	put_value(o, flags, 2);
	put_value(o, 1, 2);
	put_value(o, answers, 2);
	put_value(o, 0, 4);
	put_dotted(o, name);
	put_value(o, type, 2);
	put_value(o, 1, 2);
}

void put_question(struct octets *o, const char *name, uint16_t type)
{
	put_message(o, 0x0100, 0, name, type);
}

enum verdict ask(struct names_world *nw, const char *name, uint16_t type)
{
	struct octets o;
	put_question(&o, name, type);
	nw->sent.count = 0;
	put_udp_frame(nw, false, RESOLVER_IP, 53, o.bytes, o.length);
	return send_frame(nw);
}

enum verdict answer_with(struct names_world *nw, const struct octets *message)
{
	put_udp_frame(nw, true, RESOLVER_IP, 53, message->bytes, message->length);
	return receive_frame(nw);
}

enum verdict answer(struct names_world *nw, const char *name, uint32_t ttl_s, const uint32_t *addresses, uint32_t count)
{
	struct octets o;
	put_message(&o, 0x8180, (uint16_t)count, name, DNS_A);
	for (uint32_t i = 0; i < count; i++) {
		put_hex(&o, "c00c00010001");
		put_value(&o, ttl_s, 4);
		put_value(&o, 4, 2);
		put_value(&o, addresses[i], 4);
	}
	return answer_with(nw, &o);
}

void resolve(struct names_world *nw, const char *name, uint32_t address)
{
	assert_int_equal(ask(nw, name, DNS_A), PASS);
	assert_int_equal(answer(nw, name, 60, &address, 1), PASS);
}

enum verdict move_segment(struct names_world *nw, const struct tcp_segment *s)
{
	struct world *w = &nw->w;
	uint32_t peer = s->peer ? s->peer : CDN_IP;
	uint16_t port = s->port ? s->port : 443, own = s->guest_port ? s->guest_port : GUEST_PORT;
	uint8_t flags = s->flags ? s->flags : ACK;
	uint32_t guest = GUEST_ISN + (flags & SYN && !s->to_guest ? 0 : 1),
		 server = SERVER_ISN + (flags & SYN && s->to_guest ? 0 : 1);
	put_ethernet(w, s->to_guest ? GUEST_MAC : GATEWAY_MAC, s->to_guest ? GATEWAY_MAC : GUEST_MAC, 0x0800);
	put_ipv4(w, s->to_guest ? peer : GUEST_IP, s->to_guest ? GUEST_IP : peer, TCP, 0, 20 + s->octets);
	put_number(w, s->to_guest ? port : own, 2);
	put_number(w, s->to_guest ? own : port, 2);
	put_number(w, (s->to_guest ? server : guest) + s->sequence, 4);
	put_number(w, flags & ACK ? (s->to_guest ? guest : server) + s->acknowledged : 0, 4);
	put_number(w, 0x5000u | flags, 2);
	put_number(w, 0x100000000000ULL, 6);
	put_bytes(w, s->data, s->octets);
	return s->to_guest ? receive_frame(nw) : send_frame(nw);
}

void connect_to(struct names_world *nw, uint32_t peer, uint16_t port)
{
	struct tcp_segment s = { .flags = SYN, .peer = peer, .port = port };
	assert_int_equal(move_segment(nw, &s), PASS);
	s = (struct tcp_segment){ .to_guest = true, .flags = SYN | ACK, .peer = peer, .port = port };
	assert_int_equal(move_segment(nw, &s), PASS);
	s = (struct tcp_segment){ .peer = peer, .port = port };
	assert_int_equal(move_segment(nw, &s), PASS);
	nw->sent.count = 0;
}

enum verdict send_datagram(struct names_world *nw, const void *data, uint32_t octets)
{
	put_udp_frame(nw, false, CDN_IP, 443, data, octets);
	return send_frame(nw);
}

enum verdict receive_datagram(struct names_world *nw, const void *data, uint32_t octets)
{
	put_udp_frame(nw, true, CDN_IP, 443, data, octets);
	return receive_frame(nw);
}

void put_tls(struct octets *o, const char *name)
{
	struct octets message = { .length = 0 };
	put_hello(&message, &(struct hello_form){ .name = name });
	put_records(o, message.bytes, message.length, 16384);
}

enum verdict send_at(struct names_world *nw, uint32_t sequence, const void *data, uint32_t octets)
{
	struct tcp_segment s = { .sequence = sequence, .data = data, .octets = octets };
	return move_segment(nw, &s);
}

enum verdict acknowledge(struct names_world *nw, uint32_t octets)
{
	struct tcp_segment s = { .to_guest = true, .acknowledged = octets };
	return move_segment(nw, &s);
}

enum verdict serve(struct names_world *nw, const struct octets *o, uint32_t acknowledged)
{
	struct tcp_segment s = { .to_guest = true, .acknowledged = acknowledged, .data = o->bytes, .octets = o->length };
	return move_segment(nw, &s);
}
