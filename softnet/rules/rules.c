/* The grammar of rules, and their normal form. */
#include "softnet/rules/rules.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "softnet/rules/rule_fault.h"
#include "softnet/rules/rule_names.h"
#include "softnet/rules/rule_vms.h"
#include "system/log.h"

enum { RULE_TEXT_MAX = 2 * RULE_TEXT };

static const struct {
	const char *name;
	uint8_t number;
	bool has_ports;
} protocols[] = {
	{ "tcp", IPPROTO_TCP, true },   { "udp", IPPROTO_UDP, true },
	{ "sctp", IPPROTO_SCTP, true }, { "icmp", IPPROTO_ICMP, false }, /* in IPv6 rules ICMPv6 is meant */
	{ "esp", IPPROTO_ESP, false },  { "gre", IPPROTO_GRE, false },
};
enum { PROTOCOLS = sizeof protocols / sizeof *protocols };

static const struct {
	const char *name;
	enum rule_target target;
} words[] = {
	{ "any", TARGET_ANY },  { "@host", TARGET_HOST }, { "@gateway", TARGET_GATEWAY },
	{ "@dns", TARGET_DNS }, { "@lan", TARGET_LAN },   { "@global", TARGET_GLOBAL },
};
enum { WORDS = sizeof words / sizeof *words };

static int find_protocol(const char *name, size_t length)
{
	for (int i = 0; i < PROTOCOLS; i++)
		if (strlen(protocols[i].name) == length && strncmp(protocols[i].name, name, length) == 0)
			return i;
	return -1;
}

