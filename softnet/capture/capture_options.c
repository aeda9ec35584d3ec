/* From what is in force back to options. */
#include "softnet/capture/capture_options.h"
#include <stdarg.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "core/wire/ethernet.h"

static const char rules_do_not_fit[] = RULES_DO_NOT_FIT "\n";

struct option_writer {
	char *to;
	size_t length, room;
	bool is_full;
};

__attribute__((format(printf, 2, 3))) static void add(struct option_writer *w, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int octets = vsnprintf(w->to + w->length, w->room - w->length, format, arguments);
	va_end(arguments);
	w->is_full |= octets < 0 || (size_t)octets >= w->room - w->length;
	if (!w->is_full)
		w->length += (size_t)octets;
}

/* "--name=" in front of the first item, a comma in front of others. */
static void add_item(struct option_writer *w, const char *option, uint32_t *items, const char *item)
{
	if ((*items)++ == 0)
		add(w, "--%s=%s", option, item);
	else
		add(w, ",%s", item);
}

static void end_list(struct option_writer *w, uint32_t items)
{
	if (items > 0)
		add(w, "\n");
}

static void add_flag(struct option_writer *w, const char *option, bool is_set)
{
	if (is_set)
		add(w, "--%s\n", option);
}

/* Of both families: options do not tell them apart. */
static void add_addresses(struct option_writer *w, const char *option, const struct address_set *four,
			  const struct address_set *six)
{
	char text[ADDRESS_TEXT];
	uint32_t items = 0;
	for (uint32_t i = 0; i < four->count; i++)
		add_item(w, option, &items, format_address(four->item[i], text));
	for (uint32_t i = 0; i < six->count; i++)
		add_item(w, option, &items, format_address(six->item[i], text));
	end_list(w, items);
}

/* The host itself, where it is no router. */
static void add_host(struct option_writer *w, const struct config *config)
{
	char mac[MAC_TEXT], address[ADDRESS_TEXT];
	uint32_t items = 0;
	if (config->resident.count > 0)
		add_item(w, "host", &items, format_mac(config->resident_mac, mac));
	for (uint32_t i = 0; i < config->resident.count; i++)
		add_item(w, "host", &items, format_address(config->resident.item[i], address));
	end_list(w, items);
}

static void add_anchors(struct option_writer *w, const struct config *config)
{
	char text[MAC_TEXT];
	uint32_t macs = 0;
	add_addresses(w, "gateway", &config->host, &config->host6);
	for (; macs < config->gateway_macs.count;)
		add_item(w, "gateway-mac", &macs, format_mac(config->gateway_macs.item[macs], text));
	end_list(w, macs);
	add_host(w, config);
	add_addresses(w, "dhcp-server", &config->servers, &config->servers6);
	add_addresses(w, "dns", &config->resolvers, &config->resolvers6);
	add(w, "--anchors=%s\n", config->strict_anchors ? "strict" : "learn");
}

static void add_prefixes(struct option_writer *w, const struct config *config)
{
	char address[ADDRESS_TEXT], text[ADDRESS_TEXT + 8];
	uint32_t items = 0;
	for (uint32_t i = 0; i < config->nat64.count; i++) {
		const struct nat64_prefix *p = &config->nat64.item[i];
		snprintf(text, sizeof text, "%s/%" PRIu32, format_address(p->prefix, address), p->length);
		add_item(w, "nat64", &items, text);
	}
	end_list(w, items);
	items = 0;
	for (uint32_t i = 0; i < config->sites.count; i++) {
		snprintf(text, sizeof text, "%s/48",
			 format_address((struct address){ config->sites.item[i], 0 }, address));
		add_item(w, "site", &items, text);
	}
	end_list(w, items);
}

/*
 * What the VM has of IPv6 is left out while IPv6 is off: rules of live control can switch it off, but on a command line
 * both together are an error.
 */
static void add_statics_of(struct option_writer *w, const char *option, bool shared, const struct options *options,
			   const struct config *config)
{
	char address[ADDRESS_TEXT], text[ADDRESS_TEXT + 8];
	uint32_t items = 0;
	for (uint32_t i = 0; i < options->static_count; i++) {
		const struct static_address *a = &options->statics[i];
		if ((a->is_shared != 0) != shared || (config->ipv6_off && !is_ipv4(a->address)))
			continue;
		snprintf(text, sizeof text, "%s/%" PRIu32, format_address(a->address, address), a->prefix_length);
		add_item(w, option, &items, text);
	}
	end_list(w, items);
}

