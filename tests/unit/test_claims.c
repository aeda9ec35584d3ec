/* The registry of claims: guards are processes here, and the host is a folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "claims_guards.h"
#include "softnet/control/registry.h"

#include <cmocka.h>

enum { MANY = 200 };

static char prefix[] = "/tmp/softnet-claims-XXXXXX";
const char *segment_text = "bridge 1:7";
struct claims claims;
static struct claim_conflict told;
static int tells;
static struct address lost;
static const char *why_lost;

struct address address(uint32_t n)
{
	return (struct address){ 0x20010db800000000ULL, n };
}

static void fake_segment(const struct port *port, struct segment_id *segment)
{
	(void)port;
	*segment = (struct segment_id){ .port = 3 };
	snprintf(segment->text, sizeof segment->text, "%s", segment_text);
}

static const struct port_kind fake_kind = { .name = "fake", .segment = fake_segment };
static const struct port uplink = { .kind = &fake_kind };

static void on_tell(void *context, const struct claim_conflict *conflict)
{
	(void)context;
	told = *conflict;
	tells++;
}

static void on_lose(void *context, struct address a, const char *why)
{
	lost = a;
	why_lost = why;
	release_address(context, a);
}

static const struct claim_conflict *start(struct claims *c, const char *vm, const struct state *state, uint32_t given)
{
	static struct config config;
	struct claim statics[1] = { { address(given), given < FIRST_SHARED ? CLAIM_HELD : CLAIM_SHARED, 128, 0 } };
	config.shared = (struct address_set){ .count = 0 };
	if (given >= FIRST_SHARED)
		set_add(&config.shared, address(given));
	static const struct state empty;
	static const char labels[][VM_NAME_MAX + 1] = { "guest" };
	const struct operators_word word = { vm, labels, 1, statics, given != 0 };
	assert_null(open_claims(c, &word, &uplink, NULL));
	c->tell = on_tell;
	c->lose = on_lose;
	c->context = c;
	return enter_claims(c, &config, state ? state : &empty, &uplink, NOW);
}

static struct state holding(uint32_t n, enum origin6 origin)
{
	struct state state;
	memset(&state, 0, sizeof state);
	state.ipv6.bindings[0] =
	    (struct binding6){ .address = address(n), .expires_ms = NEVER_EXPIRES, .origin = (uint8_t)origin };
	return state;
}

/* --- another guard, which does what it is told: 'c' claims, 'r' releases, 'f' follows; each with a number --- */

struct order {
	char what;
	uint32_t n;
	uint64_t now_ms;
};

static _Noreturn void be_guard(int orders, int answers, const char *vm, uint32_t given)
{
	struct claims own;
	struct order order;
	struct state state = holding(given, ORIGIN_STATIC);
	const struct claim_conflict *conflict = start(&own, vm, given != 0 ? &state : NULL, given);
	bool is_done = !conflict;
	while (write(answers, &is_done, 1) == 1 && read(orders, &order, sizeof order) == sizeof order) {
		is_done = order.what != 'c' || claim_address(&own, address(order.n), order.now_ms);
		if (order.what == 'r')
			release_address(&own, address(order.n));
		if (order.what == 'f')
			follow_claims(&own, order.now_ms);
	}
	_exit(0);
}

static bool answer(const struct guard *g)
{
	bool is_done = false;
	assert_int_equal(read(g->answers, &is_done, 1), 1);
	return is_done;
}

struct guard start_guard(const char *vm, uint32_t given)
{
	int orders[2], answers[2];
	assert_int_equal(pipe(orders) | pipe(answers), 0);
	struct guard g = { fork(), orders[1], answers[0] };
	if (g.pid == 0) {
		close(orders[1]);
		close(answers[0]);
		be_guard(orders[0], answers[1], vm, given);
	}
	close(orders[0]);
	close(answers[1]);
	assert_true(answer(&g));
	return g;
}

static void send_order(const struct guard *g, char what, uint32_t n)
{
	struct order order = { what, n, NOW };
	assert_int_equal(write(g->orders, &order, sizeof order), sizeof order);
}

bool tell(const struct guard *g, char what, uint32_t n)
{
	send_order(g, what, n);
	return answer(g);
}

void kill_guard(const struct guard *g)
{
	kill(g->pid, SIGKILL);
	waitpid(g->pid, NULL, 0);
	close(g->orders);
	close(g->answers);
}

