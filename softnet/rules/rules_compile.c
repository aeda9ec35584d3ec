/* What a list of rules means as a whole: what it opens, which families it names, and what compile_policy() gets of it. */
#include "softnet/rules/rules.h"
#include <string.h>
#include "softnet/rules/rule_vms.h"

/* The special-purpose blocks (RFC 6890 and its updates) that local networks are built from. */
const char *const lan_prefixes[LAN_PREFIXES] = {
	"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10",
};

bool has_directional_rules(const struct rule_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->rule[i].text.direction != WITHOUT_DIRECTION)
			return true;
	return false;
}

bool has_bare_rules(const struct rule_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->rule[i].text.direction == WITHOUT_DIRECTION && list->rule[i].text.target != TARGET_NAME)
			return true;
	return false;
}

int count_allowing(const struct rule_list *list)
{
	int count = 0;
	for (uint32_t i = 0; i < list->count; i++)
		count += list->rule[i].class == CLASS_ALLOWED;
	return count;
}

const struct written_rule *find_inbound_allow(const struct rule_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->rule[i].text.direction == INBOUND && list->rule[i].class == CLASS_ALLOWED)
			return &list->rule[i];
	return NULL;
}

static bool is_all_ipv4(const struct rule_text *rule)
{
	enum { IPV4_ALL = 96 };
	return rule->target == TARGET_ANY ||
	       (rule->target == TARGET_PREFIX && rule->prefix_length == IPV4_ALL && is_ipv4(rule->address));
}

bool opens_ipv4(const struct rule_list *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		const struct written_rule *r = &list->rule[i];
		if (r->class == CLASS_ALLOWED && r->text.direction == WITHOUT_DIRECTION && !is_qualified(&r->text) &&
		    is_all_ipv4(&r->text))
			return true;
	}
	return false;
}

bool opens_host(const struct rule_list *list)
{
	bool opens_all = false, opens_some = false, closes_all = false;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct written_rule *r = &list->rule[i];
		if (r->text.target != TARGET_HOST || r->text.direction == INBOUND)
			continue;
		if (r->class == CLASS_ALLOWED)
			*(is_qualified(&r->text) ? &opens_some : &opens_all) = true;
		else if (!is_qualified(&r->text))
			closes_all = true;
	}
	return closes_all ? opens_some : opens_all;
}

static uint8_t directions_of(const struct rule_text *rule, bool both_ways)
{
	if (rule->direction == INBOUND)
		return INWARD;
	return rule->direction == OUTBOUND || !both_ways ? OUTWARD : OUTWARD | INWARD;
}

struct named_families find_named_families(const struct rule_list *list, bool both_ways)
{
	struct named_families named = { 0, 0 };
	for (uint32_t i = 0; i < list->count; i++) {
		const struct rule_text *rule = &list->rule[i].text;
		uint8_t directions = directions_of(rule, both_ways);
		bool names_both = (rule->target == TARGET_ANY || rule->target == TARGET_LAN) && !is_qualified(rule);
		bool is_prefix = rule->target == TARGET_PREFIX;
		if (names_both || (is_prefix && is_ipv4(rule->address)))
			named.ipv4 |= directions;
		if (names_both || (is_prefix && !is_ipv4(rule->address)))
			named.ipv6 |= directions;
	}
	return named;
}

/* Where the next rule goes, and what all rules have that one written rule stands for. */
struct expansion {
	const struct vm_addresses *vms;
	uint32_t count;
	struct rule common;
	struct rule rule[RULE_PREFIXES_MAX];
};

static bool put_rule(struct expansion *to, enum alias alias, struct address address, uint32_t prefix_length)
{
	if (to->count >= RULE_PREFIXES_MAX)
		return false;
	struct rule *rule = &to->rule[to->count++];
	*rule = to->common;
	rule->alias = (uint8_t)alias;
	rule->address = address;
	rule->prefix_length = (uint8_t)prefix_length;
	return true;
}

static bool put_prefix(struct expansion *to, const char *text)
{
	struct address address;
	uint32_t prefix_length;
	return parse_prefix(text, &address, &prefix_length) && put_rule(to, ALIAS_NONE, address, prefix_length);
}

static bool put_lan(struct expansion *to)
{
	for (int i = 0; i < LAN_PREFIXES; i++)
		if (!put_prefix(to, lan_prefixes[i]))
			return false;
	return true;
}

static bool put_vm(struct expansion *to, const struct rule_text *text)
{
	for (uint32_t i = 0; to->vms && i < to->vms->count; i++)
		if (is_about_vm(text, to->vms->item[i].vm) && !put_rule(to, ALIAS_NONE, to->vms->item[i].address, 128))
			return false;
	return true;
}

/* False: no room. */
static bool expand_rule(struct expansion *to, const struct written_rule *written, uint16_t origin, bool both_ways)
{
	static const struct address nowhere;
	const struct rule_text *text = &written->text;
	to->common = (struct rule){
		.class = (uint8_t)written->class,
		.directions = directions_of(text, both_ways),
		.only = { text->has_protocol, text->protocol, text->has_ports, 0, text->first_port, text->last_port },
		.origin = origin,
	};
	switch (text->target) {
	case TARGET_PREFIX:
		return put_rule(to, ALIAS_NONE, text->address, text->prefix_length);
	case TARGET_ANY:
		return put_prefix(to, "0.0.0.0/0") && put_prefix(to, "::/0");
	case TARGET_LAN:
		return put_lan(to);
	case TARGET_HOST:
		return put_rule(to, ALIAS_HOST, nowhere, 0);
	case TARGET_GATEWAY:
		return put_rule(to, ALIAS_GATEWAY, nowhere, 0);
	case TARGET_DNS:
		return put_rule(to, ALIAS_DNS, nowhere, 0);
	case TARGET_GLOBAL:
		return put_rule(to, ALIAS_GLOBAL, nowhere, 0);
	case TARGET_VM:
		return put_vm(to, text);
	case TARGET_NAME: /* compile_names() */
		return true;
	}
	return false;
}

bool compile_rules(const struct rule_list *list, bool both_ways, const struct vm_addresses *vms, struct policy *policy,
		   struct error *error)
{
	static struct expansion all;
	char text[RULE_TEXT];
	all.vms = vms;
	all.count = 0;
	for (uint32_t i = 0; i < list->count; i++)
		if (!expand_rule(&all, &list->rule[i], (uint16_t)i, both_ways))
			return refuse(error, "\"%s\": the rules stand for more than %d prefixes",
				      format_rule(&list->rule[i].text, text), RULE_PREFIXES_MAX);
	return compile_policy(policy, all.rule, all.count) ||
	       refuse(error, "the rules tell too many ports apart; expected fewer rules");
}
