/* The slirp port with the real library behind it: a guest made of frames, and the loopback of the host. */
#include "ports.h"
#include "slirp_host.h"
#include "port/slirp/slirp.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const struct port_settings plain = { .side = UPLINK_SIDE, .max_frame = 1514 };

/* Processes */

struct process {
	int parent;
	char state, name[32];
};

static bool look_up(int pid, struct process *p)
{
	char path[64], line[512];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	bool found = file && fgets(line, sizeof line, file) && strrchr(line, ')') &&
		     sscanf(line, "%*d (%31[^)])", p->name) == 1 &&
		     sscanf(strrchr(line, ')'), ") %c %d", &p->state, &p->parent) == 2;
	if (file)
		fclose(file);
	return found;
}

static bool has_ended(int pid)
{
	struct process p;
	return !look_up(pid, &p) || p.state == 'Z' || p.state == 'X';
}

/* The child of `parent` with this name, or 0. */
static int child_of(int parent, const char *name)
{
	int pid = 0;
	DIR *folder = opendir("/proc");
	for (struct dirent *e; folder && !pid && (e = readdir(folder));) {
		struct process p;
		int candidate = atoi(e->d_name);
		if (candidate > 0 && look_up(candidate, &p) && p.parent == parent && p.state != 'Z' &&
		    strcmp(p.name, name) == 0)
			pid = candidate;
	}
	closedir(folder);
	return pid;
}

static int keeper_of(int judge)
{
	return child_of(judge, "softnet-keeper");
}

static int worker_of(int judge)
{
	int keeper = keeper_of(judge);
	return keeper ? child_of(keeper, "softnet-slirp") : 0;
}

/* Tests */

static void a_guest_gets_a_lease(void **state)
{
	(void)state;
	struct port *port = open_port("slirp", &plain);
	get_lease(port, true);
	port->kind->close(port);
}

static void the_anchors_are_what_the_library_says(void **state)
{
	(void)state;
	struct anchors a;
	struct port_settings settings = plain;
	settings.ipv6 = true;
	struct port *port = open_port("slirp", &settings);
	port->kind->anchors(port, &a);
	assert_true(set_has(&a.host, address_of_ipv4(HOST)) && set_has(&a.servers, address_of_ipv4(HOST)));
	assert_true(set_has(&a.resolvers, address_of_ipv4(DNS)));
	assert_int_equal(ask_mac(port, HOST), 0x52550a000202ULL);
	assert_true(mac_set_has(&a.gateway_macs, ask_mac(port, HOST)));
	assert_true(mac_set_has(&a.gateway_macs, ask_mac(port, DNS)));
	port->kind->close(port);
}

static struct bytes neighbor_solicitation(uint64_t high, uint64_t low)
{
	struct bytes b = { .n = 0 };
	put(&b, 0x3333ff000000ULL | (low & 0xffffff), 6);
	put_bytes(&b, guest_mac, 6);
	put(&b, 0x86dd60000000ULL, 6);
	put(&b, 32, 2);
	put(&b, 58 << 8 | 255, 2);
	put(&b, 0xfe80000000000000ULL, 8);
	put(&b, 0x505400fffe123456ULL, 8);
	put(&b, 0xff02000000000000ULL, 8);
	put(&b, 0x1ff000000ULL | (low & 0xffffff), 8);
	put(&b, 135 << 8, 2);
	put(&b, 0, 6);
	put(&b, high, 8);
	put(&b, low, 8);
	put(&b, 0x0101, 2);
	put_bytes(&b, guest_mac, 6);
	set16(b.at + 56, ~sum(b.at + 54, 32, sum(b.at + 22, 32, 58 + 32)));
	return b;
}

static bool is_neighbor_advertisement(const struct packet *p, uint32_t low)
{
	return p->length >= 78 && get(p->bytes + 12, 2) == 0x86dd && p->bytes[20] == 58 && p->bytes[54] == 136 &&
	       get(p->bytes + 74, 4) == low;
}