const char *own_folder(void)
{
	static char path[256];
	if (geteuid() == 0)
		snprintf(path, sizeof path, "%s/run/softnet/claims/0", prefix);
	else
		snprintf(path, sizeof path, "%s/tmp/softnet-%u/claims", prefix, (unsigned)getuid());
	return path;
}

static int count_files(void)
{
	char command[300], digits[16] = "";
	snprintf(command, sizeof command, "ls -A %s | wc -l", own_folder());
	FILE *stream = popen(command, "r");
	assert_non_null(fgets(digits, sizeof digits, stream));
	pclose(stream);
	return atoi(digits);
}

static int set_up(void **unused)
{
	char command[300];
	(void)unused;
	snprintf(command, sizeof command, "rm -rf %s/* && mkdir %s/run %s/tmp", prefix, prefix, prefix);
	assert_int_equal(system(command), 0);
	segment_text = "bridge 1:7";
	tells = 0;
	why_lost = NULL;
	lost = address(0);
	assert_null(start(&claims, "here", NULL, 0));
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	close_claims(&claims);
	return 0;
}

/* --- tests --- */

static void one_holds_it(void **unused)
{
	struct guard g = start_guard("there", 0);
	(void)unused;
	assert_true(tell(&g, 'c', 1));
	assert_false(claim_address(&claims, address(1), NOW));
	assert_true(claim_address(&claims, address(2), NOW));
	assert_false(tell(&g, 'c', 2));
	assert_true(tell(&g, 'c', 1) && claim_address(&claims, address(2), NOW)); /* renewals ask nobody */
	assert_int_equal(told.pid, g.pid);
	assert_string_equal(told.vm, "there");
	assert_false(told.is_ours);
	assert_true(tell(&g, 'r', 1));
	assert_true(claim_address(&claims, address(1), NOW));
	release_address(&claims, address(2));
	assert_true(tell(&g, 'c', 2));
	kill_guard(&g);
	assert_true(claim_address(&claims, address(2), NOW)); /* it has died with all that it had */
}

/* Of two that claim at the same time one has it, or none; and who asks again gets it. */
static void both_never_have_it(void **unused)
{
	struct guard a = start_guard("a", 0), b = start_guard("b", 0);
	(void)unused;
	for (uint32_t n = 1; n <= 300; n++) {
		send_order(&a, 'c', n);
		send_order(&b, 'c', n);
		bool a_has = answer(&a), b_has = answer(&b);
		assert_false(a_has && b_has);
		if (!a_has && !b_has)
			assert_true(tell(&a, 'c', n));
		tell(&a, 'r', n);
		tell(&b, 'r', n);
	}
	kill_guard(&a);
	kill_guard(&b);
}

static void the_holder_is_told(void **unused)
{
	struct guard g = start_guard("there", 0);
	(void)unused;
	assert_true(claim_address(&claims, address(1), NOW));
	follow_claims(&claims, NOW + 10000);
	assert_int_equal(tells, 0);
	assert_false(tell(&g, 'c', 1));
	follow_claims(&claims, NOW + 11000); /* it looks at most once in two seconds, and nobody has rung before */
	assert_int_equal(tells, 1);
	assert_true(told.is_ours && told.pid == (uint32_t)g.pid && same_address(told.address, address(1)));
	assert_true(claim_address(&claims, address(1), NOW + 11000));
	follow_claims(&claims, NOW + 14000); /* the bell still rings, and that is no news */
	assert_int_equal(tells, 1);
	kill_guard(&g);
	follow_claims(&claims, NOW + 17000);
	assert_int_equal(tells, 1);
	follow_claims(&claims, NOW + 700000);
	assert_int_equal(claims.conflicts[0].pid, 0);
}

static void what_was_given_outranks(void **unused)
{
	(void)unused;
	assert_true(claim_address(&claims, address(9), NOW));
	struct guard g = start_guard("there", 9);
	follow_claims(&claims, NOW + 10000);
	assert_true(why_lost && same_address(lost, address(9)));
	assert_string_equal(why_lost, "given to another VM");
	assert_false(claim_address(&claims, address(9), NOW + 10000));
	kill_guard(&g);
}

