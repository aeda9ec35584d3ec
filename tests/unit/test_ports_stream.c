/* Stream ports over real sockets: frames behind their length, cut anywhere. */
#include "ports.h"
#include "port/io.h"
#include "ports_paths.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

static const struct port_settings guest = { .side = GUEST_SIDE, .max_frame = 1514 };
static const struct port_settings uplink = { .side = UPLINK_SIDE, .max_frame = 1514 };

static size_t put_on_stream(uint8_t *to, uint32_t length, uint32_t number)
{
	uint32_t prefix = htonl(length);
	memcpy(to, &prefix, 4);
	make_frame(to + 4, length, number);
	return 4 + length;
}

static struct port *stream_with_client(int *client)
{
	struct port *port = open_port(text_of("stream", "s"), &guest);
	*client = connected_socket(SOCK_STREAM, "s");
	AWAIT(port, heard("the guest has connected"));
	return port;
}

static void write_all(int fd, const uint8_t *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static void frames_pass_a_stream_whole(void **state)
{
	(void)state;
	static uint8_t text[200 * 1600];
	struct packet packets[RUN_MAX];
	size_t n = 0;
	uint32_t seen = 0;
	int client;
	struct port *port = stream_with_client(&client);

	for (uint32_t i = 0; i < 100; i++)
		n += put_on_stream(text + n, 60 + i, i);
	write_all(client, text, n);
	while (seen < 100) {
		uint32_t got = receive_now(port, packets, 16);
		assert_int_equal(got, seen < 96 ? 16 : 4);
		for (uint32_t i = 0; i < got; i++, seen++)
			assert_true(is_frame(&packets[i], 60 + seen, seen));
		assert_int_equal(port->kind->deadline_ms(port), seen < 100 ? 0 : UINT64_MAX);
	}
	assert_int_equal(send_now(port, packets, 4, true).sent, 4);
	uint8_t got[2000];
	size_t expected = 4 * (4 + 60) + 96 + 97 + 98 + 99;
	assert_int_equal(recv(client, got, expected, MSG_WAITALL), expected);
	for (uint32_t i = 96, at = 0; i < 100; at += 4 + 60 + i, i++) {
		assert_true(is_frame(&(struct packet){ .bytes = got + at + 4, .length = 60 + i }, 60 + i, i));
		assert_memory_equal(got + at, ((uint8_t[]){ 0, 0, 0, (uint8_t)(60 + i) }), 4);
	}
	port->kind->close(port);
	close(client);
}

/* A relay's way: what comes on one stream goes out on another, except the frames that are dropped. */
static void runs_of_frames_go_out_as_they_lie(void **state)
{
	(void)state;
	static uint8_t text[RUN_MAX * 400];
	struct packet packets[RUN_MAX];
	int in, out[2];
	uint32_t kept = 0;
	size_t n = 0;
	struct port *source = stream_with_client(&in);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, out), 0);
	struct error error;
	struct port *target = stream_open_fd(out[0], &uplink, &error);
	assert_non_null(target);
	for (uint32_t i = 0; i < RUN_MAX; i++)
		n += put_on_stream(text + n, 60 + i, i);
	write_all(in, text, n);
	assert_int_equal(receive_now(source, packets, RUN_MAX), RUN_MAX);
	for (uint32_t i = 0; i < RUN_MAX; i++)
		if (i % 7 != 3 && i != RUN_MAX - 2)
			packets[kept++] = packets[i];
	assert_int_equal(send_now(target, packets, kept, true).sent, kept);
	for (uint32_t i = 0; i < RUN_MAX; i++) {
		uint8_t wanted[4 + 60 + RUN_MAX], got[sizeof wanted];
		size_t octets = put_on_stream(wanted, 60 + i, i);
		if (i % 7 == 3 || i == RUN_MAX - 2)
			continue;
		assert_int_equal(recv(out[1], got, octets, MSG_WAITALL), octets);
		assert_memory_equal(got, wanted, octets);
	}
	assert_int_equal(recv(out[1], text, 1, MSG_DONTWAIT), -1);
	source->kind->close(source);
	target->kind->close(target);
	close(in);
	close(out[1]);
}

