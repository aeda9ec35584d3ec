/* The life of an IPv6 lease, on a clock that the test moves: what is granted, when it ends, who may end it. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "test_dhcp6.h"

#include <cmocka.h>

#define SECOND_LEASE ADDRESS6(LOCAL_PREFIX, 0x20a)

void lease_and_its_end(void **state)
{
	(void)state;
	begin(true);
	uint64_t asked_ms = w.now_ms;
	lease6(&w, GUEST_LEASED, 600, 7);
	assert_int_equal(w.last_event.kind, EVENT_LEASE_NEW);
	assert_string_equal(w.last_event.why, "dhcp");
	assert_true(same_address(w.last_event.server, ROUTER_LL));
	assert_true(binding_of(GUEST_LEASED)->identity != 0);
	assert_true(sends_from6(&w, GUEST_LEASED)); /* at once: the Reply is its duplicate address detection */
	w.now_ms = asked_ms + 600 * 1000 - 101;
	assert_true(sends_from6(&w, GUEST_LEASED));
	w.now_ms++; /* a tenth of a second before the server's own reckoning */
	assert_false(sends_from6(&w, GUEST_LEASED));
	assert_true(expire_bindings(&w.guard, w.now_ms) == NEVER_EXPIRES);
	assert_int_equal(w.last_event.kind, EVENT_LEASE_LOST);
}

void lease_counts_from_the_first_request(void **state)
{
	(void)state;
	begin(true);
	uint64_t asked_ms = w.now_ms;
	ASKS(PASS, .type = REQUEST);
	w.now_ms += 30000;
	ASKS(PASS, .type = REQUEST);
	w.now_ms += 20000;
	ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 60);
	assert_true(binding_of(GUEST_LEASED)->expires_ms == asked_ms + 60000 - 100);

	/* Another kind under the same id: the answer may still be one to the first. */
	begin(true);
	asked_ms = w.now_ms;
	ASKS(PASS, .type = REQUEST);
	w.now_ms += 5000;
	ASKS(PASS, .type = INFORMATION_REQUEST);
	ASKS(PASS, .type = RENEW);
	ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 60);
	assert_true(binding_of(GUEST_LEASED)->expires_ms == asked_ms + 60000 - 100);

	/* Too late to be of any use: it passes, and never becomes the guest's. */
	begin(true);
	ASKS(PASS, .type = REQUEST);
	w.now_ms += 20000;
	ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 20);
	assert_null(binding_of(GUEST_LEASED));
}

/* RFC 8415 18.2.1: a SOLICIT is repeated without end, under one id. No answer is an hour old. */
void endless_solicit_still_gets_a_lease(void **state)
{
	(void)state;
	begin(true);
	for (int i = 0; i < 120; i++) {
		ASKS(PASS, .type = SOLICIT, .rapid_commit = true);
		w.now_ms += 60000;
	}
	ANSWERS(PASS, .type = REPLY, .rapid_commit = true, .address = GUEST_LEASED, .valid_s = 600);
	assert_true(binding_of(GUEST_LEASED)->expires_ms == w.now_ms - 64000 + 600000 - 100);
}

void infinite_lease(void **state)
{
	(void)state;
	begin(true);
	lease6(&w, GUEST_LEASED, UINT32_MAX, 7);
	w.now_ms = UINT64_MAX - 100000;
	assert_true(sends_from6(&w, GUEST_LEASED));
}

