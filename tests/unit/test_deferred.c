/* Work on files that another process does: in order, whole, and never a reason to wait for long. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system/clock.h"
#include "system/files/deferred.h"

#include <cmocka.h>

enum { SIZES = 7, MUCH = 40000, LARGE = 100000, PATIENCE = 20000 };

/* Shared: what has been done, by whom. */
static struct done {
	uint64_t count, octets;
	bool is_wrong;
	pid_t by;
} * done;

static struct deferred_queue *queue;
static pid_t process;
static int forgotten;

/* The number of the work, and octets that follow from it. */
static void do_work(void *object, const uint8_t *octets, size_t count)
{
	struct done *d = object;
	uint64_t number;
	memcpy(&number, octets, sizeof number);
	d->is_wrong |= number != d->count;
	for (size_t i = sizeof number; i < count; i++)
		d->is_wrong |= octets[i] != (uint8_t)(number + i);
	d->by = getpid();
	d->octets += count;
	d->count++;
}

static void nothing(void *object, const uint8_t *octets, size_t count)
{
	(void)object;
	(void)octets;
	(void)count;
}

static void forget(void *context)
{
	(void)context;
	forgotten++;
}

static bool give(uint64_t number, size_t more)
{
	static uint8_t octets[LARGE];
	for (size_t i = 0; i < more; i++)
		octets[i] = (uint8_t)(number + sizeof number + i);
	return defer(queue, &(struct deferred){ .run = do_work,
						.object = done,
						.name = "a file",
						.may_wait = number % 3 == 0,
						.parts = { { &number, sizeof number }, { octets, more } } });
}

