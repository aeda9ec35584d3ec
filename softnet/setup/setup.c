/* From options to a config and a state that the relay can work with. */
#include "softnet/setup/setup.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "softnet/names/quic_crypto.h"
#include "softnet/rules/rule_vms.h"
#include "softnet/setup/anchors.h"
#include "system/log.h"
#include "system/platform.h"
#include "softnet/saved/state_text.h"

const char *uplink_text(const struct options *options)
{
	if (options->wanted == WANT_ATTACH)
		return "attach"; /* whichever network the port is in */
	return options->uplink ? options->uplink : platform_uplink;
}

/* No rule may promise what this program cannot look into. */
static bool can_read_names(const struct rule_list *rules, struct error *error)
{
	char text[RULE_TEXT];
	const struct written_rule *quic = find_quic_rule(rules);
	if (!quic || client_initial_opener())
		return true;
	return refuse(
	    error,
	    "\"%.80s\": this softnet was built without nettle, so it cannot read QUIC; expected :tls, :http or "
	    "tcp/PORT behind the name",
	    format_rule(&quic->text, text));
}

bool make_ready(const struct options *options, const struct rule_list *rules, const struct vm_addresses *vms,
		struct ready_rules *ready, struct error *error)
{
	if (options->inbound == INBOUND_NONE && find_inbound_allow(rules))
		return refuse(error, "nothing may be allowed in with --inbound none");
	if (!can_read_names(rules, error) ||
	    !compile_rules(rules, speaks_both_ways(options, rules), vms, &ready->policy, error))
		return false;
	ready->name_hosts = has_names(rules);
	ready->allowing = count_allowing(rules);
	ready->stateful = has_directional_rules(rules) || options->inbound != INBOUND_ANY;
	ready->inbound = (uint8_t)options->inbound;
	ready->has_names = ready->name_hosts || options->learns_names;
	ready->ipv6_off = !wants_ipv6(options, NULL) || !wants_ipv6_with(options, rules, NULL);
	return true;
}

static void take_ready(struct config *config, const struct ready_rules *ready)
{
	copy_policy(&config->policy, &ready->policy);
	config->stateful = ready->stateful;
	config->inbound = ready->inbound;
	config->has_names = ready->has_names;
	config->ipv6_off = ready->ipv6_off;
}

static struct ready_rules spare;

bool apply_rules(const struct options *options, const struct rule_list *rules, struct config *config, struct error *error)
{
	if (!make_ready(options, rules, NULL, &spare, error))
		return false;
	take_ready(config, &spare);
	return true;
}

bool make_config(struct options *options, const struct anchors *anchors, struct config *config, struct error *error)
{
	config->vm_mac = options->vm_mac;
	config->max_frame = 14 + options->mtu;
	config->dhcp_off = options->dhcp_off;
	config->isolation = wants_isolation(options);
	config->strict_anchors = options->strict_anchors;
	config->no_resync = options->no_resync;
	config->arp_conflicts_pass = options->arp_conflicts_pass;
	config->strict_client_id = options->strict_client_id;
	config->host_names = options->host_names;
	config->ipv6_eui64_only = options->ipv6_eui64_only;
	config->nat64 = options->nat64;
	for (uint32_t i = 0; i < options->static_count; i++)
		if (options->statics[i].is_shared)
			set_add(&config->shared, options->statics[i].address);
	(void)choose_anchors(options, anchors, config);
	config->exposed.count =
	    list_guest_ports(options->exposes, options->expose_count, config->exposed.item, EXPOSED_MAX);
	memcpy(config->rates, options->rates, sizeof config->rates);
	struct error cause;
	if (!apply_rules(options, &options->rules, config, &cause))
		return refuse(error, "--allow, --block, --policy: %s", cause.text);
	return check_anchors(options, config, error);
}

bool make_state(const struct options *options, struct state *state, uint64_t now_ms, struct error *error)
{
	char text[ADDRESS_TEXT];
	memset(state, 0, sizeof *state);
	if (!platform_random(state->hash_key, sizeof state->hash_key))
		return refuse(error, "no random numbers can be had from the system");
	for (uint32_t i = 0; i < options->static_count; i++)
		if (!add_static_binding(state, options->statics[i].address, options->statics[i].prefix_length, now_ms))
			return refuse(error, "--%s: \"%s\": expected an address that a host may have, only once",
				      option_of_static(&options->statics[i]),
				      format_address(options->statics[i].address, text));
	return true;
}

