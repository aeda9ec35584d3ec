/* Fixed tables of core: filled to the last place, one more than that, and an entry's last millisecond. docs/filter.md, Terms. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/judge/settle.h"
#include "core/judge/trust6.h"
#include "core/learn4/dhcp4_ids.h"
#include "core/learn4/lease.h"
#include "core/learn4/snoop_anchors4.h"
#include "core/learn6/lease6.h"
#include "core/names/hold.h"
#include "world6.h"

#include <cmocka.h>

static struct world w;

static void begin(void)
{
	start_world6(&w, false);
	memset(w.config.rates, 0, sizeof w.config.rates);
}

/* --- DHCPv4 ------------------------------------------------------------------------------------------------------- */

static void request_ids(void **state)
{
	(void)state;
	begin();
	for (uint32_t id = 1; id <= REQUEST_IDS4_MAX; id++)
		remember_request(&w.state, id, false, w.now_ms + id);
	spend_requests(&w.state);
	for (uint32_t id = 1; id <= REQUEST_IDS4_MAX; id++) {
		assert_true(is_spent(&w.state, id, w.now_ms + id + 64000 - 1));
		assert_false(is_spent(&w.state, id, w.now_ms + id + 64000));
	}
	remember_request(&w.state, 1000, false, w.now_ms + 100); /* the one whose time is over first goes */
	assert_false(is_spent(&w.state, 1, w.now_ms));
	assert_true(is_spent(&w.state, 2, w.now_ms) && is_spent(&w.state, REQUEST_IDS4_MAX, w.now_ms));
	assert_false(is_spent(&w.state, 1000, w.now_ms));
}

/* One that was answered can only be copied for a while; each question may have its own answer. */
static void answered_request_ids(void **state)
{
	(void)state;
	for (int to_all = 0; to_all < 2; to_all++) {
		begin();
		uint64_t life_ms = to_all ? OTHERS_ANSWER_LIFE_MS : COPY_LIFE_MS;
		remember_request(&w.state, 7, to_all, w.now_ms);
		remember_request(&w.state, 7, false, w.now_ms);
		spend_requests(&w.state);
		settle_request(&w.state, 7, w.now_ms);
		assert_true(is_spent(&w.state, 7, w.now_ms + 63999));
		settle_request(&w.state, 7, w.now_ms + 10);
		assert_true(is_spent(&w.state, 7, w.now_ms + 10 + life_ms - 1));
		assert_false(is_spent(&w.state, 7, w.now_ms + 10 + life_ms));
		settle_request(&w.state, 7, w.now_ms + 20); /* nothing is left to be answered */
		assert_false(is_spent(&w.state, 7, w.now_ms + 10 + life_ms));
	}
}

static void served_clients(void **state)
{
	(void)state;
	begin();
	for (uint64_t client = 1; client <= SERVED_MAX; client++)
		remember_served_client4(&w.state, client);
	remember_served_client4(&w.state, 2);
	remember_served_client4(&w.state, 100);
	assert_false(is_served_client4(&w.state, 1));
	for (uint64_t client = 2; client <= SERVED_MAX; client++)
		assert_true(is_served_client4(&w.state, client));
	remember_served_client4(&w.state, 101);
	assert_true(is_served_client4(&w.state, 2) && is_served_client4(&w.state, 100) &&
		    is_served_client4(&w.state, 101));
	assert_false(is_served_client4(&w.state, 3));
}

