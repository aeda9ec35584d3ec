/* Option 121: the routers that DHCP's routes lead to. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/wire/dhcp_routes.h"
#include "core/judge/trust.h"
#include "test_anchors4.h"

#include <cmocka.h>

enum { VIA = 0xc0a840fe };

static struct address_set routers_of(const uint8_t *octets, size_t count)
{
	struct route_reader reader = { .router = 0 };
	struct address_set routers = { .count = 0 };
	for (size_t i = 0; i < count; i++)
		read_route_octet(&reader, octets[i]);
	add_routers(&reader, address_of_ipv4(GUEST_IP), &routers);
	return routers;
}

#define ROUTERS_OF(...) routers_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

void routes_name_routers(void **state)
{
	(void)state;
	for (uint8_t width = 0; width <= 32; width++) { /* RFC 3442: as many octets as the width covers */
		uint8_t route[16] = { width };
		size_t octets = 1 + (width + 7u) / 8;
		memcpy(route + octets, (const uint8_t[]){ 192, 168, 64, 254 }, 4);
		struct address_set routers = routers_of(route, octets + 4);
		assert_true(routers.count == 1 && set_has(&routers, address_of_ipv4(VIA)));
	}
	struct address_set two = ROUTERS_OF(8, 10, 192, 168, 64, 254, 0, 192, 168, 64, 1);
	assert_true(two.count == 2 && set_has(&two, address_of_ipv4(VIA)) && set_has(&two, address_of_ipv4(GATEWAY_IP)));
	/* On the link; by the guest's own address, which means the same; the same router once more; what no router has. */
	assert_int_equal(ROUTERS_OF(24, 10, 0, 0, 0, 0, 0, 0).count, 0);
	assert_int_equal(ROUTERS_OF(24, 10, 0, 0, 192, 168, 64, 10).count, 0);
	assert_int_equal(ROUTERS_OF(0, 192, 168, 64, 1, 8, 10, 192, 168, 64, 1).count, 1);
	assert_int_equal(ROUTERS_OF(0, 127, 0, 0, 1, 0, 224, 0, 0, 1, 0, 255, 255, 255, 255).count, 0);
}

void broken_routes_name_none(void **state)
{
	(void)state;
	assert_int_equal(ROUTERS_OF(0, 192, 168, 64, 1, 33, 10, 0, 0, 0, 192, 168, 64, 254).count, 0);
	assert_int_equal(ROUTERS_OF(0, 192, 168, 64, 1, 24, 10, 0).count, 0);
	assert_int_equal(ROUTERS_OF(0, 192, 168, 64, 1, 0, 192, 168, 64).count, 0);
	assert_int_equal(ROUTERS_OF(0, 192, 168, 64, 1, 255).count, 0);
	for (int i = 0; i < 100000; i++) { /* whatever the octets: never more than fit */
		uint8_t octets[64];
		for (size_t k = 0; k < sizeof octets; k++)
			octets[k] = (uint8_t)(next_random() % 4 ? next_random() % 33 : next_random());
		assert_true(routers_of(octets, next_random() % sizeof octets).count <= ADDRESS_SET_MAX);
	}
}

static void lease_with(const uint8_t *options, uint8_t octets)
{
	start_world(&w, false);
	EXPECT(client((struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = SERVER_IP }), PASS);
	EXPECT(server((struct dhcp_spec){ .type = 5,
					  .yiaddr = GUEST_IP,
					  .server = SERVER_IP,
					  .lease_s = 600,
					  .mask = 0xffffff00,
					  .router = ROUTER_IP,
					  .extra = options,
					  .extra_octets = octets }),
	       PASS);
}

/* Both options name routers, in one piece or cut in the middle of a route (RFC 3396). A broken one is no reason to refuse. */
void next_hops_of_routes_are_routers(void **state)
{
	static const uint8_t whole[] = { 121, 6, 8, 10, 192, 168, 64, 254 };
	static const uint8_t old[] = { 249, 6, 8, 10, 192, 168, 64, 254 };
	static const uint8_t cut[] = { 121, 4, 8, 10, 192, 168, 15, 1, 0, 121, 2, 64, 254 };
	static const uint8_t broken[] = { 121, 7, 60, 10, 192, 168, 64, 254, 9 };
	static const struct {
		const uint8_t *options;
		uint8_t octets;
		bool names;
	} cases[] = { { whole, sizeof whole, true },
		      { old, sizeof old, true },
		      { cut, sizeof cut, true },
		      { broken, sizeof broken, false } };
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		lease_with(cases[i].options, cases[i].octets);
		assert_true(is_router_ipv4(&w.config, &w.state, VIA, w.now_ms) == cases[i].names);
		assert_true(is_router_ipv4(&w.config, &w.state, ROUTER_IP, w.now_ms));
		EXPECT(asks(VIA, MAC_BROADCAST), cases[i].names ? PASS : DROP_ARP_TARGET_DENIED);
		EXPECT(says(2, VIA, NEW_MAC), PASS);
		EXPECT(sends_by(NEW_MAC), cases[i].names ? PASS : DROP_L2_NEXT_HOP);
	}
}
