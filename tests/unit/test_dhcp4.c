/* DHCPv4: what odd servers and clients may write, and what a guest gains from none of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "world.h"

#include <cmocka.h>

static struct world w;

enum { BOOT_SERVER_IP = GATEWAY_IP + 1, FAR_PORT = 1067 };

#define GUEST_SENDS(wanted) expect_verdict(&w, from_guest(&w), wanted, __FILE__, __LINE__)
#define GUEST_GETS(wanted)  expect_verdict(&w, to_guest(&w), wanted, __FILE__, __LINE__)

/* Where things stand in a frame of world.c. */
enum {
	IP_LENGTH = 16,
	PORT_FROM = 34,
	PORT_TO = 36,
	UDP_LENGTH = 38,
	DHCP = 42,
	SNAME = DHCP + 44,
	FILE_NAME = DHCP + 108
};

static bool owns(uint32_t address)
{
	return owns_address4(&w.state, address_of_ipv4(address), w.now_ms);
}

static void set_be16(uint32_t at, uint16_t value)
{
	w.frame[at] = (uint8_t)(value >> 8);
	w.frame[at + 1] = (uint8_t)value;
}

/* Cuts the frame behind its options, whose last octet is END, or adds to them. */
static void set_length(uint32_t octets)
{
	w.length = octets;
	set_be16(IP_LENGTH, (uint16_t)(octets - 14));
	set_be16(UDP_LENGTH, (uint16_t)(octets - 34));
}

static void discover(void)
{
	put_client_message(&w, &(struct dhcp_spec){ .type = 1 });
	GUEST_SENDS(PASS);
}

static void select_address(void)
{
	put_client_message(&w, &(struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = GATEWAY_IP });
	GUEST_SENDS(PASS);
}

static const struct dhcp_spec good_offer = { .type = 2, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600 };
static const struct dhcp_spec good_ack = { .type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600 };

/* An ACK with these options behind the usual ones. */
static enum verdict ack_with(const uint8_t *options, uint32_t octets)
{
	struct dhcp_spec spec = good_ack;
	spec.extra = options;
	spec.extra_octets = octets;
	start_world(&w, true);
	select_address();
	put_server_message(&w, &spec);
	return to_guest(&w);
}

static enum verdict discover_with(const uint8_t *options, uint32_t octets)
{
	start_world(&w, true);
	put_client_message(&w, &(struct dhcp_spec){ .type = 1, .extra = options, .extra_octets = octets });
	return from_guest(&w);
}

#define OPTIONS_OF(...) ((const uint8_t[]){ __VA_ARGS__ }), sizeof((const uint8_t[]){ __VA_ARGS__ })

/* All known clients read a repeated, an empty or a foreign option alike. */
static void odd_replies_that_say_one_thing(void **state)
{
	(void)state;
	assert_int_equal(ack_with(OPTIONS_OF(54, 4, 192, 168, 64, 1)), PASS);
	assert_int_equal(ack_with(OPTIONS_OF(51, 4, 0, 0, 2, 88, 53, 1, 5)), PASS);
	assert_int_equal(ack_with(OPTIONS_OF(1, 4, 255, 255, 255, 0, 1, 4, 255, 255, 255, 0)), PASS);
	assert_int_equal(ack_with(OPTIONS_OF(3, 0, 6, 0, 12, 0, 1, 0, 51, 0, 54, 0, 53, 0)), PASS);
	assert_true(owns(GUEST_IP) && w.state.ipv4[0].routers.count == 0 && w.state.ipv4[0].prefix_length == 32);
	assert_int_equal(ack_with(OPTIONS_OF(3, 5, 192, 168, 64, 1, 9, 6, 3, 1, 1, 1)), PASS);
	assert_true(w.state.ipv4[0].routers.count == 1 && w.state.ipv4[0].resolvers.count == 0);
	assert_int_equal(ack_with(OPTIONS_OF(3, 4, 192, 168, 64, 1, 3, 4, 192, 168, 64, 77)), PASS);
	assert_int_equal(w.state.ipv4[0].routers.count, 2); /* RFC 3396: one list in two parts */
	assert_int_equal(ack_with(OPTIONS_OF(61, 1, 7, 61, 2, 0, 7, 50, 1, 9)), PASS);
	assert_int_equal(ack_with(OPTIONS_OF(82, 2, 1, 0, 12, 1, 'a', 12, 1, 'b')), PASS);
}