static void client_identifiers(void **state)
{
	(void)state;
	begin();
	struct client_id *table = w.state.client_ids;
	w.config.rates[RATE_OF_NEW_CLIENT] = (struct rate){ 0, 1000 };
	fill_buckets(&w.config, &w.buckets, w.now_ms);
	for (uint64_t hash = 1; hash <= CLIENT_IDS_MAX; hash++) {
		assert_true(may_use_client_id(&w.guard, table, RATE_OF_NEW_CLIENT, hash, w.now_ms));
		remember_client_id(table, hash, w.now_ms + 1000 + hash, w.now_ms);
	}
	assert_false(may_use_client_id(&w.guard, table, RATE_OF_NEW_CLIENT, 1000, w.now_ms));
	for (uint64_t hash = 1; hash <= CLIENT_IDS_MAX; hash++)
		assert_true(may_use_client_id(&w.guard, table, RATE_OF_NEW_CLIENT, hash, w.now_ms));
	remember_client_id(table, 2, w.now_ms + 5000, w.now_ms);
	remember_client_id(table, 2, w.now_ms + 10, w.now_ms); /* no time is taken away */
	assert_false(may_use_client_id(&w.guard, table, RATE_OF_NEW_CLIENT, 1000, w.now_ms + 1000));
	assert_true(may_use_client_id(&w.guard, table, RATE_OF_NEW_CLIENT, 1000, w.now_ms + 1001));
	remember_client_id(table, 1000, w.now_ms + 9000, w.now_ms + 1001);
	assert_false(may_use_client_id(&w.guard, table, RATE_OF_NEW_CLIENT, 1, w.now_ms + 1001));
	/* The first four at a time are free, each further one costs a token. */
	empty_bucket(&w, RATE_OF_NEW_CLIENT);
	assert_true(may_use_client_id(&w.guard, table, RATE_OF_NEW_CLIENT, 2000, w.now_ms + 1000 + CLIENT_IDS_MAX));
	remember_client_id(table, 2000, w.now_ms + 9000, w.now_ms + 1000 + CLIENT_IDS_MAX);
	remember_client_id(table, 2001, w.now_ms + 9000, w.now_ms + 1000 + CLIENT_IDS_MAX);
	assert_false(may_use_client_id(&w.guard, table, RATE_OF_NEW_CLIENT, 2002, w.now_ms + 1000 + CLIENT_IDS_MAX));
}

static void static_bindings(void **state)
{
	(void)state;
	begin();
	assert_false(add_static_binding4(&w.state, address_of_ipv4(GUEST_IP), 33, w.now_ms));
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		assert_true(add_static_binding4(&w.state, address_of_ipv4(GUEST_IP + i), 32, w.now_ms));
	assert_false(add_static_binding4(&w.state, address_of_ipv4(GUEST_IP + 10), 24, w.now_ms));
	assert_false(add_static_binding4(&w.state, address_of_ipv4(GUEST_IP), 24, w.now_ms));
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		assert_true(find_lease(&w.state, address_of_ipv4(GUEST_IP + i)) &&
			    owns_address4(&w.state, address_of_ipv4(GUEST_IP + i), UINT64_MAX - 1));
	assert_null(find_lease(&w.state, address_of_ipv4(GUEST_IP + BINDINGS4_MAX)));
	memset(w.state.ipv4, 0, (BINDINGS4_MAX - 1) * sizeof w.state.ipv4[0]); /* the last place alone */
	assert_true(has_lease4(&w.state, w.now_ms));
	memset(w.state.ipv4, 0, sizeof w.state.ipv4);
	assert_false(has_lease4(&w.state, w.now_ms));
}

/* A copy has the prefixes and their rules, whatever was there before. */
static void copied_policy(void **state)
{
	static struct policy from, to;
	struct rule rule = { address_of_ipv4(0x0a000000), 104, .class = CLASS_ALLOWED, .directions = OUTWARD };
	(void)state;
	memset(&to, 0xff, sizeof to);
	assert_true(compile_policy(&from, &rule, 1));
	copy_policy(&to, &from);
	assert_true(from.node_count > 0 && to.node_count == from.node_count);
	assert_memory_equal(to.node, from.node, from.node_count * sizeof from.node[0]);
}

/* Full: the one nearest to its deadline goes, wherever it stands. */
static void transactions(void **state)
{
	(void)state;
	for (uint32_t gone = 0; gone < TRANSACTIONS_MAX; gone++) {
		begin();
		for (uint32_t i = 0; i < TRANSACTIONS_MAX; i++)
			open_transaction(&w.state, i, TRANSACTION_INFORM, i, w.now_ms + (i == gone ? 0 : 10));
		open_transaction(&w.state, 100, TRANSACTION_INFORM, 100, w.now_ms + 20);
		for (uint32_t i = 0; i < TRANSACTIONS_MAX; i++)
			assert_int_equal(find_transaction(&w.state, i, w.now_ms) != NULL, i != gone);
		assert_non_null(find_transaction(&w.state, 100, w.now_ms));
	}
}