/* libslirp makes a MAC out of each of its addresses; an answer from one that no anchor names would be an impostor's. */
static void every_mac_of_ipv6_is_an_anchor(void **state)
{
	(void)state;
	static const uint64_t addresses[][2] = {
		{ 0xfe80000000000000ULL, 2 },
		{ 0xfd00001000000002ULL, 2 },
		{ 0xfd00001000000002ULL, 3 },
	};
	struct anchors a;
	struct port_settings settings = plain;
	settings.ipv6 = true;
	struct port *port = open_port("slirp", &settings);
	port->kind->anchors(port, &a);
	for (int i = 0; i < 3; i++) {
		struct address asked = { addresses[i][0], addresses[i][1] };
		struct bytes b = neighbor_solicitation(asked.high, asked.low);
		send_frame(port, &b);
		struct packet p = await_frame(port, is_neighbor_advertisement, (uint32_t)asked.low);
		assert_true(mac_set_has(&a.gateway_macs, get(p.bytes + 6, 6)));
		assert_true(set_has(&a.host, asked) || set_has(&a.resolvers, asked));
	}
	port->kind->close(port);
}

static bool is_router_advertisement(const struct packet *p, uint32_t detail)
{
	(void)detail;
	return p->length >= 70 && get(p->bytes + 12, 2) == 0x86dd && p->bytes[20] == 58 && p->bytes[54] == 134;
}

static void ipv6_is_advertised_where_it_is_wanted(void **state)
{
	(void)state;
	struct anchors a;
	struct port_settings settings = plain;
	settings.ipv6 = true;
	struct port *port = open_port("slirp", &settings);
	port->kind->anchors(port, &a);
	struct bytes b = { .n = 0 }; /* a router solicitation from the unspecified address */
	put(&b, 0x333300000002ULL, 6);
	put_bytes(&b, guest_mac, 6);
	put(&b, 0x86dd60000000ULL, 6);
	put(&b, 8, 2);
	put(&b, 58 << 8 | 255, 2);
	b.n += 16;
	put(&b, 0xff02000000000000ULL, 8);
	put(&b, 2, 8);
	put(&b, 133 << 8, 2);
	put(&b, 0, 6);
	set16(b.at + 56, ~sum(b.at + 54, 8, sum(b.at + 22, 32, 58 + 8)));
	send_frame(port, &b);
	struct packet p = await_frame(port, is_router_advertisement, 0);
	assert_true(mac_set_has(&a.gateway_macs, get(p.bytes + 6, 6)));
	assert_true(set_has(&a.host, (struct address){ get(p.bytes + 22, 8), get(p.bytes + 30, 8) }));
	port->kind->close(port);
}

static void the_loopback_of_the_host_is_closed_unless_opened(void **state)
{
	(void)state;
	int listener = loopback_listener();
	for (int open = 0; open < 2; open++) {
		struct port_settings settings = plain;
		settings.host_loopback = open;
		struct port *port = open_port("slirp", &settings);
		ask_mac(port, HOST);
		struct bytes syn = tcp_frame(40000, HOST, port_of(listener), 0x02);
		send_frame(port, &syn);
		struct packet p = await_frame(port, is_answer, 40000);
		if (open)
			assert_true(p.bytes[23] == IPPROTO_TCP && (p.bytes[47] & 0x17) == 0x12); /* SYN and ACK */
		else
			assert_true(p.bytes[23] == IPPROTO_ICMP && p.bytes[34] == 3); /* unreachable */
		port->kind->close(port);
	}
	close(listener);
}

