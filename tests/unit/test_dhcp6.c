/* DHCPv6: which messages pass in either direction, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/learn6/lease6.h"
#include "core/wire/dhcp6.h"
#include "test_dhcp6.h"

#include <cmocka.h>

struct world w;

void begin(bool anchored)
{
	start_world6(&w, anchored);
	w.config.rates[RATE_OF_DHCP].burst = 0;
	w.config.rates[RATE_OF_UPLINK_DHCP].burst = 0;
}

const struct binding6 *binding_of(struct address a)
{
	uint32_t index = find_binding_of6(&w.state.ipv6, a.high, a.low, w.now_ms);
	return index < BINDINGS6_MAX ? &w.state.ipv6.bindings[index] : NULL;
}

/* --- from the guest ---------------------------------------------------------------------------------------------- */

static void client_types(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < 256; type++) {
		begin(true);
		bool honest = (type >= SOLICIT && type <= REBIND && type != ADVERTISE) || type == INFORMATION_REQUEST;
		bool gives_back = type == RELEASE || type == DECLINE;
		enum verdict refusal = gives_back ? DROP_DHCP6_NOT_OWNER : DROP_DHCP6_TYPE;
		if (type == DHCP6_REGISTRATION) /* not from a link-local address */
			refusal = DROP_DHCP6_ADDRESSING;
		ASKS(honest ? PASS : refusal, .type = (uint8_t)type);
		assert_true(awaits_answer6(&w.state.ipv6, ID6, w.now_ms) == honest);
	}
}

static void client_addresses(void **state)
{
	(void)state;
	begin(true);
	announce(&w, LOCAL_PREFIX);
	ASKS(DROP_DHCP6_ADDRESSING, .type = SOLICIT, .ip_from = GUEST_SLAAC);
	ASKS(DROP_DHCP6_ADDRESSING, .type = SOLICIT, .ip_from = VICTIM_LL);
	ASKS(DROP_DHCP6_ADDRESSING, .type = SOLICIT, .ip_to = ROUTER_LL);
	ASKS(DROP_DHCP6_ADDRESSING, .type = SOLICIT, .ip_to = NODES_GROUP);
	ASKS(DROP_DHCP6_ADDRESSING, .type = SOLICIT, .ip_to = ADDRESS6(0xff05000000000000ULL, 0x10003));
	ASKS(DROP_DHCP6_ADDRESSING, .type = SOLICIT, .ip_to = ROUTER_LL, .mac_to = 0x333300010002);
	ASKS(DROP_DHCP6_ADDRESSING, .type = SOLICIT, .mac_to = MAC_BROADCAST);
	ASKS(DROP_DHCP6_ADDRESSING, .type = SOLICIT, .mac_to = GATEWAY_MAC);
	ASKS(PASS, .type = SOLICIT);
	put_client_message6(&w, &(struct dhcp6_spec){ .type = SOLICIT });
	w.frame[14 + 40] = 0xc0; /* some clients have another source port */
	assert_int_equal(from_guest(&w), PASS);
	/* The snooper sees to it itself. */
	put_client_message6(&w, &(struct dhcp6_spec){ .type = SOLICIT, .ip_from = GUEST_SLAAC });
	assert_int_equal(snoop_dhcp6_client(&w.guard, &(struct frame){ .bytes = w.frame, .length = w.length }, w.now_ms),
			 DROP_DHCP6_ADDRESSING);
}

static void client_identifiers(void **state)
{
	(void)state;
	begin(true);
	for (uint8_t type = SOLICIT; type <= INFORMATION_REQUEST; type++)
		if (type != ADVERTISE && type != REPLY && type != RECONFIGURE)
			ASKS(type == INFORMATION_REQUEST ? PASS : DROP_DHCP6_MALFORMED, .type = type,
			     .no_client_id = true);

	/* Four of them, four more for tokens, and room again when an hour has gone by. One that has none takes no place. */
	for (uint8_t i = 0; i < 10; i++) {
		const uint8_t duid[] = { 0, 2, 0, 0, 0, 1, i };
		ASKS(i < 8 ? PASS : DROP_DHCP6_CLIENT_ID_LIMIT, .type = i % 2 ? SOLICIT : INFORMATION_REQUEST,
		     .duid = duid, .duid_octets = sizeof duid);
	}
	ASKS(PASS, .type = INFORMATION_REQUEST, .no_client_id = true);
	w.now_ms += 3600 * 1000;
	ASKS(PASS, .type = SOLICIT);
}

