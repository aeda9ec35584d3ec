/* The doubles' settings, their faults and their log. */
#include "fake.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *fake_wire, *fake_gateway, *fake_interfaces, *fake_preferences;
unsigned fake_speed, fake_macos;
static const char *faults;
static int log_fd = -1;
static atomic_int living[COUNTED];

static const char *setting(const char *name, const char *otherwise)
{
	const char *value = getenv(name);
	return strdup(value ? value : otherwise);
}

static unsigned number_setting(const char *name, unsigned otherwise)
{
	const char *value = getenv(name);
	return value ? (unsigned)atoi(value) : otherwise;
}

/* A thread of the doubles may just be about to release its own. */
static void tell_objects(void)
{
	for (int i = 0; i < 100 && living[XPC_OBJECTS] > 0; i++)
		usleep(10000);
	record("end semaphores=%d xpc=%d cf=%d", living[SEMAPHORES], living[XPC_OBJECTS], living[CF_OBJECTS]);
}

/* Before main(), as the user who started the program: later it is another user, who may not open files any more. */
__attribute__((constructor)) static void read_settings(void)
{
	const char *log = getenv("FAKE_LOG");
	fake_wire = setting("FAKE_WIRE", "");
	fake_gateway = setting("FAKE_GATEWAY", "192.168.64.1");
	fake_interfaces = setting("FAKE_INTERFACES", "en0,en1");
	fake_preferences = setting("FAKE_PREFERENCES", "/dev/null");
	fake_speed = number_setting("FAKE_SPEED", 1);
	fake_macos = number_setting("FAKE_MACOS", 13);
	faults = setting("FAKE_FAULTS", "");
	if (log) {
		int fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
		log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 200); /* out of the way of descriptors that tests count on */
		close(fd);
	}
	atexit(tell_objects);
}

bool fault(const char *name, unsigned at, unsigned *value)
{
	size_t length = strlen(name);
	for (const char *item = faults; *item != '\0'; item += strcspn(item, ","), item += *item == ',') {
		unsigned first = 0, from = 0, to = 0;
		if (strncmp(item, name, length) != 0 || !strchr("=,", item[length]))
			continue;
		int parts = item[length] == '=' ? sscanf(item + length, "=%u@%u-%u", &first, &from, &to) : 0;
		if (parts >= 2 && (at < from || (parts == 3 && at > to)))
			continue;
		if (parts >= 1 && value)
			*value = first;
		return true;
	}
	return false;
}

static void write_record(const char *prefix, const char *format, va_list arguments)
{
	char line[1024];
	size_t length = (size_t)snprintf(line, sizeof line, "%s", prefix);
	vsnprintf(line + length, sizeof line - length - 1, format, arguments);
	length = strlen(line);
	line[length++] = '\n';
	ssize_t written = log_fd >= 0 ? write(log_fd, line, length) : 0;
	if (prefix[0] != '\0')
		written = write(STDERR_FILENO, line, length);
	(void)written;
}

void record(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	write_record("", format, arguments);
	va_end(arguments);
}

void misuse(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	write_record("MISUSE: ", format, arguments);
	va_end(arguments);
	abort();
}

void count_objects(enum counted what, int change)
{
	atomic_fetch_add(&living[what], change);
}
