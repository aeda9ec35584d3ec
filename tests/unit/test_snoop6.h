/* What the files of the test of the IPv6 snooper share. */
#pragma once
#include "world6.h"

extern struct world w;

#define GUEST_SENDS(wanted) expect_verdict(&w, from_guest(&w), wanted, __FILE__, __LINE__)
#define GUEST_GETS(wanted)  expect_verdict(&w, to_guest(&w), wanted, __FILE__, __LINE__)

/* What the judge says of data from the address: PASS, DROP_IP6_SRC_TENTATIVE or DROP_IP6_SRC_UNBOUND. Changes nothing. */
enum verdict status_of_address(struct address a);
#define STATUS(a, wanted) expect_verdict(&w, status_of_address(a), wanted, __FILE__, __LINE__)
#define IS_OWN(a)         STATUS(a, PASS)
#define IS_FOREIGN(a)     STATUS(a, DROP_IP6_SRC_UNBOUND)

/* A world where fd64::/64 was announced. */
void start_announced(bool anchored);

#define SECONDS(n) ((uint64_t)(n)*1000)

/* test_snoop6_router.c */
void first_router_locks(void **state);
void relearning_keeps_addresses(void **state);
void length_of_the_lock(void **state);
void router_that_leaves(void **state);
void routers_without_a_route(void **state);
void translators_open_while_they_last(void **state);
void anchored_routers(void **state);
void lifetimes_of_prefixes(void **state);
void two_hours(void **state);
void prefixes_that_teach_nothing(void **state);
void resolvers_of_routers(void **state);
void translators_of_routers(void **state);
void what_has_run_out_stays_closed(void **state);
void a_router_of_nothing_teaches_nothing(void **state);
void on_link_first(void **state);
void full_tables(void **state);
void broken_advertisements(void **state);

/* test_snoop6_properties.c */
void time_only_takes(void **state);
void strangers_change_nothing(void **state);
void guests_add_addresses_by_dad_only(void **state);