static void odd_replies_that_leave_a_doubt(void **state)
{
	(void)state;
	assert_int_equal(ack_with(OPTIONS_OF(54, 4, 192, 168, 64, 2)), DROP_DHCP4_MALFORMED);
	assert_int_equal(ack_with(OPTIONS_OF(51, 4, 0, 0, 14, 16)), DROP_DHCP4_MALFORMED);
	assert_int_equal(ack_with(OPTIONS_OF(53, 1, 6)), DROP_DHCP4_MALFORMED);
	assert_int_equal(ack_with(OPTIONS_OF(1, 4, 255, 255, 255, 0, 1, 4, 255, 255, 0, 0)), DROP_DHCP4_MALFORMED);
	assert_int_equal(ack_with(OPTIONS_OF(51, 2, 0, 0)), DROP_DHCP4_MALFORMED); /* in parts, RFC 3396 */
	assert_int_equal(ack_with(OPTIONS_OF(52, 1, 0)), DROP_DHCP4_MALFORMED);
	assert_int_equal(ack_with(OPTIONS_OF(52, 1, 1, 52, 1, 2)), DROP_DHCP4_MALFORMED);
	assert_int_equal(ack_with(OPTIONS_OF(159, 4, 8, 2, 0, 0)), DROP_DHCP4_BAD_LEASE); /* others have it, too */
	assert_false(owns(GUEST_IP));
}

/* What stands in the middle of its last option says as much as all before it. */
static void replies_that_end_too_early(void **state)
{
	static const struct {
		uint8_t code;
		bool decides;
	} rows[] = {
		{ 43, false }, { 12, true }, { 15, false }, { 1, true },  { 3, true },    { 6, true },
		{ 51, true },  { 54, true }, { 53, true },  { 52, true }, { 108, false }, { 159, true },
	};
	(void)state;
	for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (uint32_t octets = 1; octets <= 3; octets++) {
			start_world(&w, true);
			select_address();
			put_server_message(&w, &good_ack);
			memcpy(w.frame + w.length - 1, (uint8_t[]){ rows[i].code, 4, 1 }, 3); /* where END stood */
			set_length(w.length - 1 + octets);
			GUEST_GETS(rows[i].decides ? DROP_DHCP4_MALFORMED : PASS);
			assert_int_equal(owns(GUEST_IP), !rows[i].decides);
		}
	start_world(&w, true); /* nor is END missed */
	select_address();
	put_server_message(&w, &good_ack);
	set_length(w.length - 1);
	GUEST_GETS(PASS);
}

static void replies_go_on_in_file_and_sname(void **state)
{
	static const uint8_t both[] = { 52, 1, 3 };
	struct dhcp_spec spec = good_ack;
	(void)state;
	spec.lease_s = 0;
	spec.extra = both;
	spec.extra_octets = sizeof both;
	for (int i = 0; i < 4; i++) {
		start_world(&w, true);
		select_address();
		put_server_message(&w, &spec);
		memcpy(w.frame + FILE_NAME, (uint8_t[]){ 51, 4, 0, 0, 0, 60, 255 }, 7);
		memcpy(w.frame + SNAME, (uint8_t[]){ 6, 4, 9, 9, 9, 9, 0 }, 7); /* END is missing; all is zero behind it */
		if (i == 1)
			memcpy(w.frame + SNAME, (uint8_t[]){ 51, 4, 0, 0, 0, 60 }, 6);
		if (i == 2)
			memcpy(w.frame + SNAME, (uint8_t[]){ 51, 4, 0, 0, 0, 61 }, 6);
		if (i == 3)
			memcpy(w.frame + SNAME, (uint8_t[]){ 52, 1, 1 }, 3);
		GUEST_GETS(i < 2 ? PASS : DROP_DHCP4_MALFORMED);
	}
}

