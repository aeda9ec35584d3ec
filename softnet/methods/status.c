/* guard.status: all that somebody asks who wonders why a VM has no network. docs/observability.md has the keys. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "softnet/setup/anchors_json.h"
#include "softnet/methods/control_methods.h"
#include "softnet/guard/rules_in_force.h"
#include "softnet/hints/deciding.h"
#include "softnet/names/sha256.h"
#include "softnet/rules/rules_json.h"
#include "softnet/counts/drops_json.h"
#include "softnet/counts/names_json.h"
#include "softnet/counts/state_json.h"
#include "system/descriptors.h"

enum { MS = 1000 };

/* Of each side: why no frame can pass now; null: nothing is known to stand in the way. */
static json_t *json_away(const struct relay *r)
{
	json_t *away = json_object();
	for (int side = 0; side < DIRECTIONS; side++)
		json_object_set_new(away, side_names[side],
				    r->port[side]->away[0] != '\0' ? json_text(r->port[side]->away) : json_null());
	return away;
}

/* For how many seconds, to a second. */
static json_t *json_away_for(const struct relay *r)
{
	json_t *away = json_object();
	for (int side = 0; side < DIRECTIONS; side++) {
		uint64_t since_ms = r->port[side]->away[0] != '\0' ? r->away_since_ms[side] : 0;
		json_object_set_new(away, side_names[side],
				    since_ms > 0 ? json_number((r->now_ms - since_ms) / MS) : json_null());
	}
	return away;
}

static json_t *json_vm(const struct relay *r, const char *name)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < r->vms.count; i++)
		if (strcmp(r->vms.item[i].vm, name) == 0)
			json_array_append_new(list, json_address(r->vms.item[i].address));
	return list;
}

/* Those that rules name, with the addresses that are open because of that. */
static json_t *json_vms(const struct relay *r)
{
	enum { SHOWN = 64 };
	char name[VM_NAME_MAX + 1];
	json_t *all = json_object();
	for (uint32_t i = 0; i < r->rules->count && json_object_size(all) < SHOWN; i++)
		if (vm_of_rule(&r->rules->rule[i].text, name))
			json_object_set_new(all, name, json_vm(r, name));
	return all;
}

static json_t *json_policy(const struct rule_list *rules)
{
	int allowing = count_allowing(rules);
	return json_pack("{s:i, s:i}", "allow", allowing, "block", (int)rules->count - allowing);
}

/* Of what `softnet policy show` prints, so that two policies can be compared without reading them. null: unknown. */
static json_t *json_digest(const struct rule_list *rules)
{
	char digest[SHA256_TEXT];
	size_t octets = 0;
	char *text = write_rules(rules, &octets);
	json_t *told = text && format_sha256(text, octets, digest) ? json_text(digest) : json_null();
	free(text);
	return told;
}

/* In one second, to the nearest whole number. */
static json_t *json_rate(uint64_t before, uint64_t now, uint64_t ms)
{
	return json_number(ms > 0 ? ((now - before) * MS + ms / 2) / ms : 0);
}

static json_t *json_rates(const struct counters *counters, uint64_t now_ms)
{
	struct sample now = sample_now(counters, now_ms);
	const struct sample *before = oldest_sample(counters);
	if (!before)
		before = &now;
	uint64_t ms = now.taken_ms - before->taken_ms;
	json_t *rates = json_pack("{s:o}", "seconds", json_number((ms + MS / 2) / MS));
	for (int side = 0; side < DIRECTIONS; side++) {
		uint64_t silent_ms = silence_ms(counters, (enum direction)side, now_ms);
		json_object_set_new(rates, side_names[side],
				    json_pack("{s:o, s:o, s:o, s:o}", "frames",
					      json_rate(before->frames[side], now.frames[side], ms), "octets",
					      json_rate(before->octets[side], now.octets[side], ms), "drops",
					      json_rate(before->drops[side], now.drops[side], ms), "silent",
					      silent_ms == UINT64_MAX ? json_null() : json_number(silent_ms / MS)));
	}
	return rates;
}

