/* Datagram ports over real sockets, and what is wrong with the text of a port. */
#include "ports.h"
#include "ports_paths.h"
#include <fcntl.h>

static const struct port_settings guest = { .side = GUEST_SIDE, .max_frame = 1514 };
static const struct port_settings uplink = { .side = UPLINK_SIDE, .max_frame = 1514 };
static struct port *pair_port(int *peer)
{
	struct error error;
	struct port *port = port_open_pair(&guest, peer, &error);
	assert_non_null(port);
	return port;
}

static void whole_batches_pass_a_datagram_pair(void **state)
{
	(void)state;
	uint8_t frames[BATCH_MAX][1514];
	struct packet packets[BATCH_MAX];
	int peer;
	struct port *port = pair_port(&peer);

	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		make_frame(frames[i], 60 + i, i);
		assert_int_equal(send(peer, frames[i], 60 + i, 0), 60 + i);
	}
	assert_int_equal(receive_now(port, packets, BATCH_MAX), BATCH_MAX);
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		assert_true(is_frame(&packets[i], 60 + i, i));
		assert_false(packets[i].truncated);
	}
	assert_int_equal(receive_now(port, packets, BATCH_MAX), 0);

	assert_int_equal(send_now(port, packets, BATCH_MAX, true).sent, BATCH_MAX);
	for (uint32_t i = 0; i < BATCH_MAX; i++) {
		uint8_t got[2000];
		ssize_t n = recv(peer, got, sizeof got, 0);
		assert_true(is_frame(&(struct packet){ .bytes = got, .length = (uint32_t)n }, 60 + i, i));
	}
	port->kind->close(port);
	close(peer);
}

static void long_and_empty_datagrams_are_told_apart(void **state)
{
	(void)state;
	uint8_t frame[5000];
	struct packet packets[8];
	int peer;
	struct port *port = pair_port(&peer);

	make_frame(frame, sizeof frame, 7);
	static const size_t lengths[] = { 1514, 1515, 5000, 0, 60 };
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(send(peer, frame, lengths[i], 0), lengths[i]);
	assert_int_equal(receive_now(port, packets, 8), 5);
	assert_true(is_frame(&packets[0], 1514, 7) && !packets[0].truncated);
	assert_true(is_frame(&packets[1], 1515, 7) && packets[1].truncated);
	assert_true(is_frame(&packets[2], 1515, 7) && packets[2].truncated);
	assert_true(packets[3].length == 0 && !packets[3].truncated);
	assert_true(is_frame(&packets[4], 60, 7) && !packets[4].truncated);
	port->kind->close(port);
	close(peer);
}

static void a_full_queue_is_counted_and_forgotten(void **state)
{
	(void)state;
	static uint8_t frame[1514];
	struct packet packets[BATCH_MAX];
	int peer;
	uint32_t sent = 0, full = 0;
	struct port *port = pair_port(&peer);

	for (int i = 0; i < BATCH_MAX; i++)
		packets[i] = (struct packet){ .bytes = frame, .length = sizeof frame };
	for (int i = 0; i < 1000 && full == 0; i++) {
		struct send_result r = send_now(port, packets, BATCH_MAX, true);
		assert_int_equal(r.failed, 0);
		sent += r.sent;
		full += r.full;
	}
	assert_true(full > 0 && sent > 0);
	assert_int_equal(send_now(port, packets, 3, true).full, 3);
	uint8_t got[1600];
	for (uint32_t i = 0; i < sent; i++)
		assert_int_equal(recv(peer, got, sizeof got, MSG_DONTWAIT), 1514);
	assert_int_equal(send_now(port, packets, 3, true).sent, 3);
	port->kind->close(port);
	close(peer);
}

static void a_frame_that_the_socket_refuses_is_failed(void **state)
{
	(void)state;
	const size_t huge = 64 << 20;
	uint8_t *frame = calloc(1, huge);
	int peer;
	struct port *port = pair_port(&peer);
	struct packet packets[] = { { .bytes = frame, .length = 60 },
				    { .bytes = frame, .length = (uint32_t)huge },
				    { .bytes = frame, .length = 60 } };
	struct send_result r = send_now(port, packets, 3, true);
	assert_int_equal(r.sent, 2);
	assert_int_equal(r.failed, 1);
	port->kind->close(port);
	close(peer);
	free(frame);
}

