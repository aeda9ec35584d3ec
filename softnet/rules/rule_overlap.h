/* What two rules have in common. */
#pragma once
#include "softnet/rules/rules.h"

/*
 * Where the target of `inner` lies in that of `outer`, or parts of it do: the rules for what both are about. Each has the target of
 * `inner`, or of a part of it. Gives how many there are. @host, @gateway and @dns lie in everything of length 0 and in themselves,
 * for nobody knows their addresses here. In @global lies each prefix that does not lie in @lan.
 */
uint32_t find_overlaps(const struct rule_text *outer, const struct rule_text *inner, struct rule_text both[LAN_PREFIXES]);
