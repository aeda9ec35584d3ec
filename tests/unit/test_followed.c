/* Which frames have a peer that rules name as a VM. What becomes of them without a process: tests/network/test_vms.py. */
#include <setjmp.h>
#include <stdarg.h>

#include "core/guard.h"
#include "ebpf/followed.h"
#include "world_flow.h"

#include <cmocka.h>

static struct world w;

static bool is_with_followed(bool to_guest)
{
	struct frame frame = { .bytes = w.frame, .length = w.length };
	return has_followed_peer((struct view){ &w.config, &w.state, w.now_ms }, &frame, to_guest);
}

static void follow(uint32_t at, struct address a)
{
	w.config.followed.item[at] = a;
	w.config.followed.count = at + 1;
}

/* Both families, both directions; the address before it, the last place of the set, and nobody. */
static void the_peer_is_found(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++)
		for (int inward = 0; inward < 2; inward++) {
			struct address db = v6 ? VICTIM_LEASED : address_of_ipv4(VICTIM_IP);
			struct call c = { .v6 = v6,
					  .to_guest = inward,
					  .protocol = TCP,
					  .flags = SYN,
					  .guest_port = 40000,
					  .peer = db,
					  .peer_port = 5432 };
			start_flow_world(&w, true, INBOUND_ANY);
			put_call(&w, &c);
			assert_false(is_with_followed(inward));
			follow(FOLLOWED_MAX - 1, db);
			assert_true(is_with_followed(inward));
			assert_false(is_with_followed(!inward)); /* the guest itself */
			w.config.followed.count = FOLLOWED_MAX - 1;
			assert_false(is_with_followed(inward));
			db.low--;
			follow(0, db);
			assert_false(is_with_followed(inward));
		}
}

/* The well-known prefix (RFC 6052), one that a router announces, and one that has run out, which still closes. */
static void the_peer_behind_a_translator_is_found(void **state)
{
	struct translator *announced = &w.state.ipv6.translators[0];
	(void)state;
	struct call c = { .v6 = true, .protocol = UDP, .guest_port = 1, .peer_port = 2 };
	start_flow_world(&w, true, INBOUND_ANY);
	follow(0, address_of_ipv4(VICTIM_IP));
	*announced = (struct translator){ .nat64 = { .prefix = ADDRESS6(0x2a00000000640000, 0), .length = 96 },
					  .expires_ms = w.now_ms + 1000 };
	for (int which = 0; which < 3; which++) {
		c.peer = which == 0 ? ADDRESS6(0x0064ff9b00000000, VICTIM_IP) : ADDRESS6(0x2a00000000640000, VICTIM_IP);
		if (which == 2)
			w.now_ms += 2000;
		put_call(&w, &c);
		assert_true(is_with_followed(false));
		c.peer.low++;
		put_call(&w, &c);
		assert_false(is_with_followed(false));
	}
}

/* The judge has refused these already; nothing is read behind their end. */
static void short_frames_have_none(void **state)
{
	(void)state;
	struct call c = {
		.protocol = TCP, .flags = SYN, .guest_port = 1, .peer = address_of_ipv4(VICTIM_IP), .peer_port = 2
	};
	start_flow_world(&w, true, INBOUND_ANY);
	put_call(&w, &c);
	follow(0, address_of_ipv4(VICTIM_IP));
	w.length = ETHERNET_HEADER + 19;
	assert_false(is_with_followed(false));
	w.length = ETHERNET_HEADER - 1;
	assert_false(is_with_followed(false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_peer_is_found),
		cmocka_unit_test(the_peer_behind_a_translator_is_found),
		cmocka_unit_test(short_frames_have_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
