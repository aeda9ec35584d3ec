/* Lines in and out of one control channel, without ever waiting. */
#include "softnet/control/control_client.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "port/io.h"

enum { QUEUE_FIRST = 4096 };

static size_t octets_in(const struct queue *q)
{
	return q->end - q->begin;
}

static void empty(struct queue *q)
{
	free(q->octets);
	*q = (struct queue){ 0 };
}

/* Room for `more` octets at the end. False: no memory. */
static bool make_room(struct queue *q, size_t more)
{
	if (q->size - q->end >= more)
		return true;
	if (q->begin > 0)
		memmove(q->octets, q->octets + q->begin, octets_in(q));
	q->end -= q->begin;
	q->begin = 0;
	size_t size = q->size > 0 ? q->size : QUEUE_FIRST;
	while (size - q->end < more)
		size *= 2;
	char *octets = size > q->size ? realloc(q->octets, size) : q->octets;
	if (!octets)
		return false;
	q->octets = octets;
	q->size = size;
	return true;
}

static void drop_front(struct queue *q, size_t octets)
{
	q->begin += octets;
	if (q->begin == q->end)
		empty(q);
}

/* What is left of a line, and its newline. NULL, or why not. */
static const char *queue_rest(struct client *c, const char *rest, size_t length)
{
	if (octets_in(&c->out) + length + 1 > ANSWERS_MAX)
		return "it does not read its answers";
	if (!make_room(&c->out, length + 1))
		return "out of memory";
	memcpy(c->out.octets + c->out.end, rest, length);
	c->out.octets[c->out.end + length] = '\n';
	c->out.end += length + 1;
	return NULL;
}

static const char *queue_line(struct client *c, const char *line)
{
	return queue_rest(c, line, strlen(line));
}

void queue_event(struct client *c, const char *line)
{
	if (octets_in(&c->out) + strlen(line) < EVENTS_MAX && !queue_line(c, line))
		c->missed = 0;
	else
		c->missed++;
}

void open_client(struct client *c, int fd, bool is_operator, void *context)
{
	*c = (struct client){ .fd = fd, .is_operator = is_operator, .call = { .context = context, .client = c } };
}

void close_client(struct client *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	c->fd = -1;
	c->is_subscribed = c->is_away = false;
	rpc_abandon(&c->call);
	empty(&c->in);
	empty(&c->out);
}

/* The length of the first line, or `in` as a whole where no newline is there. */
static bool find_line(struct client *c, size_t *octets)
{
	size_t have = octets_in(&c->in);
	const char *from = c->in.octets + c->in.begin;
	const char *newline = have > c->looked_at ? memchr(from + c->looked_at, '\n', have - c->looked_at) : NULL;
	*octets = newline ? (size_t)(newline - from) : have;
	c->looked_at = *octets;
	return newline != NULL;
}

bool has_request(struct client *c)
{
	size_t octets;
	return c->fd >= 0 && !c->call.request && !c->is_away && (find_line(c, &octets) || octets > RPC_LINE_MAX);
}

const char *whole_request(struct client *c, size_t *octets)
{
	return has_request(c) && find_line(c, octets) && *octets <= RPC_LINE_MAX ? c->in.octets + c->in.begin : NULL;
}

short wanted_events(struct client *c)
{
	bool reads = !c->has_spoken_out && !c->call.request && !c->is_away && !has_request(c);
	return (short)((reads ? POLLIN : 0) | (octets_in(&c->out) > 0 ? POLLOUT : 0));
}

static bool flush(struct client *c)
{
	while (octets_in(&c->out) > 0) {
		struct iovec rest = { c->out.octets + c->out.begin, octets_in(&c->out) };
		ssize_t n = stream_write(c->fd, &rest, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return means_full(errno);
		drop_front(&c->out, (size_t)n);
	}
	return true;
}

/* The rest of a line that was answered before its end. */
static void skip(struct client *c)
{
	size_t octets;
	if (!c->skips)
		return;
	if (find_line(c, &octets)) {
		c->skips = false;
		octets++;
	}
	c->looked_at = 0;
	drop_front(&c->in, octets);
}

static bool fill(struct client *c)
{
	if (!make_room(&c->in, READ_MAX))
		return false;
	ssize_t n = recv(c->fd, c->in.octets + c->in.end, READ_MAX, MSG_DONTWAIT);
	if (n > 0)
		c->in.end += (size_t)n;
	else if (octets_in(&c->in) == 0)
		empty(&c->in);
	c->has_spoken_out = n == 0;
	skip(c);
	return n >= 0 || errno == EINTR || means_full(errno);
}

bool move_octets(struct client *c)
{
	if (!flush(c))
		return false;
	if ((wanted_events(c) & POLLIN) != 0 && !fill(c))
		return false;
	/* A client that has sent its last word may still read; half a line is no request. */
	return !c->has_spoken_out || has_request(c) || c->is_away || c->call.request || octets_in(&c->out) > 0;
}

static void take_line(struct client *c, size_t octets, bool is_whole)
{
	c->skips = !is_whole;
	c->looked_at = 0;
	drop_front(&c->in, octets + is_whole);
}

static char *answer_line(struct client *c, const struct rpc_method *methods)
{
	size_t octets;
	bool is_whole = find_line(c, &octets);
	char *answer;
	if (octets > RPC_LINE_MAX)
		answer = rpc_error_line(RPC_NO_JSON, "a line longer than 1 MiB");
	else
		answer = rpc_begin(&c->call, methods, c->is_operator, c->in.octets + c->in.begin, octets);
	take_line(c, octets, is_whole);
	return answer;
}

/* How much of the line went out at once, past an empty queue, so that a long answer is not copied once more. */
static size_t write_at_once(struct client *c, const char *line, size_t length)
{
	struct iovec whole = { (void *)(uintptr_t)line, length };
	ssize_t n = octets_in(&c->out) == 0 ? stream_write(c->fd, &whole, 1) : 0;
	return n > 0 ? (size_t)n : 0; /* an error shows again in flush() */
}

bool give_answer(struct client *c, const char *answer, const char **why)
{
	size_t octets, length = strlen(answer), written = write_at_once(c, answer, length);
	bool is_whole = find_line(c, &octets);
	*why = queue_rest(c, answer + written, length - written);
	take_line(c, octets, is_whole);
	return !*why && flush(c);
}

bool answer_request(struct client *c, const struct rpc_method *methods, const char **why)
{
	*why = NULL;
	char *answer = c->call.request ? rpc_resume(&c->call) : answer_line(c, methods);
	if (!answer && c->call.request)
		return true;
	*why = answer ? queue_line(c, answer) : "out of memory";
	free(answer);
	return !*why && flush(c);
}
