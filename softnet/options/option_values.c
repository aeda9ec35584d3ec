/* One function per option: checks its value and keeps it. */
#include "softnet/options/option_values.h"
#include <netinet/in.h>
#include <string.h>
#include "softnet/rules/policy_file.h"
#include "system/guess.h"

enum { ITEM_TEXT_MAX = 128 };

static bool refuse_list(struct error *error, const char *value)
{
	return refuse_value(error, value, "a comma list without empty items");
}

/* Sets *chosen to whether the value is `yes`; nothing but the two words will do. */
static bool choose(const char *value, const char *yes, const char *no, bool *chosen, struct error *error)
{
	*chosen = strcmp(value, yes) == 0;
	if (*chosen || strcmp(value, no) == 0)
		return true;
	char what[64];
	snprintf(what, sizeof what, "%s or %s", yes, no);
	return refuse_value(error, value, what);
}

bool keep_text(const char **to, const char *value, const char *what, struct error *error)
{
	if (*value == '\0')
		return refuse_value(error, value, what);
	*to = value;
	return true;
}

static bool keep_fd(int *to, const char *value, struct error *error)
{
	uint64_t number;
	if (!parse_number(value, 0, INT32_MAX, &number))
		return refuse_value(error, value, "the number of an open descriptor");
	*to = (int)number;
	return true;
}

bool take_vm_fd(struct options *options, const char *value, struct error *error)
{
	return keep_fd(&options->vm_fd, value, error);
}

bool take_control_fd(struct options *options, const char *value, struct error *error)
{
	return keep_fd(&options->control_fd, value, error);
}

bool take_control(struct options *options, const char *value, struct error *error)
{
	return keep_text(&options->control_path, value, "the path of a socket", error);
}

bool take_vm_mac(struct options *options, const char *value, struct error *error)
{
	if (!parse_mac(value, &options->vm_mac))
		return refuse_value(error, value, "a MAC address such as 52:54:00:12:34:56");
	if (options->vm_mac == MAC_NONE || mac_is_group(options->vm_mac))
		return refuse_value(error, value, "a unicast MAC address: not zero, first octet even");
	return true;
}

bool take_net_type(struct options *options, const char *value, struct error *error)
{
	return choose(value, "host", "nat", &options->host_only, error);
}

bool take_allow(struct options *options, const char *value, struct error *error)
{
	return add_rules(&options->rules, value, CLASS_ALLOWED, error);
}

bool take_block(struct options *options, const char *value, struct error *error)
{
	return add_rules(&options->rules, value, CLASS_BLOCKED, error);
}

bool take_policy(struct options *options, const char *value, struct error *error)
{
	uint32_t before = options->rules.count;
	if (options->policy_file_count == POLICY_FILES_MAX)
		return refuse(error, "\"%s\": more than %d files", value, POLICY_FILES_MAX);
	options->policy_files[options->policy_file_count++] = value;
	bool is_read = read_policy_file(value, &options->rules, error);
	for (uint32_t i = before; i < options->rules.count; i++)
		options->rules.rule[i].is_from_file = true;
	return is_read;
}

bool reread_rules(const struct options *options, struct rule_list *rules, struct error *error)
{
	rules->count = 0;
	for (uint32_t i = 0; i < options->rules.count; i++)
		if (!options->rules.rule[i].is_from_file)
			rules->rule[rules->count++] = options->rules.rule[i];
	for (uint32_t i = 0; i < options->policy_file_count; i++)
		if (!read_policy_file_again(options->policy_files[i], rules, error))
			return false;
	normalize_rules(rules);
	return true;
}

const char *const inbound_names[] = {
	[INBOUND_ANY] = "any", [INBOUND_ESTABLISHED] = "established", [INBOUND_NONE] = "none"
};

bool take_inbound(struct options *options, const char *value, struct error *error)
{
	options->inbound_given = true;
	for (int i = 0; i <= INBOUND_NONE; i++)
		if (strcmp(value, inbound_names[i]) == 0) {
			options->inbound = (enum inbound)i;
			return true;
		}
	return refuse_value(error, value, "any, established or none");
}

bool take_names(struct options *options, const char *value, struct error *error)
{
	return choose(value, "learn", "enforce", &options->learns_names, error);
}

