/* Where lines of events go: whole ones only, never waiting, whatever the other end does. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "softnet/events/event_sinks.h"
#include "system/files/rotation.h"
#include "system/process/signals.h"

#include <cmocka.h>

#define LINE "{\"event\":\"x\"}\n"
enum { LINE_OCTETS = sizeof LINE - 1 };

static char folder[64], path[96], moved[96], text[1 << 17];
static int real_stderr;

static void write_line(struct event_sink *sink)
{
	write_event(sink, LINE, LINE_OCTETS, false);
}

static const char *content(const char *name)
{
	FILE *file = fopen(name, "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	return text;
}

static void put(const char *name, const char *words)
{
	FILE *file = fopen(name, "w");
	assert_non_null(file);
	assert_true(fputs(words, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int set_up(void **unused)
{
	(void)unused;
	strcpy(folder, "/tmp/test_event_sinks.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/events", folder);
	snprintf(moved, sizeof moved, "%s/events.1", folder);
	real_stderr = dup(STDERR_FILENO);
	alarm(20); /* what waits without end must not pass */
	return 0;
}

static int tear_down(void **unused)
{
	char command[128];
	(void)unused;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static struct event_sink opened(const char *name)
{
	struct event_sink sink;
	struct error error;
	assert_true(open_event_sink(&sink, name, &error));
	return sink;
}

static void a_file_is_added_to(void **unused)
{
	struct stat file;
	(void)unused;
	for (int i = 0; i < 2; i++) {
		struct event_sink sink = opened(path);
		write_line(&sink);
		close_event_sink(&sink);
	}
	assert_string_equal(content(path), LINE LINE);
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(file.st_mode & 07777, 0600);
}

static void what_is_no_file_is_refused(void **unused)
{
	struct event_sink sink;
	struct error error;
	char link_path[128];
	(void)unused;
	snprintf(link_path, sizeof link_path, "%s/link", folder);
	assert_int_equal(symlink(path, link_path), 0);
	assert_false(open_event_sink(&sink, link_path, &error));
	assert_non_null(strstr(error.text, "it is a symbolic link"));
	assert_int_equal(access(path, F_OK), -1);
	assert_false(open_event_sink(&sink, folder, &error));
	assert_non_null(strstr(error.text, folder));
	assert_false(open_event_sink(&sink, "/nowhere/at/all", &error));

	struct sockaddr_un name = { .sun_family = AF_UNIX };
	snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
	assert_false(open_event_sink(&sink, path, &error)); /* ENXIO, as of a FIFO without a reader */
	close(fd);
}

static void half_a_line_is_ended(void **unused)
{
	(void)unused;
	put(path, LINE "{\"eve");
	struct event_sink sink = opened(path);
	write_line(&sink);
	write_line(&sink);
	close_event_sink(&sink);
	assert_string_equal(content(path), LINE "{\"eve\n" LINE LINE);
}

static void a_full_disk(void **unused)
{
	const rlim_t rooms[] = { LINE_OCTETS, LINE_OCTETS + LINE_OCTETS / 2 }; /* for nothing more, or for half a line */
	struct rlimit before, small;
	(void)unused;
	claim_signals(); /* SIGXFSZ would be the end */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	int quiet = open("/dev/null", O_WRONLY);
	dup2(quiet, STDERR_FILENO); /* the warning */
	close(quiet);
	for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
		struct event_sink sink = opened(path);
		small = before;
		small.rlim_cur = rooms[i];
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
		for (int line = 0; line < 4; line++)
			write_line(&sink);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		assert_int_equal(sink.lost, 3);
		assert_string_equal(content(path), LINE); /* nothing of the others */
		write_line(&sink);
		assert_string_equal(content(path), LINE LINE);
		assert_int_equal(sink.lost, 3);
		close_event_sink(&sink);
		unlink(path);
	}
	restore_signals();
}

static void a_device_without_room(void **unused)
{
	(void)unused;
	struct event_sink sink = opened("/dev/full");
	FILE *said = tmpfile();
	dup2(fileno(said), STDERR_FILENO);
	for (int i = 0; i < 3; i++)
		write_line(&sink);
	dup2(real_stderr, STDERR_FILENO);
	rewind(said);
	text[fread(text, 1, sizeof text - 1, said)] = '\0';
	fclose(said);
	assert_int_equal(sink.lost, 3);
	assert_string_equal(text,
			    "softnet: --events: /dev/full: an event is lost: No space left on device; more may be, and "
			    "guard.status counts them\n");
	close_event_sink(&sink);
}