static void given_twice(void **unused)
{
	struct guard g = start_guard("there", 9);
	struct state state = holding(9, ORIGIN_STATIC);
	(void)unused;
	close_claims(&claims);
	const struct claim_conflict *conflict = start(&claims, "here", &state, 9);
	assert_non_null(conflict);
	assert_string_equal(conflict->vm, "there");
	kill_guard(&g);
	close_claims(&claims);
	assert_null(start(&claims, "here", &state, 9));
}

/* By all who share it, and by nobody else, whether that one was given it, leases it, or was there first. */
static void given_to_be_shared(void **unused)
{
	struct state shared = holding(FIRST_SHARED, ORIGIN_STATIC);
	(void)unused;
	assert_true(claim_address(&claims, address(FIRST_SHARED), NOW));
	struct guard g = start_guard("there", FIRST_SHARED);
	follow_claims(&claims, NOW + 10000);
	assert_true(why_lost && same_address(lost, address(FIRST_SHARED)));
	assert_false(claim_address(&claims, address(FIRST_SHARED), NOW + 10000));
	tells = 0;
	close_claims(&claims);
	assert_null(start(&claims, "here", &shared, FIRST_SHARED));
	assert_true(claim_address(&claims, address(FIRST_SHARED), NOW));
	follow_claims(&claims, NOW + 20000);
	assert_int_equal(tells, 0);
	close_claims(&claims);
	struct config none = { .vm_mac = 0 };
	struct claim sole = { address(FIRST_SHARED), CLAIM_HELD, 128, 0 };
	const struct operators_word word = { .vm = "here", .given = &sole, .given_count = 1 };
	assert_null(open_claims(&claims, &word, &uplink, NULL));
	const struct claim_conflict *conflict = enter_claims(&claims, &none, &shared, &uplink, NOW);
	assert_non_null(conflict);
	assert_string_equal(conflict->vm, "there");
	kill_guard(&g);
}

static void a_saved_state_gives_nothing_that_another_has(void **unused)
{
	struct guard g = start_guard("there", 0);
	struct state state = holding(5, ORIGIN_SLAAC);
	(void)unused;
	assert_true(tell(&g, 'c', 5));
	close_claims(&claims);
	assert_null(start(&claims, "here", &state, 0));
	assert_true(why_lost && same_address(lost, address(5)));
	kill_guard(&g);
	why_lost = NULL;
	close_claims(&claims);
	assert_null(start(&claims, "here", &state, 0));
	assert_null(why_lost);
}

static void networks_are_apart(void **unused)
{
	struct guard g = start_guard("there", 0);
	(void)unused;
	assert_true(tell(&g, 'c', 1));
	segment_text = "bridge 1:8";
	move_claims(&claims, NOW);
	assert_true(claim_address(&claims, address(1), NOW));
	segment_text = ""; /* of nobody else */
	move_claims(&claims, NOW);
	assert_null(why_lost);
	segment_text = "bridge 1:7"; /* where somebody has it */
	move_claims(&claims, NOW);
	assert_true(why_lost && same_address(lost, address(1)));
	kill_guard(&g);
}

static void what_the_dead_have_left(void **unused)
{
	struct guard g[5];
	(void)unused;
	for (int i = 0; i < 5; i++)
		g[i] = start_guard("there", 20 + (uint32_t)i);
	assert_int_equal(count_files(), 12); /* two of each, ours included */
	for (int i = 0; i < 4; i++)
		kill_guard(&g[i]);
	struct guard other = start_guard("other", 0);
	assert_int_equal(count_files(), 6); /* ours, the other's, and those of the one that lives */
	assert_false(claim_address(&claims, address(24), NOW));
	kill_guard(&g[4]);
	kill_guard(&other);
}

static void a_full_table(void **unused)
{
	(void)unused;
	for (uint32_t n = 1; n <= CLAIMS_MAX + 10; n++)
		assert_true(claim_address(&claims, address(n), NOW));
	struct guard g = start_guard("there", 0);
	assert_false(tell(&g, 'c', CLAIMS_MAX));
	assert_true(tell(&g, 'c', CLAIMS_MAX + 1));
	for (uint32_t n = 1; n <= 30; n++) /* more than there is room for notes */
		assert_false(tell(&g, 'c', n));
	follow_claims(&claims, NOW + 10000);
	assert_int_equal(tells, NOTES_MAX);
	kill_guard(&g);
}

