/*
 * Lines of events, each written whole by one call, or counted as lost. A line that could be written in part only, which
 * happens when a disk is full, is taken back where that can be done, and ended before the next one where it cannot.
 */
#include "softnet/events/event_sinks.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "port/io.h"
#include "system/clock.h"
#include "system/log.h"
#include "system/platform.h"
#include "system/files/rotation.h"

/* Files */

static bool is_fifo(const char *path)
{
	struct stat file;
	return lstat(path, &file) == 0 && S_ISFIFO(file.st_mode);
}

/* The half line of a guard that was killed, or of somebody else. */
static bool ends_in_a_part(const char *path)
{
	char last = '\n';
	struct stat file;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > 0 &&
	    pread(fd, &last, 1, file.st_size - 1) < 0)
		last = '\n';
	close(fd);
	return last != '\n';
}

/* O_NONBLOCK: neither a FIFO without a reader nor a terminal may hold us up. */
static bool open_file(struct event_sink *sink)
{
	const int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	sink->fd = move_above_2(open(sink->path, flags, 0600));
	sink->is_torn = sink->fd >= 0 && !is_fifo(sink->path) && ends_in_a_part(sink->path);
	return sink->fd >= 0;
}

static void close_file(struct event_sink *sink)
{
	if (sink->fd >= 0 && sink->kind != SINK_STDERR)
		close(sink->fd);
	sink->fd = -1;
}

/* Others may have moved the file, as logrotate(8) does; or taken it away. */
static bool is_in_place(const struct event_sink *sink, const struct stat *open_one)
{
	struct stat named;
	return lstat(sink->path, &named) == 0 && named.st_dev == open_one->st_dev && named.st_ino == open_one->st_ino;
}

/* The file that is to be written, with room for a line. False: there is none now, errno says why. */
static bool prepare_file(struct event_sink *sink, struct stat *file, size_t octets)
{
	if (sink->fd >= 0 && (fstat(sink->fd, file) < 0 || !is_in_place(sink, file)))
		close_file(sink);
	if (sink->fd < 0 && (!open_file(sink) || fstat(sink->fd, file) < 0))
		return false;
	if (!S_ISREG(file->st_mode) || file->st_size + (off_t)octets <= EVENT_FILE_MAX)
		return true;
	if (!rotate_files(sink->path, EVENT_FILES_KEPT))
		return false;
	close_file(sink);
	return open_file(sink) && fstat(sink->fd, file) == 0;
}

static bool write_once(struct event_sink *sink, const char *line, size_t octets)
{
	ssize_t written = write(sink->fd, line, octets);
	if (written == (ssize_t)octets) {
		sink->is_torn = false;
		return true;
	}
	sink->is_torn |= written > 0;
	if (written >= 0)
		errno = ENOSPC;
	return false;
}

static bool write_file(struct event_sink *sink, const char *line, size_t octets)
{
	struct stat before;
	if (!prepare_file(sink, &before, octets))
		return false;
	if (write_once(sink, line, octets))
		return true;
	int cause = errno;
	if (sink->is_torn && S_ISREG(before.st_mode) && ftruncate(sink->fd, before.st_size) == 0)
		sink->is_torn = false;
	if (cause == EPIPE || cause == EIO)
		close_file(sink);
	errno = cause;
	return false;
}

/*
 * Others share this descriptor, so O_NONBLOCK is not ours to set; see log.c. What a pipe has room for when it says so is
 * PIPE_BUF: a line on Linux, 512 octets on macOS.
 */
static bool write_stderr(struct event_sink *sink, const char *line, size_t octets)
{
	for (size_t at = 0; at < octets; at += PIPE_BUF) {
		struct pollfd room = { .fd = sink->fd, .events = POLLOUT };
		size_t part = octets - at < PIPE_BUF ? octets - at : PIPE_BUF;
		bool has_room = poll(&room, 1, 0) == 1 && (room.revents & (POLLOUT | POLLNVAL)) != 0;
		if (!has_room)
			errno = EAGAIN;
		if (!has_room || !write_once(sink, line + at, part)) {
			sink->is_torn |= at > 0;
			return false;
		}
	}
	return true;
}

/* The system's log */

/* Not syslog(3), which waits for a log that does not read. */
static bool connect_log(struct event_sink *sink)
{
	struct sockaddr_un name;
	struct error unused;
	sink->fd = unix_socket(SOCK_DGRAM);
	if (sink->fd >= 0 && unix_address(&name, sink->path, strlen(sink->path), &unused) &&
	    connect(sink->fd, (const struct sockaddr *)&name, sizeof name) == 0) {
		enlarge_buffers(sink->fd); /* on macOS a datagram has 2048 octets else, and a line may have more */
		return true;
	}
	int cause = errno;
	close_file(sink);
	errno = cause;
	return false;
}

