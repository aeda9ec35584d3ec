/* The grammar of rules that name hosts, and such rules for core/names. */
#include "softnet/rules/rule_names.h"
#include <netinet/in.h>
#include <string.h>

#define EXPECTED_NAME_QUALIFIER \
	"tls, quic or http, with a port or without, or tcp/PORT or udp/PORT for the address alone, behind a name"

enum { SHOWN = 60 };

static const struct {
	const char *word;
	enum naming naming;
	uint8_t protocol;
	uint16_t port; /* where none is given */
} ways[] = {
	{ "tls", NAMED_IN_TLS, IPPROTO_TCP, 443 },   { "quic", NAMED_IN_QUIC, IPPROTO_UDP, 443 },
	{ "http", NAMED_IN_HTTP, IPPROTO_TCP, 80 },  { "tcp", NAMED_BY_ADDRESS, IPPROTO_TCP, 0 },
	{ "udp", NAMED_BY_ADDRESS, IPPROTO_UDP, 0 },
};
enum { WAYS = sizeof ways / sizeof *ways };

/* Two labels or more; the last one begins with a letter, as every one in use does, so that no address is taken for a name. */
static bool is_name_of_rule(const struct name *name)
{
	uint32_t dots = 0, last = 0;
	for (uint32_t i = 0; i < name->length; i++)
		if (name->text[i] == '.') {
			dots++;
			last = i + 1;
		}
	return is_host_name(name) && dots > 0 && name->text[last] >= 'a' && name->text[last] <= 'z';
}

bool parse_rule_name(const char *text, struct rule_text *rule)
{
	struct name name = { .length = 0 };
	bool is_zone = strncmp(text, "*.", 2) == 0;
	size_t skipped = is_zone ? 2 : 0, octets = strlen(text) - skipped;
	if (octets > 0 && text[skipped + octets - 1] == '.') /* RFC 1034 3.1: the root, which all names end in */
		octets--;
	for (size_t i = 0; i < octets; i++)
		if (!add_to_name(&name, (uint8_t)text[skipped + i]))
			return false;
	if (!is_name_of_rule(&name))
		return false;
	rule->target = TARGET_NAME;
	rule->name = name;
	rule->is_zone = is_zone;
	return true;
}

/* WORD or WORD/PORTS. */
static bool parse_name_qualifier(const char *text, struct rule_text *rule)
{
	size_t length = strcspn(text, "/");
	for (int i = 0; i < WAYS; i++) {
		if (strlen(ways[i].word) != length || strncmp(ways[i].word, text, length) != 0)
			continue;
		bool is_by_address = ways[i].naming == NAMED_BY_ADDRESS;
		rule->has_naming = !is_by_address;
		rule->naming = ways[i].naming;
		rule->has_protocol = is_by_address;
		rule->protocol = is_by_address ? ways[i].protocol : 0;
		return text[length] == '\0' ? !is_by_address : parse_ports(text + length + 1, rule);
	}
	return false;
}

bool qualify_name(const char *text, const char *qualifier, struct rule_text *rule, struct error *error)
{
	if (rule->direction == INBOUND)
		return refuse(error, "\"%.*s\": a name says whom the VM calls, and not who calls the VM: not with `in`",
			      SHOWN, text);
	if (!qualifier || parse_name_qualifier(qualifier, rule))
		return true;
	if (parse_ports(qualifier, rule))
		return refuse(
		    error,
		    "\"%.*s\": behind a name stands how it is shown: tls/%s or quic/%s or http/%s; tcp/%s or udp/%s "
		    "goes by the address alone",
		    SHOWN, text, qualifier, qualifier, qualifier, qualifier, qualifier);
	return refuse_value(error, text, EXPECTED_NAME_QUALIFIER);
}

bool refuse_block_by_name(const char *text, struct error *error)
{
	return refuse(error,
		      "\"%.*s\": a name can be allowed, and not blocked: the VM would use another name for the same "
		      "address",
		      SHOWN, text);
}

