/* What the files of the test of DHCPv6 share. */
#pragma once
#include "world_dhcp6.h"

extern struct world w;

/* Builds a message, judges it, and says where a wrong verdict came from. */
#define ASKS(wanted, ...) expect_verdict(&w, ask6(&w, (struct dhcp6_spec){ __VA_ARGS__ }), wanted, __FILE__, __LINE__)
#define ANSWERS(wanted, ...) \
	expect_verdict(&w, answer6(&w, (struct dhcp6_spec){ __VA_ARGS__ }), wanted, __FILE__, __LINE__)

/* Without limits for DHCP messages, which have a test of their own. */
void begin(bool anchored);

/* A live binding, whatever may be sent from it; NULL: none. */
const struct binding6 *binding_of(struct address a);

/* test_dhcp6_parser.c */
void every_message_cut_everywhere(void **state);
void every_option_at_every_length(void **state);
void nested_options_stay_inside(void **state);
void options_are_counted(void **state);
void what_decides_stands_once(void **state);
void prefixes_are_read(void **state);
void many_resolvers_are_read(void **state);
void places_in_use_stay(void **state);
void an_answer_to_one_of_two_frees_nothing(void **state);
void octets_behind_the_last_option(void **state);
void sizes_of_datagrams(void **state);
void more_ias_than_there_is_room_for(void **state);
void random_messages(void **state);
void checksums_of_questions6(void **state);

/* test_dhcp6_lease.c */
void lease_and_its_end(void **state);
void lease_counts_from_the_first_request(void **state);
void endless_solicit_still_gets_a_lease(void **state);
void infinite_lease(void **state);
void renewal_keeps_its_beginning(void **state);
void renewals_of_unknown_addresses(void **state);
void renewal_leaves_what_it_does_not_name(void **state);
void addresses_of_two_ias(void **state);
void release_takes_before_it_leaves(void **state);
void release_overtakes_a_reply(void **state);
void repeated_release_takes_again(void **state);
void declines_are_limited(void **state);

/* test_dhcp6_wanted.c */
void identities_are_limited(void **state);
void every_way_to_ask_counts(void **state);
void prefixes_are_limited(void **state);
void prefixes_of_others_are_not_released(void **state);
void places_come_back(void **state);
void new_leases_are_limited(void **state);
void nobody_rebinds_what_is_anothers(void **state);
void ten_minutes_of_a_hostile_guest(void **state);

/* test_dhcp6_grant.c */
void fifth_lease(void **state);
void table_of_the_guests_own_choices(void **state);
void reply_is_all_or_nothing(void **state);
void claims_are_given_back(void **state);
void lease_of_a_slaac_address(void **state);
void static_addresses_only(void **state);
void resolvers_of_a_lease(void **state);
void resolvers_without_a_lease(void **state);
void first_server_is_locked6(void **state);
