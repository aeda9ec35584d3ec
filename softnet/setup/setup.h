/* From options to a config and a state that the relay can work with. */
#pragma once
#include "softnet/options/options.h"

/*
 * Puts rules into the config, at the start and under live control: policy, stateful, inbound, ipv6_off. IPv6 that was off at
 * the start stays off. False: rules that cannot be; nothing of the config has changed.
 */
bool apply_rules(const struct options *, const struct rule_list *, struct config *, struct usage_error *);

/*
 * The config must be zero: it is hashed as bytes, and most of it, which few rules fill, is never touched here, so that it takes no
 * memory. Anchors that flags do not give come from the port. False: options and port do not go together. */
bool make_config(struct options *, const struct anchors *, struct config *, struct usage_error *);

/* The --vm-ip addresses and the key of the hash over client identifiers. */
bool make_state(const struct options *, struct state *, uint64_t now_ms, struct usage_error *);

/* Changes whenever leases of an earlier run must not be taken over. */
uint64_t hash_setup(const struct options *, const struct config *);

/* The one thing about rules that is told without -v: directions of some change what the others mean. */
void warn_of_directions(const struct options *);

/* The text for port_open(). */
const char *uplink_text(const struct options *);
