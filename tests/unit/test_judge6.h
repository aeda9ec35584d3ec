/* What the files of the test of the IPv6 judge share. */
#pragma once
#include "world6.h"

extern struct world w;

#define GUEST_SENDS(wanted) expect_verdict(&w, from_guest(&w), wanted, __FILE__, __LINE__)
#define GUEST_GETS(wanted)  expect_verdict(&w, to_guest(&w), wanted, __FILE__, __LINE__)

/* Anchored, fd64::/64 announced, GUEST_PRIVACY claimed and no longer new. */
void bound6(void);

/* What the judge alone says: a PUNT where the snooper would have the last word. */
enum verdict judged_from_guest(void);
enum verdict judged_to_guest(void);
#define JUDGED_FROM_GUEST(wanted) expect_verdict(&w, judged_from_guest(), wanted, __FILE__, __LINE__)
#define JUDGED_TO_GUEST(wanted)   expect_verdict(&w, judged_to_guest(), wanted, __FILE__, __LINE__)

/* test_judge6_headers.c */
void all_header_chains(void **state);
void sizes_of_headers(void **state);
void fragments_at_every_offset(void **state);
void what_fragments_may_hide(void **state);

/* test_judge6_nd.c */
void solicitations_of_routers(void **state);
void duplicate_address_detection(void **state);
void solicitations_of_neighbors(void **state);
void advertisements_of_neighbors(void **state);
void options_of_neighbor_discovery(void **state);
void reports_of_listeners(void **state);
void every_type_of_icmp6(void **state);
void rates_of_neighbor_discovery(void **state);
void too_many_claims(void **state);

/* test_judge6_segment.c */
void neighbors_from_the_network(void **state);
void routers_from_the_network(void **state);
void conflicts_from_the_network(void **state);
void conflicts_of_leases(void **state);

/* test_judge6_destinations.c */
void special_purpose_blocks(void **state);
void scopes_of_groups(void **state);
void translated_addresses(void **state);
void rules_and_translators(void **state);
void rules_of_every_length(void **state);
void aliases(void **state);
void sites(void **state);
void hosts_routers_and_resolvers(void **state);
