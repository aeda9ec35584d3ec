/* Tap ports, in a network namespace of their own: as root, or in a user namespace. Without either, nothing is tested. */
#include "taps.h"
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/ethernet.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The host's end of the interface: a raw socket that puts frames on it and takes them off. */
static int raw_socket(const char *interface)
{
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

/* An experimental EtherType, so that the kernel's own frames are told from ours. */
static void make_ethernet(uint8_t *frame, uint32_t length, uint8_t number)
{
	static const uint8_t header[] = { 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
	memset(frame, number, length);
	memcpy(frame, header, sizeof header);
}

static bool is_ours(const uint8_t *frame, size_t length)
{
	return length > 14 && frame[12] == 0x88 && frame[13] == 0xb5;
}

/* The next of our frames; fails when none comes. */
static struct packet next_frame(struct port *port)
{
	uint64_t until = now_ms() + WAIT_MS;
	while (now_ms() < until) {
		struct packet packet;
		turn(port);
		if (receive_now(port, &packet, 1) == 1 && is_ours(packet.bytes, packet.length))
			return packet;
	}
	fail_msg("no frame came");
	return (struct packet){ 0 };
}

static void frames_pass_a_tap_both_ways(void **state)
{
	(void)state;
	uint8_t frame[1514], got[2000];
	struct port *port = open_port("tap:t0", &guest);
	int host = raw_socket("t0");

	for (uint8_t i = 0; i < 3; i++) {
		make_ethernet(frame, 60u + i, i);
		assert_int_equal(send(host, frame, 60u + i, 0), 60 + i);
	}
	for (uint8_t i = 0; i < 3; i++) {
		struct packet p = next_frame(port);
		assert_int_equal(p.length, 60 + i);
		assert_int_equal(p.bytes[20], i);
		assert_false(p.truncated);
	}
	make_ethernet(frame, 1514, 9);
	struct packet packets[] = { { .bytes = frame, .length = 1514 },
				    { .bytes = frame, .length = 3 },
				    { .bytes = frame, .length = 60 } };
	struct send_result r = send_now(port, packets, 3, true);
	assert_int_equal(r.sent, 2);
	assert_int_equal(r.failed, 1); /* less than a header */
	ssize_t n = 0;
	while (n >= 0 && !(is_ours(got, (size_t)n) && got[20] == 9))
		n = recv(host, got, sizeof got, 0);
	assert_int_equal(n, 1514);
	close(host);
	port->kind->close(port);
	assert_int_equal(if_nametoindex("t0"), 0); /* what we made ends with us */
}

static void a_longer_frame_is_told(void **state)
{
	(void)state;
	static uint8_t frame[9014];
	run("ip tuntap add dev t1 mode tap && ip link set t1 mtu 9000");
	struct port *port = open_port("tap:t1", &guest);
	int host = raw_socket("t1");
	static const uint32_t lengths[] = { 9014, 1515, 1514 };
	for (int i = 0; i < 3; i++) {
		make_ethernet(frame, lengths[i], 1);
		assert_int_equal(send(host, frame, lengths[i], 0), lengths[i]);
		struct packet p = next_frame(port);
		assert_int_equal(p.length, i == 2 ? 1514 : 1515);
		assert_int_equal(p.truncated, i != 2);
	}
	close(host);
	assert_true(shell_says("ip link show t1 | grep -q 'mtu 9000'")); /* theirs, so it stays */
	refuses("tap:t1", &guest, false, "another process has it");
	port->kind->close(port);
	run("ip link del t1");

	struct port_settings jumbo = guest;
	jumbo.max_frame = 9014;
	port = open_port("tap:t1", &jumbo);
	assert_true(shell_says("ip link show t1 | grep -q 'mtu 9000'"));
	port->kind->close(port);
}

static void an_interface_that_is_down_is_not_gone(void **state)
{
	(void)state;
	uint8_t frame[60];
	struct packet packet = { .bytes = frame, .length = 60 };
	make_ethernet(frame, 60, 1);
	struct port *port = open_port("tap:t0", &guest);
	run("ip link set t0 down");
	while (receive_now(port, &packet, 1) == 1)
		;
	packet = (struct packet){ .bytes = frame, .length = 60 };
	assert_int_equal(send_now(port, &packet, 1, true).failed, 1);
	run("ip link set t0 up");
	assert_int_equal(send_now(port, &packet, 1, true).sent, 1);

	run("ip link del t0");
	uint32_t got;
	bool alive = true;
	for (int i = 0; i < 100 && alive; i++)
		alive = port->kind->receive(port, &packet, 1, &got);
	assert_false(alive);
	assert_non_null(strstr(port->gone, "deleted"));
	port->gone[0] = 0;
	assert_int_equal(send_now(port, &(struct packet){ .bytes = frame, .length = 60 }, 1, false).failed, 1);
	assert_non_null(strstr(port->gone, "deleted"));
	port->kind->close(port);
}

/* A namespace that stands in for the guest: the interface is moved there while the port has it open. */
static void a_tap_goes_on_working_in_another_namespace(void **state)
{
	(void)state;
	uint8_t frame[60];
	char command[128];
	int ready[2];
	char octet;
	make_ethernet(frame, 60, 4);
	struct packet mine = { .bytes = frame, .length = 60 }, packet;
	struct port *port = open_port("tap:t0", &guest);

	assert_int_equal(pipe(ready), 0);
	pid_t other = fork();
	if (other == 0) {
		octet = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
		if (write(ready[1], &octet, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &octet, 1), 1);
	assert_int_equal(octet, 'y');
	snprintf(command, sizeof command, "ip link set t0 netns %d", (int)other);
	run(command);
	assert_int_equal(if_nametoindex("t0"), 0);
	while (receive_now(port, &packet, 1) == 1)
		;
	assert_int_equal(send_now(port, &mine, 1, true).failed, 1); /* the move set it down */
	snprintf(command, sizeof command, "nsenter --target %d --net ip link set t0 up", (int)other);
	run(command);
	assert_int_equal(send_now(port, &mine, 1, true).sent, 1);
	/* IPv6 router solicitations and the like show that frames come out of it again. */
	snprintf(
	    command, sizeof command,
	    "nsenter --target %d --net sh -c 'ip addr add 10.9.9.1/24 dev t0; ping -c1 -W1 10.9.9.2 >/dev/null; true'",
	    (int)other);
	run(command);
	AWAIT(port, receive_now(port, &packet, 1) == 1);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	bool alive = true;
	for (uint64_t until = now_ms() + WAIT_MS; alive && now_ms() < until; poll(NULL, 0, 5)) {
		uint32_t got;
		alive = port->kind->receive(port, &packet, 1, &got);
	}
	assert_false(alive); /* the namespace took the interface with it */
	close(ready[0]);
	close(ready[1]);
	port->kind->close(port);
}

static uint32_t ask_ethtool(const char *interface, uint32_t command)
{
	struct ethtool_value value = { .cmd = command };
	struct ifreq request = { .ifr_data = (void *)&value };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &request), 0);
	close(fd);
	return value.data;
}

/* A tap that stays keeps its offloads. Nobody of ours would fill in the checksums that the kernel then leaves out. */
static void offloads_of_an_earlier_user_are_off(void **state)
{
	(void)state;
	struct ifreq request = { .ifr_name = "t8", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1UL), 0);
	assert_int_equal(ioctl(fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)), 0);
	close(fd);
	assert_int_not_equal(ask_ethtool("t8", ETHTOOL_GTSO), 0);
	struct port *port = open_port("tap:t8", &guest);
	assert_int_equal(ask_ethtool("t8", ETHTOOL_GTSO), 0);
	assert_int_equal(ask_ethtool("t8", ETHTOOL_GTXCSUM), 0);
	port->kind->close(port);
	run("ip link delete t8");
}

