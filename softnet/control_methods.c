/* The methods guard.*: what the guard knows, as JSON. */
#include "control_methods.h"
#include "../core/flow.h"
#include "../core/trust.h"
#include "../core/trust6.h"

static const char *const side_names[DIRECTIONS] = { [FROM_GUEST] = "guest", [TO_GUEST] = "uplink" };

static const struct live *live_of(const struct rpc_call *call)
{
	return call->context;
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *address_text(struct address a)
{
	char text[ADDRESS_TEXT];
	return is_unset(a) ? json_null() : json_string(format_address(a, text));
}

static json_t *mac_text(uint64_t mac)
{
	char text[MAC_TEXT];
	return mac == MAC_NONE ? json_null() : json_string(format_mac(mac, text));
}

/* What is left in seconds; null: for ever. */
static json_t *seconds_left(uint64_t expires_ms, uint64_t now_ms)
{
	if (expires_ms == NEVER_EXPIRES)
		return json_null();
	return number(expires_ms > now_ms ? (expires_ms - now_ms) / 1000 : 0);
}

static json_t *drops_of(const struct counters *counters, int side)
{
	json_t *drops = json_object();
	for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
		if (counters->verdicts[side][verdict] > 0)
			json_object_set_new(drops, verdict_name(verdict), number(counters->verdicts[side][verdict]));
	return drops;
}

static json_t *passed_of(const struct counters *counters, int side)
{
	return json_pack("{s:o, s:o}", "frames", number(counters->verdicts[side][PASS]), "octets",
			 number(counters->octets[side]));
}

static json_t *flows_of(const struct flows *flows)
{
	static const char *const names[FLOW_CLASSES_END] = {
#define X(name, text, timeout_ms) [FLOW_##name] = text,
		FLOW_CLASSES(X)
#undef X
	};
	json_t *list = json_object();
	for (int class = 0; class < FLOW_CLASSES_END; class++)
		json_object_set_new(list, names[class], number(flows->count[class]));
	return list;
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
	const struct relay *r = live_of(call)->relay;
	json_t *passed = json_object(), *drops = json_object();
	if (!rpc_takes_nothing(call)) {
		json_decref(passed);
		json_decref(drops);
		return NULL;
	}
	for (int side = 0; side < DIRECTIONS; side++) {
		json_object_set_new(passed, side_names[side], passed_of(&r->counters, side));
		json_object_set_new(drops, side_names[side], drops_of(&r->counters, side));
	}
	return json_pack("{s:o, s:o, s:o, s:o}", "passed", passed, "drops", drops, "flows", flows_of(r->snoop.flows),
			 "addresses", number(count_addresses(r->snoop.state, r->now_ms)));
}

static json_t *lease4(const struct binding *b, uint64_t now_ms)
{
	static const char *const states[] = { [BINDING_NONE] = "none", [BINDING_BOUND] = "bound",
					      [BINDING_GRACE] = "grace", [BINDING_STATIC] = "bound" };
	return json_pack("{s:o, s:s, s:s, s:o, s:o}", "address", address_text(b->address), "origin",
			 b->state == BINDING_STATIC ? "static" : "dhcp", "state", states[b->state], "seconds",
			 seconds_left(b->expires_ms, now_ms), "server", address_text(b->server));
}

static json_t *lease6(const struct binding6 *b, uint64_t now_ms)
{
	static const char *const origins[] = { [ORIGIN_LINK_LOCAL] = "link-local", [ORIGIN_SLAAC] = "slaac",
					       [ORIGIN_DHCP] = "dhcp", [ORIGIN_STATIC] = "static" };
	return json_pack("{s:o, s:s, s:s, s:o, s:o}", "address", address_text(b->address), "origin", origins[b->origin],
			 "state", status_of(b, now_ms) == STATUS_VALID ? "bound" : "tentative", "seconds",
			 seconds_left(b->expires_ms, now_ms), "server", address_text(b->server));
}

static json_t *addresses_of(const struct state *state, uint64_t now_ms)
{
	json_t *list = json_array();
	for (int i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms))
			json_array_append_new(list, lease4(&state->ipv4[i], now_ms));
	for (int i = 0; i < BINDINGS6_MAX; i++)
		if (now_ms < state->ipv6.bindings[i].expires_ms)
			json_array_append_new(list, lease6(&state->ipv6.bindings[i], now_ms));
	return list;
}

