/* What was noted, and the file made of it. The notes have the form of rules: a pattern for each name, a use for each way. */
#include "softnet/replay/suggest.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "softnet/replay/replay.h"
#include "softnet/rules/rule_names.h"
#include "system/log.h"
#include "system/process/privileges.h"

enum { UNNAMED_MAX = 2 * LEARNED_ADDRESSES_MAX, WAYS_MAX = 256 };

/* An address that no name opens. */
struct unnamed {
	struct learned_address at;
	struct name name, shown; /* length 0: none */
};

static struct {
	struct name_rules names;
	struct name shown[NAME_PATTERNS_MAX]; /* by flows that go by the address; length 0: nothing */
	bool is_hidden[NAME_PATTERNS_MAX];
	struct unnamed unnamed[UNNAMED_MAX];
	uint32_t unnamed_count;
	uint32_t rules; /* printed, and to be counted */
	bool is_full;
} noted;

/* Notes */

void clear_notes(void)
{
	clear_name_rules(&noted.names);
	memset(noted.shown, 0, sizeof noted.shown);
	memset(noted.is_hidden, 0, sizeof noted.is_hidden);
	noted.unnamed_count = noted.rules = 0;
	noted.is_full = false;
}

/* Rules name hosts of two labels or more. */
static bool may_be_rule(const struct name *name)
{
	char text[NAME_MAX_OCTETS + 1];
	struct rule_text rule;
	memcpy(text, name->text, name->length);
	text[name->length] = '\0';
	return is_host_name(name) && parse_rule_name(text, &rule);
}

static uint16_t note_name(const struct options *options, const struct name *name)
{
	const struct name *zone = NULL;
	for (uint32_t i = 0; i < options->wildcard_count; i++)
		if (is_below(name, &options->wildcards[i]) && (!zone || zone->length < options->wildcards[i].length))
			zone = &options->wildcards[i];
	uint16_t pattern = add_name_pattern(&noted.names, zone ? zone : name, zone != NULL);
	noted.is_full |= pattern == NO_PATTERN;
	return pattern;
}

static void note_use(uint16_t pattern, const struct name_event *event)
{
	const struct name_pattern *p = &noted.names.pattern[pattern];
	struct name_use use = {
		.naming = event->naming, .protocol = event->protocol, .first_port = event->port, .last_port = event->port
	};
	if (!find_name_use(&noted.names, pattern, use.naming, use.protocol, event->port))
		noted.is_full |= !add_name_use(&noted.names, &p->name, p->is_zone != 0, &use);
	noted.is_hidden[pattern] |= event->verdict == DROP_HELLO_ECH;
	if (event->naming == NAMED_BY_ADDRESS && event->shown)
		noted.shown[pattern] = *event->shown;
}

static bool is_noted(const struct learned_address *at)
{
	for (uint32_t i = 0; i < noted.unnamed_count; i++)
		if (same_address(noted.unnamed[i].at.address, at->address) && noted.unnamed[i].at.port == at->port &&
		    noted.unnamed[i].at.protocol == at->protocol)
			return true;
	return false;
}

static void note_address(const struct name_event *event, const struct name *name)
{
	struct learned_address at = { .address = event->peer, .port = event->port, .protocol = event->protocol };
	if (is_noted(&at))
		return;
	if (noted.unnamed_count == UNNAMED_MAX) {
		noted.is_full = true;
		return;
	}
	struct unnamed *u = &noted.unnamed[noted.unnamed_count++];
	*u = (struct unnamed){ .at = at };
	if (name)
		u->name = *name;
	if (event->shown)
		u->shown = *event->shown;
}

void note_name_event(const struct options *options, const struct name_event *event)
{
	bool has_rule = event->name && may_be_rule(event->name);
	uint16_t pattern = has_rule && (event->kind == NAME_ASKED_FOR || event->kind == NAME_SEEN)
			       ? note_name(options, event->name)
			       : NO_PATTERN;
	if (event->kind != NAME_SEEN)
		return;
	if (pattern != NO_PATTERN)
		note_use(pattern, event);
	if (!has_rule || event->verdict == DROP_DNS_REBIND)
		note_address(event, event->name);
}

