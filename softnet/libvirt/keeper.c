/* Guards that outlive the hook. Nothing here waits for a guard, or for the log. */
#include "softnet/libvirt/keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "softnet/libvirt/closed.h"
#include "softnet/libvirt/guard.h"
#include "softnet/libvirt/record.h"
#include "softnet/libvirt/tap.h"
#include "system/clock.h"

enum { PATIENCE_MS = 120 * 1000 }; /* the first guard of a host has the kernel check its programs */

static struct guard guards[PORTS_MAX];
static uint32_t guard_count;
static bool starts_again; /* not while the domain waits for all of them */

static void reap(void)
{
	pid_t pid;
	int status;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (uint32_t i = 0; i < guard_count; i++)
			if (guards[i].pid == pid)
				end_guard(&guards[i], status);
}

/* False: somebody wants this process to end. */
static bool take_signals(int signals)
{
	struct signalfd_siginfo arrived;
	while (read(signals, &arrived, sizeof arrived) == (ssize_t)sizeof arrived)
		if (arrived.ssi_signo != SIGCHLD)
			return false;
	reap();
	return true;
}

/* Waits for one of them, and no longer than until `deadline_ms`. False: it is to end. */
static bool take_turn(int signals, uint64_t deadline_ms)
{
	struct pollfd fds[1 + 2 * PORTS_MAX] = { { .fd = signals, .events = POLLIN } };
	for (uint32_t i = 0; i < guard_count; i++) {
		fds[1 + 2 * i] = (struct pollfd){ .fd = guards[i].control, .events = POLLIN };
		fds[2 + 2 * i] = (struct pollfd){ .fd = guards[i].lines, .events = POLLIN };
		deadline_ms = starts_again && guards[i].again_ms < deadline_ms ? guards[i].again_ms : deadline_ms;
	}
	uint64_t now_ms = clock_ms();
	int wait_ms = deadline_ms <= now_ms ? 0 : deadline_ms - now_ms < INT32_MAX ? (int)(deadline_ms - now_ms) : -1;
	if (poll(fds, 1 + 2 * guard_count, wait_ms) < 0)
		return true;
	for (uint32_t i = 0; i < guard_count; i++) {
		if (fds[1 + 2 * i].revents != 0)
			hear_guard(&guards[i]);
		if (fds[2 + 2 * i].revents != 0)
			read_lines(&guards[i]);
	}
	bool goes_on = fds[0].revents == 0 || take_signals(signals);
	for (uint32_t i = 0; i < guard_count; i++)
		if (starts_again && guards[i].again_ms <= clock_ms())
			start_guard(&guards[i]);
	return goes_on;
}

static bool are_all_gone(void)
{
	for (uint32_t i = 0; i < guard_count; i++)
		if (guards[i].pid > 0 || guards[i].again_ms != NEVER_MS)
			return false;
	return true;
}

static void add_guard(const struct port_wanted *port)
{
	struct guard *guard = &guards[guard_count++];
	*guard = (struct guard){ .port = port, .number = if_nametoindex(port->interface), .control = -1, .lines = -1 };
	start_guard(guard);
}

static bool note_port(const struct port_wanted *port, int record, bool is_guarded, struct error *error)
{
	return record_port(record, port->interface, if_nametoindex(port->interface), is_guarded) ||
	       report_failure(error, "%s: cannot be written to /run/softnet/libvirt: %s", port->interface,
			      strerror(errno));
}

/* What came before it was judged by nobody, and must not reach the guest. */
static bool finish_port(const struct guard *guard, int record, struct error *error)
{
	if (!guard->is_ready)
		return report_failure(error, "%s: %s", guard->port->interface,
				      guard->pid > 0 ? "its guard does not answer" : guard->last);
	return note_port(guard->port, record, true, error) && empty_tap(guard->port->interface, error) &&
	       open_port(guard->port->interface, guard->number, error);
}

/*
 * One after the other. False: the last one does not stand. Each is in the record before its guard starts: when this process
 * is killed, the next call of the hook finds what there is.
 */
static bool start_all(const struct domain *domain, int signals, int record, struct error *error)
{
	bool stands = true;
	for (uint32_t i = 0; i < domain->port_count && stands; i++) {
		const struct guard *guard = &guards[guard_count];
		uint64_t deadline_ms = clock_ms() + PATIENCE_MS;
		if (!note_port(&domain->ports[i], record, false, error))
			return false;
		add_guard(&domain->ports[i]);
		while (guard->pid > 0 && !guard->is_ready && clock_ms() < deadline_ms && take_turn(signals, deadline_ms))
			;
		stands = finish_port(guard, record, error);
		if (!stands && guard->pid > 0)
			kill(guard->pid, SIGKILL);
	}
	return stands;
}

/* Nothing of libvirt's stays open, or it would wait. */
static void leave_caller(int keep)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	setsid();
	if (chdir("/") < 0)
		_exit(EXIT_RUNTIME);
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	fcntl(keep, F_SETFD, FD_CLOEXEC);
}

static int claim_signals_here(void)
{
	sigset_t wanted;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGINT);
	sigprocmask(SIG_SETMASK, &wanted, NULL);
	return signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* False: nobody hears it, because the hook was killed. */
static bool say(int report, const char *text)
{
	bool is_heard = write(report, text, strlen(text)) > 0;
	close(report);
	return is_heard;
}

/* A domain that starts was refused then, and its end was told already, perhaps when it had no record yet. */
static bool is_refused(const struct domain *domain, bool is_fatal, bool is_heard)
{
	return is_fatal && !is_heard && strcmp(domain->record, domain->uuid) == 0;
}

static _Noreturn void keep(const struct domain *domain, bool is_fatal, int report)
{
	struct error error = { 0 };
	leave_caller(report);
	int signals = claim_signals_here(), record = open_record(domain->record, &error);
	bool stands = record >= 0 && (!is_fatal || start_all(domain, signals, record, &error));
	for (uint32_t i = 0; i < domain->port_count && stands && !is_fatal; i++)
		add_guard(&domain->ports[i]);
	if (is_refused(domain, is_fatal, say(report, stands ? "." : error.text))) {
		undo_own_record(domain->record, record);
		_exit(EXIT_RUNTIME);
	}
	starts_again = true;
	while (stands && !are_all_gone() && take_turn(signals, NEVER_MS))
		;
	_exit(EXIT_OK);
}

/* "." or what is wrong; nothing where the process has died. */
static bool hear_keeper(int report, struct error *error)
{
	char text[sizeof error->text] = "";
	size_t length = 0;
	ssize_t n;
	while (length + 1 < sizeof text && (n = read(report, text + length, sizeof text - 1 - length)) != 0)
		if (n > 0)
			length += (size_t)n;
		else if (errno != EINTR)
			break;
	return strcmp(text, ".") == 0 ||
	       report_failure(error, "%s", text[0] != '\0' ? text : "the process that was to keep its guards has died");
}

bool start_keeper(const struct domain *domain, bool is_fatal, struct error *error)
{
	int report[2];
	pid_t child = pipe(report) == 0 ? fork() : -1;
	if (child < 0)
		return report_failure(error, "cannot start a process: %s", strerror(errno));
	if (child == 0) {
		close(report[0]);
		keep(domain, is_fatal, report[1]);
	}
	close(report[1]);
	bool stands = hear_keeper(report[0], error);
	close(report[0]);
	while (!stands && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		; /* a guard of its that starts has its signal then */
	return stands;
}
