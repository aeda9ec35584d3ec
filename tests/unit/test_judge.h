/* What the files of the test of the IPv4 judge share. */
#pragma once
#include "world.h"

extern struct world w;

#define GUEST_SENDS(wanted) expect_verdict(&w, from_guest(&w), wanted, __FILE__, __LINE__)
#define GUEST_GETS(wanted)  expect_verdict(&w, to_guest(&w), wanted, __FILE__, __LINE__)

/* test_judge_dhcp.c */
void dhcp_of_guest(void **state);
void dhcp_limits_of_guest(void **state);
void dhcp_to_guest(void **state);
void forged_replies_do_not_drown_the_real_one(void **state);
void claims_and_churn(void **state);

/* test_judge_policy.c */
void answers_come_in_and_calls_do_not(void **state);
void a_blocked_peer_may_only_answer(void **state);
void established_flows_make_no_room(void **state);
void callers_leave_room_for_the_guest(void **state);
void errors_come_in_one_piece(void **state);
void later_fragments_follow_their_first(void **state);
void nobody_calls_from_odd_addresses(void **state);
void questions_for_named_routers(void **state);
