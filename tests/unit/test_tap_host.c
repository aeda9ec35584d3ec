/* What the host does on a tap that the guard has made: nothing; and what is said to a user who may not make one. */
#include "taps.h"
#include "port/linux/bridge_port.h"
#include <sys/wait.h>

static void the_kernel_keeps_silent(void **state)
{
	struct packet packets[BATCH_MAX];
	uint32_t got = 0;
	(void)state;
	if (access("/proc/sys/net/ipv6/conf/all/disable_ipv6", W_OK) < 0)
		skip();
	assert_true(shell_says("echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6"));
	assert_true(shell_says("ip tuntap add dev q1 mode tap && ip link set q1 up")); /* somebody else's, to compare with */
	struct port *port = open_port("tap:q0", &guest), *theirs = open_port("tap:q1", &guest);
	assert_true(shell_says("grep -q 1 /proc/sys/net/ipv6/conf/q0/disable_ipv6"));
	assert_true(shell_says("grep -q 0 /proc/sys/net/ipv6/conf/q1/disable_ipv6"));
	for (uint64_t until = now_ms() + WAIT_MS; got == 0 && now_ms() < until;) {
		turn(theirs);
		got = receive_now(theirs, packets, BATCH_MAX); /* MLD, for the address that it is about to have */
	}
	assert_true(got > 0);
	assert_int_equal(receive_now(port, packets, BATCH_MAX), 0);
	assert_false(shell_says("ip -6 addr show dev q0 | grep -q fe80"));
	port->kind->close(port);
	theirs->kind->close(theirs);
	assert_true(shell_says("ip link delete q1"));
}

/* Where /proc/sys cannot be written, as under ProtectKernelTunables of systemd. */
static void no_address_is_made(void **state)
{
	(void)state;
	assert_true(shell_says("ip tuntap add dev q2 mode tap"));
	assert_int_equal(make_no_addresses(if_nametoindex("q2")), 0);
	assert_true(shell_says("ip -d link show q2 | grep -q 'addrgenmode none'"));
	assert_true(shell_says("ip link delete q2"));
	assert_int_not_equal(make_no_addresses(9999), 0);
}

/* The cure for a bridge is another one than for a plain tap. */
static const char *advice(const char *port, const struct port_settings *settings)
{
	static char text[400];
	int pipe_fds[2], status;
	assert_int_equal(pipe(pipe_fds), 0);
	pid_t child = fork();
	if (child == 0) {
		struct error error = { 0 };
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(77); /* a user namespace has no other ids */
		bool refused = !port_open(port, settings, &error) && error.status != EXIT_USAGE;
		_exit(refused && write(pipe_fds[1], error.text, strlen(error.text)) > 0 ? 0 : 1);
	}
	close(pipe_fds[1]);
	ssize_t length = read(pipe_fds[0], text, sizeof text - 1);
	close(pipe_fds[0]);
	waitpid(child, &status, 0);
	text[length > 0 ? length : 0] = '\0';
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	return text;
}

static void the_advice_fits(void **state)
{
	(void)state;
	assert_true(shell_says("ip link add br5 type bridge"));
	assert_non_null(
	    strstr(advice("tap:q3", &uplink), ": ip tuntap add dev q3 mode tap user $USER && ip link set q3 up)"));
	assert_non_null(strstr(advice("tap:q3,bridge=br5", &uplink),
			       ": ip tuntap add dev q3 mode tap user $USER && ip link set q3 master br5 up && "
			       "bridge link set dev q3 isolated on; then use tap:q3)"));
	assert_non_null(strstr(advice("tap:q3,bridge=br5", &guest), "master br5 up; then use tap:q3)"));
	refuses("tap:lo", &guest, false, "cannot open lo: it is an interface, but no tap");
	assert_true(shell_says("ip link delete br5"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TIME(the_kernel_keeps_silent),
		IN_TIME(no_address_is_made),
		IN_TIME(the_advice_fits),
	};
	if (!can_make_taps())
		return 77; /* meson: skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