/* Servers ask a guest's message for its options in several ways; they must all read what the guard read. */
static void requests_are_read_strictly(void **state)
{
	static const uint8_t codes[] = { 12, 50, 52, 53, 54, 61, 81 };
	(void)state;
	for (uint32_t i = 0; i < sizeof codes; i++) {
		const uint8_t code = codes[i],
			      *once = (const uint8_t[]){ code, 4, 0, 'a', 'b', 'c', code, 4, 0, 'a', 'b', 'c' };
		assert_int_equal(discover_with(once, 12), DROP_DHCP4_MALFORMED);
		assert_int_equal(discover_with((const uint8_t[]){ code, 0, code, 0 }, 4), DROP_DHCP4_MALFORMED);
		put_client_message(&w, &(struct dhcp_spec){ .type = 1 });
		memcpy(w.frame + w.length - 1, (uint8_t[]){ code, 9, 1 }, 3);
		set_length(w.length + 2);
		GUEST_SENDS(DROP_DHCP4_MALFORMED);
	}
	assert_int_equal(discover_with(OPTIONS_OF(12, 2, 'v', 'm', 81, 5, 0, 0, 0, 'v', 'm', 55, 2, 1, 3, 55, 1, 6)),
			 PASS);
	assert_int_equal(discover_with(OPTIONS_OF(43, 9, 1)), DROP_DHCP4_MALFORMED);

	/* ISC's client joins what a server says twice, and says it so, too. */
	static const uint8_t twice[] = { 54, 8, 192, 168, 64, 1, 192, 168, 64, 1 },
			     two[] = { 54, 8, 192, 168, 64, 1, 192, 168, 64, 2 };
	for (int i = 0; i < 3; i++) {
		struct dhcp_spec request = {
			.type = 3, .requested = GUEST_IP, .extra = i == 1 ? two : twice, .extra_octets = i == 2 ? 8 : 10
		};
		start_world(&w, true);
		put_client_message(&w, &request);
		if (i == 2)
			w.frame[w.length - 1 - 7] = 6; /* no whole address */
		GUEST_SENDS(i == 0 ? PASS : DROP_DHCP4_MALFORMED);
	}
}

/* A relay's words, and those by which a client asks for addresses of another network, or for a whole one. */
static void no_guest_speaks_as_a_relay(void **state)
{
	static const uint8_t codes[] = { 82, 118, 220, 221 };
	(void)state;
	for (uint32_t i = 0; i < sizeof codes; i++) {
		assert_int_equal(discover_with((const uint8_t[]){ codes[i], 0 }, 2), DROP_DHCP4_RELAY_FIELDS);
		assert_int_equal(discover_with((const uint8_t[]){ codes[i], 4, 10, 0, 0, 0 }, 6),
				 DROP_DHCP4_RELAY_FIELDS);
	}
}

/* Option overload: not every server looks into file and sname, so nothing that decides may stand there. */
static void overloaded_requests(void **state)
{
	static const uint8_t overload[] = { 52, 1, 3 }, hidden[] = { 12, 50, 51, 53, 54, 61, 80, 81, 82, 118, 220, 221 };
	struct dhcp_spec spec = { .type = 1, .extra = overload, .extra_octets = sizeof overload };
	(void)state;
	start_world(&w, true);
	w.config.rates[RATE_OF_DHCP].burst = 0;
	put_client_message(&w, &spec);
	memcpy(w.frame + FILE_NAME, (uint8_t[]){ 55, 2, 1, 3, 255 }, 5);
	GUEST_SENDS(DROP_DHCP4_MALFORMED); /* sname does not end */
	w.frame[SNAME] = 255;
	GUEST_SENDS(PASS);
	for (uint32_t i = 0; i < sizeof hidden; i++)
		for (int area = 0; area < 2; area++) {
			put_client_message(&w, &spec);
			w.frame[FILE_NAME] = w.frame[SNAME] = 255;
			memcpy(w.frame + (area ? SNAME : FILE_NAME), (uint8_t[]){ hidden[i], 4, 1, 2, 3, 4, 255 }, 7);
			GUEST_SENDS(DROP_DHCP4_MALFORMED);
		}
}

