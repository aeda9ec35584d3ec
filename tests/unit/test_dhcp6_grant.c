/* What a Reply may give at all: room, claims, static addresses; and what else it teaches: resolvers and the server. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/learn6/lease6.h"
#include "core/judge/trust6.h"
#include "test_dhcp6.h"

#include <cmocka.h>

#define SECOND_LEASE ADDRESS6(LOCAL_PREFIX, 0x20a)

/* Four at a time. A minute later the one that was used least gives its place, but never one of the same Reply. */
void fifth_lease(void **state)
{
	(void)state;
	begin(true);
	for (uint32_t i = 1; i <= 4; i++) {
		lease6(&w, ADDRESS6(LOCAL_PREFIX, i), 6000, i);
		w.now_ms += 1000;
	}
	ASKS(PASS, .type = REQUEST, .id = 5);
	ANSWERS(DROP_BINDING_LIMIT, .type = REPLY, .id = 5, .address = ADDRESS6(LOCAL_PREFIX, 5), .valid_s = 600);
	w.now_ms += 60000;
	uint64_t since_ms = binding_of(ADDRESS6(LOCAL_PREFIX, 1))->since_ms;
	ASKS(PASS, .type = RENEW, .id = 6);
	ANSWERS(PASS, .type = REPLY, .id = 6,
		.ia = { { .iaid = IAID,
			  .lease = { { .address = ADDRESS6(LOCAL_PREFIX, 5), .valid_s = 600 },
				     { .address = ADDRESS6(LOCAL_PREFIX, 1), .valid_s = 6000 } } } });
	assert_null(binding_of(ADDRESS6(LOCAL_PREFIX, 2)));
	for (uint32_t i = 1; i <= 5; i++)
		assert_true(i == 2 || binding_of(ADDRESS6(LOCAL_PREFIX, i)));
	assert_true(binding_of(ADDRESS6(LOCAL_PREFIX, 1))->since_ms == since_ms);

	/* What the Reply ends makes room in it. Five are too many for any. */
	ASKS(PASS, .type = RENEW, .id = 8);
	ANSWERS(PASS, .type = REPLY, .id = 8,
		.ia = { { .iaid = IAID,
			  .lease = { { .address = ADDRESS6(LOCAL_PREFIX, 6), .valid_s = 600 },
				     { .address = ADDRESS6(LOCAL_PREFIX, 5) } } } });
	for (uint32_t i = 1; i <= 6; i++)
		assert_true((binding_of(ADDRESS6(LOCAL_PREFIX, i)) != NULL) == (i != 2 && i != 5));
	w.now_ms += 100000;
	ASKS(PASS, .type = RENEW, .id = 9);
	struct dhcp6_spec five = { .type = REPLY, .id = 9, .ia = { { .iaid = IAID } } };
	for (uint32_t i = 0; i < 5; i++)
		five.ia[0].lease[i] = (struct lease6_spec){ .address = ADDRESS6(LOCAL_PREFIX, 9 + i), .valid_s = 600 };
	assert_int_equal(answer6(&w, five), DROP_BINDING_LIMIT);
}

/* Addresses that the guest chose give their places when they are a minute old. */
void table_of_the_guests_own_choices(void **state)
{
	(void)state;
	begin(true);
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++)
		w.state.ipv6.bindings[i] = (struct binding6){ .address = ADDRESS6(LOCAL_PREFIX, 0x1000 + i),
							      .origin = ORIGIN_SLAAC,
							      .since_ms = w.now_ms,
							      .used_ms = w.now_ms - i,
							      .expires_ms = NEVER_EXPIRES };
	settle_bindings6(&w.state.ipv6);
	ASKS(PASS, .type = REQUEST);
	ANSWERS(DROP_BINDING_LIMIT, .type = REPLY, .address = GUEST_LEASED, .valid_s = 600);
	ANSWERS(PASS, .type = REPLY, .address = ADDRESS6(LOCAL_PREFIX, 0x1003), .valid_s = 600);
	w.now_ms += EVICTION_AGE_MS;
	ASKS(PASS, .type = REQUEST, .id = 8);
	ANSWERS(PASS, .type = REPLY, .id = 8,
		.ia = { { .iaid = IAID,
			  .lease = { { .address = GUEST_LEASED, .valid_s = 600 },
				     { .address = ADDRESS6(LOCAL_PREFIX, 0x103f), .valid_s = 600 } } } });
	assert_non_null(binding_of(GUEST_LEASED));
	assert_non_null(binding_of(ADDRESS6(LOCAL_PREFIX, 0x103f)));
	assert_null(binding_of(ADDRESS6(LOCAL_PREFIX, 0x103e)));
}

