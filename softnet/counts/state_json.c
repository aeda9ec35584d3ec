/* What the guard knows, as JSON: what several methods, events and the status have in common. */
#include "softnet/counts/state_json.h"
#include <limits.h>
#include <stdio.h>
#include "core/judge/trust.h"
#include "core/judge/trust6.h"

json_t *json_number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

json_t *json_text(const char *text)
{
	char shown[PATH_MAX];
	snprintf(shown, sizeof shown, "%s", text);
	make_printable(shown);
	return json_string(shown);
}

json_t *json_address(struct address a)
{
	char text[ADDRESS_TEXT];
	return is_unset(a) ? json_null() : json_string(format_address(a, text));
}

json_t *json_mac(uint64_t mac)
{
	char text[MAC_TEXT];
	return mac == MAC_NONE ? json_null() : json_string(format_mac(mac, text));
}

/* What is left in seconds; null: without end. */
json_t *json_seconds_left(uint64_t expires_ms, uint64_t now_ms)
{
	if (expires_ms == NEVER_EXPIRES)
		return json_null();
	return json_number(expires_ms > now_ms ? (expires_ms - now_ms) / 1000 : 0);
}

json_t *json_passed(const struct counters *counters, int side)
{
	return json_pack("{s:o, s:o}", "frames", json_number(counters->verdicts[side][PASS]), "octets",
			 json_number(counters->octets[side]));
}

json_t *json_flows(const struct flows *flows)
{
	static const char *const names[FLOW_CLASSES_END] = {
#define X(name, text, timeout_ms) [FLOW_##name] = text,
		FLOW_CLASSES(X)
#undef X
	};
	json_t *list = json_object();
	for (int which = 0; which < FLOW_CLASSES_END; which++)
		json_object_set_new(list, names[which], json_number(flows->count[which]));
	return list;
}

static json_t *lease4(const struct binding *b, uint64_t now_ms)
{
	static const char *const states[] = {
		[BINDING_NONE] = "none", [BINDING_BOUND] = "bound", [BINDING_GRACE] = "grace", [BINDING_STATIC] = "bound"
	};
	return json_pack("{s:o, s:s, s:s, s:o, s:o}", "address", json_address(b->address), "origin",
			 b->state == BINDING_STATIC ? "static" : "dhcp", "state", states[b->state], "seconds",
			 json_seconds_left(b->expires_ms, now_ms), "server", json_address(b->server));
}

static json_t *lease6(const struct binding6 *b, uint64_t now_ms)
{
	return json_pack("{s:o, s:s, s:s, s:o, s:o}", "address", json_address(b->address), "origin",
			 origin_names[b->origin], "state", status_of(b, now_ms) == STATUS_VALID ? "bound" : "tentative",
			 "seconds", json_seconds_left(b->expires_ms, now_ms), "server", json_address(b->server));
}

/* Others may hold it, too: said of those alone. */
static json_t *mark_shared(json_t *one, const struct config *config, struct address a)
{
	if (is_shared(config, a))
		json_object_set_new(one, "shared", json_true());
	return one;
}

json_t *json_addresses(const struct config *config, const struct state *state, uint64_t now_ms)
{
	json_t *list = json_array();
	for (int i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms))
			json_array_append_new(
			    list, mark_shared(lease4(&state->ipv4[i], now_ms), config, state->ipv4[i].address));
	for (int i = 0; i < BINDINGS6_MAX; i++)
		if (now_ms < state->ipv6.bindings[i].expires_ms)
			json_array_append_new(list, mark_shared(lease6(&state->ipv6.bindings[i], now_ms), config,
								state->ipv6.bindings[i].address));
	return list;
}

static json_t *neighbor(struct address a, uint64_t mac, uint64_t until_ms, uint64_t now_ms)
{
	return json_pack("{s:o, s:o, s:o}", "address", json_address(a), "mac", json_mac(mac), "seconds",
			 json_seconds_left(until_ms, now_ms));
}

/* One for each MAC that it has had, the newest first. */
static void add_locked(json_t *list, const struct locked *l, uint64_t now_ms)
{
	for (uint32_t i = is_locked(l, now_ms) ? l->macs.count : 0; i > 0; i--)
		json_array_append_new(list, neighbor(l->address, l->macs.item[i - 1], l->until_ms, now_ms));
}

json_t *json_servers(const struct state *state, uint64_t now_ms)
{
	const struct learned_server6 *six = &state->ipv6.server;
	json_t *list = json_array();
	for (int i = 0; i < SERVERS4_MAX; i++)
		add_locked(list, &state->learned.servers[i], now_ms);
	if (is_locked_server6(state, now_ms))
		json_array_append_new(list, neighbor(six->address, six->mac, six->until_ms, now_ms));
	return list;
}

json_t *json_routers(const struct state *state, uint64_t now_ms)
{
	json_t *list = json_array();
	for (int i = 0; i < ROUTERS4_MAX; i++)
		add_locked(list, &state->learned.routers[i].lock, now_ms);
	for (int i = 0; i < ROUTERS6_MAX; i++) {
		const struct router6 *six = &state->ipv6.routers[i];
		if (is_locked_router6(six, now_ms))
			json_array_append_new(list, neighbor(six->address, six->macs.item[0], six->locked_ms, now_ms));
	}
	return list;
}