static void a_file_is_kept_small(void **unused)
{
	struct stat file;
	char third[128];
	(void)unused;
	snprintf(third, sizeof third, "%s/events.2", folder);
	put(moved, "older\n");
	struct event_sink sink = opened(path);
	assert_int_equal(truncate(path, EVENT_FILE_MAX - 2 * LINE_OCTETS), 0);
	for (int i = 0; i < 2; i++)
		write_line(&sink);
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(file.st_size, EVENT_FILE_MAX);
	write_line(&sink);
	assert_string_equal(content(path), LINE);
	assert_int_equal(stat(moved, &file), 0);
	assert_int_equal(file.st_size, EVENT_FILE_MAX);
	assert_int_equal(access(third, F_OK), -1);
	assert_int_equal(sink.lost, 0);
	close_event_sink(&sink);
}

static void a_file_that_cannot_be_put_aside(void **unused)
{
	struct stat file;
	(void)unused;
	assert_int_equal(mkdir(moved, 0700), 0);
	struct event_sink sink = opened(path);
	assert_int_equal(truncate(path, EVENT_FILE_MAX), 0);
	sink.has_warned = true;
	write_line(&sink);
	assert_int_equal(stat(path, &file), 0);
	assert_int_equal(file.st_size, EVENT_FILE_MAX);
	assert_int_equal(sink.lost, 1);
	assert_int_equal(rmdir(moved), 0);
	write_line(&sink);
	assert_string_equal(content(path), LINE);
	close_event_sink(&sink);
}

static void others_move_the_file(void **unused)
{
	(void)unused;
	struct event_sink sink = opened(path);
	write_line(&sink);
	assert_int_equal(rename(path, moved), 0); /* logrotate(8) */
	write_line(&sink);
	assert_string_equal(content(path), LINE);
	assert_string_equal(content(moved), LINE);
	assert_int_equal(unlink(path), 0);
	write_line(&sink);
	assert_string_equal(content(path), LINE);
	assert_int_equal(sink.lost, 0);
	close_event_sink(&sink);
}

static void a_reader_at_a_fifo(void **unused)
{
	(void)unused;
	assert_int_equal(mkfifo(path, 0600), 0);
	struct event_sink sink = opened(path);
	sink.has_warned = true;
	write_line(&sink);
	assert_int_equal(sink.lost, 1); /* nobody reads yet */

	int reader = open(path, O_RDONLY | O_NONBLOCK);
	uint64_t sent = 0;
	for (; sink.lost == 1; sent++)
		write_line(&sink);
	ssize_t got = read(reader, text, sizeof text); /* what was taken is whole lines */
	assert_int_equal(got, (ssize_t)(sent - 1) * LINE_OCTETS);
	write_line(&sink);
	assert_int_equal(read(reader, text, sizeof text), LINE_OCTETS);
	assert_memory_equal(text, LINE, LINE_OCTETS);

	close(reader);
	signal(SIGPIPE, SIG_IGN);
	write_line(&sink);
	assert_int_equal(sink.lost, 3);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	write_line(&sink);
	assert_int_equal(read(reader, text, sizeof text), LINE_OCTETS);
	assert_int_equal(sink.lost, 3);
	close(reader);
	close_event_sink(&sink);
}

static void nobody_reads_stderr(void **unused)
{
	int ends[2];
	uint64_t sent = 0;
	(void)unused;
	assert_int_equal(pipe(ends), 0);
	struct event_sink sink = opened("stderr");
	dup2(ends[1], STDERR_FILENO);
	for (; sink.lost == 0; sent++)
		write_line(&sink);
	dup2(real_stderr, STDERR_FILENO);
	close(ends[1]);
	uint64_t got = 0;
	for (ssize_t n; (n = read(ends[0], text, sizeof text)) > 0;)
		got += (uint64_t)n;
	assert_int_equal(got, (sent - 1) * LINE_OCTETS);
	close(ends[0]);
	close_event_sink(&sink);
	assert_int_not_equal(fcntl(STDERR_FILENO, F_GETFD), -1);
}