static void add_exposes(struct option_writer *w, const struct exposes *exposes, const struct config *config)
{
	uint32_t items = 0;
	for (uint32_t i = 0; i < exposes->count; i++)
		if (!config->ipv6_off || is_ipv4(exposes->items[i].expose.external))
			add_item(w, "expose", &items, exposes->items[i].text);
	end_list(w, items);
}

static void add_rates(struct option_writer *w, const struct config *config)
{
	for (int i = 0; i < RATE_CLASSES_END; i++)
		if (rate_names[i])
			add(w, "--rate=%s=%" PRIu32 ".%03" PRIu32 "/%" PRIu32 "\n", rate_names[i],
			    config->rates[i].refill / 1000, config->rates[i].refill % 1000, config->rates[i].burst);
}

static void add_host_names(struct option_writer *w, const struct host_names *names)
{
	uint32_t items = 0;
	for (uint32_t i = 0; i < names->count; i++)
		add_item(w, "dhcp-hostname", &items, (const char *)names->item[i].text);
	end_list(w, items);
	if (names->none)
		add(w, "--dhcp-hostname=none\n");
}

static void add_settings(struct option_writer *w, const struct options *options, const struct config *config)
{
	char mac[MAC_TEXT];
	add(w, "--vm-mac-address=%s\n--mtu=%" PRIu32 "\n", format_mac(config->vm_mac, mac),
	    config->max_frame - ETHERNET_HEADER);
	add(w, "--ipv6=%s\n--ipv6-iid=%s\n", config->ipv6_off ? "off" : "guard",
	    config->ipv6_eui64_only ? "eui64" : "any");
	add(w, "--isolation=%s\n", config->isolation ? "on" : "off");
	add(w, "--dhcp-client-id=%s\n--arp-conflicts=%s\n", config->strict_client_id ? "strict" : "any",
	    config->arp_conflicts_pass ? "pass" : "drop");
	add_host_names(w, &config->host_names);
	add_flag(w, "no-dhcp", config->dhcp_off);
	add_flag(w, "no-resync", config->no_resync);
	add_flag(w, "reject", options->reject);
	if (options->learns_names)
		add(w, "--names=learn\n");
	if (options->ech_passes)
		add(w, "--ech=pass\n");
	if (options->any_question)
		add(w, "--dns-questions=any\n");
	/* Not where it was not given: then rules without a direction speak of both. */
	if (options->inbound_given)
		add(w, "--inbound=%s\n", inbound_names[config->inbound]);
}

/* For a replay a VM is the addresses that it had. */
static void add_rules_for_vm(struct option_writer *w, const char *option, uint32_t *items, const struct rule_text *rule,
			     const struct vm_addresses *vms)
{
	char text[RULE_TEXT];
	struct rule_text same = *rule;
	same.target = TARGET_PREFIX;
	same.prefix_length = 128;
	for (uint32_t i = 0; i < vms->count; i++)
		if (is_about_vm(rule, vms->item[i].vm)) {
			same.address = vms->item[i].address;
			add_item(w, option, items, format_rule(&same, text));
		}
}

static void add_rules_of(struct option_writer *w, const char *option, const struct in_force *now,
			 enum destination_class class)
{
	char text[RULE_TEXT];
	uint32_t items = 0;
	for (uint32_t i = 0; i < now->rules->count && !w->is_full; i++) {
		const struct rule_text *rule = &now->rules->rule[i].text;
		if (now->rules->rule[i].class != class)
			continue;
		if (rule->target == TARGET_VM)
			add_rules_for_vm(w, option, &items, rule, now->vms);
		else
			add_item(w, option, &items, format_rule(rule, text));
	}
	end_list(w, items);
}

size_t format_capture_options(const struct in_force *now, char *text, size_t room)
{
	struct option_writer w = { text, 0, room - (sizeof rules_do_not_fit - 1), false };
	add(&w, "softnet %s\n", SOFTNET_VERSION);
	add_settings(&w, now->options, now->config);
	add_anchors(&w, now->config);
	add_prefixes(&w, now->config);
	add_statics_of(&w, "vm-ip", false, now->options, now->config);
	add_statics_of(&w, "shared-ip", true, now->options, now->config);
	add_exposes(&w, now->exposes, now->config);
	add_rates(&w, now->config);
	size_t before_rules = w.length;
	add_rules_of(&w, "allow", now, CLASS_ALLOWED);
	add_rules_of(&w, "block", now, CLASS_BLOCKED);
	if (w.is_full) {
		memcpy(text + before_rules, rules_do_not_fit, sizeof rules_do_not_fit - 1);
		w.length = before_rules + sizeof rules_do_not_fit - 1;
	}
	return w.length;
}
