/*
 * The processes have what they write to, one socket to the guard, and standard error. The guard keeps its right to the files: if
 * one of the processes dies, it goes on without.
 */
#include "softnet/methods/files_aside.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "port/io.h"
#include "softnet/guard/rules_in_force.h"
#include "system/log.h"
#include "system/process/signals.h"
#include "system/sandbox/sandbox.h"

enum { OPEN_MAX = EVENT_FILES_MAX + 2 };

static wish_maker *make_wish;

/* What is open of the files of one of them. */
struct open_files {
	int *fds[OPEN_MAX];
	size_t count;
};

static const struct open_files none;

static void add_open(struct open_files *files, int *fd)
{
	if (*fd >= 0)
		files->fds[files->count++] = fd;
}

static bool is_kept(int fd, const struct open_files *files, int socket)
{
	for (size_t i = 0; i < files->count; i++)
		if (*files->fds[i] == fd)
			return true;
	return fd == socket || fd == log_fd();
}

/* Nobody at the other end of a port, or of a lock, is to wait for a disk. */
static void keep_only(const struct open_files *files, int socket)
{
	int highest = socket;
	for (size_t i = 0; i < files->count; i++)
		highest = *files->fds[i] > highest ? *files->fds[i] : highest;
	highest = log_fd() > highest ? log_fd() : highest;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
		_exit(1); /* else the guest may stand at one of them */
	for (int fd = 3; fd < highest; fd++)
		if (!is_kept(fd, files, socket))
			close(fd);
	close_from(highest + 1);
}

static _Noreturn void work(const struct relay *r, struct deferred_queue *queue, const struct open_files *files,
			   int socket, int parent)
{
	struct sandbox sandbox;
	end_with_parent();
	if (getppid() != parent)
		_exit(1);
	leave_signals_to_parent();
	keep_only(files, socket);
	fcntl(socket, F_SETFL, 0); /* it waits */
	name_process("softnet-files");
	give_up_privileges_for_good();
	if (!r->options->sandbox_off)
		enter_sandbox(FOR_FILES, make_wish(r->options), &sandbox);
	if (!r->options->sandbox_off && !sandbox.has_calls)
		warning("sandbox: a process that writes files: %s", sandbox.missing);
	serve_deferred(queue, socket);
}

/* NULL: there is none, and why is told. The guard's own descriptors of the files are closed. */
static struct deferred_queue *start(struct relay *r, const struct open_files *files, void (*forget)(void *))
{
	int pair[2], parent = getpid();
	struct deferred_queue *queue = make_deferred_queue(forget, r);
	if (!queue || !unix_pair(SOCK_STREAM, pair)) {
		warning("no process to write files: %s; frames wait for the disk", strerror(errno));
		return NULL;
	}
	pid_t pid = fork();
	if (pid == 0)
		work(r, queue, files, pair[1], parent);
	int cause = errno;
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		warning("no process to write files: %s; frames wait for the disk", strerror(cause));
		return NULL;
	}
	for (size_t i = 0; i < files->count; i++)
		close(*files->fds[i]);
	hand_deferred_to(queue, pair[0]);
	return queue;
}

static void forget_state(void *context)
{
	struct relay *r = context;
	forget_state_file(r->file);
}

static void forget_others(void *context)
{
	struct relay *r = context;
	if (r->capture->path)
		forget_capture(r->capture);
	for (uint32_t i = 0; i < r->announcer.sink_count; i++)
		forget_event_sink(&r->announcer.sinks[i]);
}

static void forget_policy(void *context)
{
	forget_reading(context);
}

/* It is still open here. */
static void forget_log(void *context)
{
	(void)context;
}

static void start_for_state(struct relay *r)
{
	struct open_files files = { .count = 0 };
	add_open(&files, &r->file->fd);
	r->state_queue = r->file->queue = start(r, &files, forget_state);
}

static void start_for_others(struct relay *r)
{
	struct open_files files = { .count = 0 };
	bool is_wanted = r->capture->path || r->metrics->path;
	if (r->capture->path)
		add_open(&files, &r->capture->fd);
	for (uint32_t i = 0; i < r->announcer.sink_count; i++) {
		struct event_sink *sink = &r->announcer.sinks[i];
		is_wanted |= sink->kind == SINK_FILE;
		if (sink->kind == SINK_FILE)
			add_open(&files, &sink->fd);
	}
	if (!is_wanted)
		return;
	r->queue = r->capture->queue = r->metrics->queue = start(r, &files, forget_others);
	for (uint32_t i = 0; i < r->announcer.sink_count; i++)
		if (r->announcer.sinks[i].kind == SINK_FILE)
			r->announcer.sinks[i].queue = r->queue;
}

/* A log that hangs must not keep back what is said of other files, nor the other way round. */
static void start_for_log(struct relay *r)
{
	r->log_queue = start(r, &none, forget_log);
	for (uint32_t i = 0; i < r->announcer.sink_count; i++)
		if (r->announcer.sinks[i].kind == SINK_STDERR)
			r->announcer.sinks[i].queue = r->log_queue;
}

void start_files_aside(struct relay *r, wish_maker *wish)
{
	make_wish = wish;
	if (r->file->path)
		start_for_state(r);
	start_for_others(r);
	if (r->reading)
		r->policy_queue = start(r, &none, forget_policy);
	if (log_is_file())
		start_for_log(r);
}

/* Lines of the log */

static struct deferred_queue *log_queue;

static void write_taken_line(void *unused, const uint8_t *line, size_t octets)
{
	(void)unused;
	write_log_line((const char *)line, octets);
}

static bool take_log_line(const char *line, size_t octets, int patience_ms)
{
	return defer(log_queue,
		     &(struct deferred){ .run = write_taken_line, .name = "the log", .parts = { { line, octets } } }) &&
	       (patience_ms == 0 || await_deferred(log_queue, patience_ms));
}

void log_aside(struct relay *r)
{
	log_queue = r->log_queue;
	if (log_queue)
		hand_log_to(take_log_line);
}
