/* The pipe that signals come through. */
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/process/signals.h"

#include <cmocka.h>

enum { FDS_MAX = 64 };

static bool has_news(void)
{
	struct pollfd p = { .fd = signal_fd(), .events = POLLIN };
	return poll(&p, 1, 0) != 0;
}

static void expect_signal(int number)
{
	struct arrived_signal arrived;
	assert_int_equal(raise(number), 0);
	assert_true(has_news());
	assert_true(next_signal(&arrived));
	assert_int_equal(arrived.number, number);
	assert_false(next_signal(&arrived));
	assert_false(has_news());
}

/* Both ends of a pipe have one number. */
static void close_pipe(bool reading_end, bool writing_end)
{
	struct stat pipe, other;
	int reading = signal_fd();
	assert_int_equal(fstat(reading, &pipe), 0);
	for (int fd = 3; fd < FDS_MAX; fd++)
		if (fd != reading && writing_end && fstat(fd, &other) == 0 && other.st_ino == pipe.st_ino &&
		    other.st_dev == pipe.st_dev)
			close(fd);
	if (reading_end)
		close(reading);
}

static void signals_arrive_in_order(void **unused)
{
	struct arrived_signal arrived;
	(void)unused;
	expect_signal(SIGUSR1);
	raise(SIGTERM);
	raise(SIGINT);
	assert_true(next_signal(&arrived) && arrived.number == SIGTERM);
	assert_true(next_signal(&arrived) && arrived.number == SIGINT);
}

/* By a debugger. It must neither wake us without end nor make us deaf. */
static void a_closed_pipe_is_replaced(void **unused)
{
	struct arrived_signal arrived;
	(void)unused;
	for (int ends = 1; ends < 4; ends++) {
		close_pipe((ends & 1) != 0, (ends & 2) != 0);
		assert_true(has_news());
		assert_false(next_signal(&arrived));
		assert_false(has_news());
		expect_signal(SIGUSR1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_arrive_in_order),
		cmocka_unit_test(a_closed_pipe_is_replaced),
	};
	claim_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
