/* Lines of text for people, lines of JSON for programs. jansson would cost more than all the rest. */
#include "softnet/replay/replay_text.h"
#include <inttypes.h>
#include <string.h>
#include "softnet/describe/describe.h"

enum { MILLION = 1000000, VERDICT_TEXT = 64 };

static const char *name_of(unsigned verdict)
{
	return verdict == REPLAY_CUT ? "cut" : verdict_name((enum verdict)verdict);
}

/* "pass", "drop REASON" or "cut". */
static const char *format_verdict(unsigned verdict, char text[VERDICT_TEXT])
{
	bool is_drop = verdict >= FIRST_DROP && verdict < VERDICTS;
	snprintf(text, VERDICT_TEXT, "%s%s", is_drop ? "drop " : "", name_of(verdict));
	return text;
}

unsigned recorded_verdict(const char *comment, size_t length)
{
	static const char drop[] = "drop ";
	size_t word = sizeof drop - 1;
	if (!comment)
		return REPLAY_NOTHING;
	if (length == 4 && memcmp(comment, "pass", 4) == 0)
		return PASS;
	if (length <= word || memcmp(comment, drop, word) != 0)
		return REPLAY_NOTHING;
	const char *reason = comment + word, *colon = memchr(reason, ':', length - word);
	size_t reason_length = colon ? (size_t)(colon - reason) : length - word;
	for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
		if (strlen(verdict_name(verdict)) == reason_length &&
		    memcmp(verdict_name(verdict), reason, reason_length) == 0)
			return verdict;
	return REPLAY_NOTHING;
}

void count_replayed(struct replay_counts *counts, const struct replayed *r)
{
	counts->frames[r->direction][r->verdict]++;
	counts->octets[r->direction][r->verdict] += r->captured->length;
	if (r->other != REPLAY_NOTHING && r->other != r->verdict)
		*(r->other == PASS ? &counts->opened : r->verdict == PASS ? &counts->closed : &counts->otherwise) += 1;
	if (r->recorded != REPLAY_NOTHING && r->verdict != REPLAY_CUT) {
		counts->recorded++;
		counts->contradicted += r->recorded != r->verdict;
	}
}

/* Frames */

/* Nothing but printable ASCII comes here. */
static void print_string(const char *text, FILE *to)
{
	putc_unlocked('"', to);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putc_unlocked('\\', to);
		putc_unlocked(*text >= ' ' && *text <= '~' ? *text : '?', to);
	}
	putc_unlocked('"', to);
}

/* A pass is null where reasons stand, "pass" where verdicts are compared. */
static void print_reason(const char *key, unsigned verdict, bool is_compared, FILE *to)
{
	bool has_reason = is_compared || (verdict != PASS && verdict != REPLAY_CUT);
	fprintf(to, has_reason ? ",\"%s\":\"%s\"" : ",\"%s\":null", key, name_of(verdict));
}

static void print_json(const struct replayed *r, const char *time, FILE *to)
{
	char frame[DESCRIPTION_TEXT];
	const struct captured *c = r->captured;
	const char *verdict = r->verdict == PASS || r->verdict == REPLAY_CUT ? name_of(r->verdict) : "drop";
	fprintf(to, "{\"number\":%" PRIu64 ",\"time\":\"%s\",\"side\":\"%s\",\"verdict\":\"%s\"", r->number, time,
		side_names[r->direction], verdict);
	print_reason("reason", r->verdict, false, to);
	if (r->other != REPLAY_NOTHING)
		print_reason("other", r->other, true, to);
	if (r->recorded != REPLAY_NOTHING)
		print_reason("recorded", r->recorded, true, to);
	fprintf(to, ",\"length\":%" PRIu32 ",\"frame\":", c->length);
	print_string(describe_frame(c->bytes, c->kept, c->length, frame), to);
	fputs("}\n", to);
}

static void print_text(const struct replayed *r, const char *time, FILE *to)
{
	char frame[DESCRIPTION_TEXT], verdict[VERDICT_TEXT], other[VERDICT_TEXT], recorded[VERDICT_TEXT];
	const struct captured *c = r->captured;
	fprintf(to, "%s %-6s %-16s ", time, side_names[r->direction], format_verdict(r->verdict, verdict));
	if (r->other != REPLAY_NOTHING)
		fprintf(to, "-> %-16s ", format_verdict(r->other, other));
	fputs(describe_frame(c->bytes, c->kept, c->length, frame), to);
	if (r->recorded != REPLAY_NOTHING && r->recorded != r->verdict)
		fprintf(to, " (recorded: %s)", format_verdict(r->recorded, recorded));
	putc_unlocked('\n', to);
}

void print_replayed(const struct replayed *r, bool as_json, FILE *to)
{
	char time[TIME_TEXT];
	format_time(r->captured->time_ns / MILLION, time);
	if (as_json)
		print_json(r, time, to);
	else
		print_text(r, time, to);
}

/* The summary */

static void print_counts(const struct replay_counts *counts, int direction, FILE *to)
{
	char text[VERDICT_TEXT];
	for (unsigned verdict = 0; verdict < REPLAY_VERDICTS; verdict++)
		if (counts->frames[direction][verdict] > 0)
			fprintf(to, "%-6s %-32s %12" PRIu64 " %16" PRIu64 "\n", side_names[direction],
				format_verdict(verdict, text), counts->frames[direction][verdict],
				counts->octets[direction][verdict]);
}

static void print_text_summary(const struct replay_counts *counts, bool has_other, FILE *to)
{
	fprintf(to, "%-6s %-32s %12s %16s\n", "side", "verdict", "frames", "octets");
	for (int direction = 0; direction < DIRECTIONS; direction++)
		print_counts(counts, direction, to);
	if (has_other)
		fprintf(to,
			"--diff: %" PRIu64 " frames would pass, %" PRIu64 " be dropped, %" PRIu64
			" be dropped for another reason\n",
			counts->opened, counts->closed, counts->otherwise);
	if (counts->recorded > 0)
		fprintf(to, "the guard's own verdicts: %" PRIu64 ", of which %" PRIu64 " were others\n",
			counts->recorded, counts->contradicted);
}

static void print_json_counts(const struct replay_counts *counts, int direction, FILE *to)
{
	const char *comma = "";
	fprintf(to, "\"%s\":{", side_names[direction]);
	for (unsigned verdict = 0; verdict < REPLAY_VERDICTS; verdict++) {
		if (counts->frames[direction][verdict] == 0)
			continue;
		fprintf(to, "%s\"%s\":{\"frames\":%" PRIu64 ",\"octets\":%" PRIu64 "}", comma, name_of(verdict),
			counts->frames[direction][verdict], counts->octets[direction][verdict]);
		comma = ",";
	}
	fputs("},", to);
}

void print_replay_summary(const struct replay_counts *counts, bool has_other, bool as_json, FILE *to)
{
	if (!as_json) {
		print_text_summary(counts, has_other, to);
		return;
	}
	fputs("{\"summary\":{", to);
	for (int direction = 0; direction < DIRECTIONS; direction++)
		print_json_counts(counts, direction, to);
	if (has_other)
		fprintf(to, "\"diff\":{\"pass\":%" PRIu64 ",\"drop\":%" PRIu64 ",\"reason\":%" PRIu64 "},",
			counts->opened, counts->closed, counts->otherwise);
	fprintf(to, "\"recorded\":{\"frames\":%" PRIu64 ",\"others\":%" PRIu64 "}}}\n", counts->recorded,
		counts->contradicted);
}