static void client_identifiers_of_others(void **state)
{
	static const uint8_t own_llt[] = { 0, 1, 0, 1, 9, 9, 9, 9, 0x52, 0x54, 0, 0, 0, 0x0a };
	static const uint8_t other_llt[] = { 0, 1, 0, 1, 9, 9, 9, 9, 0x52, 0x54, 0, 0, 0, 0x0b };
	static const uint8_t other_ll[] = { 0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, 0x0b };
	static const uint8_t infiniband[] = { 0, 3, 0, 32, 0x52, 0x54, 0, 0, 0, 0x0b };
	static const uint8_t uuid[] = { 0, 4, 0, 1, 0x52, 0x54, 0, 0, 0, 0x0b };
	(void)state;
	for (uint8_t strict = 0; strict < 2; strict++) {
		begin(true);
		w.config.strict_client_id = strict;
		enum verdict other = strict ? DROP_DHCP6_CLIENT_ID_SPOOF : PASS;
		ASKS(other, .type = SOLICIT, .duid = other_ll, .duid_octets = sizeof other_ll);
		ASKS(other, .type = SOLICIT, .duid = other_llt, .duid_octets = sizeof other_llt);
		ASKS(PASS, .type = SOLICIT, .duid = own_llt, .duid_octets = sizeof own_llt);
		ASKS(PASS, .type = SOLICIT);
		memset(w.state.ipv6.client_ids, 0, sizeof w.state.ipv6.client_ids);
		ASKS(PASS, .type = SOLICIT, .duid = infiniband, .duid_octets = sizeof infiniband);
		ASKS(PASS, .type = SOLICIT, .duid = uuid, .duid_octets = sizeof uuid);
		ASKS(PASS, .type = SOLICIT, .duid = other_ll, .duid_octets = 9); /* no MAC is that short */
		ASKS(PASS, .type = INFORMATION_REQUEST, .no_client_id = true);
	}
}

/* What a relay alone may say, and names: RFC 4704. */
static void options_that_act_on_others(void **state)
{
	static const uint8_t codes[] = { 9, 18, 37, 38, 53, 66, 68, 79 };
	static const uint8_t db[] = { 0, 39, 0, 5, 1, 2, 'd', 'b', 0 },
			     web1[] = { 0, 39, 0, 6, 1, 4, 'W', 'e', 'b', '1' };
	static const uint8_t wpad[] = { 0, 39, 0, 7, 1, 4, 'w', 'p', 'a', 'd', 0 };
	uint8_t twice[18], relayed[] = { 0, 0, 0, 4, 1, 2, 3, 4 };
	(void)state;
	for (uint32_t i = 0; i < sizeof codes; i++) {
		begin(true);
		relayed[1] = codes[i];
		ASKS(DROP_DHCP6_SERVER, .type = SOLICIT, .extra = relayed, .extra_octets = sizeof relayed);
		ASKS(DROP_DHCP6_SERVER, .type = INFORMATION_REQUEST, .no_ia = true, .extra = relayed,
		     .extra_octets = sizeof relayed);
	}
	begin(true);
	ASKS(PASS, .type = SOLICIT, .extra = db, .extra_octets = sizeof db);
	ASKS(DROP_DHCP_HOSTNAME, .type = SOLICIT, .extra = wpad, .extra_octets = sizeof wpad);
	w.config.host_names.item[0] = (struct host_name){ 4, "web1" };
	w.config.host_names.count = 1;
	ASKS(PASS, .type = SOLICIT, .extra = web1, .extra_octets = sizeof web1);
	ASKS(PASS, .type = SOLICIT);
	for (uint8_t type = SOLICIT; type <= INFORMATION_REQUEST; type++)
		if (type != ADVERTISE && type != REPLY && type != RECONFIGURE)
			ASKS(DROP_DHCP_HOSTNAME, .type = type, .extra = db, .extra_octets = sizeof db);
	memcpy(twice, db, 9);
	memcpy(twice + 9, db, 9);
	twice[15] = 'c';
	ASKS(DROP_DHCP6_MALFORMED, .type = SOLICIT, .extra = twice, .extra_octets = sizeof twice);
	ASKS(PASS, .type = SOLICIT); /* servers may say it as they like */
	ANSWERS(PASS, .type = ADVERTISE, .address = GUEST_PRIVACY, .valid_s = 600, .extra = twice,
		.extra_octets = sizeof twice);
}