/* The file */

/* A guard takes so many rules; block any and @dns are two of them. */
static bool has_room(void)
{
	noted.is_full |= noted.rules == RULES_MAX - 2;
	return noted.rules < RULES_MAX - 2;
}

static void print_rule(const char *front, const struct rule_text *rule, const char *why, const struct name *shown,
		       FILE *to)
{
	char text[RULE_TEXT];
	fprintf(to, "%sallow %s", front, format_rule(rule, text));
	if (why)
		fprintf(to, "  # %s", why);
	if (shown && shown->length > 0)
		fprintf(to, " %.*s", (int)shown->length, (const char *)shown->text);
	fputs("\n", to);
}

static struct rule_text rule_of(const struct name_pattern *pattern)
{
	return (struct rule_text){ .target = TARGET_NAME, .name = pattern->name, .is_zone = pattern->is_zone != 0 };
}

static int compare_uses(const void *left, const void *right)
{
	const struct name_use *a = left, *b = right;
	return a->naming != b->naming       ? a->naming - b->naming
	       : a->protocol != b->protocol ? a->protocol - b->protocol
					    : a->first_port - b->first_port;
}

static uint32_t list_uses(const struct name_pattern *pattern, struct name_use uses[WAYS_MAX])
{
	uint32_t count = 0;
	for (uint16_t next = pattern->first_use; next != NO_PATTERN; next = noted.names.use[next].next)
		if (count < WAYS_MAX)
			uses[count++] = noted.names.use[next];
		else
			noted.is_full = true;
	if (count > 0)
		qsort(uses, count, sizeof *uses, compare_uses);
	return count;
}

static bool is_usual(const struct name_use *use, enum naming naming)
{
	return use->naming == naming && use->first_port == 443;
}

/* TLS and QUIC at port 443 are the name alone. */
static bool is_both(const struct name_use *uses, uint32_t count)
{
	bool has_tls = false, has_quic = false;
	for (uint32_t i = 0; i < count; i++) {
		has_tls |= is_usual(&uses[i], NAMED_IN_TLS);
		has_quic |= is_usual(&uses[i], NAMED_IN_QUIC);
	}
	return has_tls && has_quic;
}

static void print_use(uint16_t pattern, const struct name_use *use, FILE *to)
{
	struct rule_text rule = rule_of(&noted.names.pattern[pattern]);
	bool is_by_address = use->naming == NAMED_BY_ADDRESS;
	rule.has_protocol = is_by_address;
	rule.protocol = is_by_address ? use->protocol : 0;
	rule.has_naming = !is_by_address;
	rule.naming = (enum naming)use->naming;
	rule.first_port = rule.last_port = use->first_port;
	rule.has_ports = is_by_address || ports_of_naming(&rule, rule.naming).first != use->first_port;
	const struct name *shown = is_by_address ? &noted.shown[pattern] : NULL;
	print_rule("", &rule,
		   is_by_address ? shown->length > 0 ? "by its address alone; it shows" : "by its address alone"
		   : noted.is_hidden[pattern] ? "its hellos may be hidden: with --ech pass only"
					      : NULL,
		   shown, to);
	noted.rules++;
}

static void print_name(uint16_t pattern, FILE *to)
{
	struct name_use uses[WAYS_MAX];
	uint32_t count = list_uses(&noted.names.pattern[pattern], uses);
	bool both = is_both(uses, count);
	struct rule_text rule = rule_of(&noted.names.pattern[pattern]);
	if (both && has_room()) {
		print_rule("", &rule,
			   noted.is_hidden[pattern] ? "its hellos may be hidden: with --ech pass only" : NULL, NULL, to);
		noted.rules++;
	}
	for (uint32_t i = 0; i < count; i++) {
		bool is_said = both && (is_usual(&uses[i], NAMED_IN_TLS) || is_usual(&uses[i], NAMED_IN_QUIC));
		if (!is_said && has_room())
			print_use(pattern, &uses[i], to);
	}
}