/* Whatever lies before a frame: only what is its length goes out as its length. */
static void what_lies_between_frames_does_not_go_out(void **state)
{
	(void)state;
	uint8_t memory[3 * 64 + 2 * 4] = { 0 }, got[4 + 64];
	struct packet packets[3];
	int client;
	struct port *port = stream_with_client(&client);
	for (uint32_t i = 0; i < 3; i++) {
		make_frame(memory + i * 68, 64, i);
		packets[i] = (struct packet){ .bytes = memory + i * 68, .length = 64 };
	}
	memory[67] = 63; /* a length, but not this one's; the second one is 0 */
	assert_int_equal(send_now(port, packets, 3, true).sent, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(recv(client, got, sizeof got, MSG_WAITALL), sizeof got);
		assert_memory_equal(got, ((uint8_t[]){ 0, 0, 0, 64 }), 4);
		assert_memory_equal(got + 4, packets[i].bytes, 64);
	}
	port->kind->close(port);
	close(client);
}

static void one_octet_at_a_time_is_a_stream_too(void **state)
{
	(void)state;
	uint8_t text[400];
	struct packet packets[4];
	uint32_t seen = 0;
	int client;
	struct port *port = stream_with_client(&client);
	size_t n = put_on_stream(text, 70, 1);
	n += put_on_stream(text + n, 1, 2);
	n += put_on_stream(text + n, 90, 3);
	static const uint32_t lengths[] = { 70, 1, 90 };
	for (size_t i = 0; i < n; i++) {
		write_all(client, text + i, 1);
		uint32_t got = receive_now(port, packets, 4);
		assert_true(got <= 1);
		if (got) {
			assert_true(is_frame(&packets[0], lengths[seen], seen + 1));
			seen++;
		}
	}
	assert_int_equal(seen, 3);
	port->kind->close(port);
	close(client);
}

/* More octets than the port's buffer holds, written as fast as it reads, in frames of every length. */
static void a_long_stream_stays_in_step(void **state)
{
	(void)state;
	struct packet packets[RUN_MAX];
	uint32_t seen = 0;
	int client;
	struct port *port = stream_with_client(&client);
	fcntl(client, F_SETFL, O_NONBLOCK);
	enum { COUNT = 3000 };
	static uint8_t text[1600];
	size_t pending = 0, at = 0;
	for (uint32_t made = 0; seen < COUNT;) {
		for (;;) {
			if (at == pending && made < COUNT) {
				pending = put_on_stream(text, 1 + made * 7 % 1514, made);
				at = 0;
				made++;
			}
			ssize_t n = at < pending ? send(client, text + at, pending - at, MSG_NOSIGNAL) : -1;
			if (n < 0)
				break;
			at += (size_t)n;
		}
		uint32_t got = receive_now(port, packets, 1 + seen % RUN_MAX);
		for (uint32_t i = 0; i < got; i++, seen++)
			assert_true(is_frame(&packets[i], 1 + seen * 7 % 1514, seen));
	}
	port->kind->close(port);
	close(client);
}

static void a_long_frame_is_cut_and_the_next_is_whole(void **state)
{
	(void)state;
	static uint8_t text[70000];
	struct packet packets[4];
	uint32_t seen = 0;
	int client;
	struct port *port = stream_with_client(&client);
	size_t n = put_on_stream(text, 65500, 1);
	n += put_on_stream(text + n, 1515, 2);
	n += put_on_stream(text + n, 64, 3);
	for (size_t at = 0; at < n; at += 1000) {
		write_all(client, text + at, n - at < 1000 ? n - at : 1000);
		uint32_t got = receive_now(port, packets, 4);
		for (uint32_t i = 0; i < got; i++) {
			seen++;
			assert_true(is_frame(&packets[i], seen == 3 ? 64 : 1515, seen));
			assert_int_equal(packets[i].truncated, seen != 3);
		}
	}
	assert_int_equal(seen, 3);
	port->kind->close(port);
	close(client);
}

