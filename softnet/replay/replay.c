/*
 * softnet replay: captured frames, in the order of their times, to a guard without ports (replay_guard.c); with --diff also to a
 * second one that has other rules.
 */
#include "softnet/replay/replay.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "system/log.h"
#include "softnet/rules/policy_file.h"
#include "system/process/privileges.h"
#include "softnet/replay/replay_comment.h"
#include "softnet/replay/replay_guard.h"
#include "softnet/replay/replay_held.h"
#include "softnet/replay/replay_text.h"
#include "softnet/replay/suggest.h"

#define BASE_MS 1000000000ULL /* what the clock shows at the begin; not 0, which means never in some places */
#define MS_NS   1000000ULL

struct source {
	struct pcap_file file;
	enum capture_side side;
	struct captured head; /* has_head: the next frame */
	bool has_head;
	uint32_t comments; /* how many of the file's have been heard */
};

static struct {
	FILE *to;
	const struct options *asked; /* the command line */
	struct options options;      /* what decides */
	bool is_by_comment;          /* that, and what changes it */
	struct source sources[CAPTURES_MAX];
	struct source *order[CAPTURES_MAX]; /* by the first frame: files of a rotation may be named in any order */
	struct replay_guard guard, other;   /* other: of --diff */
	uint64_t begin_ms;                  /* time of the wall */
	uint64_t number;
	struct replay_counts counts;
	struct error broken; /* why it ends before the captures do */
} replay;

/* Sources */

static bool read_head(struct source *source)
{
	enum capture_step step = read_captured(&source->file, &source->head);
	source->has_head = step == CAPTURE_FRAME;
	if (step == CAPTURE_BROKEN)
		replay.broken = source->file.error;
	return step != CAPTURE_BROKEN;
}

static bool begins_before(const struct source *one, const struct source *two)
{
	return one->has_head && (!two->has_head || one->head.time_ns < two->head.time_ns);
}

static bool open_sources(void)
{
	for (uint32_t i = 0; i < replay.asked->capture_count; i++) {
		struct source *source = &replay.sources[i];
		source->side = replay.asked->captures[i].side;
		if (!open_capture(&source->file, replay.asked->captures[i].path)) {
			replay.broken = source->file.error;
			return false;
		}
		if (!read_head(source))
			return false;
		uint32_t at = i;
		for (; at > 0 && begins_before(source, replay.order[at - 1]); at--)
			replay.order[at] = replay.order[at - 1];
		replay.order[at] = source;
	}
	return true;
}

static void close_sources(void)
{
	for (uint32_t i = 0; i < replay.asked->capture_count; i++)
		close_capture(&replay.sources[i].file);
}

/* Whose frame is next; within a file the order of the file holds. NULL: none is left. */
static struct source *choose_source(void)
{
	struct source *first = NULL;
	for (uint32_t i = 0; i < replay.asked->capture_count; i++)
		if (replay.order[i]->has_head && (!first || begins_before(replay.order[i], first)))
			first = replay.order[i];
	return first;
}

/* Options */

static bool refuse_comment(const struct source *source, const struct error *cause)
{
	return refuse(&replay.broken, "%.60s: its comment: %.200s", source->file.path, cause->text);
}

static bool read_comment(const struct source *source, struct options *options)
{
	struct error cause;
	return read_guards_comment(source->file.comment, source->file.comment_length, options, &cause) ||
	       refuse_comment(source, &cause);
}

static const struct source *find_comment(void)
{
	for (uint32_t i = 0; i < replay.asked->capture_count; i++)
		if (is_guards_comment(replay.order[i]->file.comment, replay.order[i]->file.comment_length))
			return replay.order[i];
	return NULL;
}

static bool choose_options(struct error *error)
{
	replay.is_by_comment = !decides_something(replay.asked);
	if (!replay.is_by_comment) {
		replay.options = *replay.asked;
		return true;
	}
	const struct source *source = find_comment();
	if (!source)
		return refuse(error,
			      "%s: no capture says with which options it was made; give the guard's own, "
			      "--vm-mac-address at least",
			      replay.asked->wanted == WANT_SUGGEST ? "policy suggest" : "replay");
	if (!read_comment(source, &replay.options))
		return false;
	if (replay.asked->sites.count > 0)
		replay.options.sites = replay.asked->sites;
	return true;
}

/* As if the guard had been started with the rules of the file. */
static bool start_other(uint64_t now_ms, struct error *error)
{
	static struct options options;
	struct error cause;
	if (!replay.asked->diff)
		return true;
	options = replay.options;
	options.rules.count = 0;
	options.learns_names = false;
	if (!read_policy_file(replay.asked->diff, &options.rules, &cause))
		return refuse(error, "--diff: %s", cause.text);
	normalize_rules(&options.rules);
	return start_replay_guard(&replay.other, &options, now_ms, &cause) || refuse(error, "--diff: %s", cause.text);
}

static void note_event(void *context, const struct name_event *event)
{
	(void)context;
	note_name_event(replay.asked, event);
}

static bool start_guards(struct error *error)
{
	replay.begin_ms = replay.order[0]->has_head ? replay.order[0]->head.time_ns / MS_NS : 0;
	replay.options.learns_names |= replay.asked->wanted == WANT_SUGGEST;
	if (!start_replay_guard(&replay.guard, &replay.options, BASE_MS, error) || !start_other(BASE_MS, error))
		return false;
	if (replay.asked->wanted == WANT_SUGGEST)
		replay.guard.memory.names.event = note_event;
	return true;
}

