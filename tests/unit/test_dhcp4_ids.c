/* DHCPv4: client identifiers, transaction ids used again, RESYNC, and the grace of an address that was replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/learn4/lease.h"
#include "amount.h"
#include "world.h"

#include <cmocka.h>

static struct world w;

enum { SECOND_MS = 1000, DAY_S = 24 * 3600, ACROSS_IP = 0x0a090909 };

#define GUEST_SENDS(wanted) expect_verdict(&w, from_guest(&w), wanted, __FILE__, __LINE__)
#define GUEST_GETS(wanted)  expect_verdict(&w, to_guest(&w), wanted, __FILE__, __LINE__)

static bool owns(uint32_t address)
{
	return owns_address4(&w.state, address_of_ipv4(address), w.now_ms);
}

static enum verdict client(struct dhcp_spec spec)
{
	put_client_message(&w, &spec);
	return from_guest(&w);
}

static enum verdict server(struct dhcp_spec spec)
{
	put_server_message(&w, &spec);
	return to_guest(&w);
}

static enum verdict ack_of(uint32_t xid, uint32_t address)
{
	return server((struct dhcp_spec){ .type = 5,
					  .xid = xid,
					  .yiaddr = address,
					  .server = GATEWAY_IP,
					  .lease_s = 600,
					  .mask = 0xffffff00,
					  .router = GATEWAY_IP });
}

static enum verdict offer_of(uint32_t xid, uint32_t address)
{
	return server((struct dhcp_spec){ .type = 2, .xid = xid, .yiaddr = address, .server = GATEWAY_IP });
}

static enum verdict select_address(uint32_t xid, uint32_t address)
{
	return client((struct dhcp_spec){ .type = 3, .xid = xid, .requested = address, .server = GATEWAY_IP });
}

static enum verdict renew(uint32_t xid, uint32_t address)
{
	return client((struct dhcp_spec){
	    .type = 3, .xid = xid, .ciaddr = address, .ip_from = address, .ip_to = GATEWAY_IP, .mac_to = GATEWAY_MAC });
}

static enum verdict rebind(uint32_t xid, uint32_t address)
{
	return client((struct dhcp_spec){ .type = 3, .xid = xid, .ciaddr = address, .ip_from = address });
}

static enum verdict give_back(uint32_t address)
{
	return client((struct dhcp_spec){
	    .type = 7, .ciaddr = address, .ip_from = address, .ip_to = GATEWAY_IP, .mac_to = GATEWAY_MAC });
}

/* RFC 2132 9.14: of type 1 it is a MAC, and whose decides. Others are the client's own choice. */
static void client_identifiers_that_name_a_mac(void **state)
{
	static const struct {
		uint8_t option[10];
		uint32_t octets;
		enum verdict verdict;
	} cases[] = {
		{ { 61, 7, 1, 0x52, 0x54, 0, 0, 0, 0x0a }, 9, PASS },
		{ { 61, 7, 1, 0x52, 0x54, 0, 0, 0, 0x0b }, 9, DROP_DHCP4_CLIENT_ID_SPOOF },
		{ { 61, 7, 1, 0x53, 0x54, 0, 0, 0, 0x0a }, 9, DROP_DHCP4_CLIENT_ID_SPOOF },
		{ { 61, 6, 1, 0x52, 0x54, 0, 0, 0 }, 8, DROP_DHCP4_CLIENT_ID_SPOOF },
		{ { 61, 8, 1, 0x52, 0x54, 0, 0, 0, 0x0a, 0 }, 10, DROP_DHCP4_CLIENT_ID_SPOOF },
		{ { 61, 7, 0, 0x52, 0x54, 0, 0, 0, 0x0b }, 9, PASS },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		start_world(&w, true);
		assert_int_equal(
		    client((struct dhcp_spec){ .type = 1, .extra = cases[i].option, .extra_octets = cases[i].octets }),
		    cases[i].verdict);
	}
}

/* A message has 128 options at most. */
static void many_options(void **state)
{
	uint8_t options[2 * 128];
	(void)state;
	for (uint32_t i = 0; i < 128; i++) {
		options[2 * i] = 200;
		options[2 * i + 1] = 0;
	}
	for (uint32_t n = 127; n <= 128; n++) {
		start_world(&w, true);
		assert_int_equal(client((struct dhcp_spec){ .type = 1, .extra = options, .extra_octets = 2 * n }),
				 n == 127 ? PASS : DROP_DHCP4_MALFORMED);
	}
}

