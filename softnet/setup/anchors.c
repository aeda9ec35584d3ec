/* Which of the operator's and the uplink's words count, for each family by itself. */
#include "softnet/setup/anchors.h"
#include <stdio.h>
#include <string.h>
#include "system/log.h"

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

static bool share_address(const struct address_set *a, const struct address_set *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (set_has(b, a->item[i]))
			return true;
	return false;
}

static bool share_mac(const struct mac_set *a, const struct mac_set *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (mac_set_has(b, a->item[i]))
			return true;
	return false;
}

/*
 * Is the uplink's host a router of its segment? Else it only lives there, as on a bridge that joins VMs to the LAN. The
 * operator's word first: a MAC or an address that is none of the host's is another machine's. Else the host's own: one
 * whose default route leaves by this very segment has its router there.
 */
static bool is_host_a_router(enum family family, const struct options *options, const struct anchors *anchors,
			     const char **why)
{
	struct address_set named = only(family, &options->gateways);
	bool is_router = family == OF_IPV4 ? !anchors->other_router4 : !anchors->other_router6;
	*why = is_router ? "its default route does not leave there" : "its default route leaves there";
	if (options->gateway_macs.count > 0 && anchors->gateway_macs.count > 0) {
		is_router = share_mac(&options->gateway_macs, &anchors->gateway_macs);
		*why = is_router ? "--gateway-mac names it" : "--gateway-mac names another machine";
	} else if (named.count > 0) {
		is_router = share_address(&named, &anchors->host);
		*why = is_router ? "--gateway names it" : "--gateway names another machine";
	}
	return is_router;
}

const char *why_no_router(const struct options *options, const struct anchors *anchors, const struct config *config)
{
	const char *why;
	for (uint32_t i = 0; i < config->resident.count; i++) {
		enum family family = is_ipv4(config->resident.item[i]) ? OF_IPV4 : OF_IPV6;
		if (!is_host_a_router(family, options, anchors, &why))
			return why;
	}
	return NULL;
}

/*
 * The host's own addresses that do not count as the gateway's come with the host's own MAC. Those of a family that
 * --gateway speaks of are what it says.
 */
static void choose_residents(const struct options *options, const struct anchors *anchors, struct config *config)
{
	static const struct address_set none;
	bool is_vouched_for = share_mac(&config->gateway_macs, &anchors->gateway_macs);
	config->resident = none;
	config->resident_mac = MAC_NONE;
	if (anchors->gateway_macs.count == 0)
		return;
	for (uint32_t i = 0; i < anchors->host.count; i++) {
		struct address a = anchors->host.item[i];
		struct address_set named = only(is_ipv4(a) ? OF_IPV4 : OF_IPV6, &options->gateways);
		bool is_router = set_has(&config->host, a) || set_has(&config->host6, a);
		if ((named.count == 0 || set_has(&named, a)) && !(is_router && is_vouched_for))
			set_add(&config->resident, a);
	}
	if (config->resident.count > 0)
		config->resident_mac = anchors->gateway_macs.item[0];
}

static bool has_lost(const struct address_set *before, const struct address_set *now)
{
	for (uint32_t i = 0; i < before->count; i++)
		if (!set_has(now, before->item[i]))
			return true;
	return before->count == 0 && now->count > 0; /* what was learned is now named */
}

/* Whom locks of what was learned stand beside. */
struct trusted {
	struct address_set host, host6, servers, servers6;
	struct mac_set gateway_macs;
};

static struct trusted trusted_by(const struct config *config)
{
	return (struct trusted){ config->host, config->host6, config->servers, config->servers6, config->gateway_macs };
}

/* A further address of the same machine changes nothing. */
static bool have_moved(const struct trusted *before, const struct trusted *now)
{
	return has_lost(&before->host, &now->host) || has_lost(&before->host6, &now->host6) ||
	       has_lost(&before->servers, &now->servers) || has_lost(&before->servers6, &now->servers6) ||
	       memcmp(&before->gateway_macs, &now->gateway_macs, sizeof now->gateway_macs) != 0;
}