static void reply_of_another_hardware_length(void **state)
{
	(void)state;
	start_world(&w, true);
	select_address();
	put_server_message(&w, &good_ack);
	w.frame[DHCP + 2] = 5;
	GUEST_GETS(DROP_DHCP4_MALFORMED);
	w.frame[DHCP + 2] = 16;
	w.frame[DHCP + 1] = 6;
	GUEST_GETS(DROP_DHCP4_MALFORMED);
	w.frame[DHCP + 1] = 1;
	GUEST_GETS(PASS);
	assert_true(owns(GUEST_IP));
	put_client_message(&w, &(struct dhcp_spec){ .type = 1 });
	w.frame[DHCP + 2] = 16;
	GUEST_SENDS(DROP_DHCP4_CHADDR);
}

/* RFC 2131 4.1 fixes the port that an answer goes to. */
static void servers_that_answer_from_another_port(void **state)
{
	struct dhcp_spec answer = good_offer;
	(void)state;
	start_world(&w, true);
	answer.ip_to = GUEST_IP;
	discover();
	put_server_message(&w, &answer);
	set_be16(PORT_FROM, FAR_PORT);
	GUEST_GETS(PASS);
	select_address();
	answer.type = 5;
	put_server_message(&w, &answer);
	set_be16(PORT_FROM, FAR_PORT);
	GUEST_GETS(PASS);
	assert_true(owns(GUEST_IP) && w.state.ipv4[0].server_port == FAR_PORT);

	/* The renewal comes to an address that the guest has, from the port that gave it. */
	w.now_ms += 300 * 1000;
	answer.xid = 7;
	put_client_message(
	    &w,
	    &(struct dhcp_spec){
		.type = 3, .xid = 7, .ciaddr = GUEST_IP, .ip_from = GUEST_IP, .ip_to = GATEWAY_IP, .mac_to = GATEWAY_MAC });
	GUEST_SENDS(PASS);
	put_server_message(&w, &answer);
	set_be16(PORT_FROM, FAR_PORT + 1);
	GUEST_GETS(DROP_DHCP4_PORT_MISUSE);
	set_be16(PORT_FROM, FAR_PORT);
	GUEST_GETS(PASS);
	w.now_ms += 400 * 1000;
	assert_true(owns(GUEST_IP));
	put_server_message(&w, &answer); /* to the client's port alone */
	set_be16(PORT_TO, 67);
	GUEST_GETS(DROP_DHCP4_PORT_MISUSE);
}

/* A NAT that hides who calls behind the gateway's address must not make a DHCP server of everybody. */
static void nobody_speaks_for_the_server_through_a_nat(void **state)
{
	struct dhcp_spec forged = good_ack;
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	w.now_ms += 20000;
	forged.ip_to = GUEST_IP;
	for (int i = 0; i < 2; i++) {
		forged.yiaddr = i == 0 ? VICTIM_IP : GUEST_IP;
		forged.xid = 20 + (uint32_t)i;
		put_client_message(&w,
				   &(struct dhcp_spec){
				       .type = 3, .xid = forged.xid, .requested = forged.yiaddr, .server = GATEWAY_IP });
		GUEST_SENDS(PASS);
		put_server_message(&w, &forged);
		set_be16(PORT_FROM, 5000);
		GUEST_GETS(DROP_DHCP4_PORT_MISUSE);
	}
	w.now_ms += 600 * 1000; /* nor to the one that it had a moment ago */
	assert_false(owns(GUEST_IP));
	forged.yiaddr = VICTIM_IP;
	put_client_message(
	    &w, &(struct dhcp_spec){ .type = 3, .xid = forged.xid, .requested = VICTIM_IP, .server = GATEWAY_IP });
	GUEST_SENDS(PASS);
	put_server_message(&w, &forged);
	set_be16(PORT_FROM, 5000);
	GUEST_GETS(DROP_DHCP4_PORT_MISUSE);
	assert_false(owns(VICTIM_IP));
}

