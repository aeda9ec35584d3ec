/* softnet watch without a screen: a line for whatever has changed. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "system/clock.h"
#include "system/process/signals.h"
#include "softnet/look/text/status_text.h"
#include "softnet/look/watch.h"

/* A pipe that says POLLOUT takes as much at once (PIPE_BUF of POSIX). */
enum { LINE_TEXT = 512 };

static bool write_line(const struct sheet *line)
{
	struct pollfd fds[2] = { { .fd = STDOUT_FILENO, .events = POLLOUT }, { .fd = signal_fd(), .events = POLLIN } };
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return false;
	return fds[1].revents == 0 && (fds[0].revents & POLLOUT) != 0 &&
	       write(STDOUT_FILENO, line->text, line->length) == (ssize_t)line->length;
}

/* TIME VM WHAT; each part bounded, so that the newline has its place. */
static bool tell(const json_t *status, const char *what, const char *more)
{
	char text[LINE_TEXT], time[TIME_TEXT];
	struct sheet line = { .text = text, .size = sizeof text };
	write_to(&line, "%s %.63s %.120s%.260s\n", format_time(wall_clock_ms(), time), word_of(status, "name").text,
		 what, more);
	return write_line(&line);
}

static const json_t *find_status(const struct guard_list *list, const json_t *like)
{
	for (size_t i = 0; i < list->count; i++)
		if (json_equal(json_object_get(list->views[i].status, "pid"), json_object_get(like, "pid")) &&
		    json_equal(json_object_get(list->views[i].status, "mac"), json_object_get(like, "mac")))
			return list->views[i].status;
	return NULL;
}

/* That one of an array which has the same values under both keys. */
static const json_t *find_like(const json_t *array, const json_t *like, const char *key, const char *other)
{
	size_t i;
	const json_t *one;
	json_array_foreach(array, i,
			   one) if (json_equal(json_object_get(one, key), json_object_get(like, key)) &&
				    json_equal(json_object_get(one, other), json_object_get(like, other))) return one;
	return NULL;
}

static bool tell_drops(const json_t *before, const json_t *status)
{
	size_t i;
	const json_t *drop;
	char what[120];
	json_array_foreach(json_object_get(status, "drops"), i, drop)
	{
		const json_t *old = find_like(json_object_get(before, "drops"), drop, "side", "reason");
		uint64_t count = number_of(drop, "count"), known = number_of(old, "count");
		if (count <= known)
			continue;
		snprintf(what, sizeof what, "drop %.10s %.40s +%" PRIu64 ": ", word_of(drop, "side").text,
			 word_of(drop, "reason").text, count - known);
		bool has_frame = json_is_string(json_object_get(drop, "frame"));
		if (!tell(status, what, word_of(drop, has_frame ? "frame" : "meaning").text))
			return false;
	}
	return true;
}

static bool tell_addresses(const json_t *from, const json_t *status, const char *what)
{
	size_t i;
	const json_t *one;
	json_array_foreach(json_object_get(status, "addresses"), i,
			   one) if (!find_like(json_object_get(from, "addresses"), one, "address", "origin") &&
				    !tell(status, what, word_of(one, "address").text)) return false;
	return true;
}

/* There is a hint now. */
static bool has_begun(const json_t *before, const json_t *status, const char *key)
{
	return json_is_object(json_object_get(status, key)) && !json_is_object(json_object_get(before, key));
}

static bool tell_changes(const json_t *before, const json_t *status)
{
	bool is_cut_off = has_begun(before, status, "asking") || has_begun(before, status, "gateway");
	return tell_addresses(before, status, "address new: ") && tell_addresses(status, before, "address lost: ") &&
	       (!is_cut_off || tell(status, "", format_situation(status).text)) && tell_drops(before, status);
}

bool write_changes(const struct guard_list *before, const struct guard_list *now)
{
	bool goes_on = true;
	for (size_t i = 0; i < before->count && goes_on; i++)
		if (!find_status(now, before->views[i].status))
			goes_on = tell(before->views[i].status, "gone", "");
	for (size_t i = 0; i < now->count && goes_on; i++) {
		const json_t *old = find_status(before, now->views[i].status);
		goes_on = old ? tell_changes(old, now->views[i].status)
			      : tell(now->views[i].status, "", format_situation(now->views[i].status).text);
	}
	return goes_on;
}