bool choose_anchors(const struct options *options, const struct anchors *anchors, struct config *config)
{
	static const struct address_set nobody;
	static const struct mac_set no_macs;
	struct trusted before = trusted_by(config);
	const char *why;
	bool routes4 = is_host_a_router(OF_IPV4, options, anchors, &why);
	bool routes6 = is_host_a_router(OF_IPV6, options, anchors, &why);
	config->host = choose_set(OF_IPV4, &options->gateways, routes4 ? &anchors->host : &nobody);
	config->host6 = choose_set(OF_IPV6, &options->gateways, routes6 ? &anchors->host : &nobody);
	config->servers = choose_set(OF_IPV4, &options->servers, &anchors->servers);
	config->servers6 = choose_set(OF_IPV6, &options->servers, &anchors->servers);
	config->resolvers = choose_set(OF_IPV4, &options->resolvers, &anchors->resolvers);
	config->resolvers6 = choose_set(OF_IPV6, &options->resolvers, &anchors->resolvers);
	/* They are of both families: where the host is the router of one only, they are learned. */
	bool is_whole = routes4 && (routes6 || !wants_ipv6(options, NULL));
	config->gateway_macs = options->gateway_macs.count > 0 ? options->gateway_macs
			       : is_whole                      ? anchors->gateway_macs
							       : no_macs;
	choose_residents(options, anchors, config);
	struct trusted now = trusted_by(config);
	return have_moved(&before, &now);
}

/*
 * docs/filter.md, Trust anchors: without flags and platform there would be nobody to trust, and strict learns nobody.
 * The MAC of a gateway is enough in IPv6, where it names routers and servers. A family without anchors stays closed
 * beside one that has some: not every network has both.
 */
static bool check_strict_anchors(const struct config *config, struct error *error)
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
static bool check_statics(const struct options *options, const struct config *config, struct error *error)
{
	char text[ADDRESS_TEXT];
	for (uint32_t i = 0; i < options->static_count; i++) {
		struct address a = options->statics[i].address;
		if (set_has(&config->host, a) || set_has(&config->servers, a) || set_has(&config->host6, a) ||
		    set_has(&config->servers6, a) || set_has(&config->resident, a))
			return refuse(error, "--%s: \"%s\": expected another address than the host's",
				      option_of_static(&options->statics[i]), format_address(a, text));
	}
	return true;
}

bool check_anchors(const struct options *options, const struct config *config, struct error *error)
{
	if (mac_set_has(&config->gateway_macs, config->vm_mac) ||
	    (config->resident.count > 0 && config->resident_mac == config->vm_mac))
		return refuse(error, "--vm-mac-address: expected another address than the gateway's");
	return check_statics(options, config, error) && check_strict_anchors(config, error);
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
	tell_set("host in IPv6", &config->host6, &options->gateways,
		 config->resident.count > 0 ? "no router" : "unknown");
	tell_set("DHCPv6 servers", &config->servers6, &options->servers, routers);
	tell_set("resolvers in IPv6", &config->resolvers6, &options->resolvers, "those of router and lease");
}

static void tell_resident(const struct options *options, const struct anchors *anchors, const struct config *config)
{
	const char *why = why_no_router(options, anchors, config);
	char text[MAC_TEXT];
	if (config->resident.count == 0)
		return;
	tell_set("host itself", &config->resident, &options->gateways, "");
	info("host itself: at %s%s%s", format_mac(config->resident_mac, text), why ? ", not the router: " : "",
	     why ? why : "");
}

void tell_anchors(const struct options *options, const struct anchors *anchors, const struct config *config)
{
	const char *learned = config->strict_anchors ? "none" : "to be learned", *why;
	bool has_ipv6 = wants_ipv6(options, &why);
	tell_resident(options, anchors, config);
	tell_set("host", &config->host, &options->gateways, config->resident.count > 0 ? "no router" : "unknown");
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