/* --- transaction ids ---------------------------------------------------------------------------------------------- */

/* dhcpcd's xidhwaddr, and systemd-networkd: one id for all. Where all was answered nothing can come late. */
static void one_id_for_all(void **state)
{
	(void)state;
	start_world(&w, true);
	for (int i = 0; i < 3; i++) {
		lease(&w, GUEST_IP, 600);
		w.now_ms += 3 * SECOND_MS;
		assert_int_equal(renew(XID, GUEST_IP), PASS);
		assert_int_equal(ack_of(XID, GUEST_IP), PASS);
		w.now_ms += 2 * SECOND_MS;
		assert_int_equal(give_back(GUEST_IP), PASS);
		assert_false(owns(GUEST_IP));
		w.now_ms += SECOND_MS;
	}
	lease(&w, GUEST_IP, 600);
	w.now_ms += 5 * SECOND_MS;
	assert_int_equal(client((struct dhcp_spec){ .type = 4, .requested = GUEST_IP, .server = GATEWAY_IP }), PASS);
	w.now_ms += 10 * SECOND_MS; /* RFC 2131 3.1.5 */
	lease(&w, GUEST_IP + 1, 600);
}

/* Only an OFFER can answer a DISCOVER, and an OFFER binds nothing. */
static void a_late_ack_meets_a_discover(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	w.now_ms += 20 * SECOND_MS;
	assert_int_equal(renew(XID, GUEST_IP), PASS);
	assert_int_equal(give_back(GUEST_IP), PASS);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(client((struct dhcp_spec){ .type = 1, .rapid_commit = i == 1 }), PASS);
		assert_int_equal(ack_of(XID, GUEST_IP), DROP_DHCP4_NO_TRANSACTION);
		assert_int_equal(
		    server((struct dhcp_spec){
			.type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600, .rapid_commit = true }),
		    DROP_DHCP4_NO_TRANSACTION);
	}
	assert_int_equal(offer_of(XID, GUEST_IP), PASS);
	assert_int_equal(select_address(XID, GUEST_IP), DROP_DHCP4_SPENT_ID);
	assert_int_equal(client((struct dhcp_spec){ .type = 3, .requested = GUEST_IP }), DROP_DHCP4_SPENT_ID);
	assert_int_equal(ack_of(XID, GUEST_IP), DROP_DHCP4_NO_TRANSACTION);
	assert_false(owns(GUEST_IP));
	assert_int_equal(select_address(XID + 1, GUEST_IP), PASS);
	w.now_ms += 64 * SECOND_MS;
	assert_int_equal(select_address(XID, GUEST_IP), PASS);
}

/* Every way to leave an answer behind: a repeated REQUEST, two relays, two servers, rapid commit. */
static void answers_that_may_still_come(void **state)
{
	static const struct {
		int requests, seconds;
		bool to_all, rapid, refused;
	} rows[] = {
		{ 1, 0, false, false, true },                                 /* the copy by the second relay */
		{ 1, 2, false, false, false },  { 2, 5, false, false, true }, /* one of two is answered */
		{ 2, 64, false, false, false }, { 1, 2, true, false, true },  /* another server has heard it, too */
		{ 1, 10, true, false, false },  { 1, 2, false, true, true },
	};
	(void)state;
	for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		start_world(&w, true);
		lease(&w, GUEST_IP, 600);
		w.now_ms += 20 * SECOND_MS;
		for (int k = 0; k < rows[i].requests; k++)
			assert_int_equal(rows[i].rapid
					     ? client((struct dhcp_spec){ .type = 1, .xid = 7, .rapid_commit = true })
					 : rows[i].to_all ? rebind(7, GUEST_IP)
							  : renew(7, GUEST_IP),
					 PASS);
		assert_int_equal(server((struct dhcp_spec){ .type = 5,
							    .xid = 7,
							    .yiaddr = GUEST_IP,
							    .server = GATEWAY_IP,
							    .lease_s = 600,
							    .rapid_commit = rows[i].rapid }),
				 PASS);
		w.now_ms += (uint64_t)rows[i].seconds * SECOND_MS;
		assert_int_equal(give_back(GUEST_IP), PASS);
		assert_int_equal(select_address(7, GUEST_IP), rows[i].refused ? DROP_DHCP4_SPENT_ID : PASS);
		enum verdict late = ack_of(7, GUEST_IP);
		assert_true(late == PASS || late == DROP_DHCP4_NO_TRANSACTION); /* a copy of the first one, without effect */
		assert_int_equal(owns(GUEST_IP), !rows[i].refused);
	}
}