/* Where PIPE_BUF is short it is written in parts. */
static void the_longest_line_goes_to_stderr_whole(void **unused)
{
	static char got[EVENT_LINE_MAX];
	int ends[2];
	(void)unused;
	assert_int_equal(pipe(ends), 0);
	struct event_sink sink = opened("stderr");
	for (size_t i = 0; i < EVENT_LINE_MAX - 1; i++)
		text[i] = (char)('a' + i % 26);
	dup2(ends[1], STDERR_FILENO);
	write_event(&sink, text, EVENT_LINE_MAX - 1, false);
	dup2(real_stderr, STDERR_FILENO);
	close(ends[1]);
	assert_int_equal(sink.lost, 0);
	assert_int_equal(read(ends[0], got, sizeof got), EVENT_LINE_MAX - 1);
	assert_memory_equal(got, text, EVENT_LINE_MAX - 1);
	close(ends[0]);
	close_event_sink(&sink);
}

static void what_is_too_long_is_lost(void **unused)
{
	(void)unused;
	struct event_sink sink = opened(path);
	sink.has_warned = true;
	memset(text, 'x', EVENT_LINE_MAX);
	write_event(&sink, text, EVENT_LINE_MAX, false);
	assert_int_equal(sink.lost, 1);
	write_event(&sink, text, EVENT_LINE_MAX - 1, false);
	assert_int_equal(sink.lost, 1);
	assert_int_equal(strlen(content(path)), EVENT_LINE_MAX - 1);
	close_event_sink(&sink);
}

static int bound_log(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	unlink(path);
	snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
	return fd;
}

static void must_hear(int fd, const char *priority)
{
	char wanted[64];
	ssize_t n = recv(fd, text, sizeof text - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_memory_equal(text, priority, strlen(priority));
	assert_int_equal(text[strlen(priority) + 3], ' '); /* "Nov 24 04:05:06 " */
	assert_int_equal(text[strlen(priority) + 9], ':');
	snprintf(wanted, sizeof wanted, " softnet[%ld]: {\"event\":\"x\"}", (long)getpid());
	assert_string_equal(text + strlen(priority) + 15, wanted); /* without the newline */
}

static void the_log_of_the_system(void **unused)
{
	(void)unused;
	struct event_sink sink = { .kind = SINK_SYSLOG, .path = path, .fd = -1, .has_warned = true };
	write_line(&sink);
	assert_int_equal(sink.lost, 1);
	int fd = bound_log();
	write_line(&sink);
	must_hear(fd, "<30>");
	write_event(&sink, LINE, LINE_OCTETS, true);
	must_hear(fd, "<28>");

	close(fd); /* it is started again */
	fd = bound_log();
	write_line(&sink);
	must_hear(fd, "<30>");
	assert_int_equal(sink.lost, 1);

	for (int i = 0; sink.lost == 1; i++) { /* it does not read any more */
		assert_true(i < 100000);
		write_line(&sink);
	}
	while (recv(fd, text, sizeof text, 0) > 0)
		;
	write_line(&sink);
	must_hear(fd, "<30>");
	assert_int_equal(sink.lost, 2);
	close(fd);
	close_event_sink(&sink);
}

static void numbers_behind_names(void **unused)
{
	char third[128];
	(void)unused;
	snprintf(third, sizeof third, "%s/events.2", folder);
	assert_true(rotate_files(path, 3)); /* nothing is there */
	for (int i = 0; i < 4; i++) {
		char word[12];
		snprintf(word, sizeof word, "%d", i);
		assert_true(rotate_files(path, 3));
		put(path, word);
	}
	assert_string_equal(content(path), "3");
	assert_string_equal(content(moved), "2");
	assert_string_equal(content(third), "1");
	assert_true(rotate_files(path, 1));
	assert_int_equal(access(path, F_OK), -1);
	assert_string_equal(content(moved), "2");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_is_added_to),
		TEST(what_is_no_file_is_refused),
		TEST(half_a_line_is_ended),
		TEST(a_full_disk),
		TEST(a_device_without_room),
		TEST(a_file_is_kept_small),
		TEST(a_file_that_cannot_be_put_aside),
		TEST(others_move_the_file),
		TEST(a_reader_at_a_fifo),
		TEST(nobody_reads_stderr),
		TEST(what_is_too_long_is_lost),
		TEST(the_log_of_the_system),
		TEST(the_longest_line_goes_to_stderr_whole),
		TEST(numbers_behind_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