static int start(void **unused)
{
	int pair[2];
	(void)unused;
	forgotten = 0;
	done = share_memory(sizeof *done);
	queue = make_deferred_queue(forget, NULL);
	if (!done || !queue || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return -1;
	process = fork();
	if (process == 0) {
		close(pair[0]);
		serve_deferred(queue, pair[1]);
	}
	close(pair[1]);
	hand_deferred_to(queue, pair[0]);
	return process > 0 ? 0 : -1;
}

static int end(void **unused)
{
	(void)unused;
	if (process > 0) {
		kill(process, SIGKILL);
		waitpid(process, NULL, 0);
	}
	return munmap(done, sizeof *done);
}

static void without_a_process_it_is_done_at_once(void **unused)
{
	(void)unused;
	queue = NULL;
	process = 0;
	done = share_memory(sizeof *done);
	assert_true(give(0, 0));
	assert_true(give(1, LARGE));
	assert_true(done->count == 2 && done->by == getpid() && !done->is_wrong);
	assert_true(await_deferred(queue, 0));
	assert_null(hanging_file(queue, clock_ms(), 0));
}

/* The ring is gone through more than once, with sizes that never fit its end. */
static void all_is_done_in_order(void **unused)
{
	static const size_t sizes[SIZES] = { 0, 1, 7, 100, 1500, 777, LARGE };
	uint64_t octets = 0;
	(void)unused;
	for (uint64_t i = 0; i < MUCH; i++) {
		size_t more = i % 500 == 0 ? LARGE : sizes[i % (SIZES - 1)];
		octets += sizeof i + more;
		while (!give(i, more)) /* a busy machine */
			usleep(1000);
	}
	assert_true(octets > 4 * DEFERRED_OCTETS);
	assert_true(await_deferred(queue, PATIENCE));
	assert_true(done->count == MUCH && done->octets == octets && done->by == process);
	assert_false(done->is_wrong);
	assert_int_equal(forgotten, 0);
}

static void what_is_larger_than_the_ring_is_refused(void **unused)
{
	(void)unused;
	assert_false(defer(queue, &(struct deferred){ .run = do_work, .parts = { { done, DEFERRED_OCTETS } } }));
	assert_true(give(0, 1) && await_deferred(queue, PATIENCE));
}

/* Wherever the last one has ended: an idle ring has room, also where the next one goes to its front. */
static void an_idle_ring_takes_anything(void **unused)
{
	static uint8_t octets[LARGE];
	(void)unused;
	for (uint64_t number = 0; number < 300; number++) {
		assert_true(defer(queue, &(struct deferred){ .run = do_work,
							     .object = done,
							     .name = "a file",
							     .may_wait = number % 2 == 0,
							     .parts = { { &number, sizeof number },
									{ octets, number % 3 == 0 ? LARGE : 30000 } } }));
		attend_deferred(queue);
		assert_true(defer(queue, &(struct deferred){ .run = nothing, .object = done, .name = "a file" }));
		assert_true(await_deferred(queue, PATIENCE));
	}
	assert_int_equal(done->count, 300);
}

/* One that stands still costs its patience once, and not again until half has been done. */
static void one_that_hangs_is_waited_for_once(void **unused)
{
	uint64_t given = 0, refused_ms = 0;
	(void)unused;
	assert_true(give(given++, 0) && await_deferred(queue, PATIENCE));
	kill(process, SIGSTOP);
	assert_int_equal(waitpid(process, NULL, WUNTRACED), process);
	for (bool is_taken = true; is_taken; given += is_taken)
		is_taken = give(given, LARGE);
	assert_true(given > 30);
	for (int i = 0; i < 1000; i++) {
		uint64_t begin_ms = clock_ms();
		assert_false(give(given, LARGE));
		refused_ms += clock_ms() - begin_ms;
	}
	assert_true(refused_ms < 1000 * DEFERRED_PATIENCE_MS / 10); /* a thousand patiences would be ten times as much */
	assert_false(await_deferred(queue, 10));
	uint64_t begin_ms = clock_ms();
	assert_false(await_deferred(queue, PATIENCE));
	assert_true(clock_ms() - begin_ms < PATIENCE / 2); /* nor is it asked whether it has come to an end */
	kill(process, SIGCONT);
	for (int i = 0; i < PATIENCE && done->count < given; i++)
		usleep(1000);
	assert_true(done->count == given && !done->is_wrong);
	assert_true(give(given++, LARGE) && await_deferred(queue, PATIENCE));
	assert_true(done->count == given);
}

static void hang(void *object, const uint8_t *octets, size_t count)
{
	(void)octets;
	(void)count;
	struct done *d = object;
	while (!__atomic_load_n(&d->is_wrong, __ATOMIC_ACQUIRE))
		usleep(1000);
}

static void the_file_that_hangs_is_named_once(void **unused)
{
	(void)unused;
	assert_true(defer(queue, &(struct deferred){ .run = hang, .object = done, .name = "this one" }));
	uint64_t begin_ms = clock_ms();
	assert_false(await_deferred(queue, 10));
	assert_null(hanging_file(queue, begin_ms, 5000)); /* not before its time */
	assert_null(hanging_file(queue, begin_ms + 4999, 5000));
	assert_string_equal(hanging_file(queue, begin_ms + 5000, 5000), "this one");
	assert_null(hanging_file(queue, begin_ms + 20000, 5000));
	__atomic_store_n(&done->is_wrong, true, __ATOMIC_RELEASE);
	assert_true(finish_deferred(queue, PATIENCE));
	assert_null(hanging_file(queue, begin_ms + 30000, 5000));
	/* And long after, when there is work again. */
	kill(process, SIGSTOP);
	assert_true(defer(queue, &(struct deferred){ .run = hang, .object = done, .name = "another" }));
	assert_null(hanging_file(queue, begin_ms + 90000, 5000));
	assert_string_equal(hanging_file(queue, begin_ms + 95000, 5000), "another");
}

/* Else a state that takes a right from the guest would never be written. */
static void one_that_dies_at_work_is_noticed(void **unused)
{
	(void)unused;
	assert_true(defer(queue, &(struct deferred){ .run = hang, .object = done, .name = "this one" }));
	assert_false(await_deferred(queue, 50));
	assert_true(give(0, 10) && give(1, LARGE));
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
	process = 0;
	assert_int_equal(forgotten, 0);
	attend_deferred(queue);
	assert_true(forgotten == 1 && done->count == 2 && done->by == getpid() && !has_deferred(queue));
}

/* Though it was waited for in vain before. */
static void the_last_time_it_is_waited_for(void **unused)
{
	(void)unused;
	kill(process, SIGSTOP);
	assert_true(give(0, 10));
	assert_false(await_deferred(queue, 10));
	pid_t helper = fork();
	if (helper == 0) {
		usleep(300000);
		kill(process, SIGCONT);
		_exit(0);
	}
	assert_true(finish_deferred(queue, PATIENCE));
	assert_int_equal(done->count, 1);
	waitpid(helper, NULL, 0);
}

static void do_slowly(void *object, const uint8_t *octets, size_t count)
{
	usleep(30000); /* less than one is patient for */
	do_work(object, octets, count);
}

/* Not for each frame, and there is room for what is not a captured frame. */
static void one_that_is_slow_costs_little(void **unused)
{
	static uint8_t octets[LARGE];
	uint64_t number = 0, begin_ms = clock_ms(), refused = 0;
	(void)unused;
	for (int i = 0; i < 2000; i++) {
		bool is_taken =
		    defer(queue, &(struct deferred){ .run = do_slowly,
						     .object = done,
						     .name = "slow",
						     .may_wait = true,
						     .parts = { { &number, sizeof number }, { octets, 1000 } } });
		refused += !is_taken;
		number += is_taken;
		for (int more = 0; more < 30 && is_taken; more++) {
			is_taken = defer(
			    queue, &(struct deferred){ .run = do_work,
						       .object = done,
						       .name = "slow",
						       .may_wait = true,
						       .parts = { { &number, sizeof number }, { octets, 1000 } } });
			number += is_taken;
		}
	}
	uint64_t took_ms = clock_ms() - begin_ms;
	assert_true(refused > 0 && took_ms < 1000 + took_ms / 5);
	assert_true(defer(queue, &(struct deferred){ .run = do_work,
						     .object = done,
						     .name = "slow",
						     .parts = { { &number, sizeof number }, { octets, 1000 } } }));
}

/* What it was at is lost, since that may have ended it; the rest is done here. */
static void when_it_dies_the_rest_is_done_here(void **unused)
{
	(void)unused;
	assert_true(give(0, 10) && await_deferred(queue, PATIENCE));
	kill(process, SIGSTOP);
	waitpid(process, NULL, WUNTRACED);
	for (uint64_t i = 1; i <= 5; i++)
		assert_true(give(i, 100));
	assert_int_equal(done->count, 1);
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
	process = 0;
	assert_true(await_deferred(queue, PATIENCE));
	assert_true(done->count == 6 && done->by == getpid() && !done->is_wrong);
	assert_int_equal(forgotten, 1);
	assert_true(give(6, LARGE));
	assert_true(done->count == 7 && !done->is_wrong);
}

static void its_parent_ends_it(void **unused)
{
	(void)unused;
	int fds[2];
	struct deferred_queue *other = make_deferred_queue(forget, NULL);
	assert_true(other && socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		serve_deferred(other, fds[1]);
	}
	close(fds[1]);
	close(fds[0]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_process_it_is_done_at_once),
		cmocka_unit_test_setup_teardown(all_is_done_in_order, start, end),
		cmocka_unit_test_setup_teardown(what_is_larger_than_the_ring_is_refused, start, end),
		cmocka_unit_test_setup_teardown(an_idle_ring_takes_anything, start, end),
		cmocka_unit_test_setup_teardown(one_that_hangs_is_waited_for_once, start, end),
		cmocka_unit_test_setup_teardown(the_file_that_hangs_is_named_once, start, end),
		cmocka_unit_test_setup_teardown(when_it_dies_the_rest_is_done_here, start, end),
		cmocka_unit_test_setup_teardown(one_that_dies_at_work_is_noticed, start, end),
		cmocka_unit_test_setup_teardown(the_last_time_it_is_waited_for, start, end),
		cmocka_unit_test_setup_teardown(one_that_is_slow_costs_little, start, end),
		cmocka_unit_test(its_parent_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
