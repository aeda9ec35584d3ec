/* What the files of the test of flows share. */
#pragma once
#include "core/flows/flow.h"
#include "world_flow.h"

/* test_flows_table.c */
extern struct flows flows;

/* Packet number n of a set without end, all of other flows. Both directions have the same facts. */
struct packet_facts packet(uint32_t n, uint8_t protocol, uint8_t tcp_flags);

/* enum flow_class of the flow, FLOW_CLASSES_END where there is none; whether it is out of time is not asked. */
enum flow_class class_of(const struct packet_facts *facts);

/* Lists, chains and the list of free ones hold each flow once, and the counts are theirs. */
void check_tables(void);
void forget_flows(void);

/* test_flows_model.c */
void a_long_run_equals_the_model(void **state);
void a_full_table_equals_the_model(void **state);

/* test_flows_frames.c */
void both_directions_have_one_key(void **state);
void facts_of_icmp_errors(void **state);
void what_errors_quote_may_be_in_pieces(void **state);
void extension_headers_are_walked(void **state);
void what_has_no_flow(void **state);
void random_frames_have_facts_or_none(void **state);

/* test_flows_decide.c */
void rows_of_directions(void **state);
void answers_pass_whatever_the_rules_say(void **state);
void exposed_ports_are_open(void **state);
void errors_about_flows_pass(void **state);
void both_sides_ping_with_one_identifier(void **state);
void groups_have_no_answers(void **state);
void what_rules_do_not_touch(void **state);
void a_full_table_refuses(void **state);
void random_calls_equal_the_model(void **state);
