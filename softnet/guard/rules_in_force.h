/* Which rules are in force, and how they are changed while frames flow. */
#pragma once
#include "softnet/guard/loop.h"
#include "softnet/setup/setup.h"

/* A list that is neither in force nor read aside, for the next rules to be built in. Large, so there are few. */
enum { RULE_LISTS = 3 };
struct rule_list *next_rules(const struct relay *);
/* Normalized, between two frames: the whole of them, or nothing. `who` has changed them, in words. */
bool put_in_force(struct relay *, const struct rule_list *, const char *who, struct error *);
/* The same for rules that may be, and were compiled before. */
void put_ready_in_force(struct relay *, const struct rule_list *, const struct ready_rules *, const char *who);
/* The same rules, for what other VMs have now (claiming.h): at the start, and while frames flow. */
void compile_vms(struct relay *);
void put_vms_in_force(struct relay *);
/* False: a guard in the kernel cannot look for names. */
bool may_name_hosts(bool is_in_kernel, const struct rule_list *, struct error *);
/*
 * SIGHUP: what the files of --policy hold now. Where one is wrong the rules stay, and one line says why. Another process reads them,
 * and frames wait no longer for it than for any file: follow_reading() puts in force what comes later.
 */
void prepare_reading(struct relay *);
void reload_policy(struct relay *);
void follow_reading(struct relay *);
bool is_reading(const struct relay *);
/* The process has died: what it was to read is read again. */
void forget_reading(struct relay *);
