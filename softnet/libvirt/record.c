/* The record of a domain: who keeps its guards, and where they stand. */
#include "softnet/libvirt/record.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "softnet/libvirt/closed.h"
#include "softnet/libvirt/domain.h"
#include "system/clock.h"
#include "system/descriptors.h"
#include "system/files/alone.h"
#include "system/log.h"

enum { RECORD_PATH = 96, PORT_LINE = IF_NAMESIZE + 24, END_MS = 5000, LOOK_MS = 10 };

static const char folder_path[] = "/run/softnet/libvirt";

static void make_path(const char *name, char path[RECORD_PATH])
{
	snprintf(path, RECORD_PATH, "%s/%.60s", folder_path, name);
}

/* The domain's own, or one of cards that were plugged in: UUID.NUMBER. */
static bool is_of_domain(const char *name, const char *uuid)
{
	size_t length = strlen(uuid);
	return strncmp(name, uuid, length) == 0 && (name[length] == '\0' || name[length] == '.');
}

/* Those of a domain, one after the other; of `record` the name is kept. */
static bool next_record(DIR *folder, const char *uuid, char record[RECORD_TEXT])
{
	const struct dirent *entry;
	while ((entry = readdir(folder)))
		if (is_of_domain(entry->d_name, uuid)) {
			copy_text(record, RECORD_TEXT, entry->d_name);
			return true;
		}
	return false;
}

/* The first folder is the one of root's guards: everybody may look into it. The umask leaves nothing for others here. */
static void make_folders(void)
{
	if (mkdir("/run/softnet", 0700) == 0)
		chmod("/run/softnet", 0755);
	mkdir("/run/softnet/libvirt", 0700);
}

bool enter_hooks_alone(struct error *error)
{
	make_folders();
	return enter_alone("/run/softnet/libvirt/lock", error);
}

bool has_record(const char *uuid)
{
	char name[RECORD_TEXT];
	DIR *folder = opendir(folder_path);
	bool is_there = folder && next_record(folder, uuid, name);
	if (folder)
		closedir(folder);
	return is_there;
}

int open_record(const char *name, struct error *error)
{
	char path[RECORD_PATH];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	make_path(name, path);
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0)
		return fd;
	report_failure(error, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

bool record_port(int record, const char *interface, unsigned number, bool is_guarded)
{
	char line[PORT_LINE];
	int length = snprintf(line, sizeof line, "%s %u%s\n", interface, number, is_guarded ? "" : " starts");
	return write(record, line, (size_t)length) == length;
}

pid_t keeper_of(const char *name)
{
	char path[RECORD_PATH];
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	make_path(name, path);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool is_asked = fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0;
	if (fd >= 0)
		close(fd);
	return is_asked && lock.l_type != F_UNLCK ? lock.l_pid : 0;
}

static void end_keeper(const char *name)
{
	uint64_t deadline_ms = clock_ms() + END_MS;
	pid_t keeper;
	while ((keeper = keeper_of(name)) > 0) {
		kill(keeper, clock_ms() < deadline_ms ? SIGTERM : SIGKILL);
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000L }, NULL);
	}
}

/* What it prints does not matter: a guard that has gone by itself need not be taken away. */
static void detach(const char *interface)
{
	pid_t child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execlp("softnet", "softnet", "detach", interface, (char *)NULL);
		_exit(EXIT_NOT_FOUND);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

struct noted {
	char interface[IF_NAMESIZE];
	unsigned number;
	bool is_guarded;
};

static bool next_port(FILE *record, struct noted *port)
{
	char line[PORT_LINE], word[8];
	_Static_assert(IF_NAMESIZE == 16, "the width below is one less");
	int count = fgets(line, sizeof line, record) ? sscanf(line, "%15s %u %7s", port->interface, &port->number, word)
						     : 0;
	port->is_guarded = count == 2;
	return count >= 2;
}

/* A number is never used twice: an interface of this name with another one is somebody else's. */
static void undo_ports(FILE *record)
{
	struct noted port;
	unsigned last = 0; /* it is there twice, one behind the other, when its guard stands */
	for (; next_port(record, &port); last = port.number) {
		if (port.number == last)
			continue;
		close_port(port.number);
		if (if_nametoindex(port.interface) == port.number)
			detach(port.interface);
	}
}

static void undo_file(FILE *record, const char *path)
{
	undo_ports(record);
	if (unlink(path) < 0)
		warning("%s: %s", path, strerror(errno));
	fclose(record); /* last: its lock goes with it */
}

static void undo_one(const char *name)
{
	char path[RECORD_PATH];
	make_path(name, path);
	end_keeper(name);
	FILE *record = fopen(path, "re");
	if (record)
		undo_file(record, path);
}

void undo_own_record(const char *name, int record)
{
	char path[RECORD_PATH];
	make_path(name, path);
	FILE *file = record >= 0 && lseek(record, 0, SEEK_SET) == 0 ? fdopen(record, "r") : NULL;
	if (file)
		undo_file(file, path);
}

void undo_records(const char *uuid)
{
	char name[RECORD_TEXT];
	DIR *folder = opendir(folder_path);
	while (folder && next_record(folder, uuid, name))
		undo_one(name);
	if (folder)
		closedir(folder);
}

static bool has_port(const char *name, const char *interface)
{
	char path[RECORD_PATH];
	struct noted port;
	bool is_there = false;
	make_path(name, path);
	FILE *record = fopen(path, "re");
	while (record && next_port(record, &port))
		is_there |= port.is_guarded && strcmp(port.interface, interface) == 0 &&
			    if_nametoindex(interface) == port.number;
	if (record)
		fclose(record);
	return is_there;
}

/* In any record, or in one that somebody keeps. */
static bool find_port(const char *uuid, const char *interface, bool is_to_be_kept)
{
	char name[RECORD_TEXT];
	bool is_there = false;
	DIR *folder = opendir(folder_path);
	while (folder && !is_there && next_record(folder, uuid, name))
		is_there = has_port(name, interface) && (!is_to_be_kept || keeper_of(name) > 0);
	if (folder)
		closedir(folder);
	return is_there;
}

bool is_recorded(const char *uuid, const char *interface)
{
	return find_port(uuid, interface, false);
}

bool is_kept(const char *uuid, const char *interface)
{
	return find_port(uuid, interface, true);
}
