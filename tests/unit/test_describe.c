/* Frames in a line: described.hex.tsv has one of each kind beside its line; whatever else comes, the line stays one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softnet/describe/describe.h"

#include <cmocka.h>

enum { FRAME_MAX = 1514, ROWS_MAX = 200, ROUNDS = 3000 };

static struct row {
	char line[DESCRIPTION_TEXT];
	uint8_t frame[FRAME_MAX];
	uint32_t length;
} rows[ROWS_MAX];
static int row_count;

static int read_rows(void **unused)
{
	static char text[DESCRIPTION_TEXT + 2 * FRAME_MAX + 2];
	const char *path = getenv("DESCRIBED");
	FILE *file = fopen(path ? path : "tests/unit/described.hex.tsv", "r");
	unsigned octet;
	(void)unused;
	if (!file)
		return -1;
	for (; fgets(text, sizeof text, file) && row_count < ROWS_MAX; row_count++) {
		char *hex = strchr(text, '\t');
		if (!hex || hex - text >= DESCRIPTION_TEXT)
			return -1;
		*hex++ = '\0';
		strcpy(rows[row_count].line, text);
		for (; sscanf(hex, "%2x", &octet) == 1; hex += 2)
			rows[row_count].frame[rows[row_count].length++] = (uint8_t)octet;
	}
	fclose(file);
	return row_count > 60 ? 0 : -1;
}

/* In memory of exactly that size, so that the sanitizer sees a read behind the end. */
static const char *describe_exactly(const uint8_t *bytes, uint32_t kept, uint32_t length)
{
	static char text[DESCRIPTION_TEXT + 1];
	uint8_t *exact = malloc(kept > 0 ? kept : 1);
	memcpy(exact, bytes, kept);
	memset(text, '\n', sizeof text);
	assert_ptr_equal(describe_frame(exact, kept, length, text), text);
	free(exact);
	assert_true(text[DESCRIPTION_TEXT] == '\n');
	assert_non_null(memchr(text, '\0', DESCRIPTION_TEXT));
	for (const char *c = text; *c != '\0'; c++)
		assert_true(*c >= ' ' && *c <= '~');
	assert_true(strlen(text) > 0);
	if (kept >= 14) /* the MAC addresses are never what is cut off */
		assert_true(strchr(text, '(') && strstr(text, " octets)") == text + strlen(text) - strlen(" octets)"));
	return text;
}

static void each_kind_has_its_line(void **unused)
{
	(void)unused;
	for (int i = 0; i < row_count; i++)
		assert_string_equal(describe_exactly(rows[i].frame, rows[i].length, rows[i].length), rows[i].line);
}

static void what_is_cut_is_described_as_far_as_it_goes(void **unused)
{
	(void)unused;
	for (int i = 0; i < row_count; i++)
		for (uint32_t kept = 0; kept < rows[i].length; kept++) {
			describe_exactly(rows[i].frame, kept, kept);
			describe_exactly(rows[i].frame, kept, rows[i].length);
		}
	/* As a specimen: the front of a longer frame. */
	assert_string_equal(describe_exactly(rows[0].frame, 34, 54),
			    "IPv4 192.168.77.12 > 1.1.1.1 TCP cut off "
			    "(52:54:00:00:00:0a > 52:54:00:00:00:01, 54 octets)");
	assert_string_equal(describe_exactly(rows[0].frame, 0, 0), "runt of 0 octets");
}

static void padding_is_none_of_the_frame(void **unused)
{
	uint8_t padded[60] = { 0 };
	(void)unused;
	memcpy(padded, rows[0].frame, rows[0].length);
	assert_string_equal(describe_exactly(padded, sizeof padded, sizeof padded),
			    "IPv4 192.168.77.12 > 1.1.1.1 TCP 40000 > 443 SYN "
			    "(52:54:00:00:00:0a > 52:54:00:00:00:01, 60 octets)");
}

static uint32_t next_random(void)
{
	static uint64_t x = 88172645463325252ULL;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16);
}

static void random_octets_make_one_printable_line(void **unused)
{
	uint8_t frame[FRAME_MAX];
	(void)unused;
	for (int round = 0; round < ROUNDS * row_count / 60; round++) {
		const struct row *row = &rows[next_random() % (uint32_t)row_count];
		uint32_t length = row->length;
		memcpy(frame, row->frame, length);
		for (uint32_t changes = next_random() % 8; changes > 0 && length > 0; changes--)
			frame[next_random() % length] = (uint8_t)next_random();
		describe_exactly(frame, length, length + next_random() % 3000);
		for (uint32_t i = 14; i < length; i++)
			frame[i] = (uint8_t)next_random();
		describe_exactly(frame, length, length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_has_its_line),
		cmocka_unit_test(what_is_cut_is_described_as_far_as_it_goes),
		cmocka_unit_test(padding_is_none_of_the_frame),
		cmocka_unit_test(random_octets_make_one_printable_line),
	};
	return cmocka_run_group_tests(tests, read_rows, NULL);
}
