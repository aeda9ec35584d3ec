/*
 * JSON-RPC 2.0, a request and an answer per line: the envelope. It knows neither sockets nor what the methods do. What
 * comes in is a stranger's: bounded before it is parsed, and parsed whole before anything is done.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RPC_LINE_MAX = 1 << 20 }; /* octets, without the newline */

enum rpc_code {
	RPC_NO_JSON = -32700,
	RPC_NO_REQUEST = -32600,
	RPC_NO_METHOD = -32601,
	RPC_BAD_PARAMETERS = -32602,
	RPC_INTERNAL = -32603 /* no memory */
};

/*
 * A call that is under way. A method gives its result, or NULL after rpc_refuse(), or NULL after it has set is_later: then
 * it is called again until it gives one of the others.
 */
struct rpc_call {
	void *context, *client; /* the caller's */
	json_t *request;        /* NULL: no call is under way */
	json_t *params;         /* NULL: none */
	char *written;          /* the result, by a method that writes JSON itself; see rpc_written() */
	json_t *(*method)(struct rpc_call *);
	bool is_later;
	uint64_t progress; /* the method's; 0 at first */
	int code;
	char message[400];
};

struct rpc_method {
	const char *name; /* NULL ends a table */
	bool is_ours;     /* not for channels that know the two methods of the original alone */
	json_t *(*call)(struct rpc_call *);
};

/* Once, before the first parse: keys of objects are hashed, and nobody may aim at a bucket. */
void rpc_seed(size_t random);
/* Where JSON has its memory from; tests run out of it. */
extern void *(*rpc_malloc)(size_t);

/*
 * To be asked before a stranger's line is parsed, which takes up to 80 times its octets. Does not care whether it is JSON.
 */
bool has_too_many_values(const char *line, size_t octets, size_t most);
/*
 * Takes a line. The answer is malloc'd, one line without newline. NULL: call->request stands, and rpc_resume() is to be
 * asked from time to time; or, where request is NULL, there was no memory.
 */
char *rpc_begin(struct rpc_call *, const struct rpc_method *methods, bool is_full, const char *line, size_t octets);
char *rpc_resume(struct rpc_call *);
void rpc_abandon(struct rpc_call *);

/* The answer to a line that could not even be kept. */
char *rpc_error_line(enum rpc_code, const char *message);
/* Takes the reference to params, which may be NULL for want of memory. */
char *rpc_notification(const char *method, json_t *params);

/* Always NULL, so that a method can end with it; and always false, for what asks on its behalf. */
__attribute__((format(printf, 3, 4))) json_t *rpc_refuse(struct rpc_call *, enum rpc_code, const char *format, ...);
__attribute__((format(printf, 3, 4))) bool rpc_deny(struct rpc_call *, enum rpc_code, const char *format, ...);
/* For a result that is long: its text, from rpc_malloc(), which this takes; NULL: no memory. A method ends with it. */
json_t *rpc_written(struct rpc_call *, char *text);
/* False: refused. No parameters, null, or {}. */
bool rpc_takes_nothing(struct rpc_call *);
/* False: refused. An object of exactly these keys; the list ends in NULL. */
bool rpc_takes(struct rpc_call *, const char *const *keys);