/* Two relays may bring each answer twice. */
static void repeated_acks_are_answers(void **state)
{
	(void)state;
	start_world(&w, true);
	assert_int_equal(select_address(7, GUEST_IP), PASS);
	assert_int_equal(select_address(7, GUEST_IP), PASS);
	assert_int_equal(ack_of(7, GUEST_IP), PASS);
	assert_int_equal(ack_of(7, GUEST_IP), PASS); /* both are answered now */
	w.now_ms += 3 * SECOND_MS;
	assert_int_equal(give_back(GUEST_IP), PASS);
	assert_int_equal(select_address(7, GUEST_IP), PASS);
}

/* --- client identifiers ------------------------------------------------------------------------------------------- */

static enum verdict discover_as(uint32_t id)
{
	const uint8_t option[] = { 61, 5, 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id };
	return client((struct dhcp_spec){ .type = 1, .xid = 100 + id, .extra = option, .extra_octets = sizeof option });
}

static enum verdict request_as(uint32_t id, uint32_t address, uint32_t lease_s)
{
	const uint8_t option[] = { 61, 5, 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id };
	enum verdict verdict = client((struct dhcp_spec){
	    .type = 3, .xid = 100 + id, .requested = address, .server = GATEWAY_IP, .extra = option, .extra_octets = 7 });
	if (verdict == PASS)
		server((struct dhcp_spec){
		    .type = 5, .xid = 100 + id, .yiaddr = address, .server = GATEWAY_IP, .lease_s = lease_s });
	return verdict;
}

/* Firmware, loader, installer and system, and then reboots: each calls itself otherwise, and all want an address now. */
static void eight_boot_stages_in_a_minute(void **state)
{
	(void)state;
	start_world(&w, true);
	for (uint32_t id = 0; id < 8; id++) {
		assert_int_equal(discover_as(id), PASS);
		assert_int_equal(offer_of(100 + id, GUEST_IP + id), PASS);
		assert_int_equal(request_as(id, GUEST_IP + id, DAY_S), PASS);
		assert_true(owns(GUEST_IP + id));
		w.now_ms += 7 * SECOND_MS;
	}
	assert_int_equal(discover_as(8), DROP_DHCP4_CLIENT_ID_LIMIT);
	assert_int_equal(discover_as(7), PASS); /* who is known may come again */
	assert_int_equal(discover_as(0), PASS);
	w.now_ms += 500 * SECOND_MS;
	assert_int_equal(discover_as(8), PASS);
	for (int i = 0; i < 3; i++) /* and costs one token, however often it asks */
		assert_int_equal(discover_as(8), PASS);
}

/*
 * The most that a hostile guest can hold of a server that leases an address to each identifier: what it lets go of, by
 * RELEASE or in silence, the server may not have heard of.
 */
static uint32_t most_leases(uint32_t seconds, uint32_t lease_s, bool gives_back)
{
	static uint64_t ends_ms[4096];
	uint32_t leases = 0, most = 0;
	start_world(&w, true);
	uint64_t start_ms = w.now_ms;
	memset(ends_ms, 0, sizeof ends_ms);
	for (uint32_t id = 0; w.now_ms < start_ms + (uint64_t)seconds * SECOND_MS; w.now_ms += 2 * SECOND_MS) {
		if (request_as(id, GUEST_IP + id % 200, lease_s) == PASS) {
			ends_ms[leases++ % 4096] = w.now_ms + (uint64_t)lease_s * SECOND_MS;
			if (gives_back)
				give_back(GUEST_IP + id % 200);
			id++;
		}
		uint32_t held = 0;
		for (uint32_t i = 0; i < 4096; i++)
			held += w.now_ms < ends_ms[i];
		most = held > most ? held : most;
		expire_bindings(&w.guard, w.now_ms);
	}
	return most;
}

static void nobody_drains_a_pool(void **state)
{
	(void)state;
	for (int gives_back = 0; gives_back < 2; gives_back++) { /* its RELEASE names no identifier, which is one more */
		assert_int_equal(most_leases(600, DAY_S, gives_back), 9 - gives_back);
		assert_int_equal(most_leases(DAY_S, 600, gives_back), 9 - gives_back);
		assert_int_equal(most_leases(DAY_S, 12 * 3600, gives_back), 32);
		if (amount(4) == 4)
			assert_int_equal(most_leases(3 * DAY_S, 30 * DAY_S, gives_back), 32);
	}
}

/* --- RESYNC ------------------------------------------------------------------------------------------------------- */

