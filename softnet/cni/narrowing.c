/*
 * The longest prefix decides among rules, so a pod's `block any` alone would leave open what the network's configuration opens by
 * a longer one. So for each such rule there is one block rule more, of the same target and of what both are about. A block rule
 * can only take away, if all else that rules imply stays as it was: that is written out.
 */
#include "softnet/cni/narrowing.h"
#include <string.h>
#include "softnet/rules/rule_overlap.h"
#include "softnet/rules/rule_vms.h"

/* --- reading --- */

static bool take_blocks(struct narrowing *n, const json_t *value, struct fault *fault)
{
	size_t i;
	const json_t *one;
	if (json_is_string(value))
		return add_rules(&n->blocks, json_string_value(value), CLASS_BLOCKED, &fault->error) ||
		       fail_of(fault, CNI_CONFIGURATION);
	if (!json_is_array(value))
		return fail(fault, CNI_CONFIGURATION, "block: expected rules, as a text or an array of texts");
	json_array_foreach(value, i, one)
	{
		if (!json_is_string(one))
			return fail(fault, CNI_CONFIGURATION, "block: expected texts in the array");
		if (!add_rules(&n->blocks, json_string_value(one), CLASS_BLOCKED, &fault->error))
			return fail_of(fault, CNI_CONFIGURATION);
	}
	return true;
}

static bool take_inbound_of(struct narrowing *n, const char *word, struct fault *fault)
{
	for (int i = 0; i <= INBOUND_NONE; i++)
		if (strcmp(word, inbound_names[i]) == 0) {
			n->inbound = !n->inbound_given || (enum inbound)i > n->inbound ? (enum inbound)i : n->inbound;
			n->inbound_given = true;
			return true;
		}
	return fail(fault, CNI_CONFIGURATION, "inbound: \"%.20s\": expected any, established or none", word);
}

static bool take_only(const char *key, const char *word, const char *only, bool *wish, struct fault *fault)
{
	*wish = true;
	return strcmp(word, only) == 0 ||
	       fail(fault, CNI_CONFIGURATION, "%s: \"%.20s\": a pod may say %s and nothing else", key, word, only);
}

static bool take_key(struct narrowing *n, const char *key, const json_t *value, struct fault *fault)
{
	const char *word = json_is_string(value) ? json_string_value(value) : "";
	n->is_there = true;
	if (strcmp(key, "block") == 0)
		return take_blocks(n, value, fault);
	if (strcmp(key, "inbound") == 0)
		return take_inbound_of(n, word, fault);
	if (strcmp(key, "isolation") == 0)
		return take_only(key, word, "on", &n->isolation, fault);
	if (strcmp(key, "ipv6") == 0)
		return take_only(key, word, "off", &n->no_ipv6, fault);
	return fail(fault, CNI_CONFIGURATION, "%.40s: a pod may only narrow, by block, inbound, isolation and ipv6", key);
}

/* What is wrong gets the place in front. */
static bool name_source(const char *source, struct fault *fault)
{
	struct error cause = fault->error;
	return fail(fault, fault->code, "%s: %s", source, cause.text);
}

static bool take_object(struct narrowing *n, const char *source, const json_t *object, struct fault *fault)
{
	const char *key;
	const json_t *value;
	if (!object)
		return true;
	if (!json_is_object(object))
		return fail(fault, CNI_CONFIGURATION, "%s: expected an object", source);
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		if (!take_key(n, key, value, fault))
			return name_source(source, fault);
	}
	return true;
}

/* NAME=VALUE; others' arguments are nothing to us. */
static bool take_argument(struct narrowing *n, const char *argument, size_t octets, struct fault *fault)
{
	static const struct {
		const char *name, *key;
	} known[] = { { "SOFTNET_BLOCK=", "block" },
		      { "SOFTNET_INBOUND=", "inbound" },
		      { "SOFTNET_ISOLATION=", "isolation" },
		      { "SOFTNET_IPV6=", "ipv6" } };
	int name_length = (int)strcspn(argument, ";=");
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		size_t length = strlen(known[i].name);
		if (octets < length || strncmp(argument, known[i].name, length) != 0)
			continue;
		json_t *text = json_stringn(argument + length, octets - length);
		bool is_taken = text ? take_key(n, known[i].key, text, fault)
				     : fail(fault, CNI_ENVIRONMENT, "%s: not in UTF-8", known[i].key);
		json_decref(text);
		return is_taken || name_source("CNI_ARGS", fault);
	}
	return strncmp(argument, "SOFTNET_", 8) != 0 ||
	       fail(fault,
		    CNI_ENVIRONMENT, "CNI_ARGS: \"%.*s\": a pod may only narrow, by SOFTNET_BLOCK, SOFTNET_INBOUND, SOFTNET_ISOLATION and SOFTNET_IPV6",
		    name_length < 40 ? name_length : 40, argument);
}

