/*
 * `softnet policy check`: asks the functions that the judge asks, with a config made from the options alone. No lease and no
 * router is known, so @gateway is --gateway, and @dns is --dns.
 */
#include "softnet/policy/policy_check.h"
#include "softnet/policy/policy_check_names.h"
#include "softnet/rules/rules_json.h"
#include <netinet/in.h>
#include <string.h>
#include "core/guard.h"
#include "core/judge/judge.h"
#include "softnet/setup/setup.h"

#define EXPECTED_TUPLE "[in|out] ADDRESS[:PROTO[/PORT]] or NAME[:tls[/PORT]], with one protocol: tcp/PORT or udp/PORT"

enum { TUPLE_TEXT = 96, NO_RULE_NAMES_IT = 255 /* reserved, RFC 3692 */ };

static bool parse_tuple(const char *text, struct rule_text *tuple, struct error *error)
{
	struct error unused;
	bool is_rule = parse_rule(text, tuple, &unused);
	if (is_rule && tuple->target == TARGET_NAME)
		return (!tuple->is_zone && tuple->first_port == tuple->last_port) ||
		       refuse_value(error, text, EXPECTED_TUPLE);
	if (!is_rule || tuple->target != TARGET_PREFIX || tuple->prefix_length != 128 ||
	    (tuple->has_ports && (!tuple->has_protocol || tuple->first_port != tuple->last_port)))
		return refuse_value(error, text, EXPECTED_TUPLE);
	if (tuple->direction == WITHOUT_DIRECTION)
		tuple->direction = OUTBOUND;
	return true;
}

static struct contact contact_of(const struct rule_text *tuple, uint8_t protocol)
{
	struct contact c = {
		.peer = tuple->address,
		.inward = tuple->direction == INBOUND,
		.protocol = protocol == IPPROTO_ICMP && !is_ipv4(tuple->address) ? IPPROTO_ICMPV6 : protocol,
		.ports = has_ports(protocol) && !tuple->has_ports ? PORTS_UNKNOWN : PORTS_KNOWN,
		.port = tuple->first_port,
	};
	if (c.port == MDNS_PORT) /* RFC 6762 5.2: a responder asks from there, too */
		c.source_port = MDNS_PORT;
	return c;
}

/* What the judge says of a source before it asks the policy. */
static uint8_t fault_of_caller(struct view view, const struct contact *c)
{
	struct address a = c->peer;
	if (!c->inward)
		return PASS;
	if (is_ipv4(a))
		return is_sole4(view, a)                       ? DROP_IP4_SRC_IS_GUEST
		       : is_impossible_source4(a, c->protocol) ? DROP_IP4_SRC_INVALID
							       : PASS;
	if (is_group6(a) || (a.high == 0 && a.low >> 32 == 0))
		return DROP_IP6_SRC_INVALID;
	return is_held6(view, a) && !is_shared(view.config, a) ? DROP_IP6_SRC_IS_GUEST : PASS;
}

static struct answer answer_for(struct view view, const struct contact *c)
{
	if (!is_ipv4(c->peer) && view.config->ipv6_off)
		return (struct answer){ DROP_IP6_DISABLED, BY_IPV6_MODE, 0 };
	uint8_t fault = fault_of_caller(view, c);
	if (fault != PASS)
		return (struct answer){ fault, BY_DEFAULT, 0 };
	struct permission p = is_ipv4(c->peer) ? may_contact4(view, c) : may_contact6(view, c);
	if (!p.by_rule)
		return (struct answer){ p.verdict, BY_DEFAULT, 0 };
	return (struct answer){ p.verdict, p.verdict == DROP_PORTS_UNKNOWN ? BY_SEVERAL : BY_RULE_OF_LIST, p.origin };
}

/* Where no protocol is given: what is said of all of them, if it is the same. */
static struct answer answer_for_all(struct view view, const struct rule_text *tuple)
{
	static const uint8_t protocols[] = { NO_RULE_NAMES_IT, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP,
					     IPPROTO_ICMP,     IPPROTO_ESP, IPPROTO_GRE };
	struct contact c = contact_of(tuple, protocols[0]);
	struct answer first = answer_for(view, &c), common = first;
	for (size_t i = 1; i < sizeof protocols; i++) {
		c = contact_of(tuple, protocols[i]);
		struct answer answer = answer_for(view, &c);
		if (answer.verdict != first.verdict)
			common.verdict = DROP_PORTS_UNKNOWN;
		if (answer.decided_by != first.decided_by || answer.origin != first.origin)
			common.decided_by = BY_SEVERAL;
	}
	return common;
}

