/*
 * softnet watch. Once a second all guards are asked and the screen is made anew, as a whole and in one piece. What was
 * drawn before is still on its way on a slow line: then nothing new is drawn, and nothing piles up.
 */
#include "softnet/look/watch.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "system/clock.h"
#include "system/log.h"
#include "system/process/privileges.h"
#include "system/process/signals.h"
#include "softnet/look/watch_screen.h"

enum { PERIOD_MS = 1000, TIMEOUT_MS = 1000 };

struct watch {
	const struct options *options;
	struct terminal terminal;
	struct guard_list list, before;
	struct scene scene;
	uint64_t next_ms;
	bool has_screen, is_new; /* there is something to draw */
	bool has_shown;          /* a guard */
};

static void refresh(struct watch *watch)
{
	struct guard_list list;
	struct error unused;
	int until[2] = { signal_fd(), watch->terminal.key_fd };
	uint64_t now_ms = clock_ms();
	if (!ask_guards(watch->options, &list, TIMEOUT_MS, until, &unused))
		return;
	watch->next_ms = list.is_whole ? now_ms + PERIOD_MS : now_ms;
	if (!list.is_whole) { /* a key or a signal comes first */
		forget_guards(&list);
		return;
	}
	forget_guards(&watch->before);
	watch->before = watch->list;
	watch->list = list;
	watch->has_shown |= list.count > 0;
	watch->is_new = true;
	if (watch->has_screen)
		note_change(&watch->scene, &watch->before, &watch->list, now_ms);
}

static void draw(struct watch *watch)
{
	if (!watch->is_new || is_busy(&watch->terminal))
		return;
	watch->is_new = false;
	measure_terminal(&watch->terminal);
	draw_screen(&watch->terminal,
		    compose_screen(&watch->scene, &watch->list, watch->terminal.rows, watch->terminal.columns));
}

/* Ctrl-Z: the terminal is the shell's until we are in front again; to go on behind it would spoil its screen. */
static void pause_here(struct watch *watch)
{
	struct pollfd signals = { .fd = signal_fd(), .events = POLLIN };
	if (watch->has_screen)
		leave_screen(&watch->terminal);
	do
		raise(SIGSTOP);
	while (watch->has_screen && !has_terminal(&watch->terminal) && poll(&signals, 1, 0) == 0);
	if (!watch->has_screen || !has_terminal(&watch->terminal))
		return;
	enter_screen(&watch->terminal);
	watch->is_new = true;
}

/* False: it was asked to end. */
static bool handle_signals(struct watch *watch)
{
	struct arrived_signal arrived;
	while (next_signal(&arrived)) {
		if (arrived.number == SIGINT || arrived.number == SIGTERM || arrived.number == SIGHUP ||
		    arrived.number == SIGQUIT)
			return false;
		if (arrived.number == SIGTSTP)
			pause_here(watch);
		watch->is_new |= arrived.number == SIGWINCH && watch->has_screen;
	}
	return true;
}

/* A hang-up of either end tells itself without being asked for. */
static bool await(struct watch *watch)
{
	enum { SIGNALS, KEYS, OUTPUT, SOURCES };
	uint64_t now_ms = clock_ms();
	char key = '\0';
	struct pollfd fds[SOURCES] = {
		[SIGNALS] = { .fd = signal_fd(), .events = POLLIN },
		[KEYS] = { .fd = watch->terminal.key_fd, .events = POLLIN },
		[OUTPUT] = { .fd = watch->has_screen ? watch->terminal.fd : STDOUT_FILENO,
			     .events = watch->has_screen && is_busy(&watch->terminal) ? POLLOUT : 0 },
	};
	if (poll(fds, SOURCES, watch->next_ms > now_ms ? (int)(watch->next_ms - now_ms) : 0) < 0)
		return errno == EINTR;
	if ((fds[SIGNALS].revents != 0 && !handle_signals(watch)) ||
	    (fds[OUTPUT].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
		return false;
	if (fds[KEYS].revents != 0 &&
	    (!read_key(&watch->terminal, &key) || (fds[KEYS].revents & (POLLERR | POLLHUP)) != 0))
		return false;
	return key != 'q' && key != 'Q';
}

static bool turn(struct watch *watch)
{
	if (clock_ms() >= watch->next_ms)
		refresh(watch);
	if (watch->has_screen) {
		draw(watch);
		if (!write_screen(&watch->terminal))
			return false;
	} else if (watch->is_new) {
		watch->is_new = false;
		if (!write_changes(&watch->before, &watch->list))
			return false;
	}
	return await(watch);
}

int watch_guards(const struct options *options, struct error *error)
{
	static struct watch watch;
	if (!become_caller())
		die("cannot become its caller again: %s", strerror(errno));
	if (!ask_guards(options, &watch.list, TIMEOUT_MS, NULL,
			error)) /* what is wrong with the options is told on no screen */
		return EXIT_USAGE;
	if (watch.list.count == 0 && (options->name || options->control_path)) {
		tell_silent(&watch.list); /* a name that is wrong would be waited for without end */
		tell_nothing(options);
		forget_guards(&watch.list);
		return EXIT_RUNTIME;
	}
	watch.options = options;
	watch.has_shown = watch.list.count > 0;
	watch.is_new = true;
	watch.next_ms = clock_ms() + PERIOD_MS;
	watch.scene.name = options->name;
	watch.has_screen = open_terminal(&watch.terminal);
	claim_signals();
	claim_signal(SIGWINCH);
	claim_signal(SIGTSTP);
	if (watch.has_screen)
		enter_screen(&watch.terminal);
	while (turn(&watch))
		;
	leave_screen(&watch.terminal);
	forget_guards(&watch.list);
	forget_guards(&watch.before);
	return watch.has_shown ? EXIT_OK : EXIT_RUNTIME;
}
