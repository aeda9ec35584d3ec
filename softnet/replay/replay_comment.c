/* From the comment of a section to options, as if they stood on the command line. */
#include "softnet/replay/replay_comment.h"
#include <stdlib.h>
#include <string.h>
#include "softnet/capture/capture_options.h"

enum { OPTION_NAME_OCTETS = 64 };

static const char first_word[] = "softnet ";

bool is_guards_comment(const char *comment, size_t length)
{
	size_t word = sizeof first_word - 1;
	return comment && length >= word && memcmp(comment, first_word, word) == 0;
}

/* "--name" or "--name=value". */
static bool check_line(const char *line, struct error *error)
{
	char name[OPTION_NAME_OCTETS] = "";
	if (strcmp(line, RULES_DO_NOT_FIT) == 0)
		return refuse(error,
			      "the guard's rules did not fit into it; give its options, the rules with --policy");
	size_t length = strcspn(line, "=");
	bool is_option = strncmp(line, "--", 2) == 0 && length > 2 && length - 2 < sizeof name;
	if (is_option)
		memcpy(name, line + 2, length - 2);
	return (is_option && may_stand_in_capture(name)) || refuse_value(error, line, "an option that decides something");
}

static size_t count_lines(const char *text)
{
	size_t lines = 1;
	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

/* The words of a command line: softnet replay, the options, and a capture, for replay needs one. */
static bool split_lines(char *text, char **words, int *count, struct error *error)
{
	static char softnet[] = "softnet", replay[] = "replay", capture[] = "-";
	char *rest = text;
	*count = 0;
	words[(*count)++] = softnet;
	words[(*count)++] = replay;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		if (line == text || *line == '\0')
			continue;
		if (!check_line(line, error))
			return false;
		words[(*count)++] = line;
	}
	words[(*count)++] = capture;
	words[*count] = NULL;
	return true;
}

static bool parse_lines(char *text, char **words, struct options *options, struct error *error)
{
	int count;
	if (!split_lines(text, words, &count, error) || !parse_options(count, words, options, error))
		return false;
	return options->vm_mac != MAC_NONE || refuse(error, "--vm-mac-address: missing");
}

bool read_guards_comment(const char *comment, size_t length, struct options *options, struct error *error)
{
	if (strlen(comment) != length)
		return refuse(error, "expected text: it holds an octet of zero");
	char *text = strdup(comment);
	char **words = calloc(count_lines(comment) + 4, sizeof *words);
	bool is_read = text && words ? parse_lines(text, words, options, error) : refuse(error, "no memory is left");
	free(words);
	free(text);
	options->captures[0].path = NULL;
	return is_read;
}