static enum verdict renew_at(uint32_t address, uint32_t to, uint64_t to_mac)
{
	w.now_ms += 3 * SECOND_MS;
	return client((struct dhcp_spec){
	    .type = 3, .xid = 7, .ciaddr = address, .ip_from = address, .ip_to = to, .mac_to = to_mac });
}

/* The guard was restarted, and knows nothing of the server: the client turns to it all the same, from T1 to T2. */
static void unknown_leases_are_renewed_by_unicast(void **state)
{
	(void)state;
	start_world(&w, false);
	assert_int_equal(renew_at(GUEST_IP, GATEWAY_IP, GATEWAY_MAC), PASS);
	assert_false(owns(GUEST_IP));
	assert_int_equal(ack_of(7, GUEST_IP), PASS);
	assert_true(owns(GUEST_IP));
	start_world(&w, false);
	assert_int_equal(renew_at(GUEST_IP, ACROSS_IP, GATEWAY_MAC), PASS); /* the server behind a relay */
	assert_int_equal(renew_at(GUEST_IP, GLOBAL_IP, GATEWAY_MAC), DROP_DHCP4_ADDRESSING);
	assert_int_equal(renew_at(GLOBAL_IP, GATEWAY_IP, GATEWAY_MAC), DROP_DHCP4_ADDRESSING);
	assert_int_equal(renew_at(GUEST_IP, SUBNET_BROADCAST, MAC_BROADCAST), DROP_DHCP4_ADDRESSING);
	w.config.no_resync = 1;
	assert_int_equal(renew_at(GUEST_IP, GATEWAY_IP, GATEWAY_MAC), DROP_DHCP4_NOT_OWNER);

	/* Where the next hops are known, by one of them. */
	start_world(&w, true);
	assert_int_equal(renew_at(GUEST_IP, ACROSS_IP, VICTIM_MAC), DROP_DHCP4_ADDRESSING);
	assert_int_equal(renew_at(GUEST_IP, ACROSS_IP, GATEWAY_MAC), PASS);
	w.config.strict_anchors = 1;
	assert_int_equal(renew_at(GUEST_IP, ACROSS_IP, GATEWAY_MAC), DROP_DHCP4_ADDRESSING);
	assert_int_equal(renew_at(GUEST_IP, GATEWAY_IP, GATEWAY_MAC), PASS);
}

/* bootpd acknowledges whatever address a known client renews. So once a lease was seen only that one may be meant. */
static void a_guest_that_had_a_lease_resyncs_no_other(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	w.now_ms += 20 * SECOND_MS;
	assert_int_equal(give_back(GUEST_IP), PASS);
	assert_int_equal(renew_at(VICTIM_IP, GATEWAY_IP, GATEWAY_MAC), DROP_DHCP4_NOT_OWNER);
	assert_int_equal(renew_at(GUEST_IP, GATEWAY_IP, GATEWAY_MAC), DROP_DHCP4_NOT_OWNER);
	assert_int_equal(rebind(8, VICTIM_IP), DROP_DHCP4_NOT_OWNER);

	/* It slept, and its clock with it. */
	for (int is_noticed = 0; is_noticed < 2; is_noticed++) {
		start_world(&w, true);
		lease(&w, GUEST_IP, 600);
		w.now_ms += 7200 * SECOND_MS;
		if (is_noticed)
			expire_bindings(&w.guard, w.now_ms);
		assert_false(owns(GUEST_IP));
		assert_int_equal(renew_at(VICTIM_IP, GATEWAY_IP, GATEWAY_MAC), DROP_DHCP4_NOT_OWNER);
		assert_int_equal(renew_at(GUEST_IP, GATEWAY_IP, GATEWAY_MAC), PASS);
		assert_int_equal(ack_of(7, GUEST_IP), PASS);
		assert_true(owns(GUEST_IP));
	}

	/* The operator says that the VM was set back, or the network changed. */
	w.now_ms += 7200 * SECOND_MS;
	assert_int_equal(rebind(8, OTHER_IP), DROP_DHCP4_NOT_OWNER);
	relearn(&w.state);
	assert_int_equal(rebind(8, OTHER_IP), PASS);

	/* systemd-networkd does not hear a broadcast NAK while it renews; when it rebinds it listens. */
	for (int is_asleep = 0; is_asleep < 2; is_asleep++) {
		start_world(&w, true);
		lease(&w, GUEST_IP, 600);
		w.now_ms += (is_asleep ? 7200U : 300U) * SECOND_MS;
		for (int i = 0; i < 2; i++) {
			assert_int_equal(renew_at(GUEST_IP, GATEWAY_IP, GATEWAY_MAC), PASS);
			assert_int_equal(server((struct dhcp_spec){ .type = 6, .xid = 7, .server = GATEWAY_IP }), PASS);
			assert_false(owns(GUEST_IP));
		}
		assert_int_equal(rebind(8, VICTIM_IP), DROP_DHCP4_NOT_OWNER);
	}
}

