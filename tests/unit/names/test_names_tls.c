/* The reader of hellos: which name, and that a hello which two could read differently is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "core/names/read/tls.h"
#include "hello.h"
#include "vectors.h"

#include <cmocka.h>

static struct octets o;
static struct hello hello;
static struct hello_room room;

static enum reading read_records(void)
{
	struct frame frame = exact_frame(o.bytes, o.length);
	enum reading reading = read_hello_records(&frame, 0, &room, &hello);
	free((void *)frame.bytes);
	return reading;
}

static enum reading read_message(void)
{
	struct frame frame = exact_frame(o.bytes, o.length);
	enum reading reading = read_hello(&frame, 0, &hello);
	free((void *)frame.bytes);
	return reading;
}

static void assert_name(const char *text)
{
	assert_true(hello.has_name);
	assert_int_equal(hello.name.length, strlen(text));
	assert_memory_equal(hello.name.text, text, hello.name.length);
}

/* RFC 8448 5. */
static void example_of_the_rfc(void **state)
{
	(void)state;
	o.length = 0;
	put_hex(&o, tls_hello);
	assert_int_equal(read_records(), READING_WHOLE);
	assert_name("server");
	assert_int_equal(hello.end, o.length);
	assert_false(hello.has_ech || hello.has_early_data);
	for (o.length--; o.length > 0; o.length--)
		assert_int_equal(read_records(), READING_NEEDS_MORE);
	assert_int_equal(read_records(), READING_NEEDS_MORE);
}

/* Cut behind each octet of the header, in one record or in several. */
static void cut_headers(void **state)
{
	(void)state;
	static const char *const begun[] = { "", "01", "0100", "010000" };
	static const char *const records[] = { "160301000101", "16030100020100", "1603010003010000",
					       "160301000101160301000100" };
	static const char *const cut[] = { "1603010040", "160301004001", "16030100400100", "1603010040010000",
					   "16030100400100003c" };
	for (int i = 0; i < 5; i++) {
		o.length = 0;
		put_hex(&o, cut[i]);
		assert_int_equal(read_records(), READING_NEEDS_MORE);
	}
	for (int i = 0; i < 4; i++) {
		o.length = 0;
		put_hex(&o, begun[i]);
		assert_int_equal(read_message(), READING_NEEDS_MORE);
		o.length = 0;
		put_hex(&o, records[i]);
		assert_int_equal(read_records(), READING_NEEDS_MORE);
	}
	o.length = 0;
	put_hex(&o, "01000000"); /* whole, and empty */
	assert_int_equal(read_message(), READING_REFUSED);
}

static void servers(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		enum server_hello says;
	} cases[] = {
		{ tls_server_hello, SERVER_GOES_ON },
		{ tls_hello_retry, SERVER_ASKS_AGAIN },
		{ tls_hello, SERVER_UNKNOWN },
		{ "15030300020228", SERVER_UNKNOWN },
		{ "485454502f312e3120343030", SERVER_UNKNOWN },
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		o.length = 0;
		put_hex(&o, cases[i].hex);
		struct frame frame = { .bytes = o.bytes, .length = o.length };
		assert_int_equal(read_server_hello(&frame, 0, o.length), cases[i].says);
		if (cases[i].says != SERVER_UNKNOWN)
			assert_int_equal(read_server_hello(&frame, 0, SERVER_HELLO_FRONT), cases[i].says);
		assert_int_equal(read_server_hello(&frame, 0, SERVER_HELLO_FRONT - 1), SERVER_UNKNOWN);
	}
}