static void only_owners_give_back(void **state)
{
	(void)state;
	for (uint8_t type = RELEASE; type <= DECLINE; type++) {
		begin(true);
		assert_true(add_static_binding(&w.state, GUEST_PRIVACY, 128, w.now_ms));
		ASKS(DROP_DHCP6_NOT_OWNER, .type = type, .address = VICTIM_LEASED);
		ASKS(DROP_DHCP6_NOT_OWNER, .type = type, .address = GUEST_PRIVACY); /* not leased */
		ASKS(DROP_DHCP6_NOT_OWNER, .type = type);
		ASKS(DROP_DHCP6_NOT_OWNER, .type = type, .no_ia = true);
		begin(true);
		lease6(&w, GUEST_LEASED, 600, 7);
		ASKS(DROP_DHCP6_NOT_OWNER, .type = type,
		     .ia = { { .iaid = IAID, .lease = { { .address = GUEST_LEASED }, { .address = VICTIM_LEASED } } } });
		assert_non_null(binding_of(GUEST_LEASED));
		ASKS(PASS, .type = type, .address = GUEST_LEASED);
		ASKS(DROP_DHCP6_NOT_OWNER, .type = type, .id = 9, .address = GUEST_LEASED);
		begin(true);
		lease6(&w, GUEST_LEASED, 600, 7);
		w.now_ms += 600 * 1000;
		ASKS(DROP_DHCP6_NOT_OWNER, .type = type, .address = GUEST_LEASED);
	}
}

/* --- to the guest ------------------------------------------------------------------------------------------------ */

static void server_types(void **state)
{
	(void)state;
	for (uint32_t type = 0; type < 256; type++) {
		begin(true);
		ASKS(PASS, .type = SOLICIT);
		bool relay = type == RELAY_FORWARD || type == RELAY_REPLY;
		enum verdict wanted = type == ADVERTISE ? PASS : DROP_DHCP6_TYPE;
		if (type == REPLY || type == DHCP6_REGISTRATION_REPLY)
			wanted = DROP_DHCP6_NO_TRANSACTION;
		ANSWERS(wanted, .type = (uint8_t)type, .address = GUEST_LEASED, .valid_s = 600);
		if (relay) { /* they have no id, but an honest one's first octets are as good as one */
			put_zeros(&w, 3);
			assert_int_equal(to_guest(&w), wanted);
		}
		assert_null(binding_of(GUEST_LEASED));
	}
}

