/* Leases, DAD, router advertisements and the locks of anchors in every order of events: see explore.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "explore.h"

#include <cmocka.h>

static void leases_of_a_learned_server(void **state)
{
	(void)state;
	explore(&dhcp4_scene, 4);
}

static void leases_of_a_named_server(void **state)
{
	(void)state;
	explore(&named_dhcp4_scene, 4);
}

static void lock_of_a_router(void **state)
{
	(void)state;
	explore(&arp_scene, 6);
}

static void addresses_and_routers_of_ipv6(void **state)
{
	(void)state;
	explore(&nd_scene, 5);
}

static void leases_of_ipv6(void **state)
{
	(void)state;
	explore(&dhcp6_scene, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leases_of_a_learned_server),
		cmocka_unit_test(leases_of_a_named_server),
		cmocka_unit_test(lock_of_a_router),
		cmocka_unit_test(addresses_and_routers_of_ipv6),
		cmocka_unit_test(leases_of_ipv6),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
