/*
 * Guards as metrics. A family is all samples of one metric and stands in one piece, whatever the number of guards, so
 * the table of metrics is the outer loop. No two samples have the same labels, or the whole text would be refused by
 * its reader: of two that do the first counts.
 */
#include "softnet/counts/metrics.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "softnet/counts/state_json.h"

/* Of a value so many octets are shown, each as two at most, so what the longest line needs is known. */
enum { VALUE_MAX = 256, LABELS_MAX = 5, LABELS_TEXT = LABELS_MAX * (2 * VALUE_MAX + 16) };

struct labels {
	char text[LABELS_TEXT];
	size_t length;
};

struct writer {
	FILE *to;
	enum metrics_form form;
	const struct metric *metric;
	bool has_header; /* of this family: one without a sample has none */
	json_t *seen;    /* the labels of its samples, as keys */
	json_t *guard;   /* the one whose turn it is */
};

struct metric {
	const char *name; /* of the family; samples of a counter end in _total, that of an info in _info */
	enum { COUNTER, GAUGE, INFO } type;
	const char *unit;         /* with which the name ends; NULL: none */
	const char *key, *member; /* where in the status; what that means is the walk's own affair */
	void (*walk)(struct writer *, json_t *of_key, const char *member);
	const char *help;
};

static void add_label(struct labels *labels, const char *name, const char *value)
{
	char shown[VALUE_MAX + 1];
	snprintf(shown, sizeof shown, "%s", value);
	make_printable(shown);
	labels->length += (size_t)sprintf(labels->text + labels->length, "%s%s=\"", labels->length > 0 ? "," : "", name);
	for (const char *c = shown; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			labels->text[labels->length++] = '\\';
		labels->text[labels->length++] = *c;
	}
	labels->text[labels->length++] = '"';
	labels->text[labels->length] = '\0';
}

