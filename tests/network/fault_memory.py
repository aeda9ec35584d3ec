"""Memory of running programs that runs out when a test says so: a library answers in the place of malloc(3), calloc(3), realloc(3) and
mmap(2) of memory, in all that the program does itself and that libraries do for it.

    memory = Memory(directory)
    subprocess.Popen([memory.program, ...])
    memory.arm("softnet", 12, is_for_good=False)        the thirteenth from now on fails
"""

import mmap
import struct
import time

import preload

LIBRARY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
/* Shared with the test. */
static struct order {
	char process[16];
	long is_armed, is_for_good, left, made, failed;
} *order;
static char own[16] = "softnet";
static int is_looking_up;
static char first[4096]; /* what dlsym(3) wants before there is anything else */
static size_t first_used;
static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t), *(*real_realloc)(void *, size_t);
static void (*real_free)(void *);

static void find_real(void)
{
	static int is_finding;
	if (real_free || is_finding)
		return;
	is_finding = 1;
	real_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
	real_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
	real_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
	real_free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
	is_finding = 0;
}

__attribute__((constructor)) static void begin(void)
{
	int file = open(getenv("MEMORY_FILE"), O_RDWR | O_CLOEXEC);
	find_real();
	void *shared = (void *)syscall(SYS_mmap, 0, sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	order = shared == MAP_FAILED ? 0 : shared;
}

static int runs_out(void)
{
	if (!order || is_looking_up || strcmp(order->process, own) != 0)
		return 0;
	order->made++;
	if (!order->is_armed || order->left-- > 0)
		return 0;
	order->left = 0;
	order->is_armed = order->is_for_good;
	order->failed++;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t octets)
{
	find_real();
	if (!real_malloc && first_used + octets + 16 <= sizeof first)
		return first + (first_used += (octets + 15) / 16 * 16) - (octets + 15) / 16 * 16;
	return runs_out() ? NULL : real_malloc(octets);
}

void *calloc(size_t count, size_t octets)
{
	find_real();
	if (!real_calloc)
		return malloc(count * octets);
	return runs_out() ? NULL : real_calloc(count, octets);
}

void *realloc(void *old, size_t octets)
{
	find_real();
	return runs_out() ? NULL : real_realloc(old, octets);
}

void free(void *old)
{
	if ((char *)old >= first && (char *)old < first + sizeof first)
		return;
	find_real();
	real_free(old);
}

/* glibc that looks up names without memory crashes by itself. */
#define LOOKUP(result, name, parameters, arguments) \
	result name parameters \
	{ \
		result(*real) parameters = (result(*) parameters)dlsym(RTLD_NEXT, #name); \
		is_looking_up++; \
		result found = real arguments; \
		is_looking_up--; \
		return found; \
	}
/* The process that makes the filter of calls has another name here. */
void *seccomp_init(unsigned action)
{
	void *(*real)(unsigned) = (void *(*)(unsigned))dlsym(RTLD_NEXT, "seccomp_init");
	strcpy(own, "seccomp");
	return real(action);
}

LOOKUP(struct passwd *, getpwnam, (const char *name), (name))
LOOKUP(struct passwd *, getpwuid, (uid_t user), (user))
LOOKUP(struct group *, getgrnam, (const char *name), (name))
LOOKUP(int, initgroups, (const char *user, gid_t group), (user, group))

void *mmap(void *at, size_t octets, int protection, int flags, int file, off_t offset)
{
	if ((flags & MAP_ANONYMOUS) && runs_out())
		return MAP_FAILED;
	return (void *)syscall(SYS_mmap, at, octets, protection, flags, file, offset);
}

int prctl(int what, ...)
{
	unsigned long arguments[4];
	va_list list;
	va_start(list, what);
	for (int i = 0; i < 4; i++)
		arguments[i] = va_arg(list, unsigned long);
	va_end(list);
	if (what == PR_SET_NAME)
		strncpy(own, (const char *)arguments[0], sizeof own - 1);
	return (int)syscall(SYS_prctl, what, arguments[0], arguments[1], arguments[2], arguments[3]);
}
"""
ORDER = "16s5l"


class Memory:
    def __init__(self, directory):
        path = directory / "memory"
        path.write_bytes(bytes(struct.calcsize(ORDER)))
        with open(path, "r+b") as file:
            self.order = mmap.mmap(file.fileno(), struct.calcsize(ORDER))
        self.program = preload.program_with(directory, "memory", LIBRARY, MEMORY_FILE=path)

    def _write(self, process, is_armed, is_for_good, after):
        self.order[:] = struct.pack(ORDER, process.encode(), is_armed, is_for_good, after, 0, 0)

    def count(self, process):
        """From now on how often it asks for memory is counted, and told by made()."""
        self._write(process, False, False, 0)

    def arm(self, process, after, is_for_good):
        self._write(process, True, is_for_good, after)

    def settle(self):
        """Until nobody asks for memory any more, for a moment."""
        before = -1
        while self.made() != before:
            before = self.made()
            time.sleep(0.1)

    def made(self):
        return struct.unpack(ORDER, self.order[:])[4]

    def disarm(self):
        """How often it has failed."""
        failed = struct.unpack(ORDER, self.order[:])[5]
        self._write("", False, False, 0)
        return failed