/* Full: the lease that was used least recently goes, wherever it stands. */
static void leases(void **state)
{
	(void)state;
	for (uint32_t gone = 0; gone < BINDINGS4_MAX; gone++) {
		begin();
		for (uint32_t i = 0; i <= BINDINGS4_MAX; i++) {
			struct dhcp ack = { .yiaddr = address_of_ipv4(GUEST_IP + i), .has_lease = true, .lease_s = 600 };
			struct transaction t = { .client_id = i + 1, .requested_ms = w.now_ms };
			bind_lease(&w.guard, &ack, &t, GATEWAY_MAC, w.now_ms);
			find_lease(&w.state, ack.yiaddr)->used_ms = w.now_ms + (i == gone ? 0 : 10);
		}
		for (uint32_t i = 0; i <= BINDINGS4_MAX; i++)
			assert_int_equal(owns_address4(&w.state, address_of_ipv4(GUEST_IP + i), w.now_ms), i != gone);
	}
}

/* Questions that lie two minutes apart are not of one attempt. */
static void questions_for_a_router(void **state)
{
	struct router4 r = { .rounds = 0 };
	(void)state;
	note_router_question(&r, 1000000);
	note_router_question(&r, 1000000 + 119999);
	assert_true(r.asked.count == 2 && r.asked.since_ms == 1000000);
	note_router_question(&r, 1000000 + 119999 + 120000);
	assert_true(r.asked.count == 1 && r.asked.since_ms == 1000000 + 119999 + 120000);
}

/* What an ARP frame in a router's name tells, at the first and the last moment of each. */
static void lessons(void **state)
{
	(void)state;
	begin();
	uint64_t now_ms = w.now_ms;
	struct router4 *r = &w.state.learned.routers[ROUTERS4_MAX - 1];
	r->lock.address = address_of_ipv4(GATEWAY_IP);
#define LESSON(mac, is_reply, ms) lesson_of_arp(&w.state, GATEWAY_IP, mac, is_reply, now_ms + (ms))
	assert_int_equal(LESSON(GATEWAY_MAC, true, 0), LESSON_NONE); /* nobody has asked */
	r->asked = (struct silence){ .since_ms = now_ms, .last_ms = now_ms, .count = 1 };
	assert_int_equal(LESSON(GATEWAY_MAC, true, 2999), LESSON_LEARN);
	assert_int_equal(LESSON(GATEWAY_MAC, false, 2999), LESSON_NONE);
	assert_int_equal(LESSON(GATEWAY_MAC, true, 3000), LESSON_NONE);
	mac_set_add(&r->lock.macs, GATEWAY_MAC);
	r->lock.until_ms = now_ms + 60000;
	assert_int_equal(LESSON(GATEWAY_MAC, false, 0), LESSON_ALIVE);
	r->asked.count = 0;
	assert_int_equal(LESSON(GATEWAY_MAC, false, 0), LESSON_NONE);
	assert_int_equal(LESSON(FOREIGN_MAC, false, 0), LESSON_SUSPECT);
	r->run_ms = now_ms;
	assert_int_equal(LESSON(FOREIGN_MAC, false, 9999), LESSON_SPOOF);
	assert_int_equal(LESSON(FOREIGN_MAC, false, 10000), LESSON_SUSPECT);
	for (uint32_t count = 2; count <= 3; count++) {
		r->asked = (struct silence){ .since_ms = now_ms, .last_ms = now_ms + 1500, .count = count };
		assert_int_equal(LESSON(FOREIGN_MAC, false, 1999), LESSON_SPOOF);
		assert_int_equal(LESSON(FOREIGN_MAC, false, 2000), count == 3 ? LESSON_SUCCEED : LESSON_SPOOF);
		assert_int_equal(LESSON(FOREIGN_MAC, false, 4499), count == 3 ? LESSON_SUCCEED : LESSON_SPOOF);
		assert_int_equal(LESSON(FOREIGN_MAC, false, 4500), LESSON_SPOOF);
	}
	assert_int_equal(LESSON(FOREIGN_MAC, true, 60000), LESSON_NONE); /* the lock is over, and the question too old */
#undef LESSON
}

/* --- IPv6 --------------------------------------------------------------------------------------------------------- */

static struct address numbered(uint64_t i)
{
	return ADDRESS6(LOCAL_PREFIX, 0x1000 + i);
}

static bool is_lost(uint64_t i, uint64_t now_ms)
{
	return is_lost6(&w.state.ipv6, LOCAL_PREFIX, 0x1000 + i, now_ms);
}