static void a_broken_stream_is_hung_up_and_the_next_guest_welcome(void **state)
{
	(void)state;
	static const uint32_t garbage[] = { 0, 65554, 0xffffffff };
	struct packet packets[4];
	struct port *port = open_port(text_of("stream", "s"), &guest);
	for (int i = 0; i < 3; i++) {
		uint8_t text[100], got[4];
		int client = connected_socket(SOCK_STREAM, "s");
		reports[0] = 0;
		AWAIT(port, heard("the guest has connected"));
		size_t n = put_on_stream(text, 60, 1);
		uint32_t prefix = htonl(garbage[i]);
		memcpy(text + n, &prefix, 4);
		write_all(client, text, n + 4);
		assert_int_equal(receive_now(port, packets, 4), 1);
		assert_true(is_frame(&packets[0], 60, 1));
		assert_true(heard("no frame has such a length"));
		assert_int_equal(recv(client, got, 4, 0), 0);
		close(client);
	}
	port->kind->close(port);
}

static void one_guest_at_a_time(void **state)
{
	(void)state;
	uint8_t text[100], got[4];
	struct packet packets[4];
	int first;
	struct port *port = stream_with_client(&first);
	int second = connected_socket(SOCK_STREAM, "s");
	AWAIT(port, heard("a second connection was turned away"));
	assert_int_equal(recv(second, got, 4, 0), 0);
	close(second);

	/* The first leaves frames behind, and the next one is there before they are read. */
	size_t n = put_on_stream(text, 60, 1);
	write_all(first, text, n);
	close(first);
	second = connected_socket(SOCK_STREAM, "s");
	reports[0] = 0;
	turn(port);
	assert_false(heard("turned away"));
	assert_int_equal(receive_now(port, packets, 4), 1);
	assert_int_equal(receive_now(port, packets, 4), 0);
	assert_true(heard("closed the stream"));
	AWAIT(port, heard("the guest has connected"));
	n = put_on_stream(text, 61, 2);
	write_all(second, text, n);
	assert_int_equal(receive_now(port, packets, 4), 1);
	assert_true(is_frame(&packets[0], 61, 2));
	port->kind->close(port);
	close(second);
}

static bool wants_to_write(struct port *port)
{
	struct pollfd fds[PORT_POLL_MAX];
	int n = port->kind->watch(port, fds);
	for (int i = 0; i < n; i++)
		if (fds[i].events & POLLOUT)
			return true;
	return false;
}

/* Frames are cut wherever the peer stops reading; each one counted as sent arrives whole, no other arrives. */
static void a_frame_that_was_cut_is_finished_first(void **state)
{
	(void)state;
	static uint8_t frames[RUN_MAX][1514];
	struct packet packets[RUN_MAX];
	uint32_t sent = 0, arrived = 0, number = 0;
	int client, cuts = 0;
	struct port *port = stream_with_client(&client);
	uint8_t got[4 + 1514];
	size_t have = 0;

	for (int round = 0; round < 60; round++) {
		/* A size that no page is a multiple of, so that the end of the queue falls inside a frame. */
		for (uint32_t i = 0; i < RUN_MAX; i++) {
			make_frame(frames[i], 1011, number + i);
			packets[i] = (struct packet){ .bytes = frames[i], .length = 1011 };
		}
		for (int i = 0; i < 200; i++) {
			struct send_result r = send_now(port, packets, RUN_MAX, true);
			sent += r.sent;
			cuts += wants_to_write(port);
			if (r.full)
				break;
		}
		for (int i = 0; i < 3000 + 977 * round; i++) {
			ssize_t n = recv(client, got + have, 4 + 1011 - have, MSG_DONTWAIT);
			if (n < 0)
				break;
			have += (size_t)n;
			if (have < 4 + 1011)
				continue;
			assert_memory_equal(got, ((uint8_t[]){ 0, 0, 1011 >> 8, 1011 & 255 }), 4);
			arrived++;
			have = 0;
		}
	}
	AWAIT(port, recv(client, got, 1, MSG_DONTWAIT | MSG_PEEK) > 0 || !wants_to_write(port));
	while (arrived < sent) {
		turn(port); /* service() finishes the last one */
		ssize_t n = recv(client, got + have, 4 + 1011 - have, MSG_DONTWAIT);
		assert_true(n > 0);
		have += (size_t)n;
		if (have == 4 + 1011) {
			arrived++;
			have = 0;
		}
	}
	assert_true(have == 0 && cuts > 0 && !wants_to_write(port));
	assert_int_equal(recv(client, got, 1, MSG_DONTWAIT), -1);
	port->kind->close(port);
	close(client);
}