/* One address that another guard holds, and nothing of the Reply has happened. */
static struct address held[8], refused;
static uint32_t held_count;

static bool is_held(struct address a)
{
	for (uint32_t i = 0; i < held_count; i++)
		if (same_address(held[i], a))
			return true;
	return false;
}

static bool claim(void *context, struct address a)
{
	(void)context;
	if (same_address(a, refused))
		return false;
	if (!is_held(a))
		held[held_count++] = a;
	return true;
}

static void release(void *context, struct address a)
{
	(void)context;
	for (uint32_t i = 0; i < held_count; i++)
		if (same_address(held[i], a))
			held[i] = held[--held_count];
}

static void begin_with_registry(void)
{
	begin(true);
	w.guard.claim = claim;
	w.guard.release = release;
	held_count = 0;
	refused = UNSPECIFIED6;
}

void reply_is_all_or_nothing(void **state)
{
	(void)state;
	begin_with_registry();
	lease6(&w, GUEST_LEASED, 600, 7);
	refused = VICTIM_LEASED;
	w.now_ms += 20000;
	ASKS(PASS, .type = RENEW, .id = 8);
	struct state before = w.state;
	int events = w.events;
	ANSWERS(DROP_BINDING_CLAIMED, .type = REPLY, .id = 8,
		.ia = { { .iaid = IAID,
			  .lease = { { .address = GUEST_LEASED, .valid_s = 900 },
				     { .address = SECOND_LEASE, .valid_s = 600 },
				     { .address = VICTIM_LEASED, .valid_s = 600 } } } });
	assert_memory_equal(&before, &w.state, sizeof before);
	assert_int_equal(w.events, events);
	assert_true(held_count == 1 && is_held(GUEST_LEASED));
	refused = GUEST_LEASED; /* its own, which the registry gave to somebody else */
	ANSWERS(DROP_BINDING_CLAIMED, .type = REPLY, .id = 8, .address = GUEST_LEASED, .valid_s = 600);
}

/* The registry has exactly what the guest holds. */
void claims_are_given_back(void **state)
{
	(void)state;
	begin_with_registry();
	lease6(&w, GUEST_LEASED, 60, 7);
	w.now_ms += 60000; /* run out, not swept up yet, and leased anew */
	lease6(&w, GUEST_LEASED, 600, 8);
	assert_true(held_count == 1 && is_held(GUEST_LEASED));
	ASKS(PASS, .type = RELEASE, .id = 9, .address = GUEST_LEASED);
	ANSWERS(PASS, .type = REPLY, .id = 9, .no_ia = true);
	assert_int_equal(held_count, 0);
	for (uint32_t i = 1; i <= 5; i++) {
		lease6(&w, ADDRESS6(LOCAL_PREFIX, i), 6000, i);
		w.now_ms += 60000;
	}
	assert_true(held_count == 4 && !is_held(ADDRESS6(LOCAL_PREFIX, 1)));
	w.now_ms += 6000 * 1000;
	expire_bindings(&w.guard, w.now_ms);
	assert_int_equal(held_count, 0);
}

/* RFC 8074 3: a lease counts for more than the guest's own choice. */
void lease_of_a_slaac_address(void **state)
{
	(void)state;
	begin_with_registry();
	announce(&w, LOCAL_PREFIX);
	claim_address(&w, GUEST_PRIVACY);
	uint64_t since_ms = binding_of(GUEST_PRIVACY)->since_ms;
	lease6(&w, GUEST_PRIVACY, 600, 7);
	assert_int_equal(w.last_event.kind, EVENT_LEASE_RENEWED);
	assert_true(binding_of(GUEST_PRIVACY)->origin == ORIGIN_DHCP);
	assert_true(binding_of(GUEST_PRIVACY)->since_ms == since_ms);
	assert_true(held_count == 1 && is_held(GUEST_PRIVACY));
	ASKS(PASS, .type = RELEASE, .id = 8, .address = GUEST_PRIVACY);
	assert_int_equal(held_count, 0);
}