static void lost_addresses(void **state)
{
	(void)state;
	begin();
	for (uint64_t i = 1; i <= LOST_MAX; i++)
		remember_lost(&w.state.ipv6, numbered(i), w.now_ms + 1000 * i);
	for (uint64_t i = 1; i <= LOST_MAX; i++) {
		assert_true(is_lost(i, w.now_ms + 1000 * i - 1));
		assert_false(is_lost(i, w.now_ms + 1000 * i));
	}
	remember_lost(&w.state.ipv6, numbered(3), w.now_ms + 500); /* the news replace what was known */
	assert_false(is_lost(3, w.now_ms + 500));
	remember_lost(&w.state.ipv6, numbered(100), w.now_ms + 9000); /* full: the one nearest to its end goes */
	assert_true(is_lost(100, w.now_ms) && is_lost(1, w.now_ms) && is_lost(2, w.now_ms) && !is_lost(3, w.now_ms));
}

static void request_ids6(void **state)
{
	(void)state;
	begin();
	struct request_id *table = w.state.ipv6.request_ids;
	for (uint32_t id = 1; id <= REQUEST_IDS_MAX; id++)
		remember_request_id(table, id, w.now_ms + id);
	assert_false(is_spent_request_id(table, 1, w.now_ms));
	spend_request_ids(table);
	for (uint32_t id = 1; id <= REQUEST_IDS_MAX; id++) {
		assert_true(is_spent_request_id(table, id, w.now_ms + id + TRANSACTION_LIFE_MS - 1));
		assert_false(is_spent_request_id(table, id, w.now_ms + id + TRANSACTION_LIFE_MS));
	}
	remember_request_id(table, 1000, w.now_ms + 100);
	assert_false(is_spent_request_id(table, 1, w.now_ms));
	assert_true(is_spent_request_id(table, 2, w.now_ms));
}

static bool is_known_resolver(uint64_t i, uint64_t now_ms)
{
	return is_resolver_of6(&w.config, &w.state.ipv6, LOCAL_PREFIX, 0x1000 + i, now_ms);
}

/* One that finds no place is ignored. */
static void resolvers(void **state)
{
	(void)state;
	begin();
	for (uint64_t i = 1; i <= RESOLVERS6_MAX + 1; i++)
		remember_resolver6(&w.state, numbered(i), w.now_ms + 1000 * i, w.now_ms);
	for (uint64_t i = 1; i <= RESOLVERS6_MAX; i++) {
		assert_true(is_known_resolver(i, w.now_ms + 1000 * i - 1));
		assert_false(is_known_resolver(i, w.now_ms + 1000 * i));
	}
	assert_false(is_known_resolver(RESOLVERS6_MAX + 1, w.now_ms));
	remember_resolver6(&w.state, numbered(2), 0, w.now_ms);
	assert_false(is_known_resolver(2, w.now_ms));
	remember_resolver6(&w.state, numbered(50), w.now_ms + 60000, w.now_ms);
	assert_true(is_known_resolver(50, w.now_ms) && is_known_resolver(1, w.now_ms));
}

/* Each named router has a MAC of its own to be learned, and what is not link-local is no next hop. */
static void named_routers(void **state)
{
	(void)state;
	begin();
	struct router6 *routers = w.state.ipv6.routers;
	for (uint64_t i = 0; i < ADDRESS_SET_MAX; i++)
		set_add(&w.config.host6, i == 0 ? numbered(0) : ADDRESS6(LINK_LOCAL_PREFIX, i));
	for (uint32_t i = 1; i <= ROUTERS6_MAX; i++) {
		assert_int_equal(find_unlearned_router6(&w.config, &w.state.ipv6, w.now_ms), i);
		routers[i - 1] =
		    (struct router6){ .address = ADDRESS6(LINK_LOCAL_PREFIX, i), .locked_ms = w.now_ms + 10 };
	}
	assert_int_equal(find_unlearned_router6(&w.config, &w.state.ipv6, w.now_ms), ROUTERS6_MAX + 1);
	assert_int_equal(find_unlearned_router6(&w.config, &w.state.ipv6, w.now_ms + 10), 1);
	w.config.host6.count = 2;
	assert_int_equal(find_unlearned_router6(&w.config, &w.state.ipv6, w.now_ms), ADDRESS_SET_MAX);
	w.config.host6.count = 1;
	assert_int_equal(find_unlearned_router6(&w.config, &w.state.ipv6, w.now_ms + 10), ADDRESS_SET_MAX);
}

/* --- buckets, frames that wait ------------------------------------------------------------------------------------- */

