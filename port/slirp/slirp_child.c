/* The keeper: starts the process in which libslirp runs, and starts another when that one dies. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "port/io.h"
#include "port/slirp/slirp_connect.h"
#include "port/slirp/slirp_library.h"
#include "system/log.h"

enum { FRAMES_FD = 3, CONTROL_FD = 4, FIRST_OTHER_FD = 5, GOOD_RUN_MS = 10000, LINKS_MAX = 8 };

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* No worker writes meanwhile. Where it does not fit, the next hello says the same. */
static void tell_end(int control, const char *cause)
{
	struct slirp_message m = { .word = SLIRP_ENDED };
	copy_text(m.cause, sizeof m.cause, cause);
	struct iovec part = { &m, sizeof m };
	(void)!stream_write(control, &part, 1);
}

/* Nothing of the judge's but its standard error and our two sockets. */
static struct slirp_child keep_only_ours(const struct slirp_child *given)
{
	struct slirp_child child = *given;
	log_by_stderr(); /* its own number is about to be ours */
	int frames = fcntl(given->frames, F_DUPFD, 16), control = fcntl(given->control, F_DUPFD, 16);
	int null = open("/dev/null", O_RDWR);
	if (frames < 0 || control < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(frames, FRAMES_FD) < 0 || dup2(control, CONTROL_FD) < 0) {
		tell_end(control < 0 ? given->control : control, strerror(errno));
		_exit(1);
	}
	close_from(FIRST_OTHER_FD);
	child.frames = FRAMES_FD;
	child.control = CONTROL_FD;
	return child;
}

/* The keys that end the judge reach the whole process group; we end when the judge has, and not before. */
static void settle_signals(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	sigset_t none;
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The last line that the worker wrote to its standard error, which is all that glib says of why it gives up. */
struct last_words {
	char line[100];
	size_t length;
	bool ended;
};

static void hear(struct last_words *words, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\0')
			continue; /* it lives */
		if (words->ended && text[i] != '\n')
			*words = (struct last_words){ 0 };
		if (text[i] == '\n')
			words->ended = true;
		else if (words->length < sizeof words->line - 1)
			words->line[words->length++] = isprint((unsigned char)text[i]) ? text[i] : '?';
	}
}

static bool judge_is_gone(int control, int wait_ms)
{
	struct pollfd p = { .fd = control, .events = POLLHUP }; /* macOS tells it only to a caller that asks */
	return poll(&p, 1, wait_ms) > 0 && (p.revents & (POLLHUP | POLLERR));
}

/* Reads the worker's last words until it ends. False: it hangs. A keeper that was stopped itself counts that as one turn. */
static bool watch_over(const struct slirp_child *child, int errors, int questions, struct last_words *words)
{
	for (int silent = 0; silent < SLIRP_BEATS_MISSED;) {
		char text[512];
		struct pollfd fds[] = { { .fd = errors, .events = POLLIN },
					{ .fd = child->control, .events = POLLHUP },
					{ .fd = questions, .events = POLLIN } };
		int n_ready = poll(fds, 3, SLIRP_BEAT_MS);
		silent = n_ready == 0 ? silent + 1 : silent;
		if (n_ready <= 0)
			continue;
		if (fds[1].revents & (POLLHUP | POLLERR))
			return true;
		if (fds[2].revents && !answer_worker(questions, child))
			questions = -1; /* its last words are still to come */
		if (!fds[0].revents)
			continue;
		silent = 0;
		ssize_t n = read(errors, text, sizeof text);
		if (n > 0)
			hear(words, text, (size_t)n);
		else if (n == 0 || errno != EINTR)
			return true;
	}
	return false;
}

static void describe_end(int status, const struct last_words *words, char *cause, size_t size)
{
	snprintf(cause, size, "%s %d%s%s", WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), words->length ? ": " : "", words->line);
}