/* What each message of the guest may be answered with. */
static void answers_fit_their_questions(void **state)
{
	static const struct {
		uint8_t asked, answer;
		bool rapid_asked, rapid_answer, pass, binds;
	} cases[] = {
		{ SOLICIT, ADVERTISE, false, false, true, false },
		{ SOLICIT, ADVERTISE, true, false, true, false },
		{ SOLICIT, REPLY, false, false, false, false },
		{ SOLICIT, REPLY, true, false, false, false },
		{ SOLICIT, REPLY, false, true, false, false },
		{ SOLICIT, REPLY, true, true, true, true },
		{ REQUEST, ADVERTISE, false, false, false, false },
		{ REQUEST, REPLY, false, false, true, true },
		{ CONFIRM, ADVERTISE, false, false, false, false },
		{ CONFIRM, REPLY, false, false, true, false },
		{ RENEW, ADVERTISE, false, false, false, false },
		{ RENEW, REPLY, false, false, true, true },
		{ REBIND, ADVERTISE, false, false, false, false },
		{ REBIND, REPLY, false, false, true, true },
		{ INFORMATION_REQUEST, ADVERTISE, false, false, false, false },
		{ INFORMATION_REQUEST, REPLY, false, false, true, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(true);
		ASKS(PASS, .type = cases[i].asked, .rapid_commit = cases[i].rapid_asked);
		ANSWERS(cases[i].pass ? PASS : DROP_DHCP6_NO_TRANSACTION, .type = cases[i].answer,
			.rapid_commit = cases[i].rapid_answer, .address = GUEST_LEASED, .valid_s = 600);
		assert_true((binding_of(GUEST_LEASED) != NULL) == cases[i].binds);
		assert_true(sends_from6(&w, GUEST_LEASED) == cases[i].binds);
	}
}

static void answers_name_the_question(void **state)
{
	static const uint8_t other[] = { 0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, 0x0b };
	(void)state;
	begin(true);
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .address = GUEST_LEASED, .valid_s = 600);
	ASKS(PASS, .type = REQUEST);
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .id = ID6 + 1, .address = GUEST_LEASED, .valid_s = 600);
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .duid = other, .duid_octets = sizeof other,
		.address = GUEST_LEASED, .valid_s = 600);
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .no_client_id = true, .address = GUEST_LEASED, .valid_s = 600);
	ANSWERS(DROP_DHCP6_MALFORMED, .type = REPLY, .no_server_id = true, .address = GUEST_LEASED, .valid_s = 600);
	assert_null(binding_of(GUEST_LEASED));
	w.now_ms += 64 * 1000;
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .address = GUEST_LEASED, .valid_s = 600);

	/* RFC 8415 16.10: who gave no identifier gets none. */
	ASKS(PASS, .type = INFORMATION_REQUEST, .no_client_id = true);
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .no_ia = true);
	ANSWERS(PASS, .type = REPLY, .no_ia = true, .no_client_id = true);
}

/* A copy of the Reply passes and does nothing, nor does a message that crossed it. Another Reply is none to it. */
static void copies_of_a_reply(void **state)
{
	(void)state;
	begin(true);
	lease6(&w, GUEST_LEASED, 600, ID6);
	struct binding6 before = *binding_of(GUEST_LEASED);
	w.now_ms += 5000;
	ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 600);
	ASKS(PASS, .type = REQUEST, .address = GUEST_LEASED);
	w.now_ms += 5000;
	ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 600);
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .address = VICTIM_LEASED, .valid_s = 600);
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .address = GUEST_LEASED);
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .address = GUEST_LEASED, .valid_s = 600, .status = 1);
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = ADVERTISE, .address = GUEST_LEASED, .valid_s = 600);
	assert_memory_equal(&before, binding_of(GUEST_LEASED), sizeof before);
	w.now_ms += 10000;
	ANSWERS(DROP_DHCP6_NO_TRANSACTION, .type = REPLY, .address = GUEST_LEASED, .valid_s = 600);
}

/* A new exchange about the same IA ends the old one; others run beside it. */
static void exchanges_beside_each_other(void **state)
{
	static const uint8_t prefixes[16] = { 0, 25, 0, 12, 0, 0, 0, 2 }; /* IA_PD 2 */
	(void)state;
	begin(true);
	ASKS(PASS, .type = INFORMATION_REQUEST, .id = 1);
	ASKS(PASS, .type = REQUEST, .id = 2, .ia = { { .iaid = 2 } });
	ASKS(PASS, .type = REQUEST, .id = 3, .no_ia = true, .extra = prefixes, .extra_octets = sizeof prefixes);
	ASKS(PASS, .type = REQUEST, .id = 4, .ia = { { .iaid = 4 }, { .iaid = 2 } });
	assert_false(awaits_answer6(&w.state.ipv6, 2, w.now_ms));
	assert_true(awaits_answer6(&w.state.ipv6, 1, w.now_ms) && awaits_answer6(&w.state.ipv6, 3, w.now_ms) &&
		    awaits_answer6(&w.state.ipv6, 4, w.now_ms));
	/* Four fit; of five the one nearest to its end goes. */
	w.now_ms += 1000;
	ASKS(PASS, .type = RENEW, .id = 5, .ia = { { .iaid = 5 } });
	ASKS(PASS, .type = RENEW, .id = 1, .ia = { { .iaid = 6 } });
	ASKS(PASS, .type = CONFIRM, .id = 6, .ia = { { .iaid = 7 } });
	assert_true(awaits_answer6(&w.state.ipv6, 5, w.now_ms) && awaits_answer6(&w.state.ipv6, 1, w.now_ms) &&
		    awaits_answer6(&w.state.ipv6, 6, w.now_ms));
}

