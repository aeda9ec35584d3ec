/* From options to a config and a state that the relay can work with. */
#include "setup.h"
#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "log.h"
#include "platform.h"
#include "state_text.h"

const char *uplink_text(const struct options *options)
{
	return options->uplink != NULL ? options->uplink : platform_uplink;
}

static void choose_set(struct address_set *to, const struct address_set *flags, const struct address_set *platform)
{
	*to = flags->count > 0 ? *flags : *platform;
}

/* docs/filter.md, Trust anchors: without flags and platform there would be nobody to trust, and strict learns nobody. */
static bool check_strict_anchors(const struct config *config, struct usage_error *error)
{
	if (!config->strict_anchors)
		return true;
	if (!config->dhcp_off && config->servers.count == 0 && config->host.count == 0)
		return refuse(error, "--anchors: \"strict\": expected --gateway or --dhcp-server with this uplink");
	if (config->gateway_macs.count == 0)
		return refuse(error, "--anchors: \"strict\": expected --gateway-mac with this uplink");
	return true;
}

bool make_config(struct options *options, const struct anchors *anchors, struct config *config,
		 struct usage_error *error)
{
	memset(config, 0, sizeof *config);
	config->vm_mac = options->vm_mac;
	config->max_frame = 14 + options->mtu;
	config->dhcp_off = options->dhcp_off;
	config->isolation = wants_isolation(options);
	config->strict_anchors = options->strict_anchors;
	config->no_resync = options->no_resync;
	config->arp_conflicts_pass = options->arp_conflicts_pass;
	config->strict_client_id = options->strict_client_id;
	choose_set(&config->host, &options->gateways, &anchors->host);
	choose_set(&config->servers, &options->servers, &anchors->servers);
	choose_set(&config->resolvers, &options->resolvers, &anchors->resolvers);
	config->gateway_macs = options->gateway_macs.count > 0 ? options->gateway_macs : anchors->gateway_macs;
	memcpy(config->rates, options->rates, sizeof config->rates);
	if (mac_set_has(&config->gateway_macs, config->vm_mac))
		return refuse(error, "--vm-mac-address: expected another address than the gateway's");
	for (uint32_t i = 0; i < options->static_count; i++)
		if (set_has(&config->host, options->statics[i].address) ||
		    set_has(&config->servers, options->statics[i].address))
			return refuse(error, "--vm-ip: \"%s\": expected another address than the host's",
				      format_address(options->statics[i].address, (char[ADDRESS_TEXT]){ "" }));
	if (!compile_rules(&options->rules, &config->policy))
		return refuse(error, "--allow, --block: more than %d rules", RULES_MAX);
	return check_strict_anchors(config, error);
}

bool make_state(const struct options *options, struct state *state, struct usage_error *error)
{
	char text[ADDRESS_TEXT];
	memset(state, 0, sizeof *state);
	if (!platform_random(state->hash_key, sizeof state->hash_key))
		return refuse(error, "no random numbers can be had from the system");
	for (uint32_t i = 0; i < options->static_count; i++)
		if (!add_static_binding(state, options->statics[i].address, options->statics[i].prefix_length,
					clock_ms()))
			return refuse(error, "--vm-ip: \"%s\": expected an address that a host may have, only once",
				      format_address(options->statics[i].address, text));
	return true;
}

uint64_t hash_setup(const struct options *options, const struct config *config)
{
	uint64_t hash = hash_bytes(0, config, sizeof *config);
	hash = hash_bytes(hash, options->statics, sizeof options->statics);
	hash = hash_bytes(hash, &options->host_only, sizeof options->host_only);
	return hash_bytes(hash, uplink_text(options), strlen(uplink_text(options))); /* another network, other leases */
}

static void tell_set(const char *what, const struct address_set *set, bool by_flag, const char *otherwise)
{
	char line[ADDRESS_SET_MAX * (ADDRESS_TEXT + 2)] = "", text[ADDRESS_TEXT];
	size_t length = 0;
	for (uint32_t i = 0; i < set->count; i++)
		length += (size_t)snprintf(line + length, sizeof line - length, "%s%s", i > 0 ? ", " : "",
					   format_address(set->item[i], text));
	if (set->count == 0)
		info("%s: %s", what, otherwise);
	else
		info("%s: %s (from the %s)", what, line, by_flag ? "command line" : "uplink");
}

void tell_anchors(const struct options *options, const struct config *config)
{
	const char *learned = config->strict_anchors ? "none" : "to be learned";
	tell_set("host", &config->host, options->gateways.count > 0, "unknown");
	tell_set("DHCP servers", &config->servers, options->servers.count > 0,
		 config->host.count > 0 ? "the host" : learned);
	tell_set("resolvers", &config->resolvers, options->resolvers.count > 0, "those of the lease");
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
}
