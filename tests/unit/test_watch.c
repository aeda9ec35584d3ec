/* What softnet watch draws, on terminals of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softnet/look/watch_screen.h"

#include <cmocka.h>

enum { GUARDS = 40 };

static struct scene scene;
static struct guard_view views[GUARDS];
static struct guard_call calls[GUARDS];
static struct guard_list none, one, many;

static json_t *status_with(int number, int octets)
{
	char name[16];
	snprintf(name, sizeof name, "vm-%02d", number);
	return json_pack("{s:s, s:i, s:{s:{s:i, s:i}}, s:[{s:s, s:s, s:i, s:i, s:s}]}", "name", name, "pid", 100 + number,
			 "passed", "guest", "frames", 1, "octets", octets, "drops", "side", "guest", "reason",
			 number % 2 == 0 ? "even" : "odd", "count", 5, "seconds", GUARDS - number, "frame", name);
}

static int set_up(void **unused)
{
	(void)unused;
	scene = (struct scene){ .name = NULL };
	for (int i = 0; i < GUARDS; i++) {
		views[i] = (struct guard_view){ .status = status_with(i, 1000), .path = "p" };
		calls[i] = (struct guard_call){ .path = "/run/softnet/1.sock", .why = "it \033[2J hangs" };
	}
	one = (struct guard_list){ .views = views, .count = 1 };
	many = (struct guard_list){ .views = views, .count = GUARDS };
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	for (int i = 0; i < GUARDS; i++)
		json_decref(views[i].status);
	json_decref(scene.subject);
	return 0;
}

static const char *composed(const struct guard_list *list)
{
	return compose_screen(&scene, list, 24, 80);
}

static void contains(const char *text, const char *part)
{
	if (!text || !strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text ? text : "");
}

static void the_history_is_a_guards_own(void **unused)
{
	static const int octets[] = { 1000, 1125, 1125, 2125 };
	(void)unused;
	for (size_t i = 0; i < sizeof octets / sizeof *octets; i++) {
		json_decref(views[0].status);
		views[0].status = status_with(0, octets[i]);
		note_change(&scene, &none, &one, 1000 * (i + 1));
	}
	contains(composed(&one),
		 "history    from the VM [. #] up to 8000 bit/s\n           to   the VM [   ] up to 0 bit/s\n");
	json_object_set_new(views[0].status, "pid", json_integer(7));
	note_change(&scene, &none, &one, 6000);
	contains(composed(&one), "from the VM [] up to 0 bit/s\n");
	for (uint64_t i = 0; i < 2 * HISTORY_MAX; i++)
		note_change(&scene, &one, &one, 7000 + 1000 * i);
	contains(compose_screen(&scene, &one, 24, COLUMNS_MAX),
		 "from the VM [                                        ");
}

static void a_guard_that_goes_is_named(void **unused)
{
	struct guard_list rest = { .views = views + 1, .count = 2 };
	(void)unused;
	contains(composed(&none), "no guard answers; waiting for one\n");
	note_change(&scene, &one, &rest, 1000);
	contains(composed(&rest), "the guard of vm-00 has gone 0 s ago\n");
	note_change(&scene, &rest, &rest, 70000);
	assert_null(strstr(composed(&rest), "gone"));
	note_change(&scene, &rest, &none, 80000);
	note_change(&scene, &none, &none, 95000);
	contains(composed(&none), "the guard of vm-02 has gone 15 s ago; waiting for it to come back\n");
	note_change(&scene, &none, &rest, 96000);
	assert_null(strstr(composed(&rest), "gone"));
}

/* Latest first, of all guards; and the table leaves them their place. */
static void the_latest_drops_of_many(void **unused)
{
	(void)unused;
	const char *text = composed(&many);
	contains(text, "vm-00 ");
	contains(text, "\nlatest drops\n       1 s ago  from vm-39       5  odd\n    vm-39\n       2 s ago  from vm-38 "
		       "      5  even\n");
	int above = 0;
	for (const char *c = text; c < strstr(text, "latest drops"); c++)
		above += *c == '\n';
	assert_in_range(above, 16, 17);
}

static void those_that_are_silent_leave_room(void **unused)
{
	(void)unused;
	one.calls = calls;
	one.call_count = GUARDS;
	contains(composed(&one), "/run/softnet/1.sock: it ?[2J hangs\nand 37 more that are silent\n");
}

/* Each row within the columns, none below the last, all of it printable except the three sequences. */
static void fits(const char *drawn, size_t length, int rows, int columns)
{
	int row = 1, column = 0;
	assert_memory_equal(drawn, "\033[H", 3);
	for (size_t i = 3; i < length; i++) {
		if (drawn[i] == '\033') {
			assert_true(drawn[i + 1] == '[' && (drawn[i + 2] == 'K' || drawn[i + 2] == 'J'));
			i += 2;
		} else if (drawn[i] == '\r') {
			assert_int_equal(drawn[++i], '\n');
			row++;
			column = 0;
		} else {
			assert_in_range(drawn[i], ' ', '~');
			column++;
		}
		assert_true(row <= rows && column <= columns);
	}
}

static void it_fits_every_terminal(void **unused)
{
	struct terminal terminal = { .fd = -1, .size = ROWS_MAX * (COLUMNS_MAX + 8) + 256 };
	terminal.screen = malloc(terminal.size);
	(void)unused;
	for (terminal.rows = 1; terminal.rows <= ROWS_MAX; terminal.rows += terminal.rows / 3 + 1)
		for (terminal.columns = 1; terminal.columns <= COLUMNS_MAX; terminal.columns += terminal.columns / 3 + 1) {
			const struct guard_list *lists[] = { &none, &one, &many };
			for (int i = 0; i < 3; i++) {
				draw_screen(&terminal, compose_screen(&scene, lists[i], terminal.rows, terminal.columns));
				assert_true(is_busy(&terminal));
				fits(terminal.screen, terminal.end, terminal.rows, terminal.columns);
			}
		}
	char *widest = malloc(ROWS_MAX * (COLUMNS_MAX + 2) + 1), *at = widest;
	for (int row = 0; row < ROWS_MAX; row++, at += COLUMNS_MAX + 1) {
		memset(at, 'x', COLUMNS_MAX);
		at[COLUMNS_MAX] = '\n';
	}
	*at = '\0';
	terminal.rows = ROWS_MAX;
	terminal.columns = COLUMNS_MAX;
	draw_screen(&terminal, widest);
	assert_true(terminal.end <= terminal.size);
	fits(terminal.screen, terminal.end, ROWS_MAX, COLUMNS_MAX);
	free(widest);
	free(terminal.screen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
		T(the_history_is_a_guards_own),      T(a_guard_that_goes_is_named), T(the_latest_drops_of_many),
		T(those_that_are_silent_leave_room), T(it_fits_every_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