static void a_worker_that_dies_is_replaced(void **state)
{
	(void)state;
	uint16_t external = free_port();
	struct expose expose = exposing(external, 2022);
	struct port *port = open_port("slirp", &plain);
	port->kind->expose(port, &expose, address_of_ipv4(GUEST), true);
	assert_int_equal(await_result(port, &expose).error, 0);

	static const int signals[] = { SIGABRT, SIGKILL };
	for (int i = 0; i < 2; i++) {
		char ended[64];
		int worker = worker_of(getpid());
		assert_true(worker > 0);
		reports[0] = 0;
		kill(worker, signals[i]);
		AWAIT(port, has_ended(worker));
		struct bytes b = arp_frame(1, HOST);
		send_frame(port, &b); /* while nobody is there: it waits in the queue */
		snprintf(ended, sizeof ended, "slirp ended (signal %d) and was started again", signals[i]);
		AWAIT(port, heard(ended));
		await_frame(port, is_arp_reply, HOST);
		get_lease(port, true);
		assert_int_equal(await_result(port, &expose).error, 0);
		reaches_guest(port, external, 2022);
		assert_true(worker_of(getpid()) != worker);
		assert_false(heard("cannot"));
	}
	port->kind->close(port);
}

/* As a stopped one does. Until another one is there, the port says that nobody is. */
static void a_worker_that_hangs_is_replaced(void **state)
{
	(void)state;
	struct port *port = open_port("slirp", &plain);
	for (int killed = 0; killed < 4; killed++) { /* so that there is a pause */
		int worker = worker_of(getpid());
		assert_true(worker > 0);
		reports[0] = 0;
		kill(worker, SIGKILL);
		AWAIT(port, strstr(port->away, "slirp ended (signal 9); it is being started again") || killed < 3);
		AWAIT(port, heard("slirp ended (signal 9) and was started again"));
		assert_string_equal(port->away, "");
	}
	int worker = worker_of(getpid());
	reports[0] = 0;
	kill(worker, SIGSTOP);
	for (uint64_t until = now_ms() + (uint64_t)SLIRP_BEATS_MISSED * SLIRP_BEAT_MS; now_ms() < until;)
		turn(port);
	AWAIT(port, heard("slirp ended (no sign of life for 10 s) and was started again"));
	assert_true(has_ended(worker));
	get_lease(port, true);
	port->kind->close(port);
}

static void signals_for_the_judge_leave_the_others_alone(void **state)
{
	(void)state;
	struct port *port = open_port("slirp", &plain);
	int worker = worker_of(getpid()), keeper = keeper_of(getpid());
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	for (int i = 0; i < 4; i++) {
		kill(worker, signals[i]);
		kill(keeper, signals[i]);
	}
	ask_mac(port, HOST);
	assert_int_equal(worker_of(getpid()), worker);
	port->kind->close(port);
	assert_true(has_ended(worker) && has_ended(keeper));
}

/* If a child held an end for writing, this one would not see the end of the pipe. */
static void the_children_inherit_nothing_else(void **state)
{
	(void)state;
	int pipes[2];
	char octet;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(dup2(pipes[1], 900), 900);
	struct port *port = open_port("slirp", &plain);
	int worker = worker_of(getpid());
	assert_true(worker > 0);
	close(pipes[1]);
	close(900);
	assert_int_equal(poll(&(struct pollfd){ .fd = pipes[0], .events = POLLIN }, 1, WAIT_MS), 1);
	assert_int_equal(read(pipes[0], &octet, 1), 0);
	assert_false(has_ended(worker));
	close(pipes[0]);
	port->kind->close(port);
}