/* RFC 8925 3.3.1 and RFC 2563 2; PXE's boot servers do it, too. */
static void offers_without_an_address(void **state)
{
	static const uint8_t ipv6_only[] = { 108, 4, 0, 0, 7, 8 };
	struct dhcp_spec offer = { .type = 2, .server = GATEWAY_IP, .extra = ipv6_only, .extra_octets = 6 };
	(void)state;
	start_world(&w, true);
	discover();
	put_server_message(&w, &offer);
	GUEST_GETS(PASS);
	assert_true(w.state.dhcp4[0].prefers_ipv6 && is_unset(w.state.dhcp4[0].offered));
	offer.type = 5; /* it is the ACK that would bind */
	offer.lease_s = 600;
	put_server_message(&w, &offer);
	GUEST_GETS(DROP_DHCP4_NO_TRANSACTION);
	select_address();
	put_server_message(&w, &offer);
	GUEST_GETS(DROP_DHCP4_BAD_LEASE);
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806); /* nor is there anything to probe for */
	put_arp(&w, 1, GUEST_MAC, 0, 0);
	GUEST_SENDS(DROP_ARP_PROBE_TARGET);
	assert_false(has_lease4(&w.state, w.now_ms));

	/* What it offers is heeded by guests all the same: a boot image, or no network. So only trusted ones may. */
	start_world(&w, true);
	discover();
	offer.type = 2;
	offer.server = offer.ip_from = BOOT_SERVER_IP;
	offer.mac_from = FOREIGN_MAC;
	put_server_message(&w, &offer);
	GUEST_GETS(DROP_DHCP4_ROGUE_SERVER);
	set_add(&w.config.servers, address_of_ipv4(GATEWAY_IP));
	set_add(&w.config.servers, address_of_ipv4(BOOT_SERVER_IP));
	put_server_message(&w, &offer);
	GUEST_GETS(PASS);
}

static void ask_boot_server(struct dhcp_spec spec, uint16_t port, enum verdict wanted)
{
	put_client_message(&w, &spec);
	set_be16(PORT_TO, port);
	GUEST_SENDS(wanted);
}

/* As the plug-in dhcp of CNI renews. No server need answer that, so no silence follows from it. */
static void a_rebinding_that_names_its_server(void **state)
{
	(void)state;
	struct dhcp_spec rebind = { .type = 3, .xid = 7, .ciaddr = GUEST_IP, .requested = GUEST_IP, .server = GATEWAY_IP };
	start_world(&w, true);
	put_client_message(&w, &rebind);
	GUEST_SENDS(DROP_DHCP4_FORM); /* RESYNC: it has no lease */
	lease(&w, GUEST_IP, 600);
	w.now_ms += 1000;
	struct learned before = w.state.learned;
	put_client_message(&w, &rebind);
	GUEST_SENDS(PASS);
	assert_memory_equal(&before.asked, &w.state.learned.asked, sizeof before.asked);
	put_server_message(
	    &w, &(struct dhcp_spec){ .type = 5, .xid = 7, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 900 });
	GUEST_GETS(PASS);
	assert_true(w.state.ipv4[0].expires_ms > w.now_ms + 800 * 1000);
	rebind.server = VICTIM_IP;
	put_client_message(&w, &rebind);
	GUEST_SENDS(DROP_DHCP4_FORM);
	rebind.server = GATEWAY_IP;
	rebind.requested = VICTIM_IP;
	put_client_message(&w, &rebind);
	GUEST_SENDS(DROP_DHCP4_FORM);
	rebind.ciaddr = VICTIM_IP;
	put_client_message(&w, &rebind);
	GUEST_SENDS(DROP_DHCP4_NOT_OWNER);
}