static int compare_patterns(const void *left, const void *right)
{
	const struct name *a = &noted.names.pattern[*(const uint16_t *)left].name;
	const struct name *b = &noted.names.pattern[*(const uint16_t *)right].name;
	int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
	return order != 0 ? order : a->length - b->length;
}

/* By name; first those that were reached. */
static void print_names(FILE *to)
{
	static uint16_t order[NAME_PATTERNS_MAX];
	uint32_t count = noted.names.pattern_count;
	for (uint32_t i = 0; i < count; i++)
		order[i] = (uint16_t)i;
	qsort(order, count, sizeof *order, compare_patterns);
	for (uint32_t i = 0; i < count; i++)
		print_name(order[i], to);
	for (uint32_t i = 0; i < count; i++) {
		const struct name_pattern *p = &noted.names.pattern[order[i]];
		struct rule_text rule = rule_of(p);
		rule.has_naming = true;
		rule.naming = NAMED_IN_TLS;
		if (p->first_use == NO_PATTERN)
			print_rule("# ", &rule, "asked for, and not reached", NULL, to);
	}
}

static void print_addresses(FILE *to)
{
	for (uint32_t i = 0; i < noted.unnamed_count && has_room(); i++) {
		const struct unnamed *u = &noted.unnamed[i];
		struct rule_text rule = { .target = TARGET_PREFIX,
					  .address = u->at.address,
					  .prefix_length = 128,
					  .has_protocol = true,
					  .protocol = u->at.protocol,
					  .has_ports = true,
					  .first_port = u->at.port,
					  .last_port = u->at.port };
		const struct name *more = u->name.length > 0 ? &u->name : &u->shown;
		const char *why = u->name.length > 0    ? "an address that no name opens:"
				  : u->shown.length > 0 ? "no name was asked for; it shows"
							: "no name was asked for";
		print_rule("", &rule, why, more, to);
		noted.rules++;
	}
}

void print_suggestion(const struct options *options, bool is_whole, FILE *to)
{
	char source[80];
	snprintf(source, sizeof source, "%s", options->captures[0].path);
	make_printable(source);
	fprintf(to,
		"# What the VM has asked for and reached, by %s%s. Each line opens something: review it.\n"
		"block any\n"
		"allow @dns:53\n",
		source, options->capture_count > 1 ? " and others" : "");
	print_names(to);
	print_addresses(to);
	if (noted.is_full)
		warning("policy suggest: there is more than the file has room for; --wildcard takes names together");
	else if (is_whole && noted.rules == 0)
		warning(
		    "policy suggest: it tells of nobody that the VM has called; was --names learn given, or --frames "
		    "all?");
}

/* The verb */

static bool read_all_events(const struct options *options, struct error *error)
{
	bool is_read = become_caller() || refuse(error, "policy suggest: cannot become the user who called");
	for (uint32_t i = 0; i < options->capture_count && is_read; i++)
		is_read = read_events(options, options->captures[i].path, error);
	return is_read;
}

int suggest_rules(const struct options *options, FILE *to, struct error *error)
{
	struct error broken;
	uint32_t of_events = 0;
	clear_notes();
	for (uint32_t i = 0; i < options->capture_count; i++)
		of_events += options->captures[i].side == SIDE_OF_FRAME && holds_events(options->captures[i].path);
	if (of_events == 0)
		return replay_captures(options, to, error);
	if (of_events < options->capture_count) {
		refuse(error, "policy suggest: expected captures alone, or files of events alone");
		return EXIT_USAGE;
	}
	bool is_whole = read_all_events(options, &broken);
	print_suggestion(options, is_whole, to);
	if (!is_whole)
		warning("%s", broken.text);
	return is_whole && fflush(to) == 0 ? EXIT_OK : EXIT_RUNTIME;
}