static json_t *neighbor(struct address a, uint64_t mac, uint64_t until_ms, uint64_t now_ms)
{
	return json_pack("{s:o, s:o, s:o}", "address", address_text(a), "mac", mac_text(mac), "seconds",
			 seconds_left(until_ms, now_ms));
}

static json_t *servers_of(const struct state *state, uint64_t now_ms)
{
	const struct learned *four = &state->learned;
	const struct learned_server6 *six = &state->ipv6.server;
	json_t *list = json_array();
	if (anchors_are_locked(state, now_ms) && !is_unset(four->server))
		json_array_append_new(list, neighbor(four->server, four->server_mac, four->until_ms, now_ms));
	if (is_locked_server6(state, now_ms))
		json_array_append_new(list, neighbor(six->address, six->mac, six->until_ms, now_ms));
	return list;
}

/* In IPv4 the MAC addresses were learned for all routers together; one alone can be told whose it is. */
static json_t *routers_of(const struct state *state, uint64_t now_ms)
{
	const struct learned *four = &state->learned;
	json_t *list = json_array();
	for (uint32_t i = 0; anchors_are_locked(state, now_ms) && i < four->gateway_macs.count; i++) {
		bool is_alone = four->gateway_macs.count == 1 && four->gateways.count == 1;
		struct address a = is_alone ? four->gateways.item[0] : (struct address){ 0, 0 };
		json_array_append_new(list, neighbor(a, four->gateway_macs.item[i], four->until_ms, now_ms));
	}
	for (int i = 0; i < ROUTERS6_MAX; i++) {
		const struct router6 *six = &state->ipv6.routers[i];
		if (is_locked_router6(six, now_ms))
			json_array_append_new(list, neighbor(six->address, six->mac, six->locked_ms, now_ms));
	}
	return list;
}

static json_t *guard_leases(struct rpc_call *call)
{
	const struct relay *r = live_of(call)->relay;
	if (!rpc_takes_nothing(call))
		return NULL;
	return json_pack("{s:o, s:o, s:o}", "addresses", addresses_of(r->snoop.state, r->now_ms), "servers",
			 servers_of(r->snoop.state, r->now_ms), "routers", routers_of(r->snoop.state, r->now_ms));
}

static json_t *guard_relearn(struct rpc_call *call)
{
	struct relay *r = live_of(call)->relay;
	if (!rpc_takes_nothing(call))
		return NULL;
	relearn(&r->snoop);
	r->file.has_changed = true;
	return json_true();
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
	{ "softnet.policy.get", false, policy_get },
	{ "softnet.policy.set", false, policy_set },
	{ "guard.stats", true, guard_stats },
	{ "guard.leases", true, guard_leases },
	{ "guard.relearn", true, guard_relearn },
	{ "guard.subscribe", true, guard_subscribe },
	{ "guard.expose.list", true, expose_list },
	{ "guard.expose.add", true, expose_add },
	{ "guard.expose.remove", true, expose_remove },
	{ NULL, false, NULL },
};

static json_t *event_of_prefix(const struct event *event, uint64_t now_ms)
{
	char address[ADDRESS_TEXT];
	return json_pack("{s:s, s:s, s:i, s:o}", "event", "prefix-learned", "address",
			 format_address(event->address, address), "length", (int)event->prefix_length, "seconds",
			 seconds_left(event->expires_ms, now_ms));
}

void publish_event(struct control *control, const struct event *event, uint64_t now_ms)
{
	static const char *const names[] = {
		[EVENT_LEASE_NEW] = "lease-new", [EVENT_LEASE_RENEWED] = "lease-renewed",
		[EVENT_LEASE_LOST] = "lease-lost", [EVENT_LEASE_GRACE] = "lease-grace",
		[EVENT_SERVER_LEARNED] = "server-learned", [EVENT_GATEWAY_LEARNED] = "router-learned",
	};
	if (!has_subscribers(control))
		return;
	if (event->kind == EVENT_PREFIX_LEARNED) {
		tell_subscribers(control, event_of_prefix(event, now_ms));
		return;
	}
	tell_subscribers(control, json_pack("{s:s, s:o, s:o, s:o, s:o, s:s?}", "event", names[event->kind], "address",
					    address_text(event->address), "server", address_text(event->server), "mac",
					    mac_text(event->mac), "seconds", seconds_left(event->expires_ms, now_ms),
					    "why", event->why));
}
