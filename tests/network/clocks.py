"""Clocks of softnet that a test sets: a library in the program answers in the place of libc."""

import struct
import time

import preload

CLOCK = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static volatile long *seconds; /* of the monotonic clock, of the one that counts sleep, of the time of day */
__attribute__((constructor)) static void begin(void)
{
	int file = open(getenv("SECONDS_FILE"), O_RDONLY);
	seconds = mmap(0, 3 * sizeof *seconds, PROT_READ, MAP_SHARED, file, 0);
	close(file);
}
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);
	if (result == 0 && seconds && seconds != MAP_FAILED)
		now->tv_sec += seconds[clock == CLOCK_BOOTTIME ? 1 : clock == CLOCK_REALTIME ? 2 : 0];
	return result;
}
"""


class LaterClock:
    """Softnet with clocks that can be set: `program` is the command, pass_seconds() lets time go by."""

    def __init__(self, directory):
        self.path = directory / "seconds"
        self.path.write_bytes(bytes(24))
        self.program = preload.program_with(directory, "later", CLOCK, SECONDS_FILE=self.path)

    def _add(self, *more):
        with open(self.path, "r+b") as file:
            now = struct.unpack("3l", file.read(24))
            file.seek(0)
            file.write(struct.pack("3l", *map(sum, zip(now, more))))
        time.sleep(0.01)

    def pass_seconds(self, seconds):
        self._add(seconds, seconds, seconds)

    def suspend(self, seconds):
        """The host sleeps for so long."""
        self._add(0, seconds, seconds)

    def set_wall(self, seconds):
        """Somebody sets the time of day forward, or back."""
        self._add(0, 0, seconds)
