/* The methods guard.*: what the guard knows, as JSON. */
#include "softnet/methods/control_methods.h"
#include <stdlib.h>
#include "softnet/guard/keeping.h"
#include "softnet/counts/metrics.h"
#include "softnet/counts/state_json.h"

static json_t *drops_of(const struct counters *counters, int side)
{
	json_t *drops = json_object();
	for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
		if (counters->verdicts[side][verdict] > 0)
			json_object_set_new(drops, verdict_name(verdict), json_number(counters->verdicts[side][verdict]));
	return drops;
}

static uint64_t count_addresses(const struct state *state, uint64_t now_ms)
{
	uint64_t n = 0;
	for (int i = 0; i < BINDINGS4_MAX; i++)
		n += is_live(&state->ipv4[i], now_ms);
	for (int i = 0; i < BINDINGS6_MAX; i++)
		n += now_ms < state->ipv6.bindings[i].expires_ms;
	return n;
}

static json_t *guard_stats(struct rpc_call *call)
{
	const struct relay *r = call->context;
	json_t *passed = json_object(), *drops = json_object();
	if (!rpc_takes_nothing(call)) {
		json_decref(passed);
		json_decref(drops);
		return NULL;
	}
	for (int side = 0; side < DIRECTIONS; side++) {
		json_object_set_new(passed, side_names[side], json_passed(&r->counters, side));
		json_object_set_new(drops, side_names[side], drops_of(&r->counters, side));
	}
	return json_pack("{s:o, s:o, s:o, s:o}", "passed", passed, "drops", drops, "flows", json_flows(r->guard.flows),
			 "addresses", json_number(count_addresses(r->guard.state, r->now_ms)));
}

static json_t *guard_leases(struct rpc_call *call)
{
	const struct relay *r = call->context;
	if (!rpc_takes_nothing(call))
		return NULL;
	return json_pack("{s:o, s:o, s:o}", "addresses", json_addresses(r->guard.config, r->guard.state, r->now_ms),
			 "servers", json_servers(r->guard.state, r->now_ms), "routers",
			 json_routers(r->guard.state, r->now_ms));
}

static json_t *guard_relearn(struct rpc_call *call)
{
	struct relay *r = call->context;
	if (!may_change(call) || !rpc_takes_nothing(call))
		return NULL;
	relearn(r->guard.state);
	keep_state(r, true); /* before the answer leaves: a restart must not trust them again */
	return json_true();
}

static json_t *guard_metrics(struct rpc_call *call)
{
	if (!rpc_takes_nothing(call))
		return NULL;
	char *text = metrics_of_guard(json_status(call->context), METRICS_OPENMETRICS);
	json_t *result = text ? json_string(text) : NULL;
	free(text);
	return result ? result : rpc_refuse(call, RPC_INTERNAL, "out of memory");
}

static json_t *guard_subscribe(struct rpc_call *call)
{
	struct client *client = call->client;
	if (!rpc_takes_nothing(call))
		return NULL;
	client->is_subscribed = true;
	return json_true();
}

const struct rpc_method live_methods[] = {
	{ "softnet.policy.get", false, policy_get },    { "softnet.policy.set", false, policy_set },
	{ "guard.status", true, guard_status },         { "guard.metrics", true, guard_metrics },
	{ "guard.stats", true, guard_stats },           { "guard.leases", true, guard_leases },
	{ "guard.relearn", true, guard_relearn },       { "guard.subscribe", true, guard_subscribe },
	{ "guard.expose.list", true, expose_list },     { "guard.expose.add", true, expose_add },
	{ "guard.expose.remove", true, expose_remove }, { NULL, false, NULL },
};
