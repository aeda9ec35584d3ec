/* What the guest is told of a question or an answer that names refuse. */
#include <setjmp.h>
#include <stdarg.h>

#include "core/made/dns_refusal.h"
#include "core/made/reject.h"
#include "core/names/read/dns.h"
#include "world_names.h"

#include <cmocka.h>

enum { HEADERS = 14 + 20 + 8, OWN_ID = 0x77 };

static struct names_world nw;
static const struct named_rule rules[] = { { "good.example", NAMED_IN_TLS, 0, 0 }, { NULL, 0, 0, 0 } };

static int set_up(void **state)
{
	(void)state;
	start_names_world(&nw, rules);
	return 0;
}

static uint32_t number_at(const uint8_t *bytes, uint32_t octets)
{
	uint32_t value = 0;
	for (uint32_t i = 0; i < octets; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* RFC 1071, as a receiver does: with the sum in its place all is ones. */
static bool has_good_sums(const uint8_t *frame, uint32_t length)
{
	uint32_t sum = 0, udp = 17 + length - 34;
	for (uint32_t i = 14; i < 34; i += 2)
		sum += number_at(frame + i, 2);
	for (uint32_t i = 26; i < length; i++)
		udp += i % 2 ? frame[i] : (uint32_t)frame[i] << 8;
	return sum % 0xffff == 0 && udp % 0xffff == 0;
}

/* Of what is in nw.w.frame. Checks all that every refusal has in common; gives the code, or -1. */
static int refuse_it(enum direction direction, enum verdict verdict, uint8_t to[DNS_REFUSAL_MAX], uint32_t *length)
{
	struct frame frame = exact_frame(nw.w.frame, nw.w.length);
	bool is_question = direction == FROM_GUEST;
	*length = make_dns_refusal(&frame, direction, verdict, to);
	free((void *)(uintptr_t)frame.bytes);
	if (*length == 0)
		return -1;
	assert_int_equal(number_at(to, 4), GUEST_MAC >> 16);
	assert_true(has_good_sums(to, *length));
	assert_int_equal(number_at(to + 26, 4), RESOLVER_IP);
	assert_int_equal(number_at(to + 30, 4), GUEST_IP);
	assert_int_equal(number_at(to + 34, 4), 53u << 16 | GUEST_PORT);
	assert_int_equal(number_at(to + 38, 2), *length - 34);
	assert_int_equal(number_at(to + HEADERS, 2), OWN_ID);
	assert_int_equal(number_at(to + HEADERS + 2, 2) >> 4, 0x818);
	assert_int_equal(number_at(to + HEADERS + 4, 4), 1u << 16);
	(void)is_question;
	return (int)(number_at(to + HEADERS + 2, 2) & 15);
}

/* RFC 6891 7: a client that did not send such a record gets none. */
static void questions(void **state)
{
	uint8_t to[DNS_REFUSAL_MAX];
	uint32_t length;
	struct octets o;
	(void)state;
	assert_int_equal(ask(&nw, "evil.example", DNS_A), DROP_DNS_NAME);
	assert_int_equal(refuse_it(FROM_GUEST, DROP_DNS_NAME, to, &length), 5);
	assert_int_equal(length, HEADERS + DNS_HEADER + 14 + 4);
	assert_memory_equal(to + HEADERS + DNS_HEADER, "\4evil\7example\0\0\1\0\1", 18);
	put_question(&o, "evil.example", DNS_A);
	o.bytes[11] = 1;
	put_hex(&o, "0000290500000000000000");
	uint32_t before = nw.w.length;
	nw.w.length -= 30;
	put_bytes(&nw.w, o.bytes, o.length);
	assert_int_equal(nw.w.length, before + 11);
	nw.w.frame[17] = (uint8_t)(nw.w.length - 14);
	nw.w.frame[39] = (uint8_t)(nw.w.length - 34);
	assert_int_equal(refuse_it(FROM_GUEST, DROP_DNS_NAME, to, &length), 5);
	struct reader r = read_from(&(struct frame){ .bytes = to, .length = length }, HEADERS + DNS_HEADER + 18, length);
	static const uint8_t opt[] = { 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0 };
	assert_memory_equal(to + r.at, opt, sizeof opt);
	assert_int_equal(number_at(to + HEADERS + 10, 2), 1);
	uint32_t data = number_at(to + r.at + 9, 2);
	assert_int_equal(r.at + 11 + data, length);
	assert_int_equal(number_at(to + r.at + 11, 2), 15); /* Extended DNS Error */
	assert_int_equal(number_at(to + r.at + 13, 2), data - 4);
	assert_int_equal(number_at(to + r.at + 15, 2), 15); /* Blocked */
}

/* It takes the answer's place, and looks as if the resolver had sent it. */
static void answers(void **state)
{
	uint8_t to[DNS_REFUSAL_MAX];
	uint32_t length, private = 0x0a000001;
	(void)state;
	assert_int_equal(ask(&nw, "good.example", DNS_A), PASS);
	assert_int_equal(answer(&nw, "good.example", 60, &private, 1), DROP_DNS_REBIND);
	assert_int_equal(refuse_it(TO_GUEST, DROP_DNS_REBIND, to, &length), 5);
	assert_int_equal(refuse_it(TO_GUEST, DROP_DNS_ECH, to, &length), 0);
}

static void what_gets_none(void **state)
{
	uint8_t to[DNS_REFUSAL_MAX];
	uint32_t length;
	(void)state;
	for (int v = 0; v < VERDICTS; v++)
		assert_int_equal(is_dns_refusal((enum verdict)v), v == DROP_DNS_NAME || v == DROP_DNS_REBIND ||
								      v == DROP_DNS_ECH || v == DROP_NAMES_FULL);
	struct tcp_segment s = { .flags = SYN, .peer = RESOLVER_IP, .port = 53 };
	move_segment(&nw, &s);
	assert_int_equal(refuse_it(FROM_GUEST, DROP_DNS_NAME, to, &length), -1);
	for (uint32_t cut = 1; cut < 30; cut++) { /* not even the question is there */
		ask(&nw, "evil.example", DNS_A);
		nw.w.length -= cut;
		assert_int_equal(refuse_it(FROM_GUEST, DROP_DNS_NAME, to, &length), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(questions, set_up),
		cmocka_unit_test_setup(answers, set_up),
		cmocka_unit_test_setup(what_gets_none, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
