/* The records: a file for each port, called by the cookie of its network namespace and its number there. */
#include "softnet/left/left.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "port/kernel/kernel_look.h"
#include "port/linux/netspace.h"
#include "softnet/left/left_counts.h"
#include "system/clock.h"
#include "system/files/replace_file.h"

enum { RECORD_PATH = 80, RECORDS_MAX = 8192, MS = 1000 };
static const char folder[] = "/run/softnet/left";

static void make_path(uint64_t cookie, unsigned interface, char path[RECORD_PATH])
{
	snprintf(path, RECORD_PATH, "%s/%" PRIu64 "-%u", folder, cookie, interface);
}

/* Held while a guard is being made. */
static bool lock_record(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	return fcntl(fd, F_SETLK, &lock) == 0;
}

int open_left_record(const char *interface, struct error *error)
{
	char path[RECORD_PATH];
	make_path(namespace_cookie(), if_nametoindex(interface), path);
	if (mkdir("/run/softnet", 0700) == 0)
		chmod("/run/softnet", 0755); /* everybody may know that root has guards */
	mkdir(folder, 0700);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && lock_record(fd))
		return fd;
	report_failure(error, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* What is about the process, or can no longer be seen. */
static void strip_status(json_t *status, const char *interface)
{
	static const char *const gone[] = { "pid",     "ground",  "sandbox", "asking",
					    "gateway", "capture", "metrics", "state_file" };
	for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
		json_object_set_new(status, gone[i], json_null());
	static const char *const at_the_end[] = { "away", "away_for" };
	for (size_t i = 0; i < sizeof at_the_end / sizeof *at_the_end; i++)
		json_object_set_new(status, at_the_end[i], json_pack("{s:n, s:n}", "guest", "uplink"));
	json_object_set_new(status, "left",
			    json_pack("{s:s, s:I, s:I}", "interface", interface, "since", (json_int_t)clock_ms(),
				      "netns", (json_int_t)own_netspace_number()));
}

bool write_left_record(int record, json_t *status, const char *interface, struct error *error)
{
	if (status)
		strip_status(status, interface);
	char *text = status ? json_dumps(status, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	bool is_written = text && ftruncate(record, 0) == 0 && lseek(record, 0, SEEK_SET) == 0 &&
			  write_all(record, text, strlen(text));
	free(text);
	json_decref(status);
	return is_written ||
	       report_failure(error, "%s: cannot write the record of the guard: %s", folder, strerror(errno));
}

void forget_left(unsigned number)
{
	char path[RECORD_PATH];
	make_path(namespace_cookie(), number, path);
	unlink(path);
}

void forget_left_of(const char *interface)
{
	forget_left(if_nametoindex(interface));
}

/* --- looking at them --- */

bool is_left_standing(unsigned interface)
{
	struct kernel_sight sight = look_at_kernel_guard(namespace_cookie(), interface);
	bool stands = sight.sight == SIGHT_STANDS && sight.memory && sight.memory->is_open != 0;
	end_kernel_sight(&sight);
	return stands;
}

/* Tells what is true now into it. False: the port has vanished. */
static bool follow_kernel(json_t *status, uint64_t cookie, unsigned interface)
{
	json_t *left = json_object_get(status, "left");
	uint64_t now_ms = clock_ms(), since_ms = (uint64_t)json_integer_value(json_object_get(left, "since"));
	int own = open_own_netspace();
	bool is_seen = enter_numbered_netspace((uint64_t)json_integer_value(json_object_get(left, "netns")));
	struct kernel_sight sight = look_at_kernel_guard(cookie, interface);
	if (own >= 0 && is_seen)
		return_to_netspace(own);
	else if (own >= 0)
		close(own);
	json_object_set_new(left, "stands", json_boolean(sight.sight == SIGHT_STANDS));
	json_object_set_new(status, "uptime", json_integer((json_int_t)((now_ms - since_ms) / MS)));
	if (sight.memory)
		put_counts(status, sight.memory, now_ms);
	end_kernel_sight(&sight);
	return sight.sight != SIGHT_GONE;
}

/* NULL: nothing to be shown. It is removed, unless a guard is being made. */
static json_t *read_record(const char *path, uint64_t cookie, unsigned interface)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || !lock_record(fd)) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	json_t *status = json_loadfd(fd, 0, NULL);
	if (!status || !follow_kernel(status, cookie, interface)) {
		unlink(path);
		json_decref(status);
		status = NULL;
	}
	close(fd);
	return status;
}

json_t *list_left(void)
{
	json_t *list = json_array();
	const struct dirent *entry;
	char path[RECORD_PATH];
	uint64_t cookie;
	unsigned interface;
	DIR *records = opendir(folder);
	while (records && json_array_size(list) < RECORDS_MAX && (entry = readdir(records))) {
		if (sscanf(entry->d_name, "%" SCNu64 "-%u", &cookie, &interface) != 2)
			continue;
		make_path(cookie, interface, path);
		json_t *status = read_record(path, cookie, interface);
		if (status)
			json_array_append_new(list, status);
	}
	if (records)
		closedir(records);
	return list;
}