bool take_offload(struct options *options, const char *value, struct error *error)
{
	return choose(value, "off", "on", &options->no_offload, error);
}

bool take_ech(struct options *options, const char *value, struct error *error)
{
	return choose(value, "pass", "drop", &options->ech_passes, error);
}

bool take_dns_questions(struct options *options, const char *value, struct error *error)
{
	return choose(value, "any", "names", &options->any_question, error);
}

bool take_expose(struct options *options, const char *value, struct error *error)
{
	char item[ITEM_TEXT_MAX];
	const char *rest = value;
	while (next_item(&rest, item, sizeof item))
		if (!append_expose(options->exposes, &options->expose_count, item, error))
			return false;
	return !rest || refuse_list(error, value);
}

/* The rest of it is known when it is opened. */
static bool check_kind(const char *value, struct error *error)
{
	struct error cause;
	return *value == '\0' || port_is_known(value, &cause) || refuse(error, "%s", cause.text);
}

bool take_guest(struct options *options, const char *value, struct error *error)
{
	if (!check_kind(value, error))
		return false;
	return keep_text(&options->guest, value, "KIND:ARGUMENT, see --help", error);
}

bool take_uplink(struct options *options, const char *value, struct error *error)
{
	if (!check_kind(value, error))
		return false;
	return keep_text(&options->uplink, value, "KIND or KIND:ARGUMENT, see --help", error);
}

/* What an option's addresses must be beyond that. */
typedef bool (*address_check)(struct address, const char *item, struct error *);

static bool take_addresses(struct address_set *set, const char *value, address_check check, struct error *error)
{
	char item[ITEM_TEXT_MAX];
	const char *rest = value;
	while (next_item(&rest, item, sizeof item)) {
		struct address address;
		if (!parse_address(item, &address) || is_unset(address))
			return refuse_value(error, item, "an IP address");
		if (check && !check(address, item, error))
			return false;
		if (!set_add(set, address))
			return refuse(error, "more than %d addresses", ADDRESS_SET_MAX);
	}
	return !rest || refuse_list(error, value);
}

bool take_gateway(struct options *options, const char *value, struct error *error)
{
	return take_addresses(&options->gateways, value, NULL, error);
}

/* RFC 8415 18.3.10: an answer goes to the client's link-local address, so it comes from one (RFC 6724 5, rule 2). */
static bool answers_from(struct address address, const char *item, struct error *error)
{
	return is_ipv4(address) || is_link_local(address) ||
	       refuse_value(error, item, "an IPv4 or a link-local address: DHCPv6 servers answer from those");
}

bool take_dhcp_server(struct options *options, const char *value, struct error *error)
{
	/* A capture names what its guard's uplink said, and slirp answers DHCPv6 from a global address. */
	bool is_any = options->wanted == WANT_REPLAY || options->wanted == WANT_SUGGEST;
	return take_addresses(&options->servers, value, is_any ? NULL : answers_from, error);
}

bool take_dns(struct options *options, const char *value, struct error *error)
{
	return take_addresses(&options->resolvers, value, NULL, error);
}

bool take_gateway_mac(struct options *options, const char *value, struct error *error)
{
	char item[ITEM_TEXT_MAX];
	const char *rest = value;
	while (next_item(&rest, item, sizeof item)) {
		uint64_t mac;
		if (!parse_mac(item, &mac) || mac == MAC_NONE || mac_is_group(mac))
			return refuse_value(error, item, "a unicast MAC address");
		if (!mac_set_add(&options->gateway_macs, mac))
			return refuse(error, "more than %d MAC addresses", MAC_SET_MAX);
	}
	return !rest || refuse_list(error, value);
}

static bool add_static(struct options *options, const struct static_address *entry, struct error *error)
{
	bool ipv4 = is_ipv4(entry->address);
	uint32_t most = ipv4 ? BINDINGS4_MAX : STATICS6_MAX, count = 0;
	for (uint32_t i = 0; i < options->static_count; i++)
		count += is_ipv4(options->statics[i].address) == ipv4;
	if (count >= most)
		return refuse(error, "more than %u %s addresses", most, ipv4 ? "IPv4" : "IPv6");
	options->statics[options->static_count++] = *entry;
	return true;
}

