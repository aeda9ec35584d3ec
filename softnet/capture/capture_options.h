/* The comment of a capture's section: with what the guard decides, so that `softnet replay` can do it again. */
#pragma once
#include "softnet/setup/exposes.h"
#include "softnet/options/options.h"

#define RULES_DO_NOT_FIT "# the rules do not fit"

struct in_force {
	const struct options *options;
	const struct config *config;
	const struct rule_list *rules; /* normalized */
	const struct vm_addresses *vms;
	const struct exposes *exposes;
};

/*
 * A line `softnet VERSION`, then options as replay takes them, `--name=value` on a line each, with what is in force: anchors
 * that the uplink named, rules and ports that live control has set, the host's sites. Rules that do not fit, which begins at
 * three thousand, are left out, and a line that is no option says so. Gives the octets, at most `room`, without a final zero.
 */
size_t format_capture_options(const struct in_force *, char *text, size_t room);
