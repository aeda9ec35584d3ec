/* The grammar of --allow and --block. */
#include "rules.h"
#include <netinet/in.h>
#include <string.h>

enum { RULE_TEXT_MAX = 128 };

#define EXPECTED_TARGET "a CIDR, an address, any, @host, @gateway, @dns, @lan or @global"
#define EXPECTED_QUALIFIER \
	"a port, a range LOW-HIGH, tcp/PORT, udp/PORT or a protocol (tcp, udp, sctp, icmp, esp, gre) behind the colon"

static const struct {
	const char *name;
	uint8_t number;
	bool has_ports;
} protocols[] = {
	{ "tcp", IPPROTO_TCP, true },
	{ "udp", IPPROTO_UDP, true },
	{ "sctp", IPPROTO_SCTP, true },
	{ "icmp", IPPROTO_ICMP, false }, /* in IPv6 rules ICMPv6 is meant */
	{ "esp", IPPROTO_ESP, false },
	{ "gre", IPPROTO_GRE, false },
};
enum { PROTOCOLS = sizeof protocols / sizeof *protocols };

static const struct {
	const char *name;
	enum rule_target target;
} words[] = {
	{ "any", TARGET_ANY },   { "@host", TARGET_HOST }, { "@gateway", TARGET_GATEWAY },
	{ "@dns", TARGET_DNS },  { "@lan", TARGET_LAN },   { "@global", TARGET_GLOBAL },
};
enum { WORDS = sizeof words / sizeof *words };

/* What @lan stands for: the special-purpose blocks (RFC 6890 and its updates) that local networks are built from. */
static const char *const lan_prefixes[] = {
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10",
};
enum { LAN_PREFIXES = sizeof lan_prefixes / sizeof *lan_prefixes };

static int find_protocol(const char *name, size_t length)
{
	for (int i = 0; i < PROTOCOLS; i++)
		if (strlen(protocols[i].name) == length && strncmp(protocols[i].name, name, length) == 0)
			return i;
	return -1;
}

/* PORT or LOW-HIGH. */
static bool parse_ports(const char *text, struct rule_text *rule)
{
	char low[8];
	uint64_t first = 0, last = 0;
	size_t length = strcspn(text, "-");
	if (length == 0 || length >= sizeof low)
		return false;
	memcpy(low, text, length);
	low[length] = '\0';
	if (!parse_number(low, 1, UINT16_MAX, &first))
		return false;
	last = first;
	if (text[length] == '-' && !parse_number(text + length + 1, first, UINT16_MAX, &last))
		return false;
	rule->has_ports = true;
	rule->first_port = (uint16_t)first;
	rule->last_port = (uint16_t)last;
	return true;
}

/* What stands behind the colon. */
static bool parse_qualifier(const char *text, struct rule_text *rule)
{
	size_t length = strcspn(text, "/");
	int found = find_protocol(text, length);
	if (found < 0)
		return text[length] == '\0' && parse_ports(text, rule);
	rule->has_protocol = true;
	rule->protocol = protocols[found].number;
	if (text[length] == '\0')
		return true;
	return protocols[found].has_ports && parse_ports(text + length + 1, rule);
}

static bool parse_target(const char *text, struct rule_text *rule)
{
	for (int i = 0; i < WORDS; i++)
		if (strcmp(words[i].name, text) == 0) {
			rule->target = words[i].target;
			return true;
		}
	rule->target = TARGET_PREFIX;
	return parse_prefix(text, &rule->address, &rule->prefix_length);
}

/*
 * Cuts "TARGET:QUALIFIER" in two, in place; the qualifier is NULL where there is none. IPv6 has colons of its own, so
 * it stands in brackets where a qualifier follows ([fd00::]/8:443); brackets are taken out. False: a bracket is
 * missing.
 */
static bool split_target(char *text, char **qualifier)
{
	char *colon = strchr(text, ':');
	*qualifier = NULL;
	if (text[0] == '[') {
		char *closing = strchr(text, ']');
		if (closing == NULL || memchr(text, ':', (size_t)(closing - text)) == NULL)
			return false;
		memmove(closing, closing + 1, strlen(closing)); /* with the final zero */
		memmove(text, text + 1, strlen(text));
		colon = strchr(closing - 1, ':');
	} else if (colon != NULL && strchr(colon + 1, ':') != NULL) {
		return true; /* two colons and no bracket: IPv6 alone */
	}
	if (colon != NULL) {
		*colon = '\0';
		*qualifier = colon + 1;
	}
	return true;
}

static const char *parse_direction(const char *text, struct rule_text *rule)
{
	size_t word = strcspn(text, " \t");
	size_t gap = strspn(text + word, " \t");
	if (gap == 0)
		return text;
	if (word == 2 && memcmp(text, "in", 2) == 0)
		rule->direction = INBOUND;
	else if (word == 3 && memcmp(text, "out", 3) == 0)
		rule->direction = OUTBOUND;
	else
		return text;
	return text + word + gap;
}

