/* What the process inherited, put in order before anything else happens. */
#include "system/process/process.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "system/log.h"
#include "system/platform.h"

extern char **environ;

static mode_t inherited_umask;
static struct rlimit inherited_core;

/*
 * A file or socket that got number 2 would be written error messages into. Descriptor 0 may be the VM itself (Tart):
 * whatever is open stays untouched.
 */
static void open_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_RUNTIME);
}

static void scrub_environment(void)
{
	static const char *const kept[] = { "PATH=", "TERM=", "LANG=" };
	static char *environment[sizeof kept / sizeof *kept + 1];
	int count = 0;
	for (char **entry = environ; entry && *entry; entry++)
		for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
			if (strncmp(*entry, kept[i], strlen(kept[i])) == 0 && count < (int)(sizeof kept / sizeof *kept))
				environment[count++] = *entry;
	environment[count] = NULL;
	environ = environment;
}

void sanitize_process(void)
{
	open_standard_descriptors();
	if (platform_is_set_id())
		scrub_environment();
	inherited_umask = umask(077);
	if (getrlimit(RLIMIT_CORE, &inherited_core) == 0) {
		/* Only the limit that counts: the command of `softnet run` gets its own back. */
		struct rlimit none = { 0, inherited_core.rlim_max };
		setrlimit(RLIMIT_CORE, &none);
	}
}

void restore_process(void)
{
	umask(inherited_umask);
	setrlimit(RLIMIT_CORE, &inherited_core);
}
