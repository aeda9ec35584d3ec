/* From options to a config and a state that the relay can work with. */
#include "setup.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "log.h"
#include "platform.h"
#include "state_text.h"

const char *uplink_text(const struct options *options)
{
	return options->uplink != NULL ? options->uplink : platform_uplink;
}

enum family { OF_IPV4, OF_IPV6 };

/* The addresses of one family; how many there are of the other decides nothing. */
static struct address_set only(enum family family, const struct address_set *from)
{
	struct address_set set = { .count = 0 };
	for (uint32_t i = 0; i < from->count; i++)
		if (is_ipv4(from->item[i]) == (family == OF_IPV4))
			set_add(&set, from->item[i]);
	return set;
}

static struct address_set choose_set(enum family family, const struct address_set *flags,
				     const struct address_set *platform)
{
	struct address_set set = only(family, flags);
	return set.count > 0 ? set : only(family, platform);
}

/*
 * The uplink's IPv6 addresses go with the uplink's MAC. Where the operator names another machine's as the gateway, they
 * are no router's: the host is a neighbour then, and the gateway's own link-local address need not be known.
 */
static bool is_uplink_the_gateway(const struct options *options, const struct anchors *anchors)
{
	if (options->gateway_macs.count == 0 || anchors->gateway_macs.count == 0)
		return true;
	for (uint32_t i = 0; i < anchors->gateway_macs.count; i++)
		if (mac_set_has(&options->gateway_macs, anchors->gateway_macs.item[i]))
			return true;
	return false;
}

static void choose_anchors(const struct options *options, const struct anchors *anchors, struct config *config)
{
	static const struct address_set none;
	bool is_gateway = is_uplink_the_gateway(options, anchors);
	config->host = choose_set(OF_IPV4, &options->gateways, &anchors->host);
	config->host6 = choose_set(OF_IPV6, &options->gateways, is_gateway ? &anchors->host : &none);
	config->servers = choose_set(OF_IPV4, &options->servers, &anchors->servers);
	config->servers6 = choose_set(OF_IPV6, &options->servers, &anchors->servers);
	config->resolvers = choose_set(OF_IPV4, &options->resolvers, &anchors->resolvers);
	config->resolvers6 = choose_set(OF_IPV6, &options->resolvers, &anchors->resolvers);
	config->gateway_macs = options->gateway_macs.count > 0 ? options->gateway_macs : anchors->gateway_macs;
}

/*
 * docs/filter.md, Trust anchors: without flags and platform there would be nobody to trust, and strict learns nobody.
 * The MAC of a gateway is enough in IPv6, where it names routers and servers. A family without anchors stays closed
 * beside one that has some: not every network has both.
 */
static bool check_strict_anchors(const struct config *config, struct usage_error *error)
{
	if (!config->strict_anchors)
		return true;
	bool has_ipv6 = !config->ipv6_off && config->servers6.count + config->host6.count > 0;
	if (!config->dhcp_off && config->servers.count == 0 && config->host.count == 0 && !has_ipv6)
		return refuse(error, "--anchors: \"strict\": expected --gateway or --dhcp-server with this uplink");
	if (config->gateway_macs.count == 0)
		return refuse(error, "--anchors: \"strict\": expected --gateway-mac with this uplink");
	return true;
}

/* What is the network's own cannot be the guest's. */
static bool check_statics(const struct options *options, const struct config *config, struct usage_error *error)
{
	char text[ADDRESS_TEXT];
	for (uint32_t i = 0; i < options->static_count; i++) {
		struct address a = options->statics[i].address;
		if (set_has(&config->host, a) || set_has(&config->servers, a) || set_has(&config->host6, a) ||
		    set_has(&config->servers6, a))
			return refuse(error, "--vm-ip: \"%s\": expected another address than the host's",
				      format_address(a, text));
	}
	return true;
}

bool apply_rules(const struct options *options, const struct rule_list *rules, struct config *config,
		 struct usage_error *error)
{
	static struct policy spare;
	if (options->inbound == INBOUND_NONE && find_inbound_allow(rules) != NULL)
		return refuse(error, "nothing may be allowed in with --inbound none");
	if (!compile_rules(rules, speaks_both_ways(options, rules), &spare, error))
		return false;
	copy_policy(&config->policy, &spare);
	config->stateful = has_directional_rules(rules) || options->inbound != INBOUND_ANY;
	config->inbound = (uint8_t)options->inbound;
	config->ipv6_off = !wants_ipv6(options, NULL) || !wants_ipv6_with(options, rules, NULL);
	return true;
}

