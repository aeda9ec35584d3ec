/* When DHCP questions count as unanswered, and which cause is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/learn4/lease.h"
#include "softnet/hints/asking.h"

#include <cmocka.h>

enum { START = 1000000, SECOND = 1000 };

static struct asking asking;
static struct config config;
static struct options options;
static struct state state;
static struct counters counters;
static uint64_t now_ms;

static int set_up(void **unused)
{
	(void)unused;
	memset(&asking, 0, sizeof asking);
	memset(&config, 0, sizeof config);
	memset(&options, 0, sizeof options);
	memset(&state, 0, sizeof state);
	memset(&counters, 0, sizeof counters);
	now_ms = START;
	return 0;
}

static enum asking_news look(void)
{
	return follow_questions(&asking, &state, &counters, now_ms);
}

/* Looks once a second for so long; how often it was time to tell. */
static int told_in(int seconds)
{
	int told = 0;
	for (int i = 0; i < seconds; i++) {
		now_ms += SECOND;
		told += look() == STILL_UNANSWERED;
	}
	return told;
}

static const char *hint(void)
{
	static char text[HINT_TEXT];
	assert_true(asking.since_ms != 0);
	const struct trust trust = { { &config, &state, now_ms }, &options };
	return why_unanswered(&asking, &trust, &counters, text);
}

static void must_say(const char *words)
{
	if (!strstr(hint(), words))
		fail_msg("\"%s\" is not in: %s", words, hint());
}

/* The guest sends, again and again under the same id. */
static struct transaction *ask(enum transaction_kind kind)
{
	return open_transaction(&state, 7, kind, 1, now_ms);
}

static void answer(void)
{
	struct transaction *t = find_transaction(&state, 7, now_ms);
	t->done = 1;
	t->deadline_ms = now_ms + TRANSACTION_DONE_MS;
	state.ipv4[0] = (struct binding){ .address = address_of_ipv4(0x0a000005),
					  .state = BINDING_BOUND,
					  .expires_ms = now_ms + 600 * SECOND };
}

/* An IPv4 packet over UDP; the rest of it is of no interest. */
static void drop(enum direction direction, unsigned verdict, uint8_t from_port, uint8_t to_port, uint8_t header_words)
{
	uint8_t bytes[100] = { 255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 0, 0, 10, 8, 0, 0x40 | header_words };
	bytes[23] = 17;
	memcpy(bytes + 26, (uint8_t[]){ 192, 168, 77, 9, 192, 168, 77, 10 }, 8);
	bytes[14 + header_words * 4 + 1] = from_port;
	bytes[14 + header_words * 4 + 3] = to_port;
	count_drop(&counters, direction, verdict, 1, now_ms);
	keep_specimen(&counters, direction, verdict, &(struct frame){ .bytes = bytes, .length = sizeof bytes }, now_ms);
}

static void told_after_ten_seconds_and_each_minute(void **unused)
{
	(void)unused;
	assert_int_equal(told_in(100), 0);
	assert_int_equal(asking.since_ms, 0);
	for (int second = 0; second <= 200; second++) {
		now_ms += SECOND;
		ask(TRANSACTION_DISCOVER);
		bool is_time = second == 10 || second == 70 || second == 130 || second == 190;
		assert_int_equal(look(), is_time ? STILL_UNANSWERED : NO_NEWS);
	}
	answer();
	assert_int_equal(look(), ANSWERED_AT_LAST);
	assert_int_equal(asking.since_ms, 0);
	assert_int_equal(told_in(100), 0);
}

static void answered_in_time_is_no_news(void **unused)
{
	(void)unused;
	ask(TRANSACTION_DISCOVER);
	assert_int_equal(told_in(9), 0);
	ask(TRANSACTION_SELECT);
	answer();
	assert_int_equal(look(), NO_NEWS);
	assert_int_equal(told_in(100), 0);
}