void renewal_keeps_its_beginning(void **state)
{
	(void)state;
	begin(true);
	lease6(&w, GUEST_LEASED, 600, 7);
	uint64_t since_ms = binding_of(GUEST_LEASED)->since_ms;
	for (uint8_t type = RENEW; type <= REBIND; type++) {
		w.now_ms += 300 * 1000;
		ASKS(PASS, .type = type, .id = type, .address = GUEST_LEASED);
		w.now_ms += 50;
		ANSWERS(PASS, .type = REPLY, .id = type, .address = GUEST_LEASED, .valid_s = 600);
		assert_int_equal(w.last_event.kind, EVENT_LEASE_RENEWED);
		assert_true(binding_of(GUEST_LEASED)->since_ms == since_ms);
		assert_true(binding_of(GUEST_LEASED)->expires_ms == w.now_ms - 50 + 600000 - 100);
	}
	/* A shorter one counts, too. Unanswered ones do nothing, and nor do those of the guest's own mind. */
	ASKS(PASS, .type = RENEW, .id = 8, .address = GUEST_LEASED);
	ANSWERS(PASS, .type = REPLY, .id = 8, .address = GUEST_LEASED, .valid_s = 60);
	ASKS(PASS, .type = RENEW, .id = 9, .address = GUEST_LEASED, .valid_s = 6000);
	w.now_ms += 60000;
	assert_null(binding_of(GUEST_LEASED));

	/* udhcpc6 has one id for all. */
	begin(true);
	ASKS(PASS, .type = SOLICIT);
	ASKS(PASS, .type = REQUEST);
	ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 60);
	for (int i = 0; i < 4; i++) {
		w.now_ms += 30000;
		ASKS(PASS, .type = RENEW, .address = GUEST_LEASED);
		ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 60);
	}
	assert_true(binding_of(GUEST_LEASED)->expires_ms == w.now_ms + 60000 - 100);
}

/* The guard may have restarted: the answer decides. --no-resync: it did not, or nobody cares. */
void renewals_of_unknown_addresses(void **state)
{
	(void)state;
	begin(true);
	ASKS(PASS, .type = RENEW, .id = 5, .address = ADDRESS6(LOCAL_PREFIX, 5));
	assert_null(binding_of(ADDRESS6(LOCAL_PREFIX, 5)));
	ANSWERS(PASS, .type = REPLY, .id = 5, .address = ADDRESS6(LOCAL_PREFIX, 5), .valid_s = 600);
	assert_non_null(binding_of(ADDRESS6(LOCAL_PREFIX, 5)));
	w.config.no_resync = 1;
	ASKS(PASS, .type = RENEW, .id = 6, .address = ADDRESS6(LOCAL_PREFIX, 5));
	ASKS(DROP_DHCP6_NOT_OWNER, .type = RENEW, .id = 7, .address = ADDRESS6(LOCAL_PREFIX, 6));
	ASKS(DROP_DHCP6_NOT_OWNER, .type = REBIND, .id = 7, .address = ADDRESS6(LOCAL_PREFIX, 6));
}

/* RFC 8415 18.2.10.1 */
void renewal_leaves_what_it_does_not_name(void **state)
{
	(void)state;
	begin(true);
	lease6(&w, GUEST_LEASED, 600, 7);
	lease6(&w, SECOND_LEASE, 600, 8);
	uint64_t expires_ms = binding_of(GUEST_LEASED)->expires_ms;
	w.now_ms += 300 * 1000;
	ASKS(PASS, .type = RENEW, .id = 9, .address = GUEST_LEASED);
	ANSWERS(PASS, .type = REPLY, .id = 9, .address = SECOND_LEASE, .valid_s = 600);
	assert_true(binding_of(GUEST_LEASED)->expires_ms == expires_ms);
	ASKS(PASS, .type = RENEW, .id = 10, .address = GUEST_LEASED);
	ANSWERS(PASS, .type = REPLY, .id = 10, .ia = { { .iaid = IAID, .status = NO_BINDING6 } });
	assert_true(binding_of(GUEST_LEASED)->expires_ms == expires_ms);

	/* A valid lifetime of 0 ends it; but not what the same server never leased. */
	announce(&w, LOCAL_PREFIX);
	claim_address(&w, GUEST_PRIVACY);
	ANSWERS(PASS, .type = REPLY, .id = 10,
		.ia = { { .iaid = IAID, .lease = { { .address = GUEST_LEASED }, { .address = GUEST_PRIVACY } } } });
	assert_null(binding_of(GUEST_LEASED));
	assert_string_equal(w.last_event.why, "ended by the server");
	assert_non_null(binding_of(GUEST_PRIVACY));
	assert_non_null(binding_of(SECOND_LEASE));
}