/* Each class has its own bucket, the first and the last, too. */
static void buckets(void **state)
{
	(void)state;
	begin();
	for (uint32_t class = 1; class < RATE_CLASSES_END; class ++)
		w.config.rates[class] = (struct rate){ 1000, 2 };
	fill_buckets(&w.config, &w.buckets, w.now_ms);
	put_ethernet(&w, GUEST_MAC, GATEWAY_MAC, 0x0806);
	struct frame frame = { .bytes = w.frame, .length = w.length };
	for (uint32_t class = 0; class < RATE_CLASSES_END; class ++)
		for (int i = 0; i < 4; i++) {
			bool may = may_charge(view_of(&w.guard, w.now_ms), &w.buckets, &frame, (uint8_t) class, true);
			assert_int_equal(may, i < 2 || class == RATE_FREE);
		}
	for (uint32_t class = 1; class < RATE_CLASSES_END;
	     class ++) { /* a token a second comes back, and no more than two */
		assert_false(may_charge(view_of(&w.guard, w.now_ms + 999), &w.buckets, &frame, (uint8_t) class, true));
		assert_true(may_charge(view_of(&w.guard, w.now_ms + 1999), &w.buckets, &frame, (uint8_t) class, true));
		assert_false(may_charge(view_of(&w.guard, w.now_ms + 1999), &w.buckets, &frame, (uint8_t) class, true));
		for (int i = 0; i < 3; i++)
			assert_int_equal(
			    may_charge(view_of(&w.guard, UINT64_MAX), &w.buckets, &frame, (uint8_t) class, true), i < 2);
	}
}

/* As many frames as there are slots; the longest fits, and one octet more does not. */
static void held_frames(void **state)
{
	static struct hold hold;
	static uint8_t octets[HOLD_OCTETS / 4 + 1];
	struct held_list list = { 0, 0, 0 };
	struct frame frame = { .bytes = octets, .length = HOLD_OCTETS / 4 };
	enum verdict verdict;
	(void)state;
	memset(&hold, 0, sizeof hold);
	start_hold(&hold, HOLD_OCTETS / 4);
	struct frame longer = { .bytes = octets, .length = HOLD_OCTETS / 4 + 1 };
	assert_false(keep_frame(&hold, &list, &longer, (struct payload){ 0, 0, 0 }, false));
	for (uint8_t i = 0; i < 4; i++) {
		octets[0] = octets[frame.length - 1] = i;
		assert_true(keep_frame(&hold, &list, &frame, (struct payload){ 14, i, 100U + i }, false));
	}
	assert_false(keep_frame(&hold, &list, &frame, (struct payload){ 0, 0, 0 }, false));
	assert_int_equal(list.count, 4);
	release_list(&hold, &list);
	for (uint8_t i = 0; i < 4; i++) {
		assert_true(take_queued(&hold, &frame, &verdict));
		assert_int_equal(verdict, PASS);
		assert_true(frame.length == HOLD_OCTETS / 4 && frame.bytes[0] == i && frame.bytes[frame.length - 1] == i);
	}
	assert_false(take_queued(&hold, &frame, &verdict));
	assert_false(keep_frame(&hold, &list, &frame, (struct payload){ 0, 0, 0 }, false)); /* copies stay */
	drop_list(&hold, &list, DROP_HELLO_LIMIT);
	assert_false(take_queued(&hold, &frame, &verdict)); /* all of them had left */
	assert_true(keep_frame(&hold, &list, &frame, (struct payload){ 0, 0, 0 }, false));
	drop_list(&hold, &list, DROP_HELLO_LIMIT);
	assert_true(take_queued(&hold, &frame, &verdict));
	assert_int_equal(verdict, DROP_HELLO_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_ids),
		cmocka_unit_test(answered_request_ids),
		cmocka_unit_test(served_clients),
		cmocka_unit_test(client_identifiers),
		cmocka_unit_test(static_bindings),
		cmocka_unit_test(copied_policy),
		cmocka_unit_test(transactions),
		cmocka_unit_test(leases),
		cmocka_unit_test(questions_for_a_router),
		cmocka_unit_test(lessons),
		cmocka_unit_test(lost_addresses),
		cmocka_unit_test(request_ids6),
		cmocka_unit_test(resolvers),
		cmocka_unit_test(named_routers),
		cmocka_unit_test(buckets),
		cmocka_unit_test(held_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