bool check_likeness_to_name(const char *text, const char *target, struct error *error)
{
	size_t length = strcspn(target, ":/ \t");
	const char *star = memchr(target, '*', length), *dot = memchr(target, '.', length);
	if (target[length] == '/' || length == 1 || (!star && !dot) || strspn(target, "0123456789.") >= length)
		return true;
	if (star && (star != target || star[1] != '.' || memchr(star + 1, '*', length - 1)))
		return refuse(error, "\"%.*s\": * stands for whole labels, and in front only: *.NAME", SHOWN, text);
	return refuse(error,
		      "\"%.*s\": a host name has two labels or more, of letters, digits, - and _, and the last one "
		      "begins with a letter",
		      SHOWN, text);
}

const char *word_of_naming(enum naming naming)
{
	for (int i = 0; i < WAYS; i++)
		if (ways[i].naming == naming)
			return ways[i].word;
	return "";
}

struct port_span ports_of_naming(const struct rule_text *rule, enum naming naming)
{
	if (rule->has_ports)
		return (struct port_span){ rule->first_port, rule->last_port };
	for (int i = 0; i < WAYS; i++)
		if (ways[i].naming == naming)
			return (struct port_span){ ways[i].port, ways[i].port };
	return (struct port_span){ 0, 0 };
}

bool has_names(const struct rule_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->rule[i].text.target == TARGET_NAME)
			return true;
	return false;
}

const char *doubtful_names(const struct rule_list *list)
{
	bool is_closed = false, has_resolver = false;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct rule_text *rule = &list->rule[i].text;
		bool is_broad = rule->target == TARGET_ANY || rule->target == TARGET_GLOBAL;
		bool is_address = rule->target == TARGET_PREFIX || rule->target == TARGET_DNS;
		is_closed |= list->rule[i].class == CLASS_BLOCKED && (is_broad || rule->target == TARGET_PREFIX);
		has_resolver |= list->rule[i].class == CLASS_ALLOWED && (is_broad || is_address);
	}
	if (!has_names(list))
		return NULL;
	if (!is_closed)
		return "the rules name hosts, but the VM may call every global address anyway; --block any closes them";
	return has_resolver
		   ? NULL
		   : "the rules name hosts, but the VM may ask no resolver for them; --allow @dns:53 lets it ask";
}

const struct written_rule *find_quic_rule(const struct rule_list *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		const struct rule_text *rule = &list->rule[i].text;
		bool is_quics = !is_qualified(rule) || (rule->has_naming && rule->naming == NAMED_IN_QUIC);
		if (rule->target == TARGET_NAME && is_quics)
			return &list->rule[i];
	}
	return NULL;
}

/* There is always room: two uses for each rule. */
static void add_use(struct name_rules *rules, const struct rule_text *rule, enum naming naming, uint8_t protocol,
		    uint16_t origin)
{
	struct port_span ports = ports_of_naming(rule, naming);
	struct name_use use = { .naming = (uint8_t)naming,
				.protocol = protocol,
				.first_port = ports.first,
				.last_port = ports.last,
				.origin = origin };
	add_name_use(rules, &rule->name, rule->is_zone, &use);
}

void compile_names(const struct rule_list *list, struct name_rules *rules)
{
	clear_name_rules(rules);
	for (uint32_t i = 0; i < list->count; i++) {
		const struct rule_text *rule = &list->rule[i].text;
		if (rule->target != TARGET_NAME)
			continue;
		uint16_t origin = (uint16_t)i;
		if (rule->has_protocol)
			add_use(rules, rule, NAMED_BY_ADDRESS, rule->protocol, origin);
		for (int way = 0; way < WAYS; way++) {
			enum naming naming = ways[way].naming;
			bool is_meant = rule->has_naming ? rule->naming == naming
							 : naming == NAMED_IN_TLS || naming == NAMED_IN_QUIC;
			if (!rule->has_protocol && is_meant)
				add_use(rules, rule, naming, ways[way].protocol, origin);
		}
	}
	link_patterns(rules);
}