/* PXE: 68 to 4011 of a server that is trusted, and its answer. */
static void boot_servers(void **state)
{
	const struct dhcp_spec ask = { .type = 3,
				       .xid = 9,
				       .ciaddr = GUEST_IP,
				       .ip_from = GUEST_IP,
				       .ip_to = BOOT_SERVER_IP,
				       .mac_to = FOREIGN_MAC,
				       .server = BOOT_SERVER_IP };
	struct dhcp_spec change, answer = { .type = 5,
					    .xid = 9,
					    .server = BOOT_SERVER_IP,
					    .ip_from = BOOT_SERVER_IP,
					    .mac_from = FOREIGN_MAC,
					    .ip_to = GUEST_IP,
					    .lease_s = 600 };
	(void)state;
	start_world(&w, true);
	ask_boot_server(ask, 4011, DROP_DHCP4_NOT_OWNER);
	lease(&w, GUEST_IP, 600);
	ask_boot_server(ask, 4011, DROP_DHCP4_FORM); /* it is no server */
	change = ask;
	change.server = 0;
	ask_boot_server(change, 4011, DROP_DHCP4_ADDRESSING);
	set_add(&w.config.servers, address_of_ipv4(GATEWAY_IP));
	set_add(&w.config.servers, address_of_ipv4(BOOT_SERVER_IP));
	ask_boot_server(ask, 4012, DROP_DHCP4_PORT_MISUSE);
	change = ask;
	change.type = 1;
	ask_boot_server(change, 4011, DROP_DHCP4_TYPE);
	change.type = 7; /* a RELEASE there would free what the guard still grants */
	ask_boot_server(change, 4011, DROP_DHCP4_TYPE);
	change = ask;
	change.ip_from = VICTIM_IP;
	ask_boot_server(change, 4011, DROP_DHCP4_NOT_OWNER);
	change = ask;
	change.chaddr = VICTIM_MAC;
	ask_boot_server(change, 4011, DROP_DHCP4_CHADDR);
	ask_boot_server(ask, 4011, PASS);

	struct binding before = w.state.ipv4[0];
	put_server_message(&w, &answer); /* no address, or the one that asked */
	set_be16(PORT_FROM, 4011);
	GUEST_GETS(PASS);
	answer.yiaddr = GUEST_IP;
	put_server_message(&w, &answer);
	set_be16(PORT_FROM, 4011);
	GUEST_GETS(PASS);
	answer.yiaddr = VICTIM_IP;
	put_server_message(&w, &answer);
	set_be16(PORT_FROM, 4011);
	GUEST_GETS(DROP_DHCP4_BAD_LEASE);
	answer.type = 6;
	put_server_message(&w, &answer);
	GUEST_GETS(DROP_DHCP4_NO_TRANSACTION);
	assert_memory_equal(&before, &w.state.ipv4[0], sizeof before);
	answer.type = 5;
	answer.yiaddr = 0;
	answer.mac_from = VICTIM_MAC; /* a router's address; the boot server's own MAC is not known */
	answer.ip_from = GATEWAY_IP;
	put_server_message(&w, &answer);
	GUEST_GETS(DROP_DHCP4_ROGUE_SERVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_replies_that_say_one_thing),
		cmocka_unit_test(odd_replies_that_leave_a_doubt),
		cmocka_unit_test(replies_that_end_too_early),
		cmocka_unit_test(replies_go_on_in_file_and_sname),
		cmocka_unit_test(requests_are_read_strictly),
		cmocka_unit_test(no_guest_speaks_as_a_relay),
		cmocka_unit_test(overloaded_requests),
		cmocka_unit_test(reply_of_another_hardware_length),
		cmocka_unit_test(servers_that_answer_from_another_port),
		cmocka_unit_test(nobody_speaks_for_the_server_through_a_nat),
		cmocka_unit_test(offers_without_an_address),
		cmocka_unit_test(a_rebinding_that_names_its_server),
		cmocka_unit_test(boot_servers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
