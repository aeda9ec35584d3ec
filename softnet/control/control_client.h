/* One end of a control channel: lines in, lines out, and a bound on both. */
#pragma once
#include "softnet/control/rpc.h"

enum {
	ANSWERS_MAX = 4 << 20, /* octets that wait for a client; one that lets more wait is cut off */
	EVENTS_MAX = 64 << 10, /* beyond these, notifications are not queued but counted */
	READ_MAX = 64 << 10    /* octets in one turn */
};

/* Octets from begin to end; room is made as it is needed and given back when the queue is empty. */
struct queue {
	char *octets;
	size_t begin, end, size;
};

struct client {
	int fd;           /* -1: nobody */
	bool is_operator; /* came by --control or the registry, and so may call every method */
	bool is_reader;   /* but none that changes something */
	bool is_roots;    /* the one who connected is root */
	bool is_subscribed;
	bool has_spoken_out; /* nothing more is to be read */
	bool skips;          /* what comes is the rest of a line that was too long */
	bool is_away;        /* its request is read aside, and the next one waits */
	struct queue in, out;
	size_t looked_at; /* so many octets of `in` hold no newline */
	uint64_t missed;  /* events since the last that was queued */
	struct rpc_call call;
};

void open_client(struct client *, int fd, bool is_operator, void *context);
void close_client(struct client *);

/* The events to poll for; 0: none, and a hang-up would not be news either. */
short wanted_events(struct client *);
/* A whole line is there, and nothing else keeps it from being answered. */
bool has_request(struct client *);

/* The request that waits, without newline: NULL: there is none, or its end has not come. */
const char *whole_request(struct client *, size_t *octets);
/* That of a request that was away; takes the request off the queue. False: it is over, and why. */
bool give_answer(struct client *, const char *answer, const char **why);

/* Reads and writes what can be without waiting. False: it is over. */
bool move_octets(struct client *);
/* Answers one request, or looks after the one that is under way. False: it is over, and *why, unless NULL, says more. */
bool answer_request(struct client *, const struct rpc_method *, const char **why);

/* An event: a line without newline, which is the caller's. */
void queue_event(struct client *, const char *line);