static void a_guest_that_hung_up_is_gone(void **state)
{
	(void)state;
	uint8_t frame[60] = { 0 };
	struct packet packets[] = { { .bytes = frame, .length = 60 }, { .bytes = frame, .length = 60 } };
	int peer;
	struct port *port = pair_port(&peer);
	assert_int_equal(send(peer, frame, 60, 0), 60);
	close(peer);
	struct packet left;
	assert_int_equal(receive_now(port, &left, 1), 1); /* what it sent before is still given */
	struct send_result r = send_now(port, packets, 2, false);
	assert_int_equal(r.full, 2);
	assert_non_null(strstr(port->gone, "gone"));
	port->kind->close(port);
}

/* As Tart does it: frames are sent before we start, and the descriptor may be 0. */
/* Whatever the kernel says of its socket for a moment; of another file it says it for good. */
static void a_port_bears_errors_that_end(void **state)
{
	(void)state;
	struct packet packets[BATCH_MAX];
	struct pollfd watched[PORT_POLL_MAX];
	int peer, other = open("/dev/null", O_RDONLY);
	uint32_t got, failed = 0;
	struct port *port = pair_port(&peer);
	assert_int_equal(port->kind->watch(port, watched), 1);
	int own = dup(watched[0].fd);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(dup2(other, watched[0].fd), watched[0].fd);
		for (int i = 0; i < 60; i++)
			assert_true(port->kind->receive(port, packets, BATCH_MAX, &got));
		assert_int_equal(dup2(own, watched[0].fd), watched[0].fd);
		assert_int_equal(send(peer, "frame", 5, 0), 5);
		assert_int_equal(receive_now(port, packets, BATCH_MAX), 1);
	}
	assert_int_equal(dup2(other, watched[0].fd), watched[0].fd);
	while (failed < 1000 && port->kind->receive(port, packets, BATCH_MAX, &got))
		failed++;
	assert_in_range(failed, 60, 200);
	assert_non_null(strstr(port->gone, strerror(ENOTSOCK)));
	port->kind->close(port);
	close(peer);
	close(own);
	close(other);
}

static void an_inherited_descriptor_keeps_its_queue(void **state)
{
	(void)state;
	int pair[2], standard_input = fcntl(0, F_DUPFD_CLOEXEC, 3);
	uint8_t frame[60];
	struct packet packet;
	make_frame(frame, 60, 3);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	assert_int_equal(send(pair[1], frame, 60, 0), 60);
	assert_int_equal(dup2(pair[0], 0), 0);
	close(pair[0]);
	struct port *port = open_port("fd:0", &guest);
	struct pollfd watched[PORT_POLL_MAX];
	assert_int_equal(port->kind->watch(port, watched), 1);
	assert_true(watched[0].fd > 2);
	assert_int_equal(receive_now(port, &packet, 1), 1);
	assert_true(is_frame(&packet, 60, 3));
	port->kind->close(port);
	close(pair[1]);
	if (standard_input >= 0) {
		dup2(standard_input, 0);
		close(standard_input);
	}
}

static void what_is_wrong_with_a_descriptor_is_said(void **state)
{
	(void)state;
	char text[32];
	refuses("fd:", &guest, true, "\"fd:\"");
	refuses("fd:x3", &guest, true, "\"fd:x3\"");
	refuses("fd:3 ", &guest, true, "\"fd:3 \"");
	refuses("fd:-1", &guest, true, "\"fd:-1\"");
	refuses("fd:9999999999", &guest, true, "9999999999");
	refuses("fd:999", &guest, false, "fd 999 is not open");
	int null = open("/dev/null", O_RDONLY), inet = socket(AF_INET, SOCK_DGRAM, 0);
	int loose = socket(AF_UNIX, SOCK_DGRAM, 0);
	snprintf(text, sizeof text, "fd:%d", null);
	refuses(text, &guest, false, "is not a socket");
	snprintf(text, sizeof text, "fd:%d", inet);
	refuses(text, &guest, false, "not an AF_UNIX one");
	snprintf(text, sizeof text, "fd:%d", loose);
	refuses(text, &guest, false, "not connected");
	close(null);
	close(inet);
	close(loose);
}

static void an_unknown_kind_names_the_known_ones(void **state)
{
	(void)state;
	refuses("tcp:1.2.3.4", &guest, true, "unknown port \"tcp:1.2.3.4\" (known: fd:N, unixgram:PATH");
	refuses("", &guest, true, "unknown port \"\"");
	refuses("unixgra:x", &guest, true, "unixgra:x");
	refuses("stream:", &guest, true, "path");
	refuses("unixgram:", &uplink, true, "path");
	refuses("unixgram:a,b", &uplink, true, "\"b\" is no option of a socket");
	refuses("unixgram:a,vfkit", &guest, true, "uplink");
	char text[300] = "stream:/";
	memset(text + 8, 'x', 200);
	refuses(text, &guest, true, "longer than");
	assert_non_null(port_kinds()[0]->form);
}