/* The tuple is written as a rule is, without the length of the prefix. */
static const char *format_tuple(const struct rule_text *tuple, char text[RULE_TEXT])
{
	format_rule(tuple, text);
	if (tuple->target == TARGET_NAME)
		return text;
	char *slash = strstr(text, is_ipv4(tuple->address) ? "/32" : "/128");
	char *behind = slash + (is_ipv4(tuple->address) ? 3 : 4);
	memmove(slash, behind, strlen(behind) + 1);
	return text;
}

enum { VERDICT_WIDTH = 18 };

/* width: of the widest tuple. */
static void print_verdict(const struct rule_text *tuple, uint8_t verdict, struct check_manner how, int width, FILE *to)
{
	char text[RULE_TEXT];
	const char *name = verdict == PASS ? "pass" : verdict_name(verdict);
	const char *color = !how.is_colored ? "" : verdict == PASS ? "\033[32m" : "\033[31m";
	format_tuple(tuple, text);
	if (how.is_table)
		fprintf(to, "%-*s  %s%-*s%s  ", width, text, color, VERDICT_WIDTH, name, how.is_colored ? "\033[0m" : "");
	else
		fprintf(to, "%s\t%s\t", text, name);
}

static void print_answer(const struct answer *answer, const struct rule_list *rules, FILE *to)
{
	switch (answer->decided_by) {
	case BY_DEFAULT:
		fputs("default\n", to);
		return;
	case BY_RULE_OF_LIST:
		print_rule(&rules->rule[answer->origin], to);
		return;
	case BY_SEVERAL:
		fputs("several\n", to);
		return;
	case BY_IPV6_MODE:
		fputs("--ipv6\n", to);
		return;
	}
}

/* A direction may be a word of its own, so that nobody has to quote. */
static char **take_tuple(char **words, char text[TUPLE_TEXT])
{
	bool is_direction = strcmp(*words, "in") == 0 || strcmp(*words, "out") == 0;
	if (is_direction && words[1]) {
		snprintf(text, TUPLE_TEXT, "%s %s", words[0], words[1]);
		return words + 2;
	}
	snprintf(text, TUPLE_TEXT, "%s", *words);
	return words + 1;
}

/* Before anything is printed, so that an error stands alone. Gives the width of the widest one. */
static bool measure_tuples(char **words, int *width, struct error *error)
{
	char text[TUPLE_TEXT], written[RULE_TEXT];
	struct rule_text tuple;
	*width = 0;
	while (*words) {
		words = take_tuple(words, text);
		if (!parse_tuple(text, &tuple, error))
			return false;
		int length = (int)strlen(format_tuple(&tuple, written));
		*width = length > *width ? length : *width;
	}
	return true;
}

bool check_policy(struct options *options, FILE *to, struct check_manner how, struct error *error)
{
	int width;
	static struct config config;
	static struct state state;
	const struct view view = { &config, &state, 0 };
	struct anchors nobody;
	char text[TUPLE_TEXT];
	if (!measure_tuples(options->tuples, &width, error))
		return false;
	memset(&nobody, 0, sizeof nobody);
	options->strict_anchors = false; /* it asks for what the uplink knows, and there is none */
	if (!make_config(options, &nobody, &config, error) || !make_state(options, &state, 0, error))
		return false;
	/* As if every forwarding were in place. */
	config.exposed.count =
	    list_guest_ports(options->exposes, options->expose_count, config.exposed.item, EXPOSED_MAX);
	for (uint32_t i = 0; i < options->rules.count; i++)
		print_rule(&options->rules.rule[i], to);
	for (char **words = options->tuples; *words;) {
		struct rule_text tuple;
		words = take_tuple(words, text);
		if (!parse_tuple(text, &tuple, error))
			return false;
		struct contact c = contact_of(&tuple, tuple.protocol);
		struct answer answer = tuple.target == TARGET_NAME ? answer_for_name(&options->rules, &tuple)
				       : tuple.has_protocol        ? answer_for(view, &c)
								   : answer_for_all(view, &tuple);
		print_verdict(&tuple, answer.verdict, how, width, to);
		print_answer(&answer, &options->rules, to);
	}
	return true;
}
