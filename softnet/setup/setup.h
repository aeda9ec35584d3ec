/* From options to a config and a state that the relay can work with. */
#pragma once
#include "softnet/options/options.h"
#include "softnet/setup/guard_memory.h"

/*
 * Makes the guard that the options ask for, ready for its first frame: live, and in replay. Anchors that options do not give come
 * from the port. The memory must be zero. Whom the guard asks and tells is up to the caller. False: options that cannot be, or
 * that do not go together with the port.
 */
bool make_guard(struct guard *, struct guard_memory *, struct options *, const struct anchors *, uint64_t now_ms,
		struct error *);

/*
 * Between two frames: other rules, or other addresses of the VMs that they name (NULL: none), and so no flow of before; of names
 * those stay that the new rules allow too. False: rules that cannot be; nothing has changed.
 */
bool change_rules(struct guard_memory *, const struct options *, const struct rule_list *, const struct vm_addresses *,
		  uint64_t now_ms, struct error *);

/* Rules that were compiled, with what else follows from them: all that is dear, done before they are in force. */
struct ready_rules {
	struct policy policy;
	uint8_t stateful, has_names, ipv6_off, inbound; /* of the config */
	bool name_hosts;
	int allowing; /* how many */
};
/* Reads the options alone, so another process may do it. False: rules that cannot be. */
bool make_ready(const struct options *, const struct rule_list *, const struct vm_addresses *, struct ready_rules *,
		struct error *);
/* The second half of change_rules(). */
void take_rules(struct guard_memory *, const struct rule_list *, const struct ready_rules *, uint64_t now_ms);

/* Between two frames: other anchors; where that takes one away, whom it has learned to trust is learned anew. */
void change_anchors(struct guard_memory *, const struct options *, const struct anchors *);

/*
 * The parts of the above, for tests. Rules into the config: policy, stateful, inbound, ipv6_off, has_names. IPv6 that was off at the start
 * stays off. False: rules that cannot be; nothing of the config has changed.
 */
bool apply_rules(const struct options *, const struct rule_list *, struct config *, struct error *);

/*
 * The config must be zero: it is hashed as bytes, and most of it, which few rules fill, is never touched here, so that it takes no
 * memory. Anchors that flags do not give come from the port. False: options and port do not go together. */
bool make_config(struct options *, const struct anchors *, struct config *, struct error *);

/* The --vm-ip addresses and the key of the hash over client identifiers. */
bool make_state(const struct options *, struct state *, uint64_t now_ms, struct error *);

/* Changes whenever leases of an earlier run must not be taken over. */
uint64_t hash_setup(const struct options *, const struct config *);

/* What is told of rules without -v: directions of some change what the others mean, and names that are worth nothing. */
void warn_of_rules(const struct options *);

/* The text for port_open(). */
const char *uplink_text(const struct options *);