/* What a new section says is in force from its first frame on. */
static bool follow_comment(struct source *source)
{
	static struct options options;
	struct error cause;
	const struct pcap_file *file = &source->file;
	bool is_news = replay.is_by_comment && source->comments != file->comments;
	source->comments = file->comments;
	if (!is_news || !is_guards_comment(file->comment, file->comment_length))
		return true;
	if (!read_comment(source, &options))
		return false;
	if (options.vm_mac != replay.options.vm_mac)
		return refuse(&replay.broken, "%.200s: expected captures of one VM", file->path);
	if (replay.asked->sites.count > 0)
		options.sites = replay.asked->sites;
	if (!change_replay_guard(&replay.guard, &options, &options.rules, &cause) ||
	    (replay.asked->diff && !change_replay_guard(&replay.other, &options, &replay.other.rules, &cause)))
		return refuse_comment(source, &cause);
	return true;
}

/* Frames */

static enum direction direction_of(const struct source *source)
{
	const struct captured *c = &source->head;
	enum capture_side side = source->side != SIDE_OF_FRAME ? source->side : c->side;
	uint64_t mac = 0;
	for (uint32_t i = 6; i < 12 && i < c->kept; i++)
		mac = mac << 8 | c->bytes[i];
	bool is_guests = side == SIDE_GUEST || (side == SIDE_OF_FRAME && c->kept >= 12 && mac == replay.options.vm_mac);
	return is_guests ? FROM_GUEST : TO_GUEST;
}

static unsigned decide_by(struct replay_guard *guard, enum direction direction, const struct captured *captured)
{
	uint64_t wall_ms = captured->time_ns / MS_NS;
	if (wall_ms > replay.begin_ms)
		advance_replay_guard(guard, BASE_MS + (wall_ms - replay.begin_ms));
	guard->memory.names.hold.number = replay.number;
	return is_cut(guard, captured) ? REPLAY_CUT : decide_captured(guard, direction, captured);
}

static bool is_shown(const struct replayed *r)
{
	if (replay.asked->wanted == WANT_SUGGEST)
		return false;
	switch (replay.asked->frames) {
	case FRAMES_NONE:
		return false;
	case FRAMES_DROPS:
		if (r->verdict < FIRST_DROP || r->verdict >= VERDICTS)
			return r->other != REPLAY_NOTHING && r->other != r->verdict;
		break;
	case FRAMES_UNSAID:
	case FRAMES_ALL:
		break;
	}
	return r->other == REPLAY_NOTHING || r->other != r->verdict;
}

static void show(const struct replayed *r)
{
	count_replayed(&replay.counts, r);
	if (is_shown(r))
		print_replayed(r, replay.asked->json, replay.to);
}

/* Frames that have waited are shown when it is known what became of them. */
static void show_known(bool is_end)
{
	follow_fates(&replay.guard, false);
	if (replay.asked->diff)
		follow_fates(&replay.other, true);
	for (struct replayed *r; (r = take_known(is_end)); free(r))
		show(r);
}

static void replay_frame(const struct source *source)
{
	struct replayed r = { .number = ++replay.number,
			      .direction = direction_of(source),
			      .captured = &source->head,
			      .other = REPLAY_NOTHING };
	r.verdict = decide_by(&replay.guard, r.direction, r.captured);
	if (replay.asked->diff)
		r.other = decide_by(&replay.other, r.direction, r.captured);
	r.recorded = recorded_verdict(r.captured->comment, r.captured->comment_length);
	bool waits = r.verdict == HELD || r.other == HELD;
	if (!waits)
		show(&r);
	else if (!keep_replayed(&r))
		refuse(&replay.broken, "no memory is left");
	show_known(false);
}

static void replay_frames(void)
{
	struct source *source;
	do {
		source = choose_source();
		if (!source || !follow_comment(source))
			return;
		replay_frame(source);
	} while (!ferror(replay.to) && read_head(source));
}

/* A reader that has read enough closes the pipe. */
static int finish(void)
{
	bool is_written = !ferror(replay.to) && fflush(replay.to) == 0;
	if (!is_written && errno != EPIPE)
		refuse(&replay.broken, "cannot write: %s", strerror(errno));
	if (replay.broken.text[0] != '\0')
		warning("%s", replay.broken.text);
	if (replay.broken.text[0] != '\0')
		return EXIT_RUNTIME;
	return replay.asked->diff && replay.counts.closed > 0 ? EXIT_LOST : EXIT_OK;
}

static void print_end(FILE *to)
{
	const struct options *asked = replay.asked;
	if (asked->wanted != WANT_SUGGEST) {
		print_replay_summary(&replay.counts, asked->diff != NULL, asked->json, to);
		return;
	}
	finish_learning(&replay.guard.memory.names, replay.guard.now_ms);
	print_suggestion(asked, replay.broken.text[0] == '\0', to);
}

/* The error stays empty where it is not the command line's. */
static bool prepare(struct error *error)
{
	error->text[0] = '\0';
	if (!become_caller())
		return refuse(&replay.broken, "cannot become the user who called: %s", strerror(errno));
	return open_sources() && choose_options(error) && start_guards(error);
}

int replay_captures(const struct options *options, FILE *to, struct error *error)
{
	enum { OUTPUT_BUFFER = 1 << 16 };
	static char buffer[OUTPUT_BUFFER];
	replay.asked = options;
	replay.to = to;
	signal(SIGPIPE, SIG_IGN);
	setvbuf(to, buffer, _IOFBF, sizeof buffer);
	bool is_prepared = prepare(error);
	if (is_prepared) {
		replay_frames();
		show_known(true);
		print_end(to);
	}
	close_sources();
	return is_prepared || error->text[0] == '\0' ? finish() : EXIT_USAGE;
}
