/* The reader of requests: plain ones are read, and what a server might read otherwise is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "core/names/read/http.h"
#include "octets.h"

#include <cmocka.h>

static struct octets o;
static struct name name;

static enum reading read_octets(void)
{
	struct frame frame = exact_frame(o.bytes, o.length);
	enum reading reading = read_http_host(&frame, 0, &name);
	free((void *)frame.bytes);
	return reading;
}

static enum reading read_text(const char *text)
{
	o.length = 0;
	put_string(&o, text);
	return read_octets();
}

static void requests(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET /x?y=http://b.example/ HTTP/1.0\r\nUser-Agent: me\r\nhOST:A.Example:80 \t\r\nX: y\r\n\r\nbody",
		"OPTIONS * HTTP/1.1\r\nHost:a.example\r\n\r\n",
		"GET http://a.example/x HTTP/1.1\r\nHost: a.example:8080\r\n\r\n",
		"M-SEARCH / HTTP/1.1\r\nX: \x80\xff\r\nHost:\ta.example\r\n\r\n",
	};
	for (uint32_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(read_text(texts[i]), READING_WHOLE);
		assert_int_equal(name.length, 9);
		assert_memory_equal(name.text, "a.example", 9);
		o.length = (uint32_t)(strstr(texts[i], "\r\n\r\n") - texts[i]) + 3;
		for (; o.length > 0; o.length--)
			assert_int_equal(read_octets(), READING_NEEDS_MORE);
	}
}

static void refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"GET / HTTP/1.1\r\n\r\n",                                       /* no Host */
		"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n", /* two */
		"GET / HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n",
		"GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", /* the target comes first */
		"GET http://b.example@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET / HTTP/1.2\r\nHost: a.example\r\n\r\n",
		"GET /\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1\nHost: a.example\n\n", /* bare LF */
		"GET / HTTP/1.1\rX\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a.example\r\n\r\n",
		"GET / HTTP/1.1\r\n Host: b.example\r\nHost: a.example\r\n\r\n", /* folded */
		"GET / HTTP/1.1\r\nX: y\r\n\tz\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example:443:80\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example:x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example.\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.example\x01\r\n\r\n",
		"\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
		" GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET / x HTTP/1.1\r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: a.example\r\n\r\n",
		"GET / HTTP/1.1\r\nnot a field\r\nHost: a.example\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"\x16\x03\x01\x01\x01",
		"GET / HTTP/1.1\r\nHost: a.example\x7f", /* before the line has ended */
		"\x01",
	};
	for (uint32_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(read_text(texts[i]), READING_REFUSED);
}

static void bounds(void **state)
{
	(void)state;
	o.length = 0;
	put_string(&o, "GET /");
	while (o.length < HTTP_REQUEST_MAX - 1)
		put_string(&o, "x");
	assert_int_equal(read_octets(), READING_NEEDS_MORE);
	put_string(&o, "x");
	assert_int_equal(read_octets(), READING_REFUSED);
	for (uint32_t fields = HTTP_FIELDS_MAX - 2; fields <= HTTP_FIELDS_MAX; fields++) {
		o.length = 0;
		put_string(&o, "GET / HTTP/1.1\r\nHost: a.example\r\n");
		for (uint32_t i = 0; i < fields; i++)
			put_string(&o, "a: b\r\n");
		put_string(&o, "\r\n");
		assert_int_equal(read_octets(), fields <= HTTP_FIELDS_MAX - 2 ? READING_WHOLE : READING_REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),
		cmocka_unit_test(refused),
		cmocka_unit_test(bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
