/* JSON-RPC's envelope: which lines are requests, what each of the others is answered, and that no line is too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "softnet/control/rpc.h"

#include <cmocka.h>

static struct rpc_call call;
static int called;

static json_t *echo(struct rpc_call *c)
{
	called++;
	return json_pack("{s:O?}", "params", c->params);
}

static json_t *nothing(struct rpc_call *c)
{
	called++;
	return rpc_takes_nothing(c) ? json_true() : NULL;
}

static json_t *exact(struct rpc_call *c)
{
	static const char *const keys[] = { "allow", "block", NULL };
	called++;
	return rpc_takes(c, keys) ? json_true() : NULL;
}

static json_t *second_time(struct rpc_call *c)
{
	called++;
	c->is_later = c->progress++ == 0;
	return c->is_later ? NULL : json_string("now");
}

static json_t *written(struct rpc_call *c)
{
	char *text = rpc_malloc(sizeof "[1,\"two\"]");
	if (text)
		strcpy(text, "[1,\"two\"]");
	return rpc_written(c, text);
}

static json_t *written_and_refused(struct rpc_call *c)
{
	return written(c) ? rpc_refuse(c, RPC_BAD_PARAMETERS, "after all") : NULL;
}

static const struct rpc_method methods[] = {
	{ "echo", false, echo },
	{ "nothing", false, nothing },
	{ "exact", false, exact },
	{ "ours", true, nothing },
	{ "later", false, second_time },
	{ "written", false, written },
	{ "not", false, written_and_refused },
	{ NULL, false, NULL },
};

static char *say_octets(const char *line, size_t octets)
{
	char *exact_copy = malloc(octets > 0 ? octets : 1); /* so that the sanitizer sees a read behind the end */
	memcpy(exact_copy, line, octets);
	called = 0;
	char *answer = rpc_begin(&call, methods, false, exact_copy, octets);
	free(exact_copy);
	return answer;
}

static void expect_octets(const char *line, size_t octets, const char *wanted)
{
	char *answer = say_octets(line, octets);
	assert_non_null(answer);
	assert_null(call.request);
	assert_string_equal(answer, wanted);
	free(answer);
}

static void expect(const char *line, const char *wanted)
{
	expect_octets(line, strlen(line), wanted);
}

/* The code of the error and the id that it names; what the message says is for people. */
static void expect_error(const char *line, size_t octets, int code, const char *id)
{
	char *answer = say_octets(line, octets), begin[400];
	assert_non_null(answer);
	snprintf(begin, sizeof begin, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":%d,\"message\":\"", id, code);
	if (strncmp(answer, begin, strlen(begin)) != 0)
		fail_msg("%.200s: %s", line, answer);
	assert_int_equal(called > 0, code == RPC_BAD_PARAMETERS && called > 0);
	assert_null(strchr(answer, '\n'));
	json_t *parsed = json_loads(answer, 0, NULL);
	assert_non_null(parsed);
	assert_null(json_object_get(parsed, "result"));
	json_decref(parsed);
	free(answer);
}

#define ERROR(code, id, line) expect_error(line, sizeof(line) - 1, code, id)

static void ids_come_back_as_they_went(void **unused)
{
	(void)unused;
	expect("{\"jsonrpc\":\"2.0\",\"id\":\"a-b\",\"method\":\"nothing\"}",
	       "{\"jsonrpc\":\"2.0\",\"id\":\"a-b\",\"result\":true}");
	expect("{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"nothing\"}",
	       "{\"jsonrpc\":\"2.0\",\"id\":\"\",\"result\":true}");
	expect("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"nothing\"}",
	       "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":true}");
	expect("{\"id\":9223372036854775807,\"method\":\"nothing\",\"jsonrpc\":\"2.0\"}",
	       "{\"jsonrpc\":\"2.0\",\"id\":9223372036854775807,\"result\":true}");
	expect("{\"jsonrpc\":\"2.0\",\"id\":\"7\",\"method\":\"nothing\"}",
	       "{\"jsonrpc\":\"2.0\",\"id\":\"7\",\"result\":true}");
	expect("{\"jsonrpc\":\"2.0\",\"id\":\"\\u0000\\u00e9/\",\"method\":\"nothing\"}",
	       "{\"jsonrpc\":\"2.0\",\"id\":\"\\u0000\xc3\xa9/\",\"result\":true}");
	expect(" {\"jsonrpc\" : \"2.0\",\t\"id\":1, \"method\":\"no\\u0074hing\"} \r",
	       "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}");
}