/* The text is good until the next call. */
static const char *find_rule(const void *context, enum direction side, unsigned verdict, const struct specimen *last)
{
	static char rule[DECIDING_TEXT];
	const struct relay *r = context;
	struct trust trust = trust_of(r);
	return find_deciding(&trust, r->rules, side, verdict, last, rule);
}

static json_t *json_identity(const struct relay *r)
{
	char mac[MAC_TEXT], started[TIME_TEXT];
	uint64_t uptime_ms = r->now_ms - r->started_ms;
	format_mac(r->guard.config->vm_mac, mac);
	return json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:o, s:o}", "version", SOFTNET_VERSION, "pid", (int)getpid(),
			 "name", r->options->name ? r->options->name : mac, "mac", mac, "started",
			 format_time(r->started_wall_ms, started), "uptime", json_number(uptime_ms / MS), "guest",
			 json_text(r->port[FROM_GUEST]->name), "uplink", json_text(r->port[TO_GUEST]->name));
}

static json_t *json_settings(const struct relay *r)
{
	const struct config *config = r->guard.config;
	return json_pack("{s:s, s:b, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "ipv6", config->ipv6_off ? "off" : "guard",
			 "isolation", config->isolation, "inbound", inbound_names[config->inbound], "stateful",
			 config->stateful, "reject", r->options->reject, "policy", json_policy(r->rules),
			 "policy_digest", json_digest(r->rules), "vms", json_vms(r), "anchors",
			 json_anchors(r->options, &r->anchors, r->guard.config), "exposes", json_exposes(&r->exposes));
}

static json_t *json_metrics_file(const struct metrics_file *file)
{
	return !file->path ? json_null()
			   : json_pack("{s:o, s:o}", "file", json_text(file->path), "failed", json_number(file->failed));
}

static json_t *json_conflicts(const struct claims *claims, uint64_t now_ms)
{
	json_t *list = json_array();
	for (int i = 0; i < CONFLICTS_MAX; i++) {
		const struct claim_conflict *one = &claims->conflicts[i];
		if (one->pid == 0)
			continue;
		json_t *item = json_pack("{s:o, s:s, s:s, s:i, s:i, s:o}", "address", json_address(one->address),
					 "holder", one->is_ours ? "this" : "other", "guard", one->vm, "pid",
					 (int)one->pid, "user", (int)one->user, "seconds",
					 json_number((now_ms - one->last_ms) / MS));
		json_array_append_new(list, item);
	}
	return list;
}

/* null: nobody else can be on the uplink's network. */
static json_t *json_claims(const struct relay *r)
{
	const struct claims *claims = &r->claims;
	if (!r->has_claims)
		return json_null();
	const char *segment = claims->page.segment;
	const char *seen_by = claims->folder.file < 0 ? "nobody" : claims->folder.is_for_all ? "all" : "user";
	return json_pack("{s:o, s:s, s:o}", "segment", segment[0] != '\0' ? json_text(segment) : json_null(), "seen_by",
			 seen_by, "conflicts", json_conflicts(claims, r->now_ms));
}

/* The guard itself has no namespaces. What is beside it says whether they can be had; null: it has not said yet. */
static json_t *json_sandbox(const struct sandbox *sandbox, const struct sandbox *aside)
{
	char missing[SANDBOX_MISSING_TEXT + 40] = "";
	bool has_told = aside && aside->is_on;
	if (sandbox->missing[0] != '\0')
		copy_text(missing, sizeof missing, sandbox->missing);
	else if (has_told && aside->missing[0] != '\0')
		snprintf(missing, sizeof missing, "processes beside the guard: %s", aside->missing);
	return json_pack("{s:s, s:b, s:i, s:o, s:s?, s:i}", "mode", sandbox->is_on ? "on" : "off", "system_calls",
			 sandbox->has_calls, "landlock", sandbox->landlock, "namespaces",
			 has_told ? json_boolean(aside->has_namespaces) : json_null(), "missing",
			 missing[0] != '\0' ? missing : NULL, "user", (int)geteuid());
}