static void nobody_outlives_the_judge(void **state)
{
	(void)state;
	int said[2], pids[2];
	assert_int_equal(pipe(said), 0);
	pid_t judge = fork();
	if (judge == 0) {
		struct error error;
		pids[0] = port_open("slirp", &plain, &error) ? worker_of(getpid()) : 0;
		pids[1] = keeper_of(getpid());
		if (write(said[1], pids, sizeof pids) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(said[0], pids, sizeof pids), sizeof pids);
	assert_true(pids[0] > 0 && pids[1] > 0 && !has_ended(pids[0]) && !has_ended(pids[1]));
	kill(judge, SIGKILL);
	waitpid(judge, NULL, 0);
	uint64_t until = now_ms() + WAIT_MS;
	while (now_ms() < until && !(has_ended(pids[0]) && has_ended(pids[1])))
		poll(NULL, 0, 5);
	assert_true(has_ended(pids[0]) && has_ended(pids[1]));
	close(said[0]);
	close(said[1]);
}

static void without_its_keeper_the_port_is_gone(void **state)
{
	(void)state;
	struct port *port = open_port("slirp", &plain);
	int worker = worker_of(getpid());
	kill(keeper_of(getpid()), SIGKILL);
	uint64_t until = now_ms() + WAIT_MS;
	while (turn(port) && now_ms() < until)
		;
	assert_non_null(strstr(port->gone, "gone"));
	while (!has_ended(worker) && now_ms() < until)
		poll(NULL, 0, 5);
	assert_true(has_ended(worker));
	port->kind->close(port);
}

static unsigned long ticks_of(int pid)
{
	char path[64], line[512];
	unsigned long user = 0, system = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof line, file));
	fclose(file);
	assert_int_equal(
	    sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
	return user + system;
}

/* A guest asks and asks, and nobody reads the answers: frames are lost, and the worker rests when it has lost them. */
static void a_worker_that_is_not_read_rests(void **state)
{
	(void)state;
	struct port *port = open_port("slirp", &plain);
	struct bytes b = arp_frame(1, HOST);
	struct packet packets[BATCH_MAX];
	for (int i = 0; i < BATCH_MAX; i++)
		packets[i] = (struct packet){ .bytes = b.at, .length = b.n };
	for (int i = 0; i < 2000; i++) {
		struct send_result r = send_now(port, packets, BATCH_MAX, true);
		assert_int_equal(r.failed, 0);
		if (r.full)
			poll(NULL, 0, 1);
	}
	int worker = worker_of(getpid()), quiet = 0;
	uint64_t until = now_ms() + WAIT_MS;
	for (unsigned long before = 0; quiet < 10 && now_ms() < until; poll(NULL, 0, 20)) {
		unsigned long ticks = ticks_of(worker);
		quiet = ticks == before ? quiet + 1 : 0;
		before = ticks;
	}
	assert_int_equal(quiet, 10);
	while (receive_now(port, packets, BATCH_MAX) > 0)
		;
	get_lease(port, true);
	port->kind->close(port);
}

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	struct port_settings settings = plain;
	refuses("slirp:x", &settings, true, "\"slirp:x\"");
	settings.max_frame = 60;
	refuses("slirp", &settings, true, "MTU of 46");
	settings.side = GUEST_SIDE;
	refuses("slirp", &settings, true, "not a guest");
}

static void large_frames_pass(void **state)
{
	(void)state;
	struct port_settings settings = plain;
	settings.max_frame = 14 + 9000;
	struct port *port = open_port("slirp", &settings);
	get_lease(port, true);
	port->kind->close(port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TIME(a_guest_gets_a_lease),
		IN_TIME(the_anchors_are_what_the_library_says),
		IN_TIME(every_mac_of_ipv6_is_an_anchor),
		IN_TIME(ipv6_is_advertised_where_it_is_wanted),
		IN_TIME(the_loopback_of_the_host_is_closed_unless_opened),
		IN_TIME(a_worker_that_dies_is_replaced),
		IN_TIME(a_worker_that_hangs_is_replaced),
		IN_TIME(signals_for_the_judge_leave_the_others_alone),
		IN_TIME(the_children_inherit_nothing_else),
		IN_TIME(nobody_outlives_the_judge),
		IN_TIME(without_its_keeper_the_port_is_gone),
		IN_TIME(a_worker_that_is_not_read_rests),
		IN_TIME(what_is_wrong_is_said),
		IN_TIME(large_frames_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
