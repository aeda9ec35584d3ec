/* Bells of other guards ring until they were heard. In test_claims, which has guards that do what they are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "claims_guards.h"

#include <cmocka.h>

enum { NOTE_ENDS_MS = 60000 };

static int count_bells(void)
{
	int count = 0;
	for (int i = 0; i < BELLS_MAX; i++)
		count += claims.bells.item[i].until_ms != 0;
	return count;
}

/* As long as the holder stands still. */
void a_bell_rings_until_it_is_heard(void **unused)
{
	struct guard g = start_guard("there", 0);
	(void)unused;
	assert_true(tell(&g, 'c', 1) && !claim_address(&claims, address(1), NOW));
	follow_claims(&claims, NOW + 30000);
	assert_int_equal(count_bells(), 1);
	assert_true(tell(&g, 'f', 0));
	follow_claims(&claims, NOW + 31000);
	assert_int_equal(count_bells(), 0);
	kill_guard(&g);
}

void a_bell_that_nobody_hears_ends(void **unused)
{
	struct guard g = start_guard("there", 0);
	(void)unused;
	assert_true(tell(&g, 'c', 1) && !claim_address(&claims, address(1), NOW));
	follow_claims(&claims, NOW + NOTE_ENDS_MS - 1);
	assert_int_equal(count_bells(), 1);
	follow_claims(&claims, NOW + NOTE_ENDS_MS);
	assert_int_equal(count_bells(), 0);
	kill_guard(&g);
}

/* However much the guest wants of one, those of others go on ringing. */
void each_guard_has_one_bell(void **unused)
{
	struct guard a = start_guard("a", 0), b = start_guard("b", 0);
	(void)unused;
	assert_true(tell(&b, 'c', 1) && !claim_address(&claims, address(1), NOW));
	for (uint32_t n = 2; n < 2 + 2 * BELLS_MAX; n++)
		assert_true(tell(&a, 'c', n) && !claim_address(&claims, address(n), NOW));
	assert_int_equal(count_bells(), 2);
	tell(&a, 'f', 0);
	follow_claims(&claims, NOW + 1000);
	assert_int_equal(count_bells(), 1);
	tell(&b, 'f', 0);
	follow_claims(&claims, NOW + 2000);
	assert_int_equal(count_bells(), 0);
	kill_guard(&a);
	kill_guard(&b);
}