/* What the server refuses is passed on, binds nothing, and leaves the exchange open. */
static void refusals(void **state)
{
	(void)state;
	begin(true);
	ASKS(PASS, .type = REQUEST);
	ANSWERS(PASS, .type = REPLY, .status = USE_MULTICAST, .address = GUEST_LEASED, .valid_s = 600);
	ANSWERS(PASS, .type = REPLY, .ia = { { .iaid = IAID, .status = NO_ADDRS_AVAILABLE } });
	ANSWERS(
	    PASS, .type = REPLY,
	    .ia = { { .iaid = IAID, .status = NOT_ON_LINK, .lease = { { .address = GUEST_LEASED, .valid_s = 600 } } } });
	ANSWERS(
	    PASS, .type = REPLY,
	    .ia = { { .iaid = IAID, .lease = { { .address = GUEST_LEASED, .valid_s = 600, .status = NOT_ON_LINK } } } });
	ANSWERS(PASS, .type = REPLY,
		.ia = { { .iaid = IAID, .lease = { { .address = GUEST_LEASED, .valid_s = 600, .preferred_s = 601 } } } });
	ANSWERS(PASS, .type = REPLY,
		.ia = { { .iaid = IAID + 1, .lease = { { .address = GUEST_LEASED, .valid_s = 600 } } } });
	assert_null(binding_of(GUEST_LEASED));
	assert_int_equal(w.events, 0);
	ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 600);
	assert_non_null(binding_of(GUEST_LEASED));
}