static json_t *json_state_file(const struct state_file *file)
{
	return !file->path
		   ? json_null()
		   : json_pack("{s:o, s:s, s:s, s:o}", "file", json_text(file->path), "kept", kept_name(file->kept),
			       "what", describe_kept(file->kept), "failed", json_number(file->failed));
}

static json_t *json_capture(const struct capture *capture)
{
	return !capture->path ? json_null()
			      : json_pack("{s:o, s:o, s:o, s:o}", "file", json_text(capture->path), "frames",
					  json_number(capture->frames), "octets", json_number(capture->octets), "lost",
					  json_number(capture->lost));
}

static json_t *json_network(const struct relay *r)
{
	json_t *passed = json_object();
	for (int side = 0; side < DIRECTIONS; side++)
		json_object_set_new(passed, side_names[side], json_passed(&r->counters, side));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "addresses",
			 json_addresses(r->guard.config, r->guard.state, r->now_ms), "servers",
			 json_servers(r->guard.state, r->now_ms), "routers", json_routers(r->guard.state, r->now_ms),
			 "passed", passed, "rates", json_rates(&r->counters, r->now_ms), "drops",
			 json_drops(&r->counters, r->now_ms, find_rule, r), "flows", json_flows(r->guard.flows),
			 "rejections", json_number(r->rejections.sent), "questions", json_number(r->questions.sent),
			 "metrics", json_metrics_file(r->metrics));
}

/* null: nothing is asked, or all is answered. */
static json_t *json_asking(const struct relay *r)
{
	char hint[HINT_TEXT];
	if (r->asking.since_ms == 0)
		return json_null();
	struct trust trust = trust_of(r);
	why_unanswered(&r->asking, &trust, &r->counters, hint);
	return json_pack("{s:o, s:s}", "seconds", json_number((r->now_ms - r->asking.since_ms) / MS), "hint", hint);
}

/* null: the gateway is heard, the VM does not want it, or nobody else speaks in its name. */
static json_t *json_gateway(const struct relay *r)
{
	char hint[HINT_TEXT];
	const struct gateway_watch *w = &r->gateway;
	struct trust trust = trust_of(r);
	if (!is_gateway_unheard(w, r->now_ms))
		return json_null();
	explain_gateway(&trust, w->router, w->mac, w->verdict, hint);
	return json_pack("{s:o, s:o, s:o, s:s}", "address", json_address(w->router), "mac", json_mac(w->mac), "seconds",
			 json_number((r->now_ms - w->since_ms) / MS), "hint", hint);
}

json_t *json_status(const struct relay *r)
{
	json_t *status = json_identity(r), *settings = json_settings(r), *network = json_network(r);
	bool is_whole = json_object_update(status, settings) == 0 && json_object_update(status, network) == 0 &&
			json_object_set_new(status, "away", json_away(r)) == 0 &&
			json_object_set_new(status, "away_for", json_away_for(r)) == 0 &&
			json_object_set_new(status, "ground", json_ground(&r->uplink.ground)) == 0 &&
			json_object_set_new(status, "asking", json_asking(r)) == 0 &&
			json_object_set_new(status, "names", json_names(r->guard.names, r->now_ms)) == 0 &&
			json_object_set_new(status, "gateway", json_gateway(r)) == 0 &&
			json_object_set_new(status, "capture", json_capture(r->capture)) == 0 &&
			json_object_set_new(status, "claims", json_claims(r)) == 0 &&
			json_object_set_new(status, "state_file", json_state_file(r->file)) == 0 &&
			json_object_set_new(status, "sandbox", json_sandbox(&r->sandbox, r->aside)) == 0 &&
			json_object_set_new(status, "left", json_null()) == 0 && /* this process is here */
			json_object_set_new(status, "events", json_events(&r->announcer)) == 0;
	json_decref(settings);
	json_decref(network);
	if (is_whole)
		return status;
	json_decref(status);
	return NULL;
}

json_t *guard_status(struct rpc_call *call)
{
	return rpc_takes_nothing(call) ? json_status(call->context) : NULL;
}