static const char *text_of(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Of a guard that does not say which VM it guards nothing is shown. */
static bool start_labels(struct labels *labels, json_t *guard)
{
	const char *name = text_of(guard, "name"), *mac = text_of(guard, "mac");
	labels->length = 0;
	if (!name || !mac)
		return false;
	add_label(labels, "vm", name);
	add_label(labels, "mac", mac);
	return true;
}

static void put_header(struct writer *w)
{
	static const char *const types[] = { [COUNTER] = "counter", [GAUGE] = "gauge", [INFO] = "info" };
	const struct metric *m = w->metric;
	bool is_open = w->form == METRICS_OPENMETRICS;
	/* The older format knows no families: there a metric is called what its samples are called. */
	const char *suffix = is_open || m->type == GAUGE ? "" : m->type == INFO ? "_info" : "_total";
	fprintf(w->to, "# HELP %s%s %s\n", m->name, suffix, m->help);
	fprintf(w->to, "# TYPE %s%s %s\n", m->name, suffix, is_open || m->type != INFO ? types[m->type] : "gauge");
	if (is_open && m->unit)
		fprintf(w->to, "# UNIT %s %s\n", m->name, m->unit);
	w->has_header = true;
}

static void put_sample(struct writer *w, const struct labels *labels, const char *value)
{
	static const char *const suffixes[] = { [COUNTER] = "_total", [GAUGE] = "", [INFO] = "_info" };
	if (json_object_get(w->seen, labels->text))
		return;
	json_object_set_new(w->seen, labels->text, json_true());
	if (!w->has_header)
		put_header(w);
	fprintf(w->to, "%s%s{%s} %s\n", w->metric->name, suffixes[w->metric->type], labels->text, value);
}

static void put_number(struct writer *w, const struct labels *labels, json_t *number)
{
	char text[24];
	if (!json_is_integer(number) || json_integer_value(number) < 0)
		return;
	snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
	put_sample(w, labels, text);
}

/* With one label more. */
static void put_labeled(struct writer *w, const char *label, const char *value, json_t *number)
{
	struct labels labels;
	if (!start_labels(&labels, w->guard))
		return;
	add_label(&labels, label, value);
	put_number(w, &labels, number);
}

/* --- what is where in the status -------------------------------------------------------------------------------- */

static void walk_one(struct writer *w, json_t *value, const char *member)
{
	struct labels labels;
	if (start_labels(&labels, w->guard))
		put_number(w, &labels, member ? json_object_get(value, member) : value);
}

static void walk_sides(struct writer *w, json_t *sides, const char *member)
{
	for (int side = 0; side < DIRECTIONS; side++)
		put_labeled(w, "side", side_names[side],
			    json_object_get(json_object_get(sides, side_names[side]), member));
}

/* Counts by key; `label` says what the keys are. */
static void walk_keys(struct writer *w, json_t *counts, const char *label)
{
	const char *key;
	json_t *count;
	json_object_foreach(counts, key, count) put_labeled(w, label, key, count);
}

static void walk_drops(struct writer *w, json_t *drops, const char *member)
{
	size_t i;
	json_t *drop;
	json_array_foreach(drops, i, drop)
	{
		struct labels labels;
		const char *side = text_of(drop, "side"), *reason = text_of(drop, "reason");
		if (!side || !reason || !start_labels(&labels, w->guard))
			continue;
		add_label(&labels, "side", side);
		add_label(&labels, "reason", reason);
		put_number(w, &labels, json_object_get(drop, member));
	}
}

static void walk_info(struct writer *w, json_t *version, const char *member)
{
	struct labels labels;
	const char *guest = text_of(w->guard, "guest"), *uplink = text_of(w->guard, "uplink");
	(void)member;
	if (!json_is_string(version) || !guest || !uplink || !start_labels(&labels, w->guard))
		return;
	add_label(&labels, "version", json_string_value(version));
	add_label(&labels, "guest", guest);
	add_label(&labels, "uplink", uplink);
	put_sample(w, &labels, "1");
}

/* One sample a guard: another policy has another digest, and only the operator sets one. */
static void walk_digest(struct writer *w, json_t *digest, const char *member)
{
	struct labels labels;
	(void)member;
	if (!json_is_string(digest) || !start_labels(&labels, w->guard))
		return;
	add_label(&labels, "digest", json_string_value(digest));
	put_sample(w, &labels, "1");
}

/* format_time() backwards; to the second, which is what anybody wants to know. */
static void walk_time(struct writer *w, json_t *time, const char *member)
{
	struct tm tm;
	struct labels labels;
	char text[24];
	(void)member;
	memset(&tm, 0, sizeof tm);
	if (!json_is_string(time) || !strptime(json_string_value(time), "%Y-%m-%dT%H:%M:%S", &tm))
		return;
	intmax_t seconds = timegm(&tm);
	if (seconds < 0 || !start_labels(&labels, w->guard))
		return;
	snprintf(text, sizeof text, "%" PRIdMAX, seconds);
	put_sample(w, &labels, text);
}

static uint64_t count_addresses(json_t *addresses, bool is_six, const char *origin)
{
	uint64_t n = 0;
	size_t i;
	json_t *one;
	json_array_foreach(addresses, i, one)
	{
		const char *address = text_of(one, "address"), *its_origin = text_of(one, "origin");
		n += address && its_origin && (strchr(address, ':') != NULL) == is_six && strcmp(its_origin, origin) == 0;
	}
	return n;
}

/* Always the same six, with 0: an alert can be asked for that, but hardly for a sample that is not there. */
static void walk_addresses(struct writer *w, json_t *addresses, const char *member)
{
	static const struct {
		bool is_six;
		const char *origin;
	} kinds[] = {
		{ false, "dhcp" }, { false, "static" }, { true, "link-local" },
		{ true, "slaac" }, { true, "dhcp" },    { true, "static" },
	};
	(void)member;
	for (size_t i = 0; json_is_array(addresses) && i < sizeof kinds / sizeof *kinds; i++) {
		struct labels labels;
		if (!start_labels(&labels, w->guard))
			return;
		add_label(&labels, "family", kinds[i].is_six ? "ipv6" : "ipv4");
		add_label(&labels, "origin", kinds[i].origin);
		json_t *count = json_number(count_addresses(addresses, kinds[i].is_six, kinds[i].origin));
		put_number(w, &labels, count);
		json_decref(count);
	}
}

/* Leases alone: a guest can make itself one IPv6 address after the other, and the series of each would stay. */
static void walk_leases(struct writer *w, json_t *addresses, const char *member)
{
	size_t i;
	json_t *one;
	json_array_foreach(addresses, i, one)
	{
		const char *address = text_of(one, "address"), *origin = text_of(one, "origin");
		if (address && origin && strcmp(origin, "dhcp") == 0)
			put_labeled(w, "address", address, json_object_get(one, member));
	}
}

/* null: nothing was asked, or it was answered. So for the gateway. */
static void walk_asking(struct writer *w, json_t *asking, const char *member)
{
	json_t *none = json_number(0);
	if (asking)
		walk_one(w, json_is_null(asking) ? none : json_object_get(asking, member), NULL);
	json_decref(none);
}

/* null: nothing stands in the way. */
static void walk_away(struct writer *w, json_t *away, const char *member)
{
	json_t *why = json_object_get(away, member), *is_away = json_number(json_is_string(why));
	if (json_is_string(why) || json_is_null(why))
		walk_one(w, is_away, NULL);
	json_decref(is_away);
}

static const struct metric metrics[] = {
	{ "softnet", INFO, NULL, "version", NULL, walk_info, "A guard, its version and its two ports." },
	{ "softnet_start_time_seconds", GAUGE, "seconds", "started", NULL, walk_time,
	  "When the guard was started, since 1970 in UTC." },
	{ "softnet_frames", COUNTER, NULL, "passed", "frames", walk_sides,
	  "Frames that passed, by the side that sent them." },
	{ "softnet_bytes", COUNTER, "bytes", "passed", "octets", walk_sides,
	  "Octets of the frames that passed, by the side that sent them." },
	{ "softnet_drops", COUNTER, NULL, "drops", "count", walk_drops,
	  "Frames that did not pass, by the side that sent them and the reason." },
	{ "softnet_flows", GAUGE, NULL, "flows", "class", walk_keys, "Flows that are remembered, by class." },
	{ "softnet_addresses", GAUGE, NULL, "addresses", NULL, walk_addresses, "Addresses that the VM has." },
	{ "softnet_lease_seconds", GAUGE, "seconds", "addresses", "seconds", walk_leases,
	  "What is left of a DHCP lease." },
	{ "softnet_policy", INFO, NULL, "policy_digest", NULL, walk_digest, "Which policy is in force." },
	{ "softnet_rules", GAUGE, NULL, "policy", "action", walk_keys, "Rules of the policy in force." },
	{ "softnet_rejections", COUNTER, NULL, "rejections", NULL, walk_one, "Answers that --reject sent to the VM." },
	{ "softnet_questions", COUNTER, NULL, "questions", NULL, walk_one,
	  "Questions that the guard asked the network in the VM's name." },
	{ "softnet_uplink_away", GAUGE, NULL, "away", "uplink", walk_away,
	  "1 when the way to the network is away, else 0." },
	{ "softnet_dhcp_unanswered_seconds", GAUGE, "seconds", "asking", "seconds", walk_asking,
	  "For how long the VM has asked by DHCP without an answer." },
	{ "softnet_gateway_unheard_seconds", GAUGE, "seconds", "gateway", "seconds", walk_asking,
	  "For how long the gateway's answers have been dropped." },
	{ "softnet_events", COUNTER, NULL, "events", "told", walk_one, "Events that were told." },
	{ "softnet_events_lost", COUNTER, NULL, "events", "lost", walk_one, "Events that --events could not write." },
	{ "softnet_capture_lost", COUNTER, NULL, "capture", "lost", walk_one, "Frames that --pcap could not write." },
	{ "softnet_state_failed", COUNTER, NULL, "state_file", "failed", walk_one,
	  "How often --state could not be written." },
	{ "softnet_metrics_failed", COUNTER, NULL, "metrics", "failed", walk_one, "How often --metrics could not write." },
};

static void put_family(struct writer *w, const json_t *guards, const struct metric *metric)
{
	size_t i;
	w->metric = metric;
	w->has_header = false;
	json_object_clear(w->seen);
	json_array_foreach(guards, i, w->guard) metric->walk(w, json_object_get(w->guard, metric->key), metric->member);
}

char *metrics_text(const json_t *guards, enum metrics_form form)
{
	char *text = NULL;
	size_t length;
	struct writer w = { .to = open_memstream(&text, &length), .form = form, .seen = json_object() };
	bool is_whole = w.to && w.seen;
	for (size_t i = 0; is_whole && i < sizeof metrics / sizeof *metrics; i++)
		put_family(&w, guards, &metrics[i]);
	if (is_whole && form == METRICS_OPENMETRICS)
		fputs("# EOF\n", w.to);
	json_decref(w.seen);
	is_whole = is_whole && !ferror(w.to);
	if (w.to && fclose(w.to) == 0 && is_whole)
		return text;
	free(text);
	return NULL;
}

char *metrics_of_guard(json_t *status, enum metrics_form form)
{
	json_t *guards = status ? json_pack("[o]", status) : NULL;
	char *text = guards ? metrics_text(guards, form) : NULL;
	json_decref(guards);
	return text;
}
