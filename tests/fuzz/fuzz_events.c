/* Any octets as a file of events: what `softnet policy suggest` makes of it is a policy, whatever stands there. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softnet/replay/suggest.h"
#include "softnet/rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct options options;
static struct rule_list rules;

/* Lines of a policy file: allow and block, and comments. */
static void check_policy_text(char *text)
{
	struct error error;
	rules.count = 0;
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		line[strcspn(line, "#")] = '\0';
		for (size_t length = strlen(line); length > 0 && line[length - 1] == ' '; length--)
			line[length - 1] = '\0';
		bool is_allow = strncmp(line, "allow ", 6) == 0;
		if (*line == '\0' || strcmp(line, "block any") == 0)
			continue;
		if (!is_allow || !add_rule(&rules, line + 6, CLASS_ALLOWED, &error))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char path[64], *text = NULL;
	size_t size = 0;
	struct error error;
	int fd = memfd_create("events", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	options.captures[0].path = path;
	options.capture_count = 1;
	clear_notes();
	holds_events(path);
	read_events(&options, path, &error);
	close(fd);
	FILE *to = open_memstream(&text, &size);
	print_suggestion(&options, false, to);
	fclose(to);
	check_policy_text(text);
	free(text);
	return 0;
}