static void an_id_of_256_octets(void **unused)
{
	char line[512], id[300];
	(void)unused;
	for (size_t length = 255; length <= 257; length++) {
		memset(id, 'x', sizeof id);
		id[length] = '\0';
		size_t n = (size_t)snprintf(line, sizeof line,
					    "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"method\":\"nothing\"}", id);
		char *answer = say_octets(line, n);
		assert_int_equal(strstr(answer, id) != NULL, length <= 256);
		assert_int_equal(called, length <= 256);
		assert_int_equal(strstr(answer, "\"id\":null") != NULL, length > 256);
		free(answer);
	}
	/* octets, not characters */
	char *at = id;
	for (int i = 0; i < 129; i++)
		at += sprintf(at, "\xc3\xa9");
	snprintf(line, sizeof line, "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"method\":\"nothing\"}", id);
	expect_error(line, strlen(line), RPC_NO_REQUEST, "null");
}

static void what_is_no_json(void **unused)
{
	(void)unused;
	ERROR(RPC_NO_JSON, "null", "");
	ERROR(RPC_NO_JSON, "null", " \r");
	ERROR(RPC_NO_JSON, "null", "\0");
	ERROR(RPC_NO_JSON, "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"}\0");
	ERROR(RPC_NO_JSON, "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"} x");
	ERROR(RPC_NO_JSON, "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"}{}");
	ERROR(RPC_NO_JSON, "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"noth\0ing\"}");
	ERROR(RPC_NO_JSON, "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"");
	ERROR(RPC_NO_JSON, "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}");
	ERROR(RPC_NO_JSON, "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc0\x80\"}");
	ERROR(RPC_NO_JSON, "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\\ud800\"}");
	ERROR(RPC_NO_JSON, "null", "{'jsonrpc':'2.0'}");
	ERROR(RPC_NO_JSON, "null", "{\"id\":01}");
	ERROR(RPC_NO_JSON, "null", "{\"id\":1,}");
	ERROR(RPC_NO_JSON, "null", "GET / HTTP/1.1\r");
	ERROR(RPC_NO_JSON, "null", "\xef\xbb\xbf{}");
}

static void what_is_no_request(void **unused)
{
	(void)unused;
	ERROR(RPC_NO_REQUEST, "null", "{}");
	ERROR(RPC_NO_REQUEST, "null", "[]");
	ERROR(RPC_NO_REQUEST, "null", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"}]"); /* a batch */
	ERROR(RPC_NO_REQUEST, "null", "5");
	ERROR(RPC_NO_REQUEST, "null", "null");
	ERROR(RPC_NO_REQUEST, "null", "\"x\"");
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"method\":\"nothing\"}"); /* a notification */
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"id\":-1,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"id\":1.0,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"id\":1e2,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"id\":99999999999999999999,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"id\":1e999,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "1", "{\"id\":1,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "1", "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "1", "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "1", "{\"jsonrpc\":\"2.0\\u0000\",\"id\":1,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "\"x\"", "{\"jsonrpc\":\"2.0\",\"id\":\"x\"}");
	ERROR(RPC_NO_REQUEST, "\"x\"", "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":7}");
	ERROR(RPC_NO_REQUEST, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\",\"more\":1}");
	ERROR(RPC_NO_REQUEST, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\",\"Params\":{}}");
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":1,\"method\":\"nothing\"}");
	ERROR(RPC_NO_REQUEST, "null",
	      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exact\",\"params\":{\"allow\":1,\"allow\":2}}");
	ERROR(RPC_NO_REQUEST, "null", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\",\"\\u0000\":{}}");
}