/* One that says nothing gets the fewest rights, which may be too few. */
static void every_kind_says_with_which_rights_it_is_opened(void **state)
{
	(void)state;
	for (const struct port_kind *const *kind = port_kinds(); *kind; kind++) {
		if ((*kind)->opens == OPENS_UNSAID)
			fail_msg("%s does not say it", (*kind)->name);
		assert_ptr_equal(port_kind_of((*kind)->name), *kind);
	}
	assert_null(port_kind_of("ta"));
	assert_null(port_kind_of("tap0"));
}

/* Behind slirp a guest has a network of its own, and of a descriptor nobody knows the network. */
static void other_guards_may_share_the_networks_of_all_but_two_kinds(void **state)
{
	(void)state;
	for (const struct port_kind *const *kind = port_kinds(); *kind; kind++) {
		bool is_alone = strcmp((*kind)->name, "slirp") == 0 || strcmp((*kind)->name, "fd") == 0;
		if (is_alone != !(*kind)->segment)
			fail_msg("%s", (*kind)->name);
	}
}

static void a_path_takes_the_place_of_a_dead_socket_only(void **state)
{
	(void)state;
	static const char *const kinds[] = { "unixgram", "stream" };
	static const int types[] = { SOCK_DGRAM, SOCK_STREAM };
	for (int i = 0; i < 2; i++) {
		int file = open(path_of("place"), O_CREAT | O_WRONLY, 0600);
		close(file);
		refuses(text_of(kinds[i], "place"), &guest, false, "not a socket");
		assert_int_equal(access(path_of("place"), F_OK), 0);
		unlink(path_of("place"));

		int alive = bound_socket(types[i], "place");
		if (types[i] == SOCK_STREAM)
			listen(alive, 1);
		refuses(text_of(kinds[i], "place"), &guest, false, "another process has it open");
		struct pollfd asked = { .fd = alive, .events = POLLIN };
		assert_int_equal(poll(&asked, 1, 0), 0); /* and has not noticed */
		close(alive);
		struct port *port = open_port(text_of(kinds[i], "place"), &guest);
		port->kind->close(port);
		assert_int_equal(access(path_of("place"), F_OK), -1);
		refuses(text_of(kinds[i], "no/such/folder"), &guest, false, "no/such/folder");
	}
}

static void send_from(int fd, const char *to, uint32_t number)
{
	uint8_t frame[60];
	struct sockaddr_un a = address_of(to);
	make_frame(frame, 60, number);
	assert_int_equal(sendto(fd, frame, 60, 0, (struct sockaddr *)&a, sizeof a), 60);
}

static void the_first_to_speak_is_the_guest(void **state)
{
	(void)state;
	uint8_t frame[60], got[100];
	struct packet packets[8];
	make_frame(frame, 60, 9);
	struct packet mine = { .bytes = frame, .length = 60 };
	struct port *port = open_port(text_of("unixgram", "p"), &guest);

	assert_int_equal(send_now(port, &mine, 1, true).full, 1); /* nobody yet */
	int nameless = connected_socket(SOCK_DGRAM, "p");
	assert_int_equal(send(nameless, frame, 60, 0), 60);
	assert_int_equal(receive_now(port, packets, 8), 0);
	assert_true(heard("without a name"));

	int first = bound_socket(SOCK_DGRAM, "first"), second = bound_socket(SOCK_DGRAM, "second");
	send_from(first, "p", 1);
	send_from(second, "p", 2);
	send_from(first, "p", 3);
	assert_int_equal(receive_now(port, packets, 8), 2);
	assert_true(is_frame(&packets[0], 60, 1) && is_frame(&packets[1], 60, 3));
	assert_int_equal(send_now(port, &mine, 1, true).sent, 1);
	assert_int_equal(recv(first, got, sizeof got, MSG_DONTWAIT), 60);
	assert_int_equal(recv(second, got, sizeof got, MSG_DONTWAIT), -1);

	close(first); /* its path still stands there, dead */
	assert_int_equal(send_now(port, &mine, 1, true).full, 1);
	send_from(second, "p", 4);
	assert_int_equal(receive_now(port, packets, 8), 1);
	assert_int_equal(send_now(port, &mine, 1, true).sent, 1);
	assert_int_equal(recv(second, got, sizeof got, MSG_DONTWAIT), 60);

	close(second); /* gone altogether, and back under the same name */
	unlink(path_of("second"));
	assert_int_equal(send_now(port, &mine, 1, true).full, 1);
	second = bound_socket(SOCK_DGRAM, "second");
	assert_int_equal(send_now(port, &mine, 1, true).sent, 1);
	port->kind->close(port);
	close(second);
	close(nameless);
	unlink(path_of("first"));
	unlink(path_of("second"));
}

