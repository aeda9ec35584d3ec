/* What the files of the test of the policy share. */
#pragma once
#include "model_policy.h"
#include "world.h"

extern struct policy policy;

/* Into `policy`, which must have room; the rules stay as they are. */
void compile(const struct rule *rules, uint32_t n);

/* Fails unless class, length and origin of the ruling are those of the model. */
void check_known(const struct rule *rules, uint32_t n, const struct contact *c, uint32_t aliases);

/* test_policy_limits.c */
void full_tables_are_reached_and_not_passed(void **state);
void thousands_of_ports_on_one_prefix(void **state);
void prefixes_of_all_lengths_with_ports(void **state);
void every_prefix_with_ports_of_its_own(void **state);

/* test_directory.c */
void every_address_is_found(void **state);
void thousands_of_addresses_are_as_near_as_a_few(void **state);
void thousands_of_ports_are_as_near_as_a_few(void **state);
void a_policy_has_a_size(void **state);
