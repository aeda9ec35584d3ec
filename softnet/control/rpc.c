/* JSON-RPC 2.0: a line in, a line out. */
#include "softnet/control/rpc.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "system/text.h"

enum {
	ID_MAX = 256,        /* octets */
	VALUES_MAX = 1 << 16 /* no method takes as many by far; a MiB of small ones would take 80 MB and 80 ms to parse */
};

void *(*rpc_malloc)(size_t) = malloc;
static bool ran_out; /* of memory */

static void *allocate(size_t octets)
{
	void *memory = rpc_malloc(octets);
	ran_out |= !memory;
	return memory;
}

void rpc_seed(size_t random)
{
	json_set_alloc_funcs(allocate, free);
	json_object_seed(random);
}

__attribute__((format(printf, 3, 0))) static void fill(struct rpc_call *call, enum rpc_code code, const char *format,
						       va_list arguments)
{
	vsnprintf(call->message, sizeof call->message, format, arguments);
	make_printable(call->message); /* a stranger's text that was cut need not be UTF-8 any more */
	call->code = code;
}

json_t *rpc_refuse(struct rpc_call *call, enum rpc_code code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fill(call, code, format, arguments);
	va_end(arguments);
	return NULL;
}

bool rpc_deny(struct rpc_call *call, enum rpc_code code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fill(call, code, format, arguments);
	va_end(arguments);
	return false;
}

/* Counts one for each value behind the first of its array or object, at least. */
bool has_too_many_values(const char *line, size_t octets, size_t most)
{
	bool is_in_string = false;
	size_t values = 0;
	for (size_t i = 0; i < octets; i++) {
		if (line[i] == '"')
			is_in_string = !is_in_string;
		else if (is_in_string && line[i] == '\\')
			i++;
		else if (!is_in_string && (line[i] == ',' || line[i] == '[' || line[i] == '{'))
			values++;
	}
	return values > most;
}

/* A number too large to be kept, or a key that cannot be, is JSON all the same. */
static json_t *refuse_text(struct rpc_call *call, const json_error_t *error)
{
	enum json_error_code code = json_error_code(error);
	if (code == json_error_duplicate_key)
		return rpc_refuse(call, RPC_NO_REQUEST, "a key that stands twice: %s", error->text);
	if (code == json_error_null_byte_in_key || code == json_error_numeric_overflow)
		return rpc_refuse(call, RPC_NO_REQUEST, "%s", error->text);
	return rpc_refuse(call, RPC_NO_JSON, "no JSON: %s", error->text);
}

static json_t *parse(struct rpc_call *call, const char *line, size_t octets)
{
	enum { FLAGS = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY };
	json_error_t error;
	if (has_too_many_values(line, octets, VALUES_MAX))
		return rpc_refuse(call, RPC_BAD_PARAMETERS, "more than %d values", VALUES_MAX);
	ran_out = false;
	json_t *request = json_loadb(line, octets, FLAGS, &error);
	if (!ran_out)
		return request ? request : refuse_text(call, &error);
	/* Its scanner calls that an invalid token, or goes on with a string that lacks characters: a shorter rule, say. */
	json_decref(request);
	return rpc_refuse(call, RPC_INTERNAL, "out of memory");
}

static bool is_id(const json_t *id)
{
	if (json_is_string(id))
		return json_string_length(id) <= ID_MAX;
	return json_is_integer(id) && json_integer_value(id) >= 0;
}

static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && json_string_length(value) == strlen(text) &&
	       strcmp(json_string_value(value), text) == 0;
}

static bool is_one_of(const char *word, const char *const *words)
{
	while (*words && strcmp(*words, word) != 0)
		words++;
	return *words != NULL;
}

/* What JSON-RPC 2.0 says of every request, and the narrower word of docs/policy.md on ids and keys. */
static bool check_request(struct rpc_call *call)
{
	static const char *const known[] = { "jsonrpc", "id", "method", "params", NULL };
	json_t *request = call->request, *value;
	const char *key;
	if (!json_is_object(request))
		return rpc_deny(call, RPC_NO_REQUEST, "a request is one object");
	json_object_foreach(request, key, value) if (!is_one_of(key, known)) return rpc_deny(
	    call, RPC_NO_REQUEST, "unknown key \"%.60s\"", key);
	if (!is_text(json_object_get(request, "jsonrpc"), "2.0"))
		return rpc_deny(call, RPC_NO_REQUEST, "jsonrpc: expected \"2.0\"");
	if (!is_id(json_object_get(request, "id")))
		return rpc_deny(call, RPC_NO_REQUEST,
				"id: expected a string of at most %d octets, or a number from 0 on", ID_MAX);
	if (!json_is_string(json_object_get(request, "method")))
		return rpc_deny(call, RPC_NO_REQUEST, "method: expected a string");
	return true;
}

