/* When the gateway counts as unheard: the VM wants it, somebody answers in its name and is refused, it says nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/wire/ethernet.h"
#include "softnet/hints/gateway_watch.h"

#include <cmocka.h>

#define GATEWAY_AT 0x525400000001ULL
#define LIAR_MAC   0x525400000002ULL
#define GUEST_MAC  0x52540000000aULL

enum { START = 1000000, SECOND = 1000 };
/* 192.168.77.9 and so on */
enum { GATEWAY = 0xc0a84d09, SECOND_GATEWAY = 0xc0a84d08, GUEST = 0xc0a84d0c, NEIGHBOR = 0xc0a84d63 };

static struct options options;
static struct config config;
static struct state state;
static struct trust trust = { { &config, &state, START }, &options };
static struct gateway_watch watch;

/* A named gateway; the lease has another one. */
static int set_up(void **unused)
{
	(void)unused;
	memset(&watch, 0, sizeof watch);
	memset(&config, 0, sizeof config);
	memset(&state, 0, sizeof state);
	trust.view.now_ms = START;
	set_add(&config.host, address_of_ipv4(GATEWAY));
	mac_set_add(&config.gateway_macs, GATEWAY_AT);
	options.gateway_macs = config.gateway_macs;
	state.ipv4[0] = (struct binding){ .address = address_of_ipv4(GUEST),
					  .state = BINDING_BOUND,
					  .prefix_length = 24,
					  .expires_ms = NEVER_EXPIRES };
	set_add(&state.ipv4[0].routers, address_of_ipv4(SECOND_GATEWAY));
	return 0;
}

static void put_mac(uint8_t *at, uint64_t mac)
{
	for (int i = 0; i < 6; i++)
		at[i] = (uint8_t)(mac >> (40 - 8 * i));
}

static void put_ipv4(uint8_t *at, uint32_t ipv4)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(ipv4 >> (24 - 8 * i));
}

/* From this MAC: "I am `sender`, who is `target`?" */
static void arp(enum direction direction, uint64_t mac, uint32_t sender, uint32_t target, unsigned verdict)
{
	uint8_t bytes[42] = { 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };
	put_mac(bytes + 6, mac);
	put_mac(bytes + 22, mac);
	put_ipv4(bytes + 28, sender);
	put_ipv4(bytes + 38, target);
	look_for_gateway(&watch, &trust, direction, &(struct frame){ .bytes = bytes, .length = sizeof bytes }, verdict);
}

/* A packet of which only the MAC addresses matter. */
static void packet(enum direction direction, uint64_t from, uint64_t to, unsigned verdict)
{
	uint8_t bytes[60] = { 0 };
	bytes[12] = 8;
	bytes[14] = 0x45;
	put_mac(bytes, to);
	put_mac(bytes + 6, from);
	put_ipv4(bytes + 26, 0x01010101);
	look_for_gateway(&watch, &trust, direction, &(struct frame){ .bytes = bytes, .length = sizeof bytes }, verdict);
}

static void ask(void)
{
	arp(FROM_GUEST, GUEST_MAC, GUEST, GATEWAY, PASS);
}

static void refuse_claim(uint32_t router)
{
	arp(TO_GUEST, LIAR_MAC, router, GUEST, DROP_ARP_GATEWAY_SPOOF);
}

/* For each of these seconds: is it unheard, and how often that was told. */
static int told_in(int seconds, void (*each)(void), bool is_unheard)
{
	int told = 0;
	for (int i = 0; i < seconds; i++, trust.view.now_ms += SECOND) {
		each();
		enum gateway_news news = follow_gateway(&watch, trust.view.now_ms);
		assert_int_not_equal(news, GATEWAY_HEARD_AGAIN);
		told += news == GATEWAY_UNHEARD;
	}
	assert_int_equal(is_gateway_unheard(&watch, trust.view.now_ms), is_unheard);
	return told;
}

static void replaced(void)
{
	ask();
	refuse_claim(GATEWAY);
}

static void replaced_and_a_liar(void)
{
	replaced();
	arp(TO_GUEST, GUEST_MAC + 1, SECOND_GATEWAY, GUEST, DROP_ARP_GATEWAY_SPOOF);
	assert_true(watch.mac == LIAR_MAC && same_address(watch.router, address_of_ipv4(GATEWAY)));
}

static void replaced_for_one_with_a_static_entry(void)
{
	packet(FROM_GUEST, GUEST_MAC, GATEWAY_AT, PASS);
	refuse_claim(GATEWAY);
}

static void replaced_and_known_to_the_vm(void)
{
	packet(FROM_GUEST, GUEST_MAC, LIAR_MAC, DROP_L2_NEXT_HOP);
	refuse_claim(GATEWAY);
}

static void a_liar_beside_a_quiet_vm(void)
{
	arp(FROM_GUEST, GUEST_MAC, GUEST, NEIGHBOR, PASS); /* it asks for somebody else */
	refuse_claim(GATEWAY);
}

static void a_liar_beside_the_gateway(void)
{
	replaced();
	packet(TO_GUEST, GATEWAY_AT, GUEST_MAC, PASS);
}

static void a_liar_about_no_router(void)
{
	arp(FROM_GUEST, GUEST_MAC, GUEST, NEIGHBOR, PASS);
	refuse_claim(NEIGHBOR);
}

static void nobody(void)
{
}

