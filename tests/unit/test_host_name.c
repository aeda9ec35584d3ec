/* The names in options 12, 81 and 39: how they are read, and which of them a guest may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/wire/host_name.h"
#include "world.h"

#include <cmocka.h>

static struct host_names any, none, listed;

static struct name_option option_of(const char *octets, size_t n)
{
	struct name_option option = { .is_given = true, .octets = (uint8_t)n };
	memcpy(option.text, octets, n);
	return option;
}

/* What is written in a string: all its NULs are included, except the last. */
#define OPTION(text) option_of(text, sizeof text - 1)

struct row {
	struct name_option option;
	bool with_any, with_list, with_none;
};

typedef bool (*reading)(const struct host_names *, const struct name_option *);

static void check_rows(const struct row *rows, size_t count, reading may_have)
{
	for (size_t i = 0; i < count; i++) {
		const struct name_option *o = &rows[i].option;
		if (may_have(&any, o) != rows[i].with_any || may_have(&listed, o) != rows[i].with_list ||
		    may_have(&none, o) != rows[i].with_none)
			fail_msg("row %zu, %.*s", i, o->octets, (const char *)o->text);
	}
}

static void option_12(void **state)
{
	const struct row rows[] = {
		{ OPTION(""), true, true, true },
		{ OPTION("\0"), true, true, true },
		{ OPTION("web1"), true, true, false },
		{ OPTION("WEB1"), true, true, false },
		{ OPTION("web1\0\0"), true, true, false },
		{ OPTION("web1."), true, true, false },
		{ OPTION("www.example.org"), true, true, false },
		{ OPTION("db"), true, false, false },
		{ OPTION("web"), true, false, false },
		{ OPTION("web11"), true, false, false },
		{ OPTION("web1.example.org"), true, false, false }, /* the domain is not listed with it */
		{ OPTION("www"), true, false, false },
		{ OPTION("db\0web1"), true, false, false },
		{ OPTION("web1\0db"), true, false, false },
		{ OPTION("localhost"), true, false, false }, /* that of many a fresh system; harmless, RFC 6761 6.3 */
		{ OPTION("wpad"), false, false, false },
		{ OPTION("WPAD.example.org"), false, false, false },
		{ OPTION("wpad\0x"), false, false, false },
		{ OPTION("isatap"), false, false, false },
		{ OPTION("wpad1"), true, false, false },
		{ OPTION("x.wpad"), true, false, false },
		{ OPTION("."), true, true, true },
	};
	(void)state;
	check_rows(rows, sizeof rows / sizeof rows[0], may_have_host_name);
}

static void option_81(void **state)
{
	const struct row rows[] = {
		{ OPTION(""), true, true, true },
		{ OPTION("\1\0"), true, true, true },
		{ OPTION("\1\0\0"), true, true, true },
		{ OPTION("\1\0\0web1"), true, true, false },
		{ OPTION("\1\0\0db"), true, false, false },
		{ OPTION("\5\0\0\4web1"), true, true, false }, /* a part of a name: no root */
		{ OPTION("\5\0\0\4WEB1\0"), true, true, false },
		{ OPTION("\5\0\0\3www\7example\3org\0"), true, true, false },
		{ OPTION("\5\0\0\2db\0"), true, false, false },
		{ OPTION("\5\0\0\4web1\0\2db\0"), true, false, false }, /* a second name behind the root */
		{ OPTION("\5\0\0\4web1\x20"
			 "db"),
		  true, false, false },                         /* a label that is cut */
		{ OPTION("\5\0\0\xc0\0"), true, false, false }, /* a pointer: RFC 4702 2.3 forbids them */
		{ OPTION("\5\0\0\x10www.example.org\0"), true, false, false },
		{ OPTION("\5\0\0web1"), true, false, false },     /* flag E and no labels */
		{ OPTION("\1\0\0\4web1\0"), true, false, false }, /* labels, and no flag E */
		{ OPTION("\1\0\0wpad.lan"), false, false, false },
		{ OPTION("\5\0\0\4wPad\0"), false, false, false },
		{ OPTION("\5\0\0\4wpad\0junk"), false, false, false },
		{ OPTION("\5\0\0wpad"), false, false, false },     /* to a server that knows no flag E */
		{ OPTION("\1\0\0\4wpad\0"), false, false, false }, /* and to one that looks for itself */
		{ OPTION("\5\0\0\0"), true, true, true },
		{ OPTION("\5\0\0\0\2db\0"), true, false, false },
	};
	(void)state;
	check_rows(rows, sizeof rows / sizeof rows[0], may_have_fqdn4);
}

static void option_39(void **state)
{
	const struct row rows[] = {
		{ OPTION(""), true, true, true },
		{ OPTION("\1"), true, true, true },
		{ OPTION("\1\4web1"), true, true, false },
		{ OPTION("\1\4web1\0"), true, true, false },
		{ OPTION("\1\3www\7EXAMPLE\3org\0"), true, true, false },
		{ OPTION("\1\2db\0"), true, false, false },
		{ OPTION("\1\4wpad\3lan\0"), false, false, false },
		{ OPTION("\1web1"), true, false, false },
	};
	(void)state;
	check_rows(rows, sizeof rows / sizeof rows[0], may_have_fqdn6);
}

/* Whatever octets come: the sanitizers look on, and nothing passes that is not listed. */
static void random_options(void **state)
{
	(void)state;
	for (int i = 0; i < 200000; i++) {
		struct name_option o = { .is_given = true, .octets = (uint8_t)next_random() };
		for (uint32_t k = 0; k < o.octets; k++)
			o.text[k] = next_random() % 4 == 0 ? (uint8_t)(next_random() % 70) : (uint8_t)next_random();
		bool names_one = may_have_host_name(&listed, &o) && !may_have_host_name(&none, &o);
		assert_false(names_one);
		may_have_fqdn4(&listed, &o);
		may_have_fqdn4(&any, &o);
		may_have_fqdn6(&any, &o);
	}
}

/* How a name is shown: letters, digits, dash, underscore and dot, and nothing else. */
static void names_are_spelled(void **state)
{
	(void)state;
	struct host_name name;
	const struct name_option plain = OPTION("Web-1_a.example9"),
				 odd[] = { OPTION("web 1"), OPTION("web/1"), OPTION("{"),
					   OPTION("`"),     OPTION(":"),     OPTION("") };
	assert_true(spell_name4(&plain, false, &name));
	assert_memory_equal(name.text, "web-1_a.example9", name.octets);
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
		assert_false(spell_name4(&odd[i], false, &name));
}

static int set_up(void **state)
{
	(void)state;
	none.none = 1;
	listed.item[0] = (struct host_name){ 4, "web1" };
	listed.item[1] = (struct host_name){ 15, "www.example.org" };
	listed.count = 2;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(option_12),         cmocka_unit_test(option_81),      cmocka_unit_test(option_39),
		cmocka_unit_test(names_are_spelled), cmocka_unit_test(random_options),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