static void methods_and_parameters(void **unused)
{
	(void)unused;
	ERROR(RPC_NO_METHOD, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Nothing\"}");
	ERROR(RPC_NO_METHOD, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}");
	ERROR(RPC_NO_METHOD, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\\u0000\"}");
	ERROR(RPC_NO_METHOD, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ours\"}"); /* not on this channel */
	ERROR(RPC_BAD_PARAMETERS, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\",\"params\":[]}");
	ERROR(RPC_BAD_PARAMETERS, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\",\"params\":{\"a\":1}}");
	ERROR(RPC_BAD_PARAMETERS, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exact\"}");
	ERROR(RPC_BAD_PARAMETERS, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exact\",\"params\":[[],[]]}");
	ERROR(RPC_BAD_PARAMETERS, "1", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exact\",\"params\":{\"allow\":[]}}");
	ERROR(RPC_BAD_PARAMETERS, "1",
	      "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exact\",\"params\":"
	      "{\"allow\":[],\"block\":[],\"desiredRevision\":1}}");
	expect("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\",\"params\":{}}",
	       "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}");
	expect("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\",\"params\":null}",
	       "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}");
	expect("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exact\",\"params\":{\"block\":0,\"allow\":0}}",
	       "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}");
	static const char ours[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ours\"}";
	char *answer = rpc_begin(&call, methods, true, ours, strlen(ours));
	assert_string_equal(answer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}");
	free(answer);
}

/* A message that quotes a stranger stays JSON, one line, and no command of a terminal. */
static void what_a_message_quotes(void **unused)
{
	(void)unused;
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"\\u001b[31m\\n\xc3\xa9\":0}";
	char *answer = say_octets(line, strlen(line));
	assert_string_equal(answer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32600,"
				    "\"message\":\"unknown key \\\"?[31m???\\\"\"}}");
	free(answer);
}

static char *repeat(const char *begin, const char *item, const char *end, size_t octets)
{
	char *line = malloc(octets + 1), *at = stpcpy(line, begin);
	while ((size_t)(at - line) + strlen(item) + strlen(end) <= octets)
		at = stpcpy(at, item);
	strcpy(at, end);
	return line;
}

/* Each is a MiB long. A second for each is what a sanitizer may take; without one it is some milliseconds. */
static void lines_that_cost_much(void **unused)
{
	static const struct {
		const char *begin, *item, *end;
		int code;
	} rows[] = {
		{ "", "[", "", RPC_BAD_PARAMETERS },
		{ "", "{\"a\":", "", RPC_BAD_PARAMETERS },
		{ "[0", ",0.1", "]", RPC_BAD_PARAMETERS },
		{ "[{}", ",{}", "]", RPC_BAD_PARAMETERS },
		{ "\"", "\\u0041", "\"", RPC_NO_REQUEST },
		{ "\"", "\\\"[", "\"", RPC_NO_REQUEST },
		{ "", "9", "", RPC_NO_REQUEST },
		{ "", " ", "", RPC_NO_JSON },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"", "x", "\"}", RPC_NO_METHOD },
		{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"", "x", "\":1}", RPC_NO_REQUEST },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *line = repeat(rows[i].begin, rows[i].item, rows[i].end, RPC_LINE_MAX);
		clock_t before = clock();
		expect_error(line, strlen(line), rows[i].code, strstr(rows[i].begin, "\"id\":1") ? "1" : "null");
		assert_true(clock() - before < CLOCKS_PER_SEC);
		free(line);
	}
}

/* Deep, but not many: the parser has a bound of its own. */
static void lines_that_are_deep(void **unused)
{
	(void)unused;
	for (size_t depth = 1000; depth < 64000; depth *= 2) {
		char *line = repeat("", "[", "", depth);
		expect_error(line, depth, RPC_NO_JSON, "null");
		free(line);
	}
}

static void an_answer_that_comes_later(void **unused)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":\"l\",\"method\":\"later\"}";
	(void)unused;
	char *answer = say_octets(line, strlen(line));
	assert_null(answer);
	assert_non_null(call.request);
	answer = rpc_resume(&call);
	assert_string_equal(answer, "{\"jsonrpc\":\"2.0\",\"id\":\"l\",\"result\":\"now\"}");
	assert_null(call.request);
	free(answer);
	assert_null(say_octets(line, strlen(line)));
	rpc_abandon(&call); /* the client has gone; nothing leaks */
	assert_null(call.request);
}

