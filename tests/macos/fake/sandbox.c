/* sandbox_init(3): the profile's form is checked, and it goes into the log, a line for each rule. Nothing is closed by it. */
#include <ctype.h>
#include <fcntl.h>
#include <sandbox.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fake.h"
#include "include/darwin.h"

/* Behind the string that begins here. */
static const char *skip_string(const char *at)
{
	for (at++; *at != '"'; at++) {
		if (*at == '\\')
			at++;
		if (*at == '\0')
			misuse("sandbox_init: a string does not end");
	}
	return at + 1;
}

/* Behind the list that begins here. */
static const char *skip_list(const char *at)
{
	int depth = 0;
	do {
		if (*at == '\0')
			misuse("sandbox_init: a list does not end");
		depth += (*at == '(') - (*at == ')');
		at = *at == '"' ? skip_string(at) : at + 1;
	} while (depth > 0);
	return at;
}

int sandbox_init(const char *profile, uint64_t flags, char **error)
{
	if (flags != 0 || strncmp(profile, "(version 1)\n", 12) != 0)
		misuse("sandbox_init: no profile as text");
	if (fault("sandbox", 0, NULL)) {
		*error = strdup("as the test wants it");
		return -1;
	}
	for (const char *at = profile; *at != '\0';) {
		if (*at != '(' && !isspace((unsigned char)*at))
			misuse("sandbox_init: %.20s is no list", at);
		const char *end = *at == '(' ? skip_list(at) : at + 1;
		if (*at == '(')
			record("sandbox %.*s", (int)(end - at), at);
		at = end;
	}
	return 0;
}

void sandbox_free_error(char *error)
{
	free(error);
}

/* Darwin's fcntl(2) tells the path of a descriptor. */
int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);

int __wrap_fcntl(int fd, int command, ...)
{
	char link[40];
	va_list arguments;
	va_start(arguments, command);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	if (command != F_GETPATH)
		return __real_fcntl(fd, command, argument);
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, argument, 1023);
	if (length >= 0)
		((char *)argument)[length] = '\0';
	return length < 0 ? -1 : 0;
}