/* The network's own addresses, and what no host has. The frame is dropped whole, and offers of them, too. */
static void addresses_that_cannot_be_leased(void **state)
{
	static const struct address bad[] = {
		{ LINK_LOCAL_PREFIX, 0x10a },
		{ LINK_LOCAL_PREFIX, 0x505400fffe000001ULL },
		{ 0xff02000000000000ULL, 1 },
		{ 0xff0e000000000000ULL, 0x10a },
		{ 0, 1 },
		{ 0, 0x10a },
		{ 0, 0xffffc0a8400aULL },
		{ 0x64ff9b00000000ULL, 9 },
		{ LOCAL_PREFIX, 0 },
		{ LOCAL_PREFIX, 0xfdffffffffffff80ULL },
		{ LOCAL_PREFIX, 0x53 },
		{ LOCAL_PREFIX, 0x35 },
		{ LOCAL_PREFIX, 0x99 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		begin(true);
		set_add(&w.config.host6, ADDRESS6(LOCAL_PREFIX, 0x53));
		set_add(&w.config.resolvers6, ADDRESS6(LOCAL_PREFIX, 0x35));
		set_add(&w.config.servers6, ADDRESS6(LOCAL_PREFIX, 0x99));
		set_add(&w.config.servers6, ROUTER_LL);
		ASKS(PASS, .type = SOLICIT, .id = 1);
		ANSWERS(DROP_DHCP6_BAD_LEASE, .type = ADVERTISE, .id = 1, .address = bad[i], .valid_s = 600);
		ASKS(PASS, .type = REQUEST);
		struct state before = w.state;
		ANSWERS(DROP_DHCP6_BAD_LEASE, .type = REPLY,
			.ia = { { .iaid = IAID,
				  .lease = { { .address = GUEST_LEASED, .valid_s = 600 },
					     { .address = bad[i], .valid_s = 600 } } } });
		assert_memory_equal(&before, &w.state, sizeof before);
		assert_int_equal(w.events, 0);
		ANSWERS(PASS, .type = REPLY, .address = GUEST_LEASED, .valid_s = 600);
	}
}

/* What the judge keeps from the snooper, so that the two together have no gap. */
static void rogues_and_fragments(void **state)
{
	(void)state;
	begin(true);
	ASKS(PASS, .type = REQUEST);
	ANSWERS(DROP_DHCP6_ROGUE_SERVER, .type = REPLY, .mac_from = VICTIM_MAC, .address = GUEST_LEASED, .valid_s = 600);
	put_server_message6(&w, &(struct dhcp6_spec){ .type = REPLY, .address = GUEST_LEASED, .valid_s = 600 });
	insert_fragment(&w, 0, false);
	assert_int_equal(to_guest(&w), DROP_DHCP6_MALFORMED);
	put_server_message6(&w, &(struct dhcp6_spec){ .type = REPLY, .address = GUEST_LEASED, .valid_s = 600 });
	insert_options(&w, 60, 64);
	assert_int_equal(to_guest(&w), PASS);
	assert_non_null(binding_of(GUEST_LEASED));
	put_client_message6(&w, &(struct dhcp6_spec){ .type = RENEW });
	insert_options(&w, 60, 8);
	assert_int_equal(from_guest(&w), PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_types),
		cmocka_unit_test(client_addresses),
		cmocka_unit_test(client_identifiers),
		cmocka_unit_test(client_identifiers_of_others),
		cmocka_unit_test(options_that_act_on_others),
		cmocka_unit_test(only_owners_give_back),
		cmocka_unit_test(server_types),
		cmocka_unit_test(answers_fit_their_questions),
		cmocka_unit_test(answers_name_the_question),
		cmocka_unit_test(copies_of_a_reply),
		cmocka_unit_test(exchanges_beside_each_other),
		cmocka_unit_test(refusals),
		cmocka_unit_test(addresses_that_cannot_be_leased),
		cmocka_unit_test(rogues_and_fragments),
		cmocka_unit_test(every_message_cut_everywhere),
		cmocka_unit_test(every_option_at_every_length),
		cmocka_unit_test(nested_options_stay_inside),
		cmocka_unit_test(options_are_counted),
		cmocka_unit_test(what_decides_stands_once),
		cmocka_unit_test(prefixes_are_read),
		cmocka_unit_test(many_resolvers_are_read),
		cmocka_unit_test(places_in_use_stay),
		cmocka_unit_test(an_answer_to_one_of_two_frees_nothing),
		cmocka_unit_test(octets_behind_the_last_option),
		cmocka_unit_test(sizes_of_datagrams),
		cmocka_unit_test(more_ias_than_there_is_room_for),
		cmocka_unit_test(checksums_of_questions6),
		cmocka_unit_test(random_messages),
		cmocka_unit_test(lease_and_its_end),
		cmocka_unit_test(lease_counts_from_the_first_request),
		cmocka_unit_test(endless_solicit_still_gets_a_lease),
		cmocka_unit_test(infinite_lease),
		cmocka_unit_test(renewal_keeps_its_beginning),
		cmocka_unit_test(renewals_of_unknown_addresses),
		cmocka_unit_test(renewal_leaves_what_it_does_not_name),
		cmocka_unit_test(addresses_of_two_ias),
		cmocka_unit_test(release_takes_before_it_leaves),
		cmocka_unit_test(release_overtakes_a_reply),
		cmocka_unit_test(repeated_release_takes_again),
		cmocka_unit_test(declines_are_limited),
		cmocka_unit_test(fifth_lease),
		cmocka_unit_test(table_of_the_guests_own_choices),
		cmocka_unit_test(reply_is_all_or_nothing),
		cmocka_unit_test(claims_are_given_back),
		cmocka_unit_test(lease_of_a_slaac_address),
		cmocka_unit_test(static_addresses_only),
		cmocka_unit_test(resolvers_of_a_lease),
		cmocka_unit_test(resolvers_without_a_lease),
		cmocka_unit_test(first_server_is_locked6),
		cmocka_unit_test(identities_are_limited),
		cmocka_unit_test(every_way_to_ask_counts),
		cmocka_unit_test(prefixes_are_limited),
		cmocka_unit_test(prefixes_of_others_are_not_released),
		cmocka_unit_test(places_come_back),
		cmocka_unit_test(new_leases_are_limited),
		cmocka_unit_test(nobody_rebinds_what_is_anothers),
		cmocka_unit_test(ten_minutes_of_a_hostile_guest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