void static_addresses_only(void **state)
{
	(void)state;
	begin(true);
	assert_true(add_static_binding(&w.state, GUEST_LEASED, 64, w.now_ms));
	ASKS(PASS, .type = REQUEST);
	ANSWERS(DROP_DHCP6_BAD_LEASE, .type = REPLY, .address = SECOND_LEASE, .valid_s = 600);
	ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 60);
	ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 60);
	w.now_ms += 3600 * 1000;
	ASKS(PASS, .type = RENEW, .id = 8);
	ANSWERS(PASS, .type = REPLY, .id = 8, .address = GUEST_LEASED); /* 0 */
	assert_true(sends_from6(&w, GUEST_LEASED));
	assert_int_equal(w.events, 0);
	/* A link-local one says nothing of what may be leased. */
	begin(true);
	assert_true(add_static_binding(&w.state, ADDRESS6(LINK_LOCAL_PREFIX, 5), 128, w.now_ms));
	lease6(&w, GUEST_LEASED, 600, 7);
}

static bool resolves(struct address a)
{
	return is_resolver6(view_of(&w.guard, w.now_ms), a);
}

void resolvers_of_a_lease(void **state)
{
	static const struct address insane[] = {
		{ 0, 1 }, { 0, 0x35 }, { 0, 0xffff01010101ULL }, { 0xff02000000000000ULL, 0xfb }
	};
	(void)state;
	begin(true);
	ASKS(PASS, .type = REQUEST);
	ANSWERS(PASS, .type = REPLY, .resolver = ADDRESS6(LOCAL_PREFIX, 0x53),
		.ia = { { .iaid = IAID,
			  .lease = { { .address = GUEST_LEASED, .valid_s = 60 },
				     { .address = SECOND_LEASE, .valid_s = 600 } } } });
	w.now_ms += 500 * 1000;
	assert_true(resolves(ADDRESS6(LOCAL_PREFIX, 0x53)));
	w.now_ms += 100 * 1000;
	assert_false(resolves(ADDRESS6(LOCAL_PREFIX, 0x53)));

	/* Nothing leased, nothing learned. */
	begin(true);
	ASKS(PASS, .type = REQUEST);
	ANSWERS(PASS, .type = REPLY, .resolver = GLOBAL_IP6, .ia = { { .iaid = IAID, .status = NO_ADDRS_AVAILABLE } });
	ANSWERS(DROP_DHCP6_BAD_LEASE, .type = REPLY, .resolver = GLOBAL_IP6, .address = ROUTER_LL, .valid_s = 600);
	assert_false(resolves(GLOBAL_IP6));

	/* No host has these; and a guest that is the resolver may go on being it. */
	for (size_t i = 0; i < sizeof insane / sizeof insane[0]; i++) {
		ASKS(PASS, .type = RENEW, .id = 0x100 + (uint32_t)i);
		ANSWERS(PASS, .type = REPLY, .id = 0x100 + (uint32_t)i, .resolver = insane[i], .address = GUEST_LEASED,
			.valid_s = 600);
		assert_false(resolves(insane[i]));
	}
	for (uint32_t id = 1; id < 4; id++) {
		ASKS(PASS, .type = RENEW, .id = id);
		ANSWERS(PASS, .type = REPLY, .id = id, .resolver = GUEST_LEASED, .address = GUEST_LEASED, .valid_s = 600);
		assert_false(resolves(GUEST_LEASED));
	}
}