/* In records of every length: the same hello. Too many records are refused. */
static void over_records(void **state)
{
	(void)state;
	struct octets whole = { .length = 0 };
	put_hello(&whole, &(struct hello_form){ .name = "API.Example.com" });
	for (uint32_t size = 1; size <= whole.length; size++) {
		o.length = 0;
		put_records(&o, whole.bytes, whole.length, size);
		bool few = (whole.length + size - 1) / size <= HELLO_RECORDS_MAX;
		assert_int_equal(read_records(), few ? READING_WHOLE : READING_REFUSED);
		if (!few)
			continue;
		assert_name("api.example.com");
		assert_int_equal(hello.end, o.length);
		for (o.length--; o.length > 0; o.length--)
			assert_int_equal(read_records(), READING_NEEDS_MORE);
	}
}

static void what_follows(void **state)
{
	(void)state;
	struct octets whole = { .length = 0 };
	put_hello(&whole, &(struct hello_form){ .name = "a.example" });
	o.length = 0;
	put_records(&o, whole.bytes, whole.length, 16384);
	uint32_t end = o.length;
	put_hex(&o, "140303000101");
	assert_int_equal(read_records(), READING_WHOLE); /* a record of its own */
	assert_int_equal(hello.end, end);
	put_value(&whole, 0, 1);
	o.length = 0;
	put_records(&o, whole.bytes, whole.length, 16384); /* in the same record */
	assert_int_equal(read_records(), READING_REFUSED);
	o.length--; /* ... of which the last octet is still missing */
	assert_int_equal(read_records(), READING_REFUSED);
}

static void other_records(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		enum reading reading;
	} cases[] = {
		{ "16", READING_NEEDS_MORE },
		{ "1603", READING_NEEDS_MORE },
		{ "1602", READING_REFUSED },
		{ "802e010301", READING_REFUSED }, /* SSL 2 */
		{ "17030300010000", READING_REFUSED },
		{ "15", READING_REFUSED },
		{ "1603010000", READING_REFUSED },   /* empty */
		{ "1603014001", READING_REFUSED },   /* too long */
		{ "160301000102", READING_REFUSED }, /* a ServerHello */
		{ "160301000101", READING_NEEDS_MORE },
		{ "1603010001011603010001001403030001", READING_REFUSED }, /* another type between */
		{ "16030100010117", READING_REFUSED },
		{ "474554202f20485454502f312e31", READING_REFUSED },
		{ "1603010004"
		  "01004000",
		  READING_REFUSED }, /* a message of 16 KiB and its header are too much */
		{ "1603010004"
		  "01003ffc",
		  READING_NEEDS_MORE },
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		o.length = 0;
		put_hex(&o, cases[i].hex);
		assert_int_equal(read_records(), cases[i].reading);
	}
}