static void an_uplink_by_datagrams_comes_back(void **state)
{
	(void)state;
	uint8_t frame[60], got[100];
	struct packet packets[8], mine = { .bytes = frame, .length = 60 };
	struct sockaddr_un source;
	socklen_t length = sizeof source;
	char text[200];
	make_frame(frame, 60, 5);

	int network = bound_socket(SOCK_DGRAM, "net");
	snprintf(text, sizeof text, "%s,vfkit", text_of("unixgram", "net"));
	struct port *port = open_port(text, &uplink);
	assert_int_equal(recvfrom(network, got, sizeof got, 0, (struct sockaddr *)&source, &length), 4);
	assert_memory_equal(got, "VFKT", 4);
	snprintf(text, sizeof text, "%s.softnet-%d", path_of("net"), (int)getpid());
	assert_string_equal(source.sun_path, text);
	assert_int_equal(sendto(network, frame, 60, 0, (struct sockaddr *)&source, length), 60);
	assert_int_equal(receive_now(port, packets, 8), 1);
	assert_true(is_frame(&packets[0], 60, 5));

	close(network);
	unlink(path_of("net"));
	assert_int_equal(send_now(port, &mine, 1, true).full, 1);
	assert_true(heard("nobody is at"));
	assert_int_equal(send_now(port, &mine, 1, true).full, 1);
	network = bound_socket(SOCK_DGRAM, "net");
	AWAIT(port, heard("connected to"));
	assert_int_equal(recv(network, got, sizeof got, 0), 4);
	assert_int_equal(send_now(port, &mine, 1, true).sent, 1);
	port->kind->close(port);
	assert_int_equal(access(text, F_OK), -1);
	close(network);
	unlink(path_of("net"));
}

static void an_uplink_that_is_not_there_is_an_error(void **state)
{
	(void)state;
	uint64_t start = now_ms();
	refuses(text_of("unixgram", "nobody"), &uplink, false, "nobody");
	refuses(text_of("stream", "nobody"), &uplink, false, "nobody");
	assert_in_range(now_ms() - start, 3000, 8000);
}

static void closing_leaves_no_descriptor_behind(void **state)
{
	(void)state;
	int before = dup(2), peer;
	close(before);
	static const char *const kinds[] = { "unixgram", "stream" };
	for (int i = 0; i < 2; i++) {
		struct port *port = open_port(text_of(kinds[i], "p"), &guest);
		port->kind->close(port);
	}
	struct port *port = pair_port(&peer);
	port->kind->close(port);
	close(peer);
	int after = dup(2);
	close(after);
	assert_int_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TIME(whole_batches_pass_a_datagram_pair),
		IN_TIME(long_and_empty_datagrams_are_told_apart),
		IN_TIME(a_full_queue_is_counted_and_forgotten),
		IN_TIME(a_frame_that_the_socket_refuses_is_failed),
		IN_TIME(a_guest_that_hung_up_is_gone),
		IN_TIME(a_port_bears_errors_that_end),
		IN_TIME(an_inherited_descriptor_keeps_its_queue),
		IN_TIME(what_is_wrong_with_a_descriptor_is_said),
		IN_TIME(an_unknown_kind_names_the_known_ones),
		IN_TIME(every_kind_says_with_which_rights_it_is_opened),
		IN_TIME(other_guards_may_share_the_networks_of_all_but_two_kinds),
		IN_TIME(a_path_takes_the_place_of_a_dead_socket_only),
		IN_TIME(the_first_to_speak_is_the_guest),
		IN_TIME(an_uplink_by_datagrams_comes_back),
		IN_TIME(an_uplink_that_is_not_there_is_an_error),
		IN_TIME(closing_leaves_no_descriptor_behind),
	};
	if (!make_folder())
		return 1;
	int failures = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failures;
}
