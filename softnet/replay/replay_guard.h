/* A guard without ports: it is told frames and the time, and says what the relay would have done. */
#pragma once
#include "softnet/options/options.h"
#include "softnet/capture/pcap_file.h"
#include "softnet/setup/guard_memory.h"

/* Large, so never on the stack. Zero it before starting. */
struct replay_guard {
	struct guard_memory memory;
	struct guard guard;
	struct rule_list rules; /* in force */
	uint64_t now_ms;
};

/* False: options that cannot be. */
bool start_replay_guard(struct replay_guard *, struct options *, uint64_t now_ms, struct error *);

/* The time goes on; what ends in between ends when the relay would have noticed. It never goes back. */
void advance_replay_guard(struct replay_guard *, uint64_t now_ms);

enum verdict decide_captured(struct replay_guard *, enum direction, const struct captured *);

/* A frame of which so much is missing that nobody can say what would have become of it. */
bool is_cut(const struct replay_guard *, const struct captured *);

/* What live control changes: rules, ports that are exposed; and the sites, which change by themselves. */
bool change_replay_guard(struct replay_guard *, const struct options *, const struct rule_list *, struct error *);