static void what_is_wrong_with_the_name_is_said(void **state)
{
	(void)state;
	refuses("tap:", &guest, true, "\"\" is not the name");
	refuses("tap:a/b", &guest, true, "\"a/b\"");
	refuses("tap:tap%d", &guest, true, "\"tap%d\"");
	refuses("tap:..", &guest, true, "\"..\"");
	refuses("tap:sixteen-letters0", &guest, true, "\"sixteen-letters0\"");
	refuses("tap:t0,bridge=", &guest, true, "\"\" is not the name");
	refuses("tap:t0,bridge=a b", &guest, true, "\"a b\"");
	refuses("tap:t0,brigde=br0", &guest, true, "\"brigde=br0\"");
	refuses("tap:t0,", &guest, true, "\"\" is not an option");
	refuses("tap:lo", &guest, false, "lo");
}

static void without_the_right_it_says_what_to_do(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		/* Somebody without capabilities: cmocka's checks would not end a child well, so this one answers by status. */
		struct error error = { 0 };
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			_exit(77); /* a user namespace has no other ids */
		bool refused = !port_open("tap:t9", &guest, &error);
		_exit(refused && error.status != EXIT_USAGE && strstr(error.text, "t9 mode tap user") ? 0 : 1);
	}
	int status = 1;
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TIME(frames_pass_a_tap_both_ways),           IN_TIME(a_longer_frame_is_told),
		IN_TIME(an_interface_that_is_down_is_not_gone), IN_TIME(a_tap_goes_on_working_in_another_namespace),
		IN_TIME(offloads_of_an_earlier_user_are_off),   IN_TIME(what_is_wrong_with_the_name_is_said),
		IN_TIME(without_the_right_it_says_what_to_do),
	};
	if (!can_make_taps())
		return 77; /* meson: skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