static bool find_method(struct rpc_call *call, const struct rpc_method *methods, bool is_full)
{
	json_t *name = json_object_get(call->request, "method");
	for (; methods->name; methods++)
		if ((is_full || !methods->is_ours) && is_text(name, methods->name)) {
			call->method = methods->call;
			return true;
		}
	return rpc_deny(call, RPC_NO_METHOD, "no such method");
}

/* The only key of an answer beside these two is `result` or `error`: one client takes even "error": null for a failure. */
static char *write_answer(json_t *id, const char *key, json_t *value)
{
	char *line = NULL;
	json_t *answer = json_pack("{s:s, s:O, s:O}", "jsonrpc", "2.0", "id", id, key, value);
	if (answer)
		line = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	return line;
}

/* Around a result that is text already; jansson(3) would take it apart into a node for each string. */
static char *wrap_written(json_t *id, const char *result)
{
	json_t *front = json_pack("{s:s, s:O}", "jsonrpc", "2.0", "id", id);
	char *head = front ? json_dumps(front, JSON_COMPACT) : NULL;
	size_t octets = head ? strlen(head) + strlen(",\"result\":") + strlen(result) + 1 : 0;
	char *line = head ? rpc_malloc(octets) : NULL;
	if (line) {
		head[strlen(head) - 1] = '\0'; /* its brace closes behind the result */
		snprintf(line, octets, "%s,\"result\":%s}", head, result);
	}
	free(head);
	json_decref(front);
	return line;
}

json_t *rpc_written(struct rpc_call *call, char *text)
{
	call->written = text;
	return text ? json_true() : NULL;
}

static char *write_result(struct rpc_call *call, json_t *id, json_t *result)
{
	return call->written ? wrap_written(id, call->written) : write_answer(id, "result", result);
}

static char *write_error(json_t *id, int code, const char *message)
{
	json_t *error = json_pack("{s:i, s:s}", "code", code, "message", message);
	char *line = error ? write_answer(id, "error", error) : NULL;
	json_decref(error);
	return line;
}

/* Ends the call. If the id is not valid, the answer has the id null. */
static char *finish(struct rpc_call *call, json_t *result)
{
	json_t *id = json_object_get(call->request, "id");
	if (!is_id(id))
		id = json_null();
	char *line = result ? write_result(call, id, result) : write_error(id, call->code, call->message);
	json_decref(result);
	rpc_abandon(call);
	return line;
}

char *rpc_resume(struct rpc_call *call)
{
	call->is_later = false;
	call->code = RPC_INTERNAL; /* what remains where json_pack() or the like found no memory */
	snprintf(call->message, sizeof call->message, "out of memory");
	json_t *result = call->method(call);
	return !result && call->is_later ? NULL : finish(call, result);
}

char *rpc_begin(struct rpc_call *call, const struct rpc_method *methods, bool is_full, const char *line, size_t octets)
{
	*call = (struct rpc_call){ .context = call->context, .client = call->client };
	call->request = parse(call, line, octets);
	if (!call->request || !check_request(call) || !find_method(call, methods, is_full))
		return finish(call, NULL);
	call->params = json_object_get(call->request, "params");
	if (json_is_null(call->params))
		call->params = NULL;
	return rpc_resume(call);
}

void rpc_abandon(struct rpc_call *call)
{
	json_decref(call->request);
	free(call->written);
	*call = (struct rpc_call){ .context = call->context, .client = call->client };
}

char *rpc_error_line(enum rpc_code code, const char *message)
{
	return write_error(json_null(), code, message);
}

char *rpc_notification(const char *method, json_t *params)
{
	json_t *notification = json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method, "params", params);
	char *line = notification ? json_dumps(notification, JSON_COMPACT) : NULL;
	json_decref(notification);
	return line;
}

bool rpc_takes_nothing(struct rpc_call *call)
{
	if (!call->params || (json_is_object(call->params) && json_object_size(call->params) == 0))
		return true;
	return rpc_deny(call, RPC_BAD_PARAMETERS, "expected no parameters");
}

bool rpc_takes(struct rpc_call *call, const char *const *keys)
{
	json_t *value;
	const char *key;
	if (!json_is_object(call->params))
		return rpc_deny(call, RPC_BAD_PARAMETERS, "params: expected an object with %s", keys[0]);
	json_object_foreach(call->params, key, value) if (!is_one_of(key, keys)) return rpc_deny(
	    call, RPC_BAD_PARAMETERS, "unknown parameter \"%.60s\"", key);
	for (; *keys; keys++)
		if (!json_object_get(call->params, *keys))
			return rpc_deny(call, RPC_BAD_PARAMETERS, "%s: missing", *keys);
	return true;
}