static bool take_statics(struct options *options, const char *value, bool is_shared, struct error *error)
{
	char item[ITEM_TEXT_MAX], head[ITEM_TEXT_MAX];
	const char *rest = value;
	while (next_item(&rest, item, sizeof item)) {
		struct static_address entry = { .is_shared = is_shared };
		struct address network;
		memcpy(head, item, sizeof head);
		head[strcspn(head, "/")] = '\0'; /* the address with its host bits, which parse_prefix() clears */
		if (!parse_prefix(item, &network, &entry.prefix_length) || !parse_address(head, &entry.address))
			return refuse_value(error, item, "ADDRESS or ADDRESS/LENGTH");
		if (is_ipv4(entry.address))
			entry.prefix_length -= 96;
		if (!add_static(options, &entry, error))
			return false;
	}
	return !rest || refuse_list(error, value);
}

bool take_vm_ip(struct options *options, const char *value, struct error *error)
{
	return take_statics(options, value, false, error);
}

bool take_shared_ip(struct options *options, const char *value, struct error *error)
{
	return take_statics(options, value, true, error);
}

/* RFC 6052 2.2: bits 64 to 71 are zero. */
static bool is_nat64_prefix(const struct nat64_prefix *p)
{
	return is_nat64_length(p->length) && !is_ipv4(p->prefix) && !is_unset(p->prefix) && p->prefix.low >> 56 == 0;
}

bool take_nat64(struct options *options, const char *value, struct error *error)
{
	char item[ITEM_TEXT_MAX];
	const char *rest = value;
	while (next_item(&rest, item, sizeof item)) {
		struct nat64_prefix prefix = { .reserved = 0 };
		if (!parse_prefix(item, &prefix.prefix, &prefix.length) || !is_nat64_prefix(&prefix))
			return refuse_value(error, item, "an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)");
		if (options->nat64.count >= NAT64_PREFIXES_MAX)
			return refuse(error, "more than %d prefixes", NAT64_PREFIXES_MAX);
		options->nat64.item[options->nat64.count++] = prefix;
	}
	return !rest || refuse_list(error, value);
}

bool take_anchors(struct options *options, const char *value, struct error *error)
{
	return choose(value, "strict", "learn", &options->strict_anchors, error);
}

bool take_client_id(struct options *options, const char *value, struct error *error)
{
	return choose(value, "strict", "any", &options->strict_client_id, error);
}

bool take_arp_conflicts(struct options *options, const char *value, struct error *error)
{
	return choose(value, "pass", "drop", &options->arp_conflicts_pass, error);
}

bool take_isolation(struct options *options, const char *value, struct error *error)
{
	options->isolation_given = true;
	options->hears_vms = strcmp(value, "vms") == 0;
	options->isolation = options->hears_vms || strcmp(value, "on") == 0;
	return options->isolation || strcmp(value, "off") == 0 || refuse_value(error, value, "on, off or vms");
}

bool take_ipv6(struct options *options, const char *value, struct error *error)
{
	if (strcmp(value, "auto") == 0)
		options->ipv6 = IPV6_AUTO;
	else if (strcmp(value, "guard") == 0)
		options->ipv6 = IPV6_GUARD;
	else if (strcmp(value, "off") == 0)
		options->ipv6 = IPV6_OFF;
	else
		return refuse_value(error, value, "auto, guard or off");
	return true;
}

bool take_ipv6_iid(struct options *options, const char *value, struct error *error)
{
	return choose(value, "eui64", "any", &options->ipv6_eui64_only, error);
}

bool take_mtu(struct options *options, const char *value, struct error *error)
{
	uint64_t number;
	if (!parse_number(value, 576, UINT16_MAX, &number))
		return refuse_value(error, value, "a number of octets from 576 to 65535");
	options->mtu = (uint32_t)number;
	return true;
}

const char *const rate_names[RATE_CLASSES_END] = {
#define X(class, text, refill, burst, reason) [RATE_OF_##class] = text,
	RATE_CLASSES(X)
#undef X
};

static const char *name_of_rate(size_t i)
{
	return i >= RATE_CLASSES_END ? NULL : rate_names[i] ? rate_names[i] : "";
}

