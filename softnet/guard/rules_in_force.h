/* Which rules are in force, and how they are changed while frames flow. */
#pragma once
#include "softnet/guard/loop.h"

/* A list that is not in force, for the next rules to be built in. Large, so there are but two. */
struct rule_list *next_rules(const struct relay *);
/* Normalized, between two frames: the whole of them, or nothing. `who` has changed them, in words. */
bool put_in_force(struct relay *, const struct rule_list *, const char *who, struct error *);
/* SIGHUP: what the files of --policy hold now. Where one is wrong the rules stay, and one line says why. */
void reload_policy(struct relay *);

int count_allowing(const struct rule_list *);