void addresses_of_two_ias(void **state)
{
	(void)state;
	begin(true);
	ASKS(PASS, .type = REQUEST, .ia = { { .iaid = 1 }, { .iaid = 2, .temporary = true } });
	ANSWERS(PASS, .type = REPLY,
		.ia = { { .iaid = 1,
			  .lease = { { .address = GUEST_LEASED, .valid_s = 600 },
				     { .address = SECOND_LEASE, .valid_s = 300 } } },
			{ .iaid = 2, .temporary = true, .lease = { { .address = GUEST_PRIVACY, .valid_s = 200 } } },
			{ .iaid = 3, .lease = { { .address = VICTIM_LEASED, .valid_s = 600 } } } });
	uint64_t first = binding_of(GUEST_LEASED)->identity;
	assert_true(binding_of(SECOND_LEASE)->identity == first && binding_of(GUEST_PRIVACY)->identity != first);
	assert_true(binding_of(SECOND_LEASE)->expires_ms == w.now_ms + 300000 - 100);
	assert_null(binding_of(VICTIM_LEASED)); /* nobody asked for that IA */
	assert_int_equal(w.events, 3);
}

void release_takes_before_it_leaves(void **state)
{
	(void)state;
	begin(true);
	lease6(&w, GUEST_LEASED, 600, 7);
	ASKS(PASS, .type = RELEASE, .id = 8, .address = GUEST_LEASED);
	assert_false(sends_from6(&w, GUEST_LEASED));
	assert_string_equal(w.last_event.why, "released");
	int events = w.events;
	/* RFC 8415 18.2.7: it is repeated until the answer comes, and that must reach the guest. */
	w.now_ms += 1000;
	ASKS(PASS, .type = RELEASE, .id = 8, .address = GUEST_LEASED);
	ASKS(DROP_DHCP6_NOT_OWNER, .type = RELEASE, .id = 8, .address = VICTIM_LEASED);
	ASKS(DROP_DHCP6_NOT_OWNER, .type = DECLINE, .id = 8, .address = GUEST_LEASED);
	ASKS(DROP_DHCP6_NOT_OWNER, .type = RELEASE, .id = 9, .address = GUEST_LEASED);
	ANSWERS(PASS, .type = REPLY, .id = 8, .no_ia = true);
	ANSWERS(PASS, .type = REPLY, .id = 8, .no_ia = true);
	ASKS(PASS, .type = RELEASE, .id = 8, .address = GUEST_LEASED);
	ANSWERS(PASS, .type = REPLY, .id = 8, .address = GUEST_LEASED, .valid_s = 600); /* leases nothing */
	assert_null(binding_of(GUEST_LEASED));
	/* The old Reply would tell the guest what is so no more. */
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .id = 7, .address = GUEST_LEASED, .valid_s = 600);
	assert_int_equal(w.events, events);
}

static void release_leaves_open_what_leases_nothing(void)
{
	begin(true);
	lease6(&w, GUEST_LEASED, 600, 7);
	w.now_ms += 20000;
	ASKS(PASS, .type = SOLICIT, .id = 8, .ia = { { .iaid = 8 } });
	ASKS(PASS, .type = CONFIRM, .id = 9, .ia = { { .iaid = 9 } });
	ASKS(PASS, .type = RELEASE, .id = 10, .address = GUEST_LEASED);
	ANSWERS(PASS, .type = ADVERTISE, .id = 8, .ia = { { .iaid = 8 } });
	ANSWERS(PASS, .type = REPLY, .id = 9, .no_ia = true);
	ASKS(PASS, .type = SOLICIT, .id = 8, .ia = { { .iaid = 8 } });
}

