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
	return has_followed_peer(&w.config, &frame, to_guest);
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
		cmocka_unit_test(short_frames_have_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