static void a_stream_without_a_peer_is_full(void **state)
{
	(void)state;
	uint8_t frame[1600] = { 0 };
	struct packet packets[] = { { .bytes = frame, .length = 60 },
				    { .bytes = frame, .length = 0 },
				    { .bytes = frame, .length = 1515 },
				    { .bytes = frame, .length = 60 } };
	int client;
	struct port *port = open_port(text_of("stream", "s"), &guest);
	assert_int_equal(send_now(port, packets, 4, true).full, 4);
	port->kind->close(port);

	port = stream_with_client(&client);
	struct send_result r = send_now(port, packets, 4, true);
	assert_int_equal(r.sent, 2);
	assert_int_equal(r.failed, 2);
	close(client);
	assert_int_equal(send_now(port, packets, 4, true).full, 2);
	assert_true(heard("waiting for the guest"));
	port->kind->close(port);
}

static void an_uplink_by_stream_comes_back(void **state)
{
	(void)state;
	uint8_t text[100];
	struct packet packets[4], mine = { .bytes = text + 4, .length = 60 };
	int listener = bound_socket(SOCK_STREAM, "net");
	listen(listener, 4);
	struct port *port = open_port(text_of("stream", "net"), &uplink);
	int peer = accept(listener, NULL, NULL);
	write_all(peer, text, put_on_stream(text, 60, 4));
	assert_int_equal(receive_now(port, packets, 4), 1);

	close(peer);
	close(listener);
	unlink(path_of("net"));
	assert_int_equal(receive_now(port, packets, 4), 0);
	assert_true(heard("waiting for the uplink"));
	assert_int_equal(send_now(port, &mine, 1, true).full, 1);
	for (int i = 0; i < 10; i++)
		turn(port);
	assert_true(port->kind->deadline_ms(port) > 0 && port->kind->deadline_ms(port) <= now_ms() + 2000);
	listener = bound_socket(SOCK_STREAM, "net");
	listen(listener, 4);
	AWAIT(port, heard("connected to"));
	peer = accept(listener, NULL, NULL);
	assert_int_equal(send_now(port, &mine, 1, true).sent, 1);
	assert_int_equal(recv(peer, text, 64, MSG_WAITALL), 64);
	port->kind->close(port);
	close(peer);
	close(listener);
	unlink(path_of("net"));
}

static void an_inherited_stream_ends_with_its_peer(void **state)
{
	(void)state;
	int pair[2];
	uint8_t bytes[100];
	char text[16];
	struct packet packets[4];
	uint32_t got;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	snprintf(text, sizeof text, "fd:%d", pair[0]);
	struct port *port = open_port(text, &guest);
	write_all(pair[1], bytes, put_on_stream(bytes, 60, 4));
	close(pair[1]);
	assert_int_equal(receive_now(port, packets, 4), 1);
	assert_true(is_frame(&packets[0], 60, 4));
	assert_false(port->kind->receive(port, packets, 4, &got));
	assert_int_equal(got, 0);
	assert_string_equal(port->gone, "the other end closed the stream");
	assert_false(port->kind->service(port, now_ms()));
	assert_false(port->kind->send(port, packets, 1, &(struct send_result){ 0 }));
	port->kind->close(port);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_TIME(frames_pass_a_stream_whole),
		IN_TIME(runs_of_frames_go_out_as_they_lie),
		IN_TIME(what_lies_between_frames_does_not_go_out),
		IN_TIME(one_octet_at_a_time_is_a_stream_too),
		IN_TIME(a_long_stream_stays_in_step),
		IN_TIME(a_long_frame_is_cut_and_the_next_is_whole),
		IN_TIME(a_broken_stream_is_hung_up_and_the_next_guest_welcome),
		IN_TIME(one_guest_at_a_time),
		IN_TIME(a_frame_that_was_cut_is_finished_first),
		IN_TIME(a_stream_without_a_peer_is_full),
		IN_TIME(an_uplink_by_stream_comes_back),
		IN_TIME(an_inherited_stream_ends_with_its_peer),
	};
	if (!make_folder())
		return 1;
	int failures = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failures;
}