static bool is_rate(const char *name)
{
	for (int i = 0; i < RATE_CLASSES_END; i++)
		if (rate_names[i] && strcmp(rate_names[i], name) == 0)
			return true;
	return false;
}

/* The rate of the name, and those that are parts of it: "arp" is "arp-gateway", too. */
static void set_rates(struct options *options, const char *name, const struct rate *rate)
{
	size_t length = strlen(name);
	for (int i = 0; i < RATE_CLASSES_END; i++)
		if (rate_names[i] && strncmp(rate_names[i], name, length) == 0 &&
		    (rate_names[i][length] == '\0' || rate_names[i][length] == '-'))
			options->rates[i] = *rate;
}

/* A decimal with at most three digits behind the point, in thousandths. */
static bool parse_thousandths(char *text, uint32_t *thousandths)
{
	uint64_t whole, part = 0;
	char *point = strchr(text, '.');
	if (point) {
		size_t digits = strlen(point + 1);
		*point = '\0';
		if (digits > 3 || !parse_number(point + 1, 0, 999, &part))
			return false;
		for (; digits < 3; digits++)
			part *= 10;
	}
	if (!parse_number(text, 0, 1000000, &whole))
		return false;
	*thousandths = (uint32_t)(whole * 1000 + part);
	return true;
}

bool take_rate(struct options *options, const char *value, struct error *error)
{
	char text[ITEM_TEXT_MAX];
	struct rate rate;
	uint64_t burst;
	if (strlen(value) >= sizeof text)
		return refuse_value(error, value, "one NAME=PERSECOND/BURST; --rate may be repeated");
	memcpy(text, value, strlen(value) + 1);
	char *equals = strchr(text, '='), *slash = strchr(text, '/');
	if (!equals || !slash || slash < equals || strchr(text, ','))
		return refuse_value(error, value, "one NAME=PERSECOND/BURST; --rate may be repeated");
	*equals = *slash = '\0';
	const char *guess = guess_word(text, strlen(text), name_of_rate);
	if (!is_rate(text) && guess)
		return refuse(error, "\"%.60s\": no such rate; did you mean %s?", value, guess);
	if (!is_rate(text))
		return refuse_value(error, value, "a rate that --help names");
	if (!parse_thousandths(equals + 1, &rate.refill) || !parse_number(slash + 1, 0, 1000000, &burst))
		return refuse_value(error, value,
				    "PERSECOND from 0.001 to 1000000 and BURST from 0 (no limit) to 1000000");
	if (rate.refill == 0 && burst != 0)
		return refuse_value(error, value, "PERSECOND of at least 0.001, or BURST 0 for no limit");
	rate.burst = (uint32_t)burst;
	set_rates(options, text, &rate);
	return true;
}

bool take_state(struct options *options, const char *value, struct error *error)
{
	return keep_text(&options->state_file, value, "the path of a file", error);
}

bool take_sandbox(struct options *options, const char *value, struct error *error)
{
	options->gives_sandbox = true;
	return choose(value, "off", "on", &options->sandbox_off, error);
}

bool take_user(struct options *options, const char *value, struct error *error)
{
	return keep_text(&options->user, value, "a user's name or number", error);
}

bool take_group(struct options *options, const char *value, struct error *error)
{
	return keep_text(&options->group, value, "a group's name or number", error);
}

bool take_lease_time(struct options *options, const char *value, struct error *error)
{
	uint64_t number;
	if (!parse_number(value, 1, INT32_MAX, &number))
		return refuse_value(error, value, "a number of seconds from 1 to 2147483647");
	options->lease_time_s = (uint32_t)number;
	return true;
}

TAKE_FLAG(no_dhcp, options->dhcp_off = true)
TAKE_FLAG(no_resync, options->no_resync = true)
TAKE_FLAG(leave, options->leaves = true)
TAKE_FLAG(reject, options->reject = true)
TAKE_FLAG(verbose, options->verbose++)
TAKE_FLAG(help, options->wanted = WANT_HELP)
TAKE_FLAG(version, options->wanted = WANT_VERSION)
TAKE_FLAG(probe, options->wanted = WANT_PROBE)
TAKE_FLAG(escalated, options->escalated = true)