static void who_gives_up_is_not_answered(void **unused)
{
	(void)unused;
	ask(TRANSACTION_REBOOT);
	assert_int_equal(told_in(12), 1);
	now_ms += TRANSACTION_LIFE_MS;
	assert_int_equal(look(), NO_NEWS);
	assert_int_equal(asking.since_ms, 0);
}

static void a_boot_loader_that_was_left_unanswered(void **unused)
{
	(void)unused;
	open_transaction(&state, 3, TRANSACTION_DISCOVER, 2, now_ms);
	now_ms += 2 * SECOND;
	ask(TRANSACTION_DISCOVER);
	answer();
	assert_int_equal(look(), NO_NEWS);
	assert_int_equal(told_in(60), 0);
}

static void a_guest_that_boots_again_and_hears_nothing(void **unused)
{
	(void)unused;
	ask(TRANSACTION_DISCOVER);
	answer();
	look();
	now_ms += 20 * SECOND;
	ask(TRANSACTION_RENEW); /* has time */
	assert_int_equal(told_in(20), 0);
	ask(TRANSACTION_DISCOVER); /* has forgotten the lease */
	assert_int_equal(told_in(12), 1);
	ask(TRANSACTION_SELECT);
	answer();
	assert_int_equal(look(), ANSWERED_AT_LAST);
}

static void a_renewal_without_a_lease(void **unused)
{
	(void)unused;
	ask(TRANSACTION_RENEW);
	assert_int_equal(told_in(12), 1);
	ask(TRANSACTION_INFORM);
	now_ms += TRANSACTION_LIFE_MS + 1;
	ask(TRANSACTION_INFORM); /* is about an address that the guest has */
	assert_int_equal(told_in(60), 0);
}

static void questions_that_the_guard_drops(void **unused)
{
	(void)unused;
	drop(FROM_GUEST, DROP_DHCP4_CHADDR, 68, 67, 5);
	assert_int_equal(told_in(30), 0); /* once: perhaps it gave an address back */
	drop(FROM_GUEST, DROP_DHCP4_CHADDR, 68, 67, 5);
	assert_int_equal(told_in(5), 1);
	must_say("the guard drops the VM's questions (dhcp4-chaddr)");
	must_say("they ask for another MAC address than that of --vm-mac-address");
	assert_int_equal(told_in(70), 1); /* it is over after a minute */
	assert_int_equal(asking.since_ms, 0);
}

static void the_reason_of_the_last_question_counts(void **unused)
{
	(void)unused;
	for (int i = 0; i < 12; i++, now_ms += SECOND) {
		drop(FROM_GUEST, DROP_DST_PRIVATE, 68, 68, 5);    /* no question */
		drop(FROM_GUEST, DROP_ETH_SRC_SPOOF, 68, 67, 15); /* options in the header */
		look();
	}
	must_say("(eth-src-spoof): they come from another MAC address than that of --vm-mac-address");
	must_say("or --vm-mac-address 52:54:00:00:00:0a");
	now_ms += SECOND;
	drop(FROM_GUEST, DROP_DHCP4_DISABLED, 68, 67, 5);
	must_say("(dhcp4-disabled): they are not wanted (--no-dhcp)");
	now_ms += SECOND;
	drop(FROM_GUEST, DROP_RATE_DHCP, 68, 67, 5);
	must_say("(rate-dhcp): they are too many: --rate dhcp=20/100");
	ask(TRANSACTION_DISCOVER); /* one got out */
	look();
	must_say("nothing at all");
}

static void dropped_questions_of_a_guest_with_a_lease(void **unused)
{
	(void)unused;
	state.ipv4[0] = (struct binding){ .state = BINDING_STATIC, .expires_ms = UINT64_MAX };
	for (int i = 0; i < 60; i++, now_ms += SECOND) {
		drop(FROM_GUEST, DROP_DHCP4_DISABLED, 68, 67, 5);
		assert_int_equal(look(), NO_NEWS);
	}
	assert_int_equal(asking.since_ms, 0);
}