/* --- grace -------------------------------------------------------------------------------------------------------- */

static enum verdict send_data(uint32_t from)
{
	put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&w, from, GLOBAL_IP, 6, 0, 20);
	put_zeros(&w, 20);
	return from_guest(&w);
}

/* The server may give the old address away at once. It ends with the first frame from the new one. */
static void the_new_address_ends_the_grace(void **state)
{
	(void)state;
	for (int by_arp = 0; by_arp < 2; by_arp++) {
		start_world(&w, true);
		lease(&w, GUEST_IP, 600);
		w.now_ms += 60 * SECOND_MS;
		lease(&w, OTHER_IP, 600);
		w.now_ms += SECOND_MS;
		put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806); /* a probe is no use yet */
		put_arp(&w, 1, GUEST_MAC, 0, OTHER_IP);
		GUEST_SENDS(PASS);
		assert_int_equal(send_data(GUEST_IP), PASS); /* a connection is closed */
		assert_int_equal(renew(9, OTHER_IP), PASS);
		assert_true(owns(GUEST_IP));
		if (by_arp) {
			put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
			put_arp(&w, 1, GUEST_MAC, OTHER_IP, OTHER_IP);
			GUEST_SENDS(PASS);
		} else {
			assert_int_equal(send_data(OTHER_IP), PASS);
		}
		assert_false(owns(GUEST_IP));
		assert_int_equal(w.last_event.kind, EVENT_LEASE_LOST);
		assert_int_equal(send_data(GUEST_IP), DROP_IP4_SRC_SPOOF);
	}
}

/* To the millisecond. */
static void a_grace_has_an_end(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	lease(&w, OTHER_IP, 600);
	w.now_ms += GRACE_MS - 1;
	assert_true(GRACE_MS == 30 * SECOND_MS && owns(GUEST_IP) && owns(OTHER_IP));
	w.now_ms += 1;
	assert_true(!owns(GUEST_IP) && owns(OTHER_IP));
	w.now_ms += 570 * SECOND_MS - 101; /* less 100 ms */
	assert_true(owns(OTHER_IP));
	w.now_ms += 1;
	assert_false(owns(OTHER_IP));
}

/* Another client identifier's lease is a lease beside it, not its successor. */
static void leases_of_others_have_no_grace(void **state)
{
	(void)state;
	start_world(&w, true);
	assert_int_equal(request_as(1, GUEST_IP, 600), PASS);
	assert_int_equal(request_as(2, VICTIM_IP, 600), PASS);
	assert_int_equal(request_as(2, OTHER_IP, 600), PASS);
	assert_int_equal(send_data(OTHER_IP), PASS);
	assert_true(owns(GUEST_IP) && owns(OTHER_IP) && !owns(VICTIM_IP));
	/* There and back again: the one in grace is the whole lease, and the other one in grace. */
	assert_int_equal(request_as(2, VICTIM_IP, 600), PASS);
	assert_true(owns(OTHER_IP) && owns(VICTIM_IP));
	assert_int_equal(send_data(OTHER_IP), PASS);
	assert_true(owns(VICTIM_IP));
	assert_int_equal(send_data(VICTIM_IP), PASS);
	assert_false(owns(OTHER_IP));
	assert_true(owns(GUEST_IP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_identifiers_that_name_a_mac),
		cmocka_unit_test(many_options),
		cmocka_unit_test(one_id_for_all),
		cmocka_unit_test(a_late_ack_meets_a_discover),
		cmocka_unit_test(answers_that_may_still_come),
		cmocka_unit_test(repeated_acks_are_answers),
		cmocka_unit_test(eight_boot_stages_in_a_minute),
		cmocka_unit_test(nobody_drains_a_pool),
		cmocka_unit_test(unknown_leases_are_renewed_by_unicast),
		cmocka_unit_test(a_guest_that_had_a_lease_resyncs_no_other),
		cmocka_unit_test(the_new_address_ends_the_grace),
		cmocka_unit_test(a_grace_has_an_end),
		cmocka_unit_test(leases_of_others_have_no_grace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