static void notifications(void **unused)
{
	(void)unused;
	char *line = rpc_notification("guard.event", json_pack("{s:i}", "missed", 3));
	assert_string_equal(line, "{\"jsonrpc\":\"2.0\",\"method\":\"guard.event\",\"params\":{\"missed\":3}}");
	free(line);
	line = rpc_error_line(RPC_NO_JSON, "long");
	assert_string_equal(line, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"long\"}}");
	free(line);
}

/* Every line but the last octets, and with one octet changed: never called, or answered by something that parses. */
static void mangled_lines(void **unused)
{
	static const char whole[] = "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"exact\","
				    "\"params\":{\"allow\":[\"a\"],\"block\":[]}}";
	char line[sizeof whole];
	(void)unused;
	for (size_t length = 0; length < sizeof whole - 1; length++)
		expect_error(whole, length, RPC_NO_JSON, "null");
	for (size_t at = 0; at < sizeof whole - 1; at++)
		for (int octet = 0; octet < 256; octet++) {
			memcpy(line, whole, sizeof whole);
			line[at] = (char)octet;
			char *answer = say_octets(line, sizeof whole - 1);
			json_t *parsed = json_loads(answer, 0, NULL);
			assert_true(json_object_size(parsed) == 3);
			assert_true(json_object_get(parsed, "result") || json_object_get(parsed, "error"));
			json_decref(parsed);
			free(answer);
		}
}

static int pieces_until_failure, pieces_that_fail;

static void *scarce(size_t octets)
{
	if (pieces_until_failure-- > 0 || pieces_that_fail-- <= 0)
		return malloc(octets);
	return NULL;
}

/* The n-th piece is refused, or it and all behind it. The scanner may go on, with a string that lacks characters. */
static void lines_without_memory(void **unused)
{
	static const char rule[] = "\"10.0.0.0/16,out fd00:1234:5678:9abc::/64,@dns:53\"";
	static const char told[] = "\"error\":{\"code\":-32603,\"message\":\"out of memory\"}";
	char line[200];
	int length =
	    snprintf(line, sizeof line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\",\"params\":[%s]}", rule);
	(void)unused;
	for (int fails = 1; fails <= 1000; fails += 999) {
		int told_times = 0;
		bool has_failed = true;
		for (int given = 0; has_failed; given++) {
			pieces_until_failure = given;
			pieces_that_fail = fails;
			rpc_malloc = scarce;
			char *answer = say_octets(line, (size_t)length);
			rpc_malloc = malloc;
			has_failed = pieces_that_fail < fails;
			if (answer && !strstr(answer, rule) && !strstr(answer, told))
				fail_msg("%d pieces of memory, then %d missing: %s", given, fails, answer);
			told_times += answer && strstr(answer, told);
			free(answer);
		}
		assert_true(fails > 1 || told_times > 20);
	}
}

static void results_that_are_text_already(void **unused)
{
	static const char request[] = "{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"}b\",\"method\":\"written\"}";
	static const char told[] = "{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"}b\",\"result\":[1,\"two\"]}";
	(void)unused;
	expect(request, told);
	expect("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"not\"}",
	       "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32602,\"message\":\"after all\"}}");
	bool has_failed = true;
	for (int given = 0; has_failed; given++) {
		pieces_until_failure = given;
		pieces_that_fail = 1000;
		rpc_malloc = scarce;
		char *answer = say_octets(request, sizeof request - 1);
		rpc_malloc = malloc;
		has_failed = pieces_that_fail < 1000;
		assert_true(!answer || strstr(answer, "out of memory") || strcmp(answer, told) == 0);
		assert_true(has_failed || answer);
		free(answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_come_back_as_they_went),
		cmocka_unit_test(an_id_of_256_octets),
		cmocka_unit_test(what_is_no_json),
		cmocka_unit_test(what_is_no_request),
		cmocka_unit_test(methods_and_parameters),
		cmocka_unit_test(what_a_message_quotes),
		cmocka_unit_test(lines_that_cost_much),
		cmocka_unit_test(lines_that_are_deep),
		cmocka_unit_test(an_answer_that_comes_later),
		cmocka_unit_test(notifications),
		cmocka_unit_test(mangled_lines),
		cmocka_unit_test(results_that_are_text_already),
		cmocka_unit_test(lines_without_memory),
	};
	rpc_seed(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