bool parse_rule(const char *text, struct rule_text *rule, struct usage_error *error)
{
	char copy[RULE_TEXT_MAX], *qualifier = NULL;
	memset(rule, 0, sizeof *rule);
	const char *target = parse_direction(text, rule);
	size_t length = strlen(target);
	if (length >= sizeof copy)
		return refuse_value(error, text, EXPECTED_TARGET);
	memcpy(copy, target, length + 1);
	if (!split_target(copy, &qualifier) || !parse_target(copy, rule))
		return refuse_value(error, text, EXPECTED_TARGET);
	if (qualifier != NULL && !parse_qualifier(qualifier, rule))
		return refuse_value(error, text, EXPECTED_QUALIFIER);
	return true;
}

static bool refuse_missing(struct usage_error *error, const char *item, const char *what)
{
	return refuse(error, "\"%.80s\": rules with %s are not available in this version", item, what);
}

static bool is_available(const char *item, const struct rule_text *rule, struct usage_error *error)
{
	if (rule->direction != BOTH_WAYS)
		return refuse_missing(error, item, "a direction");
	if (rule->has_ports)
		return refuse_missing(error, item, "ports");
	if (rule->has_protocol)
		return refuse_missing(error, item, "a protocol");
	return true;
}

static bool add_prefix(struct rule_list *list, struct address address, uint32_t prefix_length,
		       enum destination_class class, struct usage_error *error)
{
	if (list->count >= RULES_MAX)
		return refuse(error, "more than %d rules", RULES_MAX);
	if (is_ipv4(address))
		list->names_ipv4 = true;
	else
		list->names_ipv6 = true;
	list->rule[list->count++] = (struct rule){ .address = address, .prefix_length = (uint8_t)prefix_length,
						   .class = (uint8_t)class, .directions = OUTWARD };
	return true;
}

static bool add_alias(struct rule_list *list, enum alias alias, enum destination_class class, struct usage_error *error)
{
	if (list->count >= RULES_MAX)
		return refuse(error, "more than %d rules", RULES_MAX);
	if (alias == ALIAS_HOST && class == CLASS_ALLOWED)
		list->opens_host = true;
	list->rule[list->count++] = (struct rule){ .alias = (uint8_t)alias, .class = (uint8_t)class, .directions = OUTWARD };
	return true;
}

static bool add_prefix_text(struct rule_list *list, const char *text, enum destination_class class,
			    struct usage_error *error)
{
	struct address address;
	uint32_t prefix_length;
	return parse_prefix(text, &address, &prefix_length) && add_prefix(list, address, prefix_length, class, error);
}

static bool add_rule(struct rule_list *list, const struct rule_text *rule, enum destination_class class,
		     struct usage_error *error)
{
	enum { IPV4_ALL = 96 };
	bool is_all_ipv4 = rule->target == TARGET_ANY ||
			   (rule->target == TARGET_PREFIX && rule->prefix_length == IPV4_ALL && is_ipv4(rule->address));
	if (is_all_ipv4 && class == CLASS_ALLOWED)
		list->opens_ipv4 = true;
	switch (rule->target) {
	case TARGET_PREFIX:
		return add_prefix(list, rule->address, rule->prefix_length, class, error);
	case TARGET_ANY:
		return add_prefix_text(list, "0.0.0.0/0", class, error) && add_prefix_text(list, "::/0", class, error);
	case TARGET_LAN:
		for (int i = 0; i < LAN_PREFIXES; i++)
			if (!add_prefix_text(list, lan_prefixes[i], class, error))
				return false;
		return true;
	case TARGET_HOST:
		return add_alias(list, ALIAS_HOST, class, error);
	case TARGET_GATEWAY:
		return add_alias(list, ALIAS_GATEWAY, class, error);
	case TARGET_DNS:
		return add_alias(list, ALIAS_DNS, class, error);
	case TARGET_GLOBAL:
		return add_alias(list, ALIAS_GLOBAL, class, error);
	}
	return false;
}

bool add_rules(struct rule_list *list, const char *text, enum destination_class class, struct usage_error *error)
{
	char item[RULE_TEXT_MAX];
	const char *rest = text;
	struct rule_text rule;
	while (next_item(&rest, item, sizeof item))
		if (!parse_rule(item, &rule, error) || !is_available(item, &rule, error) ||
		    !add_rule(list, &rule, class, error))
			return false;
	if (rest == NULL)
		return true;
	return refuse_value(error, text, "a comma list of rules without empty items");
}

bool compile_rules(struct rule_list *list, struct policy *policy)
{
	return compile_policy(policy, list->rule, list->count);
}
