/* The port of macOS with no guard around it: what depends on when it is asked. Run by tests/network/test_macos_faults.py. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "port/io.h"

enum { FIRST = 7000, SECOND = 7001, PATIENCE = 3000 };

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

static struct port *port;
static struct address guest;

/* -1: somebody has it. */
static int take_port(uint16_t number)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(number) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool is_free(uint16_t number)
{
	int fd = take_port(number);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static struct expose make_expose(uint16_t from, uint16_t ports)
{
	return (struct expose){ .external = address_of_ipv4(0),
				.external_port = from,
				.internal_port = 22,
				.ports = ports,
				.protocol = IPPROTO_TCP };
}

/* Until the port wants to be looked at; its results are not asked for. */
static void wait_for_news(void)
{
	struct pollfd fds[PORT_POLL_MAX];
	struct packet packets[BATCH_MAX];
	uint32_t got;
	CHECK(poll(fds, (nfds_t)port->kind->watch(port, fds), PATIENCE) == 1);
	CHECK(port->kind->receive(port, packets, BATCH_MAX, &got));
}

static struct expose_result wait_for_result(void)
{
	struct expose_result result;
	while (!port->kind->exposed(port, &result))
		wait_for_news();
	return result;
}

/* It failed, and nobody was told yet: the port that it has is given back all the same. */
static void test_removed_before_its_failure_was_told(void)
{
	struct expose expose = make_expose(FIRST, 2);
	struct expose_result result;
	int taken = take_port(SECOND);
	port->kind->expose(port, &expose, guest, true);
	wait_for_news();
	CHECK(!is_free(FIRST));
	port->kind->expose(port, &expose, guest, false);
	CHECK(is_free(FIRST));
	CHECK(!port->kind->exposed(port, &result));
	close(taken);
}

/* What is said late of an earlier one is not for the one that has its place now. */
static void test_late_answer_to_an_earlier_one(void)
{
	struct expose expose = make_expose(FIRST, 1);
	int taken = take_port(FIRST);
	port->kind->expose(port, &expose, guest, true);
	port->kind->expose(port, &expose, guest, false);
	close(taken);
	port->kind->expose(port, &expose, guest, true);
	CHECK(wait_for_result().error == 0);
	CHECK(!is_free(FIRST));
	port->kind->expose(port, &expose, guest, false);
	CHECK(is_free(FIRST));
}

static void test_removed_before_any_answer(void)
{
	struct expose expose = make_expose(FIRST, 2);
	port->kind->expose(port, &expose, guest, true);
	port->kind->expose(port, &expose, guest, false);
	CHECK(is_free(FIRST) && is_free(SECOND));
}

/* The first port at which it failed, whatever comes after it. */
static void test_two_ports_are_taken(void)
{
	struct expose expose = make_expose(FIRST, 3);
	int first = take_port(SECOND), second = take_port(SECOND + 1);
	port->kind->expose(port, &expose, guest, true);
	struct expose_result result = wait_for_result();
	CHECK(result.error == EADDRINUSE && result.port == SECOND && is_free(FIRST));
	port->kind->expose(port, &expose, guest, false);
	close(first);
	close(second);
}

/* The test looks for it in the log of the doubles. */
static void test_ipv6(void)
{
	struct expose expose = { .external_port = FIRST, .internal_port = 53, .ports = 1, .protocol = IPPROTO_UDP };
	struct address guest6 = { 0xfd64000000000000U, 0x10a };
	port->kind->expose(port, &expose, guest6, true);
	CHECK(wait_for_result().error == 0);
	CHECK(is_free(FIRST)); /* of IPv4 */
	port->kind->expose(port, &expose, guest6, false);
}

/* The framework answers when nobody waits any more, and everything that it touches must still be there. */
static void test_late_answers(const struct port_settings *settings, struct error *error)
{
	port = port_open("vmnet", settings, error);
	if (port)
		port->kind->close(port);
	poll(NULL, 0, PATIENCE / 6);
}

int main(int count, char **words)
{
	struct port_settings settings = { .side = UPLINK_SIDE, .max_frame = 1514, .isolation = true };
	struct error error;
	if (count == 2 && strcmp(words[1], "late") == 0) {
		test_late_answers(&settings, &error);
		return 0;
	}
	guest = address_of_ipv4(0xc0a84d0aU);
	settings.side = GUEST_SIDE;
	CHECK(!port_open("vmnet", &settings, &error) && error.status == EXIT_USAGE);
	settings.side = UPLINK_SIDE;
	port = port_open("vmnet", &settings, &error);
	CHECK(port != NULL);
	CHECK(!port_open("vmnet", &settings, &error) && strstr(error.text, "only once"));
	test_removed_before_its_failure_was_told();
	test_late_answer_to_an_earlier_one();
	test_removed_before_any_answer();
	test_two_ports_are_taken();
	test_ipv6();
	port->kind->close(port);
	return 0;
}