/* RFC 8415 21.23: a day, or what the server says, but ten minutes at least; and a minute to ask again. */
void resolvers_without_a_lease(void **state)
{
	static const struct {
		uint32_t refresh_s, holds_s;
	} cases[] = { { 0, 86400 }, { 1, 600 }, { 3600, 3600 }, { 604800, 604800 } };
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(true);
		ASKS(PASS, .type = INFORMATION_REQUEST);
		ANSWERS(PASS, .type = REPLY, .no_ia = true, .resolver = GLOBAL_IP6, .refresh_s = cases[i].refresh_s);
		w.now_ms += cases[i].holds_s * 1000ULL + 63999;
		assert_true(resolves(GLOBAL_IP6));
		w.now_ms++;
		assert_false(resolves(GLOBAL_IP6));
	}
	begin(true);
	ASKS(PASS, .type = INFORMATION_REQUEST);
	ANSWERS(PASS, .type = REPLY, .no_ia = true, .resolver = GLOBAL_IP6, .refresh_s = UINT32_MAX);
	w.now_ms = UINT64_MAX - 1;
	assert_true(resolves(GLOBAL_IP6));

	/* Who asks for prefixes only gets no address whose end would count. */
	begin(true);
	ASKS(PASS, .type = REQUEST, .no_ia = true);
	ANSWERS(PASS, .type = REPLY, .no_ia = true, .resolver = GLOBAL_IP6);
	assert_true(resolves(GLOBAL_IP6));
	/* CONFIRM teaches nothing, and makes nothing forgotten; nor does a refusal. */
	ASKS(PASS, .type = CONFIRM, .id = 8);
	ANSWERS(PASS, .type = REPLY, .id = 8, .no_ia = true, .resolver = GLOBAL_IP6);
	assert_true(resolves(GLOBAL_IP6));
	begin(false);
	ASKS(PASS, .type = CONFIRM);
	ANSWERS(PASS, .type = REPLY, .no_ia = true, .resolver = GLOBAL_IP6);
	ASKS(PASS, .type = INFORMATION_REQUEST, .id = 8);
	ANSWERS(PASS, .type = REPLY, .id = 8, .status = 1, .no_ia = true, .resolver = GLOBAL_IP6);
	assert_false(resolves(GLOBAL_IP6));
	assert_int_equal(w.events, 0);
}

/* Without anchors the first server that completes an exchange is the only one, until its leases have run out. */
void first_server_is_locked6(void **state)
{
	(void)state;
	begin(false);
	const struct learned_server6 *lock = &w.state.ipv6.server;
	ASKS(PASS, .type = SOLICIT, .id = 6);
	ANSWERS(PASS, .type = ADVERTISE, .id = 6, .ip_from = VICTIM_LL, .mac_from = VICTIM_MAC, .address = GUEST_LEASED,
		.valid_s = 600);
	assert_int_equal(lock->until_ms, 0);
	lease6(&w, GUEST_LEASED, 600, 7);
	assert_int_equal(w.last_event.kind, EVENT_SERVER_LEARNED);
	assert_true(w.last_event.mac == GATEWAY_MAC && same_address(lock->address, ROUTER_LL));
	assert_true(lock->mac == GATEWAY_MAC && lock->until_ms == binding_of(GUEST_LEASED)->expires_ms);

	w.now_ms += 300 * 1000;
	ASKS(PASS, .type = REBIND, .id = 8);
	ANSWERS(DROP_DHCP6_ROGUE_SERVER, .type = REPLY, .id = 8, .ip_from = VICTIM_LL, .mac_from = VICTIM_MAC,
		.address = GUEST_LEASED, .valid_s = 600);
	ANSWERS(DROP_DHCP6_ROGUE_SERVER, .type = REPLY, .id = 8, .mac_from = VICTIM_MAC, .address = GUEST_LEASED,
		.valid_s = 600);
	int events = w.events;
	ANSWERS(PASS, .type = REPLY, .id = 8, .address = GUEST_LEASED, .valid_s = 600);
	assert_int_equal(w.events, events + 1); /* the renewal; it is the same server */
	assert_true(lock->until_ms == binding_of(GUEST_LEASED)->expires_ms);
	w.now_ms += 600 * 1000;
	ASKS(PASS, .type = INFORMATION_REQUEST, .id = 9);
	ANSWERS(PASS, .type = REPLY, .id = 9, .no_ia = true, .ip_from = VICTIM_LL, .mac_from = VICTIM_MAC);
	assert_true(lock->mac == VICTIM_MAC && lock->until_ms == w.now_ms + 7200 * 1000);

	/* With anchors another trusted one may answer, and takes no lock from the first. Nothing is new to anybody. */
	begin(true);
	mac_set_add(&w.config.gateway_macs, FOREIGN_MAC);
	lease6(&w, GUEST_LEASED, 600, 7);
	assert_int_equal(w.events, 1);
	ASKS(PASS, .type = RENEW, .id = 8);
	ANSWERS(PASS, .type = REPLY, .id = 8, .ip_from = VICTIM_LL, .mac_from = FOREIGN_MAC, .address = GUEST_LEASED,
		.valid_s = 900);
	assert_true(lock->mac == GATEWAY_MAC && lock->until_ms < w.now_ms + 600 * 1000);

	begin(true);
	w.config.strict_anchors = 1;
	lease6(&w, GUEST_LEASED, 600, 7);
	assert_int_equal(lock->until_ms, 0);
}