static void when_it_is_unheard(void **unused)
{
	static const struct {
		void (*each)(void);
		bool is_unheard;
	} cases[] = {
		{ replaced, true },
		{ replaced_and_a_liar, true },
		{ replaced_for_one_with_a_static_entry, true },
		{ replaced_and_known_to_the_vm, true },
		{ a_liar_beside_a_quiet_vm, false },
		{ a_liar_beside_the_gateway, false },
		{ a_liar_about_no_router, false },
		{ ask, false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		set_up(unused);
		assert_int_equal(told_in(2, cases[i].each, false), 0);
		told_in(3, cases[i].each, cases[i].is_unheard);
		/* Told after ten seconds, and each minute. */
		assert_int_equal(told_in(70, cases[i].each, cases[i].is_unheard), cases[i].is_unheard ? 2 : 0);
	}
}

static void it_is_heard_again(void **unused)
{
	(void)unused;
	told_in(12, replaced, true);
	assert_true(same_address(watch.router, address_of_ipv4(GATEWAY)) && watch.mac == LIAR_MAC);
	/* Nobody asks any more, and so nobody answers: that does not say that it is heard. */
	assert_int_equal(told_in(12, nobody, false), 0);
	told_in(5, replaced, true);
	packet(TO_GUEST, GATEWAY_AT, GUEST_MAC, DROP_UNSOLICITED); /* not to the VM */
	assert_true(is_gateway_unheard(&watch, trust.view.now_ms));
	packet(TO_GUEST, GATEWAY_AT, GUEST_MAC, PASS);
	assert_false(is_gateway_unheard(&watch, trust.view.now_ms));
	assert_int_equal(follow_gateway(&watch, trust.view.now_ms), GATEWAY_HEARD_AGAIN);
	assert_int_equal(follow_gateway(&watch, trust.view.now_ms), GATEWAY_NO_NEWS);
}

/* Neighbor discovery, or advertisements of routers. */
static void refuse_in_ipv6(bool by_neighbor_discovery)
{
	static const uint8_t router[16] = { 0xfe, 0x80, [15] = 1 };
	set_up(NULL);
	state.ipv6.routers[0] = (struct router6){ .address = { LINK_LOCAL_PREFIX, 1 },
						  .macs = { { GATEWAY_AT }, 1, 0 },
						  .expires_ms = NEVER_EXPIRES,
						  .locked_ms = NEVER_EXPIRES };
	for (int i = 0; i < 8; i++, trust.view.now_ms += SECOND) {
		uint8_t asks[86] = { 0x33, 0x33, 0xff, 0,    0,    1,    0x52,      0x54,      0,
				     0,    0,    10,   0x86, 0xdd, 0x60, [20] = 58, [54] = 135 };
		uint8_t says[86] = { 0x52, 0x54, 0, 0,    0,    10,   0x52,      0x54,      0,
				     0,    0,    2, 0x86, 0xdd, 0x60, [20] = 58, [54] = 136 };
		uint8_t advertises[86] = { 0x33, 0x33, 0, 0,    0,    1,    0x52,      0x54,      0,
					   0,    0,    2, 0x86, 0xdd, 0x60, [20] = 58, [54] = 134 };
		memcpy(asks + 62, router, 16);
		memcpy(says + 62, router, 16);
		memcpy(advertises + 22, router, 16);
		look_for_gateway(&watch, &trust, FROM_GUEST, &(struct frame){ .bytes = asks, .length = sizeof asks },
				 PASS);
		if (by_neighbor_discovery)
			look_for_gateway(&watch, &trust, TO_GUEST,
					 &(struct frame){ .bytes = says, .length = sizeof says }, DROP_ND_GATEWAY_SPOOF);
		else
			look_for_gateway(&watch, &trust, TO_GUEST,
					 &(struct frame){ .bytes = advertises, .length = sizeof advertises },
					 DROP_RA_UNTRUSTED);
	}
	assert_true(is_gateway_unheard(&watch, trust.view.now_ms));
	packet(TO_GUEST, GATEWAY_AT, GUEST_MAC, PASS);
	assert_false(is_gateway_unheard(&watch, trust.view.now_ms));
}

static void in_ipv6(void **unused)
{
	(void)unused;
	refuse_in_ipv6(true);
	refuse_in_ipv6(false);
}

/* Of every length and type; the sanitizers see what is read beyond. */
static void frames_that_are_cut_off(void **unused)
{
	static const uint16_t types[] = { ETHERTYPE_IPV4, ETHERTYPE_ARP, ETHERTYPE_IPV6, 0x8100 };
	uint8_t bytes[100];
	(void)unused;
	refuse_claim(GATEWAY);
	memset(bytes, 0x3a, sizeof bytes);
	for (uint32_t length = 0; length <= sizeof bytes; length++)
		for (int i = 0; i < 4; i++) {
			bytes[12] = (uint8_t)(types[i] >> 8);
			bytes[13] = (uint8_t)types[i];
			look_for_gateway(&watch, &trust, FROM_GUEST,
					 &(struct frame){ .bytes = bytes, .length = length }, PASS);
			look_for_gateway(&watch, &trust, TO_GUEST, &(struct frame){ .bytes = bytes, .length = length },
					 DROP_ND_GATEWAY_SPOOF);
		}
	assert_true(same_address(watch.router, address_of_ipv4(GATEWAY)));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(when_it_is_unheard),
		TEST(it_is_heard_again),
		TEST(in_ipv6),
		TEST(frames_that_are_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