static bool send_datagram(struct event_sink *sink, const char *text, size_t octets)
{
	if (sink->fd < 0 && !connect_log(sink))
		return false;
	if (send(sink->fd, text, octets, MSG_DONTWAIT) == (ssize_t)octets)
		return true;
	int cause = errno;
	if (!means_full(cause))
		close_file(sink);
	errno = cause;
	return false;
}

/* RFC 3164: facility "daemon" and severity, the local time, the program; without the host's name, as on this socket. */
static bool write_log(struct event_sink *sink, const char *line, size_t octets, bool is_warning)
{
	enum { DAEMON = 3 << 3, WARNING = 4, INFORMATIONAL = 6 };
	char text[EVENT_LINE_MAX + 64], stamp[32] = "";
	struct tm tm;
	time_t seconds = (time_t)(wall_clock_ms() / 1000);
	if (localtime_r(&seconds, &tm))
		strftime(stamp, sizeof stamp, "%b %e %H:%M:%S ", &tm);
	int length = snprintf(text, sizeof text, "<%d>%ssoftnet[%ld]: %.*s",
			      DAEMON | (is_warning ? WARNING : INFORMATIONAL), stamp, (long)getpid(), (int)octets - 1,
			      line);
	bool was_connected = sink->fd >= 0;
	if (send_datagram(sink, text, (size_t)length))
		return true;
	return was_connected && sink->fd < 0 && send_datagram(sink, text, (size_t)length); /* it was started again */
}

/* All of them */

bool open_event_sink(struct event_sink *sink, const char *name, struct error *error)
{
	*sink = (struct event_sink){ .kind = SINK_FILE, .path = name, .fd = -1 };
	if (strcmp(name, "stderr") == 0) {
		sink->kind = SINK_STDERR;
		sink->fd = log_fd();
		return true;
	}
	if (strcmp(name, "syslog") == 0) {
		sink->kind = SINK_SYSLOG;
		sink->path = platform_log_socket;
		sink->has_warned = !connect_log(sink);
		if (sink->has_warned)
			warning("--events: syslog: nobody is at %s: %s; trying again with each event", sink->path,
				strerror(errno));
		return true;
	}
	if (open_file(sink) || (errno == ENXIO && is_fifo(name)))
		return true;
	return refuse(error, "--events: %s: cannot be written: %s", name,
		      errno == ELOOP ? "it is a symbolic link" : strerror(errno));
}

/* One that another process has open is closed there. */
void close_event_sink(struct event_sink *sink)
{
	if (!sink->queue)
		close_file(sink);
}

void forget_event_sink(struct event_sink *sink)
{
	if (sink->kind == SINK_FILE)
		sink->fd = -1;
}

static bool write_somewhere(struct event_sink *sink, const char *line, size_t octets, bool is_warning)
{
	char behind_a_part[EVENT_LINE_MAX + 1] = "\n";
	if (sink->kind == SINK_SYSLOG)
		return write_log(sink, line, octets, is_warning);
	if (sink->is_torn) {
		memcpy(behind_a_part + 1, line, octets);
		line = behind_a_part;
		octets++;
	}
	return sink->kind == SINK_STDERR ? write_stderr(sink, line, octets) : write_file(sink, line, octets);
}

static void lose_line(struct event_sink *sink, const char *why)
{
	add_shared(&sink->lost, 1);
	if (!sink->has_warned && sink->kind != SINK_STDERR)
		warning("--events: %s: an event is lost: %s; more may be, and guard.status counts them", sink->path, why);
	sink->has_warned = true;
}

static void take_line(void *object, const uint8_t *line, size_t octets)
{
	if (!write_somewhere(object, (const char *)line, octets, false))
		lose_line(object, strerror(errno));
}

void write_event(struct event_sink *sink, const char *line, size_t octets, bool is_warning)
{
	if (octets >= EVENT_LINE_MAX)
		lose_line(sink, "it is too long, or there is no memory for it");
	else if (!sink->queue && !write_somewhere(sink, line, octets, is_warning))
		lose_line(sink, strerror(errno));
	else if (sink->queue &&
		 !defer(sink->queue,
			&(struct deferred){
			    .run = take_line, .object = sink, .name = sink->path, .parts = { { line, octets } } }))
		lose_line(sink, "its disk does not keep pace, or does not answer");
}