bool make_config(struct options *options, const struct anchors *anchors, struct config *config,
		 struct usage_error *error)
{
	config->vm_mac = options->vm_mac;
	config->max_frame = 14 + options->mtu;
	config->dhcp_off = options->dhcp_off;
	config->isolation = wants_isolation(options);
	config->strict_anchors = options->strict_anchors;
	config->no_resync = options->no_resync;
	config->arp_conflicts_pass = options->arp_conflicts_pass;
	config->strict_client_id = options->strict_client_id;
	config->ipv6_eui64_only = options->ipv6_eui64_only;
	config->nat64 = options->nat64;
	choose_anchors(options, anchors, config);
	config->exposed.count =
		list_guest_ports(options->exposes, options->expose_count, config->exposed.item, EXPOSED_MAX);
	memcpy(config->rates, options->rates, sizeof config->rates);
	if (mac_set_has(&config->gateway_macs, config->vm_mac))
		return refuse(error, "--vm-mac-address: expected another address than the gateway's");
	if (!check_statics(options, config, error))
		return false;
	struct usage_error cause;
	if (!apply_rules(options, &options->rules, config, &cause))
		return refuse(error, "--allow, --block, --policy: %s", cause.text);
	return check_strict_anchors(config, error);
}

bool make_state(const struct options *options, struct state *state, uint64_t now_ms, struct usage_error *error)
{
	char text[ADDRESS_TEXT];
	memset(state, 0, sizeof *state);
	if (!platform_random(state->hash_key, sizeof state->hash_key))
		return refuse(error, "no random numbers can be had from the system");
	for (uint32_t i = 0; i < options->static_count; i++)
		if (!add_static_binding(state, options->statics[i].address, options->statics[i].prefix_length, now_ms))
			return refuse(error, "--vm-ip: \"%s\": expected an address that a host may have, only once",
				      format_address(options->statics[i].address, text));
	return true;
}

uint64_t hash_setup(const struct options *options, const struct config *config)
{
	/* Not the sites behind: they are the host's, which may move, and give the guest no right. */
	uint64_t hash = hash_bytes(0, config, offsetof(struct config, sites));
	hash = hash_bytes(hash, options->statics, sizeof options->statics);
	hash = hash_bytes(hash, &options->host_only, sizeof options->host_only);
	return hash_bytes(hash, uplink_text(options), strlen(uplink_text(options))); /* another network, other leases */
}

void warn_of_directions(const struct options *options)
{
	if (speaks_both_ways(options, &options->rules) && has_bare_rules(&options->rules))
		warning("as some rules say `in` or `out`, those without speak of both directions; with --inbound any they would "
			"speak only of what the VM opens");
}

static void tell_set(const char *what, const struct address_set *set, const struct address_set *flags,
		     const char *otherwise)
{
	char line[ADDRESS_SET_MAX * (ADDRESS_TEXT + 2)] = "", text[ADDRESS_TEXT];
	size_t length = 0;
	for (uint32_t i = 0; i < set->count; i++)
		length += (size_t)snprintf(line + length, sizeof line - length, "%s%s", i > 0 ? ", " : "",
					   format_address(set->item[i], text));
	bool by_flag = set->count > 0 && set_has(flags, set->item[0]);
	if (set->count == 0)
		info("%s: %s", what, otherwise);
	else
		info("%s: %s (from the %s)", what, line, by_flag ? "command line" : "uplink");
}

static void tell_anchors6(const struct options *options, const struct config *config, const char *learned)
{
	const char *routers = config->gateway_macs.count > 0 ? "the gateways" : learned;
	tell_set("host in IPv6", &config->host6, &options->gateways, "unknown");
	tell_set("DHCPv6 servers", &config->servers6, &options->servers, routers);
	tell_set("resolvers in IPv6", &config->resolvers6, &options->resolvers, "those of router and lease");
}

void tell_anchors(const struct options *options, const struct config *config)
{
	const char *learned = config->strict_anchors ? "none" : "to be learned", *why;
	bool has_ipv6 = wants_ipv6(options, &why);
	tell_set("host", &config->host, &options->gateways, "unknown");
	tell_set("DHCP servers", &config->servers, &options->servers, config->host.count > 0 ? "the host" : learned);
	tell_set("resolvers", &config->resolvers, &options->resolvers, "those of the lease");
	char line[MAC_SET_MAX * (MAC_TEXT + 2)] = "", text[MAC_TEXT];
	size_t length = 0;
	for (uint32_t i = 0; i < config->gateway_macs.count; i++)
		length += (size_t)snprintf(line + length, sizeof line - length, "%s%s", i > 0 ? ", " : "",
					   format_mac(config->gateway_macs.item[i], text));
	if (length == 0)
		info("gateway MAC addresses: %s", learned);
	else
		info("gateway MAC addresses: %s (from the %s)", line,
		     options->gateway_macs.count > 0 ? "command line" : "uplink");
	info("IPv6: %s (%s)", has_ipv6 ? "guard" : "off", why);
	if (has_ipv6)
		tell_anchors6(options, config, learned);
}