/* Runs one worker to its end. */
static void run_worker(const struct slirp_child *child, uint32_t generation, char *cause, size_t size)
{
	int errors[2], questions[2], status = 0, keeper = getpid();
	struct last_words words = { 0 };
	char before[sizeof(((struct slirp_message *)0)->cause)];

	copy_text(before, sizeof before, cause);
	copy_text(cause, size, "it could not be started");
	if (pipe(errors) < 0)
		return;
	if (!open_questions(child, questions)) {
		close(errors[0]);
		close(errors[1]);
		return;
	}
	pid_t worker = fork();
	if (worker == 0) {
		end_with_parent();
		if (getppid() != keeper)
			_exit(1);
		close(errors[0]);
		if (dup2(errors[1], 2) < 0)
			_exit(1);
		close(errors[1]);
		close(questions[0]);
		ask_keeper_to_connect(questions[1]);
		slirp_work(child, 2, generation, before);
	}
	close(errors[1]);
	close(questions[1]);
	if (worker > 0) {
		bool hangs = !watch_over(child, errors[0], questions[0], &words);
		kill(worker, SIGKILL); /* a stopped one, too */
		while (waitpid(worker, &status, 0) < 0 && errno == EINTR)
			;
		describe_end(status, &words, cause, size);
		if (hangs)
			snprintf(cause, size, "no sign of life for %d s", SLIRP_BEATS_MISSED * SLIRP_BEAT_MS / 1000);
	}
	close(errors[0]);
	close(questions[0]);
}

/* Takes off the last part. */
static void cut_last(char *path)
{
	char *slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
}

/* Where a link leads to that stands at this path, without "." and "..", and without asking what other links there are. */
static void follow_link(char *path, size_t size, char *link)
{
	char *rest = link;
	cut_last(path);
	if (link[0] == '/')
		path[0] = '\0';
	for (char *part = strsep(&rest, "/"); part; part = strsep(&rest, "/")) {
		size_t length = strlen(path);
		if (strcmp(part, "..") == 0)
			cut_last(path);
		else if (part[0] != '\0' && strcmp(part, ".") != 0)
			snprintf(path + length, size - length, "/%s", part);
	}
}

static void keep_folder(struct sandbox_wish *wish, const char *file)
{
	static char folders[1 + LINKS_MAX][PATH_MAX];
	static int count;
	char *folder = folders[count];
	copy_text(folder, PATH_MAX, file);
	cut_last(folder);
	if (folder[0] == '\0')
		return;
	count++;
	wish->paths[wish->path_count++] = (struct sandbox_path){ folder, -1, SANDBOX_READ };
}

/*
 * libslirp reads again who resolves names, whenever that file is new. Another one may take its place in its folder. The
 * folders that links on the way there name are kept by these names.
 */
static void keep_resolvers(struct sandbox_wish *wish)
{
	char path[PATH_MAX] = "/etc/resolv.conf", link[PATH_MAX];
	wish->paths[wish->path_count++] = (struct sandbox_path){ "/etc", -1, SANDBOX_READ };
	wish->paths[wish->path_count++] = (struct sandbox_path){ "/dev/urandom", -1, SANDBOX_READ };
	if (realpath(path, link))
		keep_folder(wish, link);
	for (int i = 0; i < LINKS_MAX; i++) {
		ssize_t length = readlinkat(AT_FDCWD, path, link, sizeof link - 1);
		if (length <= 0)
			return;
		link[length] = '\0';
		follow_link(path, sizeof path, link);
		keep_folder(wish, path);
	}
}

/* The guard has said already what cannot be had. */
void slirp_enter_sandbox(const struct slirp_child *child, enum sandbox_purpose purpose)
{
	static struct sandbox_wish wish;
	struct sandbox unused;
	if (child->sandbox_off)
		return;
	if (purpose == FOR_SLIRP_KEEPER)
		keep_resolvers(&wish);
	enter_sandbox(purpose, &wish, &unused);
}

void slirp_keep(const struct slirp_child *given, int parent)
{
	char cause[sizeof(((struct slirp_message *)0)->cause)] = "";
	struct backoff backoff = { 0 };

	end_with_parent();
	if (getppid() != parent && getppid() != 0) /* 0: it is in another namespace */
		_exit(1); /* it ended before we could ask to be told. Else the control socket tells */
	settle_signals();
	struct slirp_child child = keep_only_ours(given);
	name_process("softnet-keeper");
	give_up_privileges_for_good();
	const char *why = load_slirp();
	if (why) {
		tell_end(child.control, why);
		_exit(1);
	}
	slirp_enter_sandbox(&child, FOR_SLIRP_KEEPER);

	for (uint32_t generation = 1;; generation++) {
		uint64_t started = now_ms();
		run_worker(&child, generation, cause, sizeof cause);
		tell_end(child.control, cause);
		uint64_t ended = now_ms();
		if (ended - started >= GOOD_RUN_MS)
			backoff = (struct backoff){ 0 };
		backoff_failed(&backoff, ended);
		if (judge_is_gone(child.control, (int)(backoff.next_ms - ended)))
			_exit(0);
	}
}
