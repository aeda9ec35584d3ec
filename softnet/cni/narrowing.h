/*
 * What a pod may say: less than the network's configuration lets through, and never more. It comes by runtimeConfig.softnet,
 * args.cni.softnet and CNI_ARGS (SOFTNET_BLOCK and so on), and all of it counts.
 */
#pragma once
#include "softnet/cni/call.h"
#include "softnet/cni/words.h"
#include "softnet/options/options.h"

struct narrowing {
	bool is_there;
	struct rule_list blocks;
	bool inbound_given, isolation, no_ipv6;
	enum inbound inbound;
};

/* Large, so never on the stack. False: the fault says what is wrong with it. */
bool read_narrowing(const struct cni_call *, struct narrowing *, struct fault *);
/*
 * network: the options of the configuration alone. Adds words that take the place of its inbound, isolation and ipv6, and block
 * rules. False: it would widen something.
 */
bool add_narrowing(const struct narrowing *, const struct options *network, struct words *, struct fault *);
