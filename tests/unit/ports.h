/* What the tests of the ports share: reports that can be asked for, waiting with a deadline, frames with a number. */
#pragma once
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "port/port.h"

enum { WAIT_MS = 5000, TEST_SECONDS = 60 };

static char reports[16384];

static inline void note_report(const struct port *port, const char *sentence)
{
	(void)port;
	size_t at = strlen(reports);
	snprintf(reports + at, sizeof reports - at, "%s\n", sentence);
}

static inline bool heard(const char *part)
{
	return strstr(reports, part) != NULL;
}

/* Each test starts with no reports and ends within a minute. */
static inline int begin_test(void **state)
{
	(void)state;
	reports[0] = 0;
	port_report = note_report;
	alarm(TEST_SECONDS);
	return 0;
}

static inline uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* What the program's loop does: sleeps until something happens, at most 20 ms here, then lets the port see to it. */
static inline bool turn(struct port *port)
{
	struct pollfd fds[PORT_POLL_MAX];
	int n = port->kind->watch(port, fds);
	assert_in_range(n, 0, PORT_POLL_MAX);
	uint64_t due = port->kind->deadline_ms(port), now = now_ms();
	poll(fds, (nfds_t)n, due <= now ? 0 : due - now < 20 ? (int)(due - now) : 20);
	return port->kind->service(port, now_ms());
}

/* Turns the port until the condition holds; fails the test after WAIT_MS. */
#define AWAIT(port, condition) \
	do { \
		uint64_t until_ = now_ms() + WAIT_MS; \
		while (!(condition)) { \
			if (now_ms() > until_) { \
				print_error("reports so far:\n%s", reports); \
				fail_msg("%s:%d: in vain: %s", __FILE__, __LINE__, #condition); \
			} \
			turn(port); \
		} \
	} while (0)

static inline uint32_t receive_now(struct port *port, struct packet *packets, uint32_t max)
{
	uint32_t got = 0;
	assert_true(port->kind->receive(port, packets, max, &got));
	assert_true(got <= max);
	return got;
}

/* A frame whose octets follow from its number. */
static inline void make_frame(uint8_t *frame, uint32_t length, uint32_t number)
{
	for (uint32_t i = 0; i < length; i++)
		frame[i] = (uint8_t)(number * 31 + i);
}

static inline bool is_frame(const struct packet *p, uint32_t length, uint32_t number)
{
	bool same = p->length == length;
	for (uint32_t i = 0; same && i < length; i++)
		same = p->bytes[i] == (uint8_t)(number * 31 + i);
	return same;
}

static inline struct send_result send_now(struct port *port, const struct packet *packets, uint32_t n, bool alive)
{
	struct send_result r = { 99, 99, 99 };
	bool still = port->kind->send(port, packets, n, &r);
	assert_int_equal(still, alive);
	assert_int_equal(r.sent + r.full + r.failed, n);
	return r;
}

static inline struct port *open_port(const char *text, const struct port_settings *settings)
{
	struct error error;
	struct port *port = port_open(text, settings, &error);
	if (!port)
		fail_msg("%s: %s", text, error.text);
	assert_string_equal(port->name, text);
	return port;
}

/* The port cannot be had, and the sentence says so in these words. */
static inline void refuses(const char *text, const struct port_settings *settings, bool usage, const char *words)
{
	struct error error;
	struct port *port = port_open(text, settings, &error);
	if (port)
		fail_msg("%s opens", text);
	if ((error.status == EXIT_USAGE) != usage || !strstr(error.text, words) || strchr(error.text, '\n'))
		fail_msg("%s: %s error \"%s\", not %s with \"%s\"", text,
			 error.status == EXIT_USAGE ? "usage" : "resource", error.text, usage ? "usage" : "resource",
			 words);
}

#define IN_TIME(test) cmocka_unit_test_setup(test, begin_test)
