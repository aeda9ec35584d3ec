/* What can be called by live control. docs/policy.md has the contract. */
#pragma once
#include "softnet/guard/loop.h"

/* The context of every method is the relay. */
extern const struct rpc_method live_methods[];

/* False: refused, for the client may only read. */
static inline bool may_change(struct rpc_call *call)
{
	const struct client *client = call->client;
	return !client || !client->is_reader ||
	       rpc_deny(call, RPC_NO_METHOD,
			"only root may change anything here; a guard takes orders at --control PATH");
}

/* status.c: what guard.status gives, without a call. NULL: no memory. */
json_t *json_status(const struct relay *);
json_t *guard_status(struct rpc_call *);

/* policy_aside.c: from here on long requests are read by another process, where this system can have one. */
void start_aside(struct relay *);

/* control_policy.c: the whole of a request, into an empty list, and the answer to it. NULL: refused. */
json_t *read_policy(struct rpc_call *, struct rule_list *);
json_t *policy_get(struct rpc_call *);
json_t *policy_set(struct rpc_call *);
/* control_expose.c */
json_t *json_exposes(const struct exposes *);
json_t *expose_list(struct rpc_call *);
json_t *expose_add(struct rpc_call *);
json_t *expose_remove(struct rpc_call *);