/* A renewal, and a RELEASE right behind it: the server answers, then frees the address; its Reply comes too late. */
void release_overtakes_a_reply(void **state)
{
	(void)state;
	for (uint8_t type = RELEASE; type <= DECLINE; type++) {
		begin(true);
		lease6(&w, GUEST_LEASED, 600, 7);
		w.now_ms += 20000;
		ASKS(PASS, .type = RENEW, .id = 8, .address = GUEST_LEASED);
		ASKS(PASS, .type = SOLICIT, .id = 9, .ia = { { .iaid = 9 } }, .rapid_commit = true);
		ASKS(PASS, .type = INFORMATION_REQUEST, .id = 10);
		ASKS(PASS, .type = type, .id = 11, .address = GUEST_LEASED);
		ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .id = 8, .address = GUEST_LEASED, .valid_s = 600);
		ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .id = 9, .rapid_commit = true,
			.ia = { { .iaid = 9, .lease = { { .address = GUEST_LEASED, .valid_s = 600 } } } });
		ANSWERS(PASS, .type = REPLY, .id = 10, .no_ia = true);
		/* Nor does the same id open the door for it once more, until no answer can be on its way. */
		for (uint8_t again = SOLICIT; again <= REBIND; again++)
			if (again != ADVERTISE && again != CONFIRM)
				ASKS(DROP_DHCP6_NO_TRANSACTION, .type = again, .id = 8);
		ASKS(DROP_DHCP6_NO_TRANSACTION, .type = SOLICIT, .id = 9, .rapid_commit = true);
		ASKS(PASS, .type = CONFIRM, .id = 8);
		ANSWERS(PASS, .type = REPLY, .id = 8, .address = GUEST_LEASED, .valid_s = 600);
		assert_null(binding_of(GUEST_LEASED));
		w.now_ms += 64000;
		ASKS(PASS, .type = REQUEST, .id = 8);
		lease6(&w, GUEST_LEASED, 600, 12);
	}
	release_leaves_open_what_leases_nothing();
}

/* The repetition leaves for the server, so it takes what the guest has got in between: or both would count on it. */
void repeated_release_takes_again(void **state)
{
	(void)state;
	begin(true);
	lease6(&w, GUEST_LEASED, 600, 7);
	ASKS(PASS, .type = RELEASE, .id = 8, .address = GUEST_LEASED);
	lease6(&w, GUEST_LEASED, 600, 9);
	ASKS(PASS, .type = REQUEST, .id = 10, .address = GUEST_LEASED);
	ASKS(PASS, .type = RELEASE, .id = 8, .address = GUEST_LEASED);
	assert_null(binding_of(GUEST_LEASED));
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .id = 10, .address = GUEST_LEASED, .valid_s = 600);
}

/* Each one burns an address of the server's; the repetitions of one do not. */
void declines_are_limited(void **state)
{
	(void)state;
	begin(true);
	for (uint32_t i = 1; i <= 4; i++) {
		w.now_ms += 1000;
		lease6(&w, ADDRESS6(LOCAL_PREFIX, i), 600, i);
		enum verdict wanted = i < 4 ? PASS : DROP_RATE_DHCP;
		ASKS(wanted, .type = DECLINE, .id = 0x100 + i, .address = ADDRESS6(LOCAL_PREFIX, i));
		assert_true((!binding_of(ADDRESS6(LOCAL_PREFIX, i))) == (wanted == PASS));
		if (wanted != PASS)
			continue;
		assert_string_equal(w.last_event.why, "declined");
		ASKS(PASS, .type = DECLINE, .id = 0x100 + i, .address = ADDRESS6(LOCAL_PREFIX, i));
		ASKS(PASS, .type = DECLINE, .id = 0x100 + i, .address = ADDRESS6(LOCAL_PREFIX, i));
		ANSWERS(PASS, .type = REPLY, .id = 0x100 + i, .no_ia = true);
	}
}
