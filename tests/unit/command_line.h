/* Tests of the command line: it is parsed as main() would, and errors are compared to the letter. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softnet/options/options.h"

#include <cmocka.h>

#define VERBS "`run`, `attach`, `detach`, `policy`, `status`, `watch` or `replay`"
#define MAC   "--vm-mac-address", "52:54:00:00:00:0a"
#define TART  "--vm-fd", "0", MAC

enum { WORDS_MAX = 40 };

static struct options options;
static struct error error;

static bool parse(const char *const *words)
{
	/* Options keep pointers into both, as into the real argv. */
	static char text[WORDS_MAX][4096];
	static char *argv[WORDS_MAX + 2] = { "softnet" };
	int argc = 1;
	for (; words[argc - 1]; argc++) {
		snprintf(text[argc - 1], sizeof text[0], "%s", words[argc - 1]);
		argv[argc] = text[argc - 1];
	}
	argv[argc] = NULL;
	error.text[0] = '\0';
	return parse_options(argc, argv, &options, &error);
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })

#define TAKEN(...) \
	do { \
		if (!PARSE(__VA_ARGS__)) \
			fail_msg("%s", error.text); \
	} while (0)

#define REFUSED(line, ...) \
	do { \
		assert_false(PARSE(__VA_ARGS__)); \
		assert_string_equal(error.text, line); \
	} while (0)