/* The memory of those that are not in force. */
static void put_names_in_force(struct guard_memory *memory, const struct rule_list *rules, bool name_hosts,
			       uint64_t now_ms)
{
	struct name_rules *next = &memory->name_rules[memory->names.rules == &memory->name_rules[0]];
	if (name_hosts)
		compile_names(rules, next);
	change_name_rules(&memory->names, name_hosts ? next : NULL, now_ms);
}

/* Untouched pages stay so where no rule names a host. */
static void make_names(struct guard_memory *memory, const struct options *options, uint64_t now_ms)
{
	struct names *names = &memory->names;
	names->config = &memory->config;
	names->state = &memory->state;
	names->settings =
	    (struct name_settings){ NAME_TTL_FLOOR_MS, NAME_TTL_CEILING_MS, options->ech_passes, options->any_question };
	names->open_initial = client_initial_opener();
	names->learned = options->learns_names ? &memory->learned : NULL;
	put_names_in_force(memory, &options->rules, has_names(&options->rules), now_ms);
}

bool make_guard(struct guard *guard, struct guard_memory *memory, struct options *options,
		const struct anchors *anchors, uint64_t now_ms, struct error *error)
{
	if (!make_config(options, anchors, &memory->config, error) || !make_state(options, &memory->state, now_ms, error))
		return false;
	make_names(memory, options, now_ms);
	*guard = (struct guard){ .config = &memory->config,
				 .state = &memory->state,
				 .buckets = &memory->buckets,
				 .flows = &memory->flows,
				 .names = &memory->names };
	start_guard(guard, now_ms);
	return true;
}

/* The next ones are found by another key, so that what the guest has learned of the last one helps it nothing. */
static void forget_flows(struct flows *flows)
{
	uint64_t key[2];
	if (!platform_random(key, sizeof key))
		memcpy(key, flows->hash_key, sizeof key);
	clear_flows(flows, key);
}

void take_rules(struct guard_memory *memory, const struct rule_list *rules, const struct ready_rules *ready,
		uint64_t now_ms)
{
	take_ready(&memory->config, ready);
	put_names_in_force(memory, rules, ready->name_hosts, now_ms);
	memory->config.followed.count = 0;
	forget_flows(&memory->flows);
}

/* They are in the policy, too. */
static void note_followed(struct followed_set *set, const struct vm_addresses *vms)
{
	_Static_assert((int)VM_ADDRESSES_MAX <= (int)FOLLOWED_MAX, "each has room");
	set->count = vms ? vms->count : 0;
	for (uint32_t i = 0; i < set->count; i++)
		set->item[i] = vms->item[i].address;
}

bool change_rules(struct guard_memory *memory, const struct options *options, const struct rule_list *rules,
		  const struct vm_addresses *vms, uint64_t now_ms, struct error *error)
{
	if (!make_ready(options, rules, vms, &spare, error))
		return false;
	take_rules(memory, rules, &spare, now_ms);
	note_followed(&memory->config.followed, vms);
	return true;
}

void change_anchors(struct guard_memory *memory, const struct options *options, const struct anchors *anchors)
{
	if (choose_anchors(options, anchors, &memory->config))
		relearn(&memory->state);
}

uint64_t hash_setup(const struct options *options, const struct config *config)
{
	/* Not the sites behind: they are the host's, which may move, and give the guest no right. Nor what other VMs have. */
	size_t octets = has_vms(&options->rules) ? offsetof(struct config, policy) : offsetof(struct config, sites);
	uint64_t hash = hash_bytes(0, config, octets);
	hash = hash_bytes(hash, options->statics, sizeof options->statics);
	hash = hash_bytes(hash, &options->host_only, sizeof options->host_only);
	return hash_bytes(hash, uplink_text(options), strlen(uplink_text(options))); /* another network, other leases */
}

void warn_of_rules(const struct options *options)
{
	if (speaks_both_ways(options, &options->rules) && has_bare_rules(&options->rules))
		warning("as some rules say `in` or `out`, those without speak of both directions; with --inbound any "
			"they would "
			"speak only of what the VM opens");
	const char *doubt = doubtful_names(&options->rules);
	if (doubt)
		warning("%s", doubt);
}