bool parse_ports(const char *text, struct rule_text *rule)
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
	return parse_prefix(text, &rule->address, &rule->prefix_length) || parse_rule_name(text, rule);
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
		if (!closing || !memchr(text, ':', (size_t)(closing - text)))
			return false;
		if (!strchr("/:", closing[1])) /* or the end; what else stood there would become part of the address */
			return false;
		memmove(closing, closing + 1, strlen(closing)); /* with the final zero */
		memmove(text, text + 1, strlen(text));
		colon = strchr(closing - 1, ':');
	} else if (colon && strchr(colon + 1, ':')) {
		return true; /* two colons and no bracket: IPv6 alone */
	}
	if (colon) {
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

bool parse_rule(const char *text, struct rule_text *rule, struct error *error)
{
	char copy[RULE_TEXT_MAX], *qualifier = NULL;
	memset(rule, 0, sizeof *rule);
	const char *target = parse_direction(text, rule);
	size_t length = strlen(target);
	if (length >= sizeof copy)
		return refuse_value(error, text, EXPECTED_TARGET);
	memcpy(copy, target, length + 1);
	if (!split_vm(copy, rule, &qualifier) && (!split_target(copy, &qualifier) || !parse_target(copy, rule)))
		return refuse_target(text, target, error);
	if (rule->target == TARGET_NAME)
		return qualify_name(text, qualifier, rule, error);
	if (qualifier && !parse_qualifier(qualifier, rule))
		return refuse_qualifier(text, qualifier, error);
	return true;
}

bool is_qualified(const struct rule_text *rule)
{
	return rule->has_protocol || rule->has_ports || rule->has_naming;
}

static const char *word_of(enum rule_target target)
{
	for (int i = 0; i < WORDS; i++)
		if (words[i].target == target)
			return words[i].name;
	return "";
}

static const char *name_of_protocol(uint8_t number)
{
	for (int i = 0; i < PROTOCOLS; i++)
		if (protocols[i].number == number)
			return protocols[i].name;
	return "";
}

static char *append_target(char *to, const struct rule_text *rule)
{
	bool is_in_brackets = is_qualified(rule) && !is_ipv4(rule->address);
	if (rule->target == TARGET_NAME || rule->target == TARGET_VM) {
		to = append_text(to, rule->target == TARGET_VM ? "vm:" : rule->is_zone ? "*." : "");
		memcpy(to, rule->name.text, rule->name.length);
		return append_text(to + rule->name.length, "");
	}
	if (rule->target != TARGET_PREFIX)
		return append_text(to, word_of(rule->target));
	to = append_address(append_text(to, is_in_brackets ? "[" : ""), rule->address);
	to = append_text(to, is_in_brackets ? "]/" : "/");
	return append_number(to, rule->prefix_length - (is_ipv4(rule->address) ? 96 : 0));
}

static char *append_qualifier(char *to, const struct rule_text *rule)
{
	bool has_word = rule->has_naming || rule->has_protocol;
	if (has_word)
		to = append_text(append_text(to, ":"),
				 rule->has_naming ? word_of_naming(rule->naming) : name_of_protocol(rule->protocol));
	if (!rule->has_ports)
		return to;
	to = append_number(append_text(to, has_word ? "/" : ":"), rule->first_port);
	return rule->first_port == rule->last_port ? to : append_number(append_text(to, "-"), rule->last_port);
}

char *append_rule(char *to, const struct rule_text *rule)
{
	static const char *const directions[] = { [WITHOUT_DIRECTION] = "", [INBOUND] = "in ", [OUTBOUND] = "out " };
	return append_qualifier(append_target(append_text(to, directions[rule->direction]), rule), rule);
}

const char *format_rule(const struct rule_text *rule, char text[RULE_TEXT])
{
	append_rule(text, rule);
	return text;
}

bool add_rule(struct rule_list *list, const char *text, enum destination_class class, struct error *error)
{
	struct rule_text rule;
	if (!parse_rule(text, &rule, error))
		return false;
	if (rule.target == TARGET_NAME && class == CLASS_BLOCKED)
		return refuse_block_by_name(text, error);
	if (rule.target == TARGET_VM && class == CLASS_BLOCKED)
		return refuse_block_of_vm(text, error);
	if (list->count >= RULES_MAX)
		return refuse(error, "\"%.80s\": more than %d rules", text, RULES_MAX);
	list->rule[list->count++] = (struct written_rule){ rule, class, false };
	return true;
}

/* For rules that a person writes. */
static void warn_of_port(const char *text)
{
	const char *cure = doubtful_port(text);
	if (cure)
		warning("\"%.80s\" is one address, and no port; write %s", text, cure);
}

bool add_rules(struct rule_list *list, const char *text, enum destination_class class, struct error *error)
{
	char item[RULE_TEXT_MAX];
	const char *rest = text;
	while (next_item(&rest, item, sizeof item)) {
		if (!add_rule(list, item, class, error))
			return false;
		warn_of_port(item);
	}
	return !rest || refuse_value(error, text, "a comma list of rules without empty items");
}

/* A rule, and what it is sorted by. Most are told apart by the class and the first octets of the text. */
struct sortable {
	uint64_t front;
	const char *text;
	const struct written_rule *rule;
};

static uint64_t front_of(const struct written_rule *rule, const char *text)
{
	uint64_t front = rule->class == CLASS_ALLOWED ? 0 : 1;
	for (int i = 0; i < 7; i++) {
		front = front << 8 | (uint8_t)*text;
		text += *text != '\0';
	}
	return front;
}

static int compare_sortable(const void *left, const void *right)
{
	const struct sortable *a = left, *b = right;
	if (a->front != b->front)
		return a->front < b->front ? -1 : 1;
	return strcmp(a->text, b->text);
}

void normalize_rules(struct rule_list *list)
{
	static char texts[RULES_MAX * RULE_TEXT]; /* one behind the other, so mostly untouched */
	static struct sortable sorted[RULES_MAX];
	static struct written_rule unsorted[RULES_MAX];
	char *end = texts;
	uint32_t count = list->count;
	memcpy(unsorted, list->rule, count * sizeof *unsorted);
	for (uint32_t i = 0; i < count; i++) {
		sorted[i] = (struct sortable){ 0, end, &unsorted[i] };
		end = append_rule(end, &unsorted[i].text) + 1;
		sorted[i].front = front_of(sorted[i].rule, sorted[i].text);
	}
	qsort(sorted, count, sizeof *sorted, compare_sortable);
	list->count = 0;
	for (uint32_t i = 0; i < count; i++)
		if (i == 0 || compare_sortable(&sorted[i - 1], &sorted[i]) != 0)
			list->rule[list->count++] = *sorted[i].rule;
		else
			list->rule[list->count - 1].is_from_file &= sorted[i].rule->is_from_file;
}

bool same_rules(const struct rule_list *a, const struct rule_list *b)
{
	char of_a[RULE_TEXT], of_b[RULE_TEXT];
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (a->rule[i].class != b->rule[i].class ||
		    strcmp(format_rule(&a->rule[i].text, of_a), format_rule(&b->rule[i].text, of_b)) != 0)
			return false;
	return true;
}