/* A DHCP message of the VM that is long enough to be understood. */
static void drop_message(unsigned verdict, uint8_t type, uint32_t ciaddr)
{
	uint8_t bytes[300] = { 255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 0, 0, 10, 8, 0, 0x45 };
	bytes[23] = 17;
	bytes[35] = 68;
	bytes[37] = 67;
	bytes[42] = 1;
	bytes[54] = (uint8_t)(ciaddr >> 24);
	memcpy(bytes + 278, (uint8_t[]){ 99, 130, 83, 99, 53, 1, type }, 7);
	count_drop(&counters, FROM_GUEST, verdict, 1, now_ms);
	keep_specimen(&counters, FROM_GUEST, verdict, &(struct frame){ .bytes = bytes, .length = sizeof bytes }, now_ms);
}

/* An installer or another system was started, and the lease of the one before still runs. */
static void a_guest_that_boots_anew_beside_its_old_lease(void **unused)
{
	static const struct {
		unsigned verdict;
		uint8_t type;
		uint32_t ciaddr;
		bool asks;
	} cases[] = {
		{ DROP_DHCP4_CLIENT_ID_LIMIT, 1, 0, true },
		{ DROP_DHCP4_CLIENT_ID_LIMIT, 3, 0, true },
		{ DROP_DHCP_HOSTNAME, 1, 0, true },
		{ DROP_DHCP4_CLIENT_ID_LIMIT, 3, 0x0a000005, false }, /* renews */
		{ DROP_DHCP4_NOT_OWNER, 7, 0x0a000005, false },       /* gives it back */
		{ DROP_DHCP4_FORM, 8, 0, false },
		{ DROP_ETH_SRC_SPOOF, 1, 0, false }, /* a container in it */
		{ DROP_DHCP4_CHADDR, 1, 0, false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int told = 0;
		set_up(unused);
		ask(TRANSACTION_DISCOVER);
		answer();
		for (int second = 0; second < 25; second++, now_ms += SECOND) {
			if (second % 4 == 2)
				drop_message(cases[i].verdict, cases[i].type, cases[i].ciaddr);
			told += look() == STILL_UNANSWERED;
		}
		assert_int_equal(told, cases[i].asks);
		if (cases[i].verdict == DROP_DHCP4_CLIENT_ID_LIMIT && cases[i].asks)
			must_say("--rate newid=1/32");
		ask(TRANSACTION_DISCOVER);
		answer();
		look();
		assert_int_equal(asking.since_ms, 0);
	}
}

/* RFC 8925: said once, and then left alone. */
static void a_network_that_prefers_ipv6(void **unused)
{
	int told = 0;
	(void)unused;
	for (int i = 0; i < 300; i++, now_ms += SECOND) {
		ask(TRANSACTION_DISCOVER)->prefers_ipv6 = 1;
		told += look() == STILL_UNANSWERED;
	}
	assert_int_equal(told, 1);
	must_say("the server's offer prefers IPv6 only");
	assert_true(ask(TRANSACTION_DISCOVER)->prefers_ipv6);
}

/* From the least telling cause to the most. */
static void each_cause_in_its_order(void **unused)
{
	(void)unused;
	ask(TRANSACTION_DISCOVER);
	assert_int_equal(told_in(11), 1);
	must_say("nothing at all arrives");

	drop(TO_GUEST, DROP_L2_NOT_FOR_GUEST, 53, 53, 5);
	look();
	must_say("no DHCP answer: no server runs there, or a firewall");

	drop(TO_GUEST, DROP_DHCP4_CLIENT, 68, 67, 5);
	drop(TO_GUEST, DROP_DHCP4_NOT_FOR_GUEST, 67, 68, 5);
	look();
	must_say("a server answers other machines");

	find_transaction(&state, 7, now_ms)->offered = address_of_ipv4(0x0a000005);
	must_say("10.0.0.5 was offered, and then the VM did not ask for it");
	ask(TRANSACTION_SELECT);
	must_say("10.0.0.5 was offered, and then the server did not confirm it");

	count_drop(&counters, TO_GUEST, DROP_QUEUE_FULL, 1, now_ms);
	look();
	must_say("the VM does not take");

	count_drop(&counters, FROM_GUEST, DROP_WRITE_ERROR, 1, now_ms);
	look();
	must_say("the uplink does not take");

	drop(TO_GUEST, DROP_DHCP4_BAD_LEASE, 43, 68, 5);
	must_say(
	    "a server answers, and the guard drops it (dhcp4-bad-lease): lease whose address or time cannot be used");

	now_ms++;
	drop(TO_GUEST, DROP_BINDING_CLAIMED, 67, 68, 5);
	must_say("a server leases what another VM of this host has (binding-claimed): give each VM a DHCP client "
		 "identifier of");

	now_ms++;
	drop(TO_GUEST, DROP_DHCP4_PORT_MISUSE, 43, 68, 5);
	must_say("(dhcp4-port-misuse): it comes from UDP port 43 to 192.168.77.10: let the server answer from port 67");

	state.learned.servers[0] = (struct locked){ .macs = { { 1 }, 1, 0 },
						    .until_ms = now_ms + SECOND }; /* another one is, since it was first */
	drop(TO_GUEST, DROP_DHCP4_ROGUE_SERVER, 67, 68, 5);
	must_say("the server that answers is not trusted: it is 192.168.77.9 at 52:54:00:00:00:0a");
	must_say("guard.relearn");
}

/* What was before the question, or over a minute ago, says nothing about it. */
static void old_evidence(void **unused)
{
	(void)unused;
	drop(TO_GUEST, DROP_DHCP4_ROGUE_SERVER, 67, 68, 5);
	count_drop(&counters, FROM_GUEST, DROP_QUEUE_FULL, 1, now_ms);
	look();
	now_ms += 5 * SECOND;
	ask(TRANSACTION_DISCOVER);
	look();
	must_say("nothing at all arrives");
	drop(TO_GUEST, DROP_DHCP4_ROGUE_SERVER, 67, 68, 5);
	look();
	must_say("the answer of the server 192.168.77.9 (dhcp4-rogue-server)");
	now_ms += 60 * SECOND;
	ask(TRANSACTION_DISCOVER);
	now_ms += 10 * SECOND;
	look();
	must_say("nothing at all arrives");
}

/* Specimens of every length and of any octets; the sanitizers see what is read beyond. */
static void frames_that_are_cut_off(void **unused)
{
	(void)unused;
	ask(TRANSACTION_DISCOVER);
	for (uint32_t length = 0; length <= 60; length++) {
		drop(TO_GUEST, DROP_DHCP4_ROGUE_SERVER, 67, 68, 5);
		drop(FROM_GUEST, DROP_DHCP4_FORM, 68, 67, (uint8_t)(length % 16));
		counters.last[TO_GUEST][DROP_DHCP4_ROGUE_SERVER].kept = length;
		counters.last[FROM_GUEST][DROP_DHCP4_FORM].kept = length;
		look();
		assert_true(strlen(hint()) < HINT_TEXT - 1);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(told_after_ten_seconds_and_each_minute),
		TEST(answered_in_time_is_no_news),
		TEST(who_gives_up_is_not_answered),
		TEST(a_boot_loader_that_was_left_unanswered),
		TEST(a_guest_that_boots_again_and_hears_nothing),
		TEST(a_renewal_without_a_lease),
		TEST(questions_that_the_guard_drops),
		TEST(the_reason_of_the_last_question_counts),
		TEST(dropped_questions_of_a_guest_with_a_lease),
		TEST(a_guest_that_boots_anew_beside_its_old_lease),
		TEST(a_network_that_prefers_ipv6),
		TEST(each_cause_in_its_order),
		TEST(old_evidence),
		TEST(frames_that_are_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