static void forms(void **state)
{
	(void)state;
	static const struct {
		struct hello_form form;
		enum reading reading;
		const char *name; /* NULL: none */
	} cases[] = {
		{ { .name = "a.example" }, READING_WHOLE, "a.example" },
		{ { .name = NULL }, READING_WHOLE, NULL },
		{ { .no_extensions = true }, READING_WHOLE, NULL },
		{ { .name = "a.example", .second_name = "b.example" }, READING_REFUSED, NULL },
		{ { .name = "a.example", .name_twice = "b.example" }, READING_REFUSED, NULL },
		{ { .name = "a.example", .name_type = 1 }, READING_REFUSED, NULL },
		{ { .name = "" }, READING_REFUSED, NULL },
		{ { .name = "a.example." }, READING_WHOLE, NULL },
		{ { .name = "192.0.2.1" }, READING_WHOLE, NULL },
		{ { .name = "2001:db8::1" }, READING_WHOLE, NULL },
		{ { .name = "a..example" }, READING_WHOLE, NULL },
		{ { .name = "a example" }, READING_WHOLE, NULL },
		{ { .name = "*.example" }, READING_WHOLE, NULL },
		{ { .name = "a_b.example" }, READING_WHOLE, "a_b.example" },
		{ { .name = "a.example", .extra_type = 42 }, READING_WHOLE, "a.example" },
		{ { .name = "a.example", .extra_type = 0xfe0d }, READING_WHOLE, "a.example" },
		{ { .name = "a.example", .cut_extensions = 1 }, READING_REFUSED, NULL },
		{ { .name = "a.example", .session = 33 }, READING_REFUSED, NULL },
		{ { .name = "a.example", .session = 32 }, READING_WHOLE, "a.example" },
		{ { .name = "a.example", .version = 0x0203 }, READING_REFUSED, NULL },
		{ { .name = "a.example", .odd_suites = true }, READING_REFUSED, NULL },
		{ { .name = "a.example", .list_longer = 1 }, READING_REFUSED, NULL },
		{ { .name = "a.example", .list_longer = -1 }, READING_REFUSED, NULL },
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		o.length = 0;
		put_hello(&o, &cases[i].form);
		assert_int_equal(read_message(), cases[i].reading);
		if (cases[i].reading != READING_WHOLE)
			continue;
		assert_int_equal(hello.has_name, cases[i].name != NULL);
		if (cases[i].name)
			assert_name(cases[i].name);
		assert_int_equal(hello.has_early_data, cases[i].form.extra_type == 42);
		assert_int_equal(hello.has_ech, cases[i].form.extra_type == 0xfe0d);
	}
	for (uint32_t type = 0xfe00; type < 0xfe20; type++) {
		o.length = 0;
		put_hello(&o, &(struct hello_form){ .name = "a.example", .extra_type = (uint16_t)type });
		assert_int_equal(read_message(), READING_WHOLE);
		assert_int_equal(hello.has_ech, type >= 0xfe08 && type <= 0xfe0d);
	}
}

/* A name with a zero in it ends for some readers there. */
static void zero_in_a_name(void **state)
{
	(void)state;
	o.length = 0;
	put_hello(&o, &(struct hello_form){ .name = "good.example#.evil.example" });
	*(uint8_t *)memchr(o.bytes, '#', o.length) = 0;
	assert_int_equal(read_message(), READING_WHOLE);
	assert_false(hello.has_name);
}

static void next_records(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		enum next_record next;
		uint32_t end;
	} cases[] = {
		{ "", NEXT_UNKNOWN, 0 },
		{ "16", NEXT_UNKNOWN, 0 },
		{ "1603030004", NEXT_UNKNOWN, 0 },
		{ "140303000101", NEXT_SKIPPED, 6 },
		{ "1503030002", NEXT_SKIPPED, 7 },
		{ "1703030100", NEXT_DATA, 261 },
		{ "160303000410", NEXT_HANDSHAKE, 9 },
		{ "160303000101", NEXT_HELLO, 6 }, /* the rest in the next record */
		{ "160303000401", NEXT_UNKNOWN, 0 },
		{ "16030300040100", NEXT_UNKNOWN, 0 },
		{ "1603030004010000", NEXT_UNKNOWN, 0 },
		{ "160303000401000010", NEXT_HELLO, 9 },
		{ "160303000401010000", NEXT_HELLO, 9 }, /* 64 KiB: some servers take it */
		{ "16030300040104ffff", NEXT_HANDSHAKE, 9 },
		{ "1603030000", NEXT_BROKEN, 0 },
		{ "1803030000", NEXT_BROKEN, 0 },
		{ "1602", NEXT_BROKEN, 0 },
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		uint32_t end = 0;
		o.length = 0;
		put_hex(&o, cases[i].hex);
		struct frame frame = exact_frame(o.bytes, o.length);
		assert_int_equal(read_next_record(&frame, 0, &end), cases[i].next);
		free((void *)frame.bytes);
		if (cases[i].end != 0)
			assert_int_equal(end, cases[i].end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(example_of_the_rfc),
		cmocka_unit_test(cut_headers),
		cmocka_unit_test(servers),
		cmocka_unit_test(over_records),
		cmocka_unit_test(what_follows),
		cmocka_unit_test(other_records),
		cmocka_unit_test(forms),
		cmocka_unit_test(zero_in_a_name),
		cmocka_unit_test(next_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