/* Locks of those who may read, and of those who may not. */
static void locks_of_others(void **unused)
{
	struct guard g = start_guard("there", 0);
	char path[600];
	(void)unused;
	assert_true(tell(&g, 'c', 1));
	snprintf(path, sizeof path, "%s", own_folder());
	struct other_guard other = { .folder = open(path, O_RDONLY | O_DIRECTORY) };
	snprintf(path, sizeof path, "ls %s | grep '^%x-'", own_folder(), (unsigned)g.pid);
	FILE *stream = popen(path, "r");
	assert_non_null(fgets(other.name, sizeof other.name, stream));
	pclose(stream);
	other.name[strcspn(other.name, "\n")] = '\0';
	other.file = openat(other.folder, other.name, O_RDONLY);
	assert_true(is_alive(&other));
	kill_guard(&g);
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0 };
	pid_t reader = fork();
	if (reader == 0) {
		if (fcntl(other.file, F_SETLK, &lock) < 0)
			_exit(1);
		pause();
		_exit(0);
	}
	nanosleep(&(struct timespec){ 0, 200000000 }, NULL);
	assert_false(is_alive(&other));
	assert_true(claim_address(&claims, address(1), NOW));
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	close(other.file);
	close(other.folder);
}

static int compare_times(const void *a, const void *b)
{
	const double *left = a, *right = b;
	return *left < *right ? -1 : *left > *right;
}

/* A file as that of another guard, with one address, whose lock this process has. */
static bool make_other(uint32_t n)
{
	char path[300];
	uint8_t octets[PAGE_OCTETS];
	struct claims_page page = { .pid = n, .segment = "bridge 1:7", .vm = "there" };
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	page.item[0] = (struct claim){ address(n), CLAIM_HELD, 128, 0 };
	write_claims_page(&page, octets);
	snprintf(path, sizeof path, "%s/%x-1-3", own_folder(), n);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	return fd >= 0 && write(fd, octets, sizeof octets) == sizeof octets && fcntl(fd, F_SETLK, &lock) == 0;
}

static struct guard start_many(void)
{
	int ready[2];
	bool is_done = true;
	assert_int_equal(pipe(ready), 0);
	struct guard g = { .pid = fork(), .orders = ready[0], .answers = ready[1] };
	if (g.pid == 0) {
		for (uint32_t i = 0; i < MANY; i++)
			is_done &= make_other(1000 + i);
		if (write(ready[1], &is_done, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &is_done, 1), 1);
	assert_true(is_done);
	return g;
}

/* What a claim costs on a host of 200 VMs. */
static void a_claim_among_many(void **unused)
{
	double took[CLAIMS_MAX];
	(void)unused;
	struct guard g = start_many();
	assert_false(claim_address(&claims, address(1000), NOW));
	assert_false(claim_address(&claims, address(1000 + MANY - 1), NOW));
	for (int i = 0; i < CLAIMS_MAX; i++) {
		struct timespec begun, ended;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begun);
		assert_true(claim_address(&claims, address(100 + (uint32_t)i), NOW));
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
		took[i] = (double)(ended.tv_sec - begun.tv_sec) * 1e3 + (double)(ended.tv_nsec - begun.tv_nsec) / 1e6;
	}
	qsort(took, CLAIMS_MAX, sizeof *took, compare_times);
	print_message("a claim among %d guards: median %.2f ms\n", MANY, took[CLAIMS_MAX / 2]);
	assert_true(took[CLAIMS_MAX / 2] < 20);
	kill_guard(&g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	char command[300];
	struct rlimit many = { 1024, 1024 };
	setrlimit(RLIMIT_NOFILE, &many);
	assert_non_null(mkdtemp(prefix));
	registry_prefix = prefix;
	const struct CMUnitTest tests[] = {
		TEST(one_holds_it),
		TEST(both_never_have_it),
		TEST(the_holder_is_told),
		TEST(a_bell_rings_until_it_is_heard),
		TEST(a_bell_that_nobody_hears_ends),
		TEST(each_guard_has_one_bell),
		TEST(what_was_given_outranks),
		TEST(given_twice),
		TEST(given_to_be_shared),
		TEST(a_saved_state_gives_nothing_that_another_has),
		TEST(networks_are_apart),
		TEST(what_the_dead_have_left),
		TEST(a_vm_is_found_by_name_and_label),
		TEST(a_guard_cannot_change_its_name),
		TEST(a_full_table),
		TEST(locks_of_others),
		TEST(a_claim_among_many),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof command, "rm -rf %s", prefix);
	return system(command) != 0 || failed;
}