/* All of them count: what is said twice, or at length, is not said in vain. */
static bool take_arguments(struct narrowing *n, const struct cni_call *call, struct fault *fault)
{
	size_t octets;
	for (const char *at = call->arguments; *at != '\0'; at += octets, at += strspn(at, ";")) {
		octets = strcspn(at, ";");
		if (!take_argument(n, at, octets, fault))
			return false;
	}
	return true;
}

bool read_narrowing(const struct cni_call *call, struct narrowing *n, struct fault *fault)
{
	const json_t *args = json_object_get(json_object_get(call->config, "args"), "cni");
	n->is_there = n->inbound_given = n->isolation = n->no_ipv6 = false;
	n->inbound = INBOUND_ANY;
	n->blocks.count = 0;
	return take_object(n, "runtimeConfig.softnet",
			   json_object_get(json_object_get(call->config, "runtimeConfig"), "softnet"), fault) &&
	       take_object(n, "args.cni.softnet", json_object_get(args, "softnet"), fault) &&
	       take_arguments(n, call, fault);
}

/* --- writing --- */

/*
 * The first rule with a direction makes the guard remember who opened what; then answers pass that did not. And where the network's
 * rules have directions and it says nothing of inbound, its rules without one would mean less.
 */
static bool check_directions(const struct narrowing *n, const struct options *network, struct fault *fault)
{
	bool has_flows = network->inbound != INBOUND_ANY || has_directional_rules(&network->rules);
	if (has_directional_rules(&n->blocks) && !has_flows)
		return fail(
		    fault,
		    CNI_CONFIGURATION, "block: a rule with in or out; expected such rules in the network's configuration as well, or inbound");
	if (n->inbound_given && !network->inbound_given && has_directional_rules(&network->rules))
		return fail(fault, CNI_CONFIGURATION,
			    "inbound: expected it in the network's configuration as well, whose rules have directions");
	return true;
}

static bool add_block(const struct rule_text *rule, struct words *words)
{
	char text[RULE_TEXT];
	return add_word(words, "block", format_rule(rule, text));
}

static bool add_blocks(const struct narrowing *n, const struct options *network, struct words *words)
{
	struct rule_text both[LAN_PREFIXES];
	for (uint32_t i = 0; i < n->blocks.count; i++) {
		const struct rule_text *block = &n->blocks.rule[i].text;
		if (!add_block(block, words))
			return false;
		for (uint32_t j = 0; j < network->rules.count; j++) {
			const struct written_rule *rule = &network->rules.rule[j];
			uint32_t count = rule->class == CLASS_ALLOWED ? find_overlaps(block, &rule->text, both) : 0;
			for (uint32_t k = 0; k < count; k++)
				if (!add_block(&both[k], words))
					return false;
		}
	}
	return true;
}

static const char *isolation_of(const struct narrowing *n, const struct options *network)
{
	bool hears_vms = network->hears_vms && !n->isolation;
	return !n->isolation && !wants_isolation(network) ? "off" : hears_vms ? "vms" : "on";
}

bool add_narrowing(const struct narrowing *n, const struct options *network, struct words *words, struct fault *fault)
{
	bool ipv6 = !n->no_ipv6 && wants_ipv6(network, NULL);
	enum inbound inbound = n->inbound_given && n->inbound > network->inbound ? n->inbound : network->inbound;
	if (!check_directions(n, network, fault))
		return false;
	if (n->blocks.count > 0 && has_vms(&network->rules))
		return fail(
		    fault, CNI_CONFIGURATION,
		    "block: a pod cannot block in a network whose rules name VMs: nobody knows what they stand for");
	bool is_added =
	    add_word(words, "isolation", isolation_of(n, network)) && add_word(words, "ipv6", ipv6 ? "guard" : "off") &&
	    ((!network->inbound_given && !n->inbound_given) || add_word(words, "inbound", inbound_names[inbound])) &&
	    add_blocks(n, network, words);
	return is_added || fail(fault, CNI_CONFIGURATION, "block: too many rules");
}
