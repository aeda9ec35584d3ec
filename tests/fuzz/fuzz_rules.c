/*
 * Any octets as a file of --policy: it is refused with a line that says why, or its rules have a normal form that reads as the
 * same rules. Run by `make fuzz`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softnet/rules/policy_file.h"
#include "softnet/rules/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct rule_list rules, again;

static void write_again(void)
{
	char text[RULE_TEXT];
	struct error error;
	again.count = 0;
	for (uint32_t i = 0; i < rules.count; i++)
		if (!add_rule(&again, format_rule(&rules.rule[i].text, text), rules.rule[i].class, &error))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char path[64];
	struct error error = { .text = "" };
	int fd = memfd_create("policy", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	rules.count = 0;
	bool is_good = read_policy_file(path, &rules, &error);
	close(fd);
	if (!is_good && (error.text[0] == '\0' || strchr(error.text, '\n')))
		abort();
	if (!is_good)
		return 0;
	write_again();
	normalize_rules(&rules);
	normalize_rules(&again);
	if (!same_rules(&rules, &again))
		abort();
	return 0;
}
