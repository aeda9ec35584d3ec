/* Events: what each says, how many there can be, and that every one withheld is accounted for. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "softnet/events/announce.h"
#include "softnet/events/drop_events.h"
#include "softnet/events/name_events.h"

#include <cmocka.h>

enum { NOW = 1000000, SECOND = 1000, MINUTE = 60000 };
#define VM_MAC    0x525400000007
#define OTHER_MAC 0x52540000000aULL

static const struct address ipv4 = { 0, MAPPED_IPV4 | 0x0a000005 }, server = { 0, MAPPED_IPV4 | 0x0a000001 };

static char path[64];
static struct announcer announcer;
static struct drop_events events;
static struct counters counters;
static struct control control;

static int set_up(void **unused)
{
	struct error error;
	struct options options = { .name = "web", .events = { path }, .event_count = 1 };
	(void)unused;
	strcpy(path, "/tmp/test_announce.XXXXXX");
	close(mkstemp(path));
	memset(&events, 0, sizeof events);
	memset(&counters, 0, sizeof counters);
	prepare_control(&control, NULL, NULL);
	assert_true(start_announcer(&announcer, &control, &options, NOW, &error));
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	close_announcer(&announcer);
	close_control(&control);
	return unlink(path);
}

/* All lines of the file as an array of objects: each must be one, with the keys that all have. */
static json_t *told(void)
{
	json_t *list = json_array();
	static char line[EVENT_LINE_MAX + 1];
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(object);
		assert_int_equal(strlen(json_string_value(json_object_get(object, "time"))), 24);
		assert_string_equal(json_string_value(json_object_get(object, "vm")), "web");
		assert_true(json_is_string(json_object_get(object, "event")));
		json_array_append_new(list, object);
	}
	fclose(file);
	return list;
}

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *word(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* The last line, without what differs each time. */
static void must_have_told(const char *keys)
{
	json_t *list = told();
	json_t *last = json_array_get(list, json_array_size(list) - 1);
	json_object_del(last, "time");
	json_object_del(last, "vm");
	json_object_del(last, "pid");
	json_object_del(last, "version");
	char *text = json_dumps(last, JSON_COMPACT);
	assert_string_equal(text, keys);
	free(text);
	json_decref(list);
}

/* Dropped now, as the relay accounts for it. */
static void drop(enum direction direction, unsigned verdict, uint64_t now_ms)
{
	static const uint8_t frame[60] = { 255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 0, 0, 10, 8, 6 };
	bool is_first = counters.verdicts[direction][verdict] == 0;
	count_drop(&counters, direction, verdict, 1, now_ms);
	keep_specimen(&counters, direction, verdict, &(struct frame){ .bytes = frame, .length = sizeof frame }, now_ms);
	if (is_first)
		announce_first_drop(&events, &announcer, &counters, direction, verdict, now_ms);
}

static void what_was_learned(void **unused)
{
	const struct {
		struct event event;
		const char *keys;
	} cases[] = {
		{ { .kind = EVENT_LEASE_NEW, .address = ipv4, .server = server, .mac = MAC_NONE, .expires_ms = NOW + 3600000 },
		  "{\"event\":\"lease-new\",\"address\":\"10.0.0.5\",\"server\":\"10.0.0.1\",\"mac\":null,\"seconds\":"
		  "3600,"
		  "\"why\":null}" },
		{ { .kind = EVENT_LEASE_LOST, .address = ipv4, .mac = MAC_NONE, .expires_ms = NOW - 1, .why = "released" },
		  "{\"event\":\"lease-lost\",\"address\":\"10.0.0.5\",\"server\":null,\"mac\":null,\"seconds\":0,"
		  "\"why\":\"released\"}" },
		{ { .kind = EVENT_SERVER_LEARNED, .address = server, .mac = OTHER_MAC, .expires_ms = NEVER_EXPIRES },
		  "{\"event\":\"server-learned\",\"address\":\"10.0.0.1\",\"server\":null,\"mac\":\"52:54:00:00:00:"
		  "0a\","
		  "\"seconds\":null,\"why\":null}" },
		{ { .kind = EVENT_PREFIX_LEARNED,
		    .address = { 0x20010db800000000ULL, 0 },
		    .prefix_length = 64,
		    .expires_ms = NOW + 1000 },
		  "{\"event\":\"prefix-learned\",\"address\":\"2001:db8::\",\"length\":64,\"seconds\":1}" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		announce_learned(&announcer, &cases[i].event, NOW);
		must_have_told(cases[i].keys);
	}
}

static void what_the_guard_does(void **unused)
{
	(void)unused;
	announce_start(&announcer, VM_MAC, "fd:0", "tap:\xff\n", NOW); /* a name in no encoding that we know */
	must_have_told(
	    "{\"event\":\"started\",\"mac\":\"52:54:00:00:00:07\",\"guest\":\"fd:0\",\"uplink\":\"tap:??\"}");
	announce_policy(&announcer, 3, 1, NOW);
	must_have_told("{\"event\":\"policy-changed\",\"allow\":3,\"block\":1}");
	announce_port(&announcer, "slirp", "slirp ended and was started again", NOW);
	must_have_told("{\"event\":\"port\",\"port\":\"slirp\",\"what\":\"slirp ended and was started again\"}");
	announce_state_file(&announcer, &(struct state_file){ .path = "/x", .kept = STATE_STALE }, NOW);
	must_have_told(
	    "{\"event\":\"state-file\",\"file\":\"/x\",\"kept\":\"stale\",\"what\":\"it cannot be written, and holds "
	    "what is no longer so: remove it before softnet is started again\"}");
	announce_claim(&announcer,
		       &(struct claim_conflict){ .address = address_of_ipv4(0x0a000005), .pid = 7, .vm = "web1" }, NOW);
	must_have_told("{\"event\":\"binding-claimed\",\"address\":\"10.0.0.5\",\"holder\":\"other\",\"guard\":"
		       "\"web1\",\"user\":0}");
	announce_no_answer(&announcer, 10, "nothing", NOW);
	must_have_told("{\"event\":\"no-dhcp-answer\",\"seconds\":10,\"hint\":\"nothing\"}");
	announce_answer(&announcer, 12, NOW);
	must_have_told("{\"event\":\"dhcp-answered\",\"seconds\":12}");
	announce_gateway(&announcer, address_of_ipv4(0x0a000001), "why", NOW);
	must_have_told("{\"event\":\"no-gateway-answer\",\"address\":\"10.0.0.1\",\"hint\":\"why\"}");
	announce_gateway(&announcer, address_of_ipv4(0x0a000001), NULL, NOW);
	must_have_told("{\"event\":\"gateway-answered\",\"address\":\"10.0.0.1\"}");
	announce_stop(&announcer, "stopped by a signal", NOW);
	must_have_told("{\"event\":\"stopped\",\"why\":\"stopped by a signal\"}");
	json_t *numbers = json_events(&announcer);
	assert_int_equal(number(numbers, "told"), 10);
	assert_int_equal(number(numbers, "withheld") + number(numbers, "lost"), 0);
	json_decref(numbers);
}

static void the_first_drop_and_then_one_a_minute(void **unused)
{
	(void)unused;
	for (int i = 0; i < 150; i++) { /* seconds */
		drop(FROM_GUEST, DROP_DST_PRIVATE, NOW + (uint64_t)i * SECOND);
		announce_drops(&events, &announcer, &counters, false, NOW + (uint64_t)i * SECOND);
	}
	json_t *list = told();
	const json_int_t counts[] = { 1, 60, 60 };
	assert_int_equal(json_array_size(list), 3);
	for (size_t i = 0; i < 3; i++) {
		json_t *event = json_array_get(list, i);
		assert_string_equal(word(event, "event"), "drop");
		assert_string_equal(word(event, "side"), "guest");
		assert_string_equal(word(event, "reason"), "dst-private");
		assert_string_equal(word(event, "meaning"), verdict_meaning(DROP_DST_PRIVATE));
		assert_true(json_is_string(json_object_get(event, "frame")));
		assert_int_equal(number(event, "count"), counts[i]);
	}
	assert_int_equal(number(json_array_get(list, 2), "total"), 121);
	json_decref(list);

	announce_drops(&events, &announcer, &counters, true, NOW + 150 * SECOND);
	list = told();
	assert_int_equal(number(json_array_get(list, 3), "count"), 29);
	assert_int_equal(number(json_array_get(list, 3), "total"), 150);
	json_decref(list);
}

static void a_full_queue_has_no_frame(void **unused)
{
	(void)unused;
	count_drop(&counters, TO_GUEST, DROP_QUEUE_FULL, 5, NOW);
	count_drop(&counters, TO_GUEST, DROP_WRITE_ERROR, 0, NOW);
	/* But a time: else a rate would be put down to another reason. */
	assert_int_equal(counters.last[TO_GUEST][DROP_QUEUE_FULL].dropped_ms, NOW);
	assert_int_equal(counters.last[TO_GUEST][DROP_WRITE_ERROR].dropped_ms, 0);
	announce_drops(&events, &announcer, &counters, false, NOW);
	must_have_told(
	    "{\"event\":\"drop\",\"side\":\"uplink\",\"reason\":\"queue-full\",\"meaning\":\"the receiver's queue was "
	    "full\",\"count\":5,\"total\":5,\"frame\":null}");
}

static void who_claims_what_is_not_its_own(void **unused)
{
	const struct {
		enum direction direction;
		unsigned verdict;
		const char *event;
	} cases[] = {
		{ TO_GUEST, DROP_ARP_CLAIMS_GUEST, "binding-conflict" },
		{ TO_GUEST, DROP_ND_CLAIMS_GUEST, "binding-conflict" },
		{ TO_GUEST, DROP_DHCP4_ROGUE_SERVER, "rogue-server" },
		{ TO_GUEST, DROP_RA_UNTRUSTED, "rogue-server" },
		{ TO_GUEST, DROP_ARP_GATEWAY_SPOOF, "rogue-server" },
		{ TO_GUEST, DROP_UNSOLICITED, "drop" },
		{ FROM_GUEST, DROP_ARP_GATEWAY_SPOOF, "drop" }, /* the guest itself is no other machine */
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		drop(cases[i].direction, cases[i].verdict, NOW);
		json_t *list = told();
		json_t *last = json_array_get(list, json_array_size(list) - 1);
		bool is_plain = strcmp(cases[i].event, "drop") == 0;
		assert_string_equal(word(last, "event"), cases[i].event);
		assert_string_equal(word(last, "source"), is_plain ? "" : "52:54:00:00:00:0a");
		assert_int_equal(json_object_size(last), 9 + !is_plain);
		json_decref(list);
	}
}

/* A million drops for every reason there is, in ten minutes. */
static void a_flood_is_a_bounded_number_of_lines(void **unused)
{
	enum { SECONDS = 600, DROPS = 1000000, KINDS = DIRECTIONS * (VERDICTS - FIRST_DROP), PRESSING = 13 };
	uint64_t now_ms = NOW;
	(void)unused;
	for (int i = 0; i < DROPS; i++) {
		drop(i % 2 ? FROM_GUEST : TO_GUEST, FIRST_DROP + (unsigned)(i / 2) % (VERDICTS - FIRST_DROP), now_ms);
		if (i % (DROPS / SECONDS) == DROPS / SECONDS - 1) {
			now_ms += SECOND;
			announce_drops(&events, &announcer, &counters, false, now_ms);
		}
	}
	json_t *list = told();
	uint64_t in_bucket = 0, pressing = 0, withheld = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *event = json_array_get(list, i);
		if (strcmp(word(event, "event"), "drop") == 0)
			in_bucket++;
		else
			pressing++;
		withheld += (uint64_t)number(event, "withheld");
	}
	assert_true(in_bucket <= 100 + SECONDS && in_bucket > 100 + SECONDS - 10);
	assert_true(pressing >= PRESSING * (SECONDS / 60) && pressing <= PRESSING * (SECONDS / 60 + 1));
	assert_true(announcer.withheld > KINDS);
	assert_int_equal(withheld + announcer.untold, announcer.withheld);
	assert_int_equal(announcer.told, in_bucket + pressing);
	assert_int_equal(announcer.told, json_array_size(list));
	assert_int_equal(lost_events(&announcer), 0);
	json_decref(list);
}

/* What was withheld is in the count of the next one. */
static void no_drop_is_forgotten(void **unused)
{
	uint64_t now_ms = NOW;
	(void)unused;
	for (int minute = 0; minute < 20; minute++, now_ms += MINUTE) {
		for (unsigned i = FIRST_DROP; i < VERDICTS; i++) {
			drop(FROM_GUEST, i, now_ms);
			drop(TO_GUEST, i, now_ms);
		}
		announce_drops(&events, &announcer, &counters, false, now_ms);
	}
	assert_true(announcer.withheld > 0);
	for (int i = 0; i < 10; i++) /* the bucket fills again */
		announce_drops(&events, &announcer, &counters, true, now_ms += 100 * SECOND);
	uint64_t counted = 0;
	json_t *list = told();
	for (size_t i = 0; i < json_array_size(list); i++)
		counted += (uint64_t)number(json_array_get(list, i), "count");
	assert_int_equal(counted, 20 * 2 * (VERDICTS - FIRST_DROP));
	json_decref(list);
}

/* A guest that renews without end cannot hide what others do. */
static void what_is_pressing_is_told_however_full_the_bucket(void **unused)
{
	const struct event renewed = {
		.kind = EVENT_LEASE_RENEWED, .address = ipv4, .mac = MAC_NONE, .expires_ms = NOW + 1
	};
	(void)unused;
	for (int i = 0; i < 1000; i++)
		announce_learned(&announcer, &renewed, NOW);
	assert_int_equal(announcer.told, 100);
	drop(TO_GUEST, DROP_ARP_CLAIMS_GUEST, NOW);
	announce_policy(&announcer, 0, 0, NOW);
	announce_stop(&announcer, "x", NOW);
	assert_int_equal(announcer.told, 103);
	json_t *list = told();
	assert_int_equal(number(json_array_get(list, 100), "withheld"), 900);
	assert_null(json_object_get(json_array_get(list, 101), "withheld"));
	json_decref(list);
}

static void a_port_that_comes_and_goes(void **unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++)
		announce_port(&announcer, "stream:x", "connected again", NOW + (uint64_t)i * 100);
	assert_int_equal(announcer.told, 8);
	assert_int_equal(announcer.withheld, 92);
	announce_port(&announcer, "stream:x", "connected again", NOW + MINUTE);
	assert_int_equal(announcer.told, 9);
}

/* Nothing is made for nobody; and who begins to listen hears of what comes. */
static void listeners_come_later(void **unused)
{
	int pair[2];
	char text[4096];
	(void)unused;
	close_announcer(&announcer);
	assert_false(is_heard(&announcer));
	for (int i = 0; i < 1000; i++)
		drop(FROM_GUEST, DROP_DST_PRIVATE, NOW);
	announce_drops(&events, &announcer, &counters, false, NOW);
	announce_stop(&announcer, "x", NOW);
	assert_int_equal(announcer.told + announcer.withheld, 0);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	open_client(&control.operators[0], pair[0], true, NULL);
	control.operators[0].is_subscribed = true;
	assert_true(is_heard(&announcer));
	announce_drops(&events, &announcer, &counters, false, NOW + SECOND);
	assert_int_equal(announcer.told, 0);
	drop(FROM_GUEST, DROP_DST_PRIVATE, NOW + SECOND);
	announce_drops(&events, &announcer, &counters, false, NOW + 2 * SECOND);
	assert_int_equal(announcer.told, 1);
	assert_true(move_octets(&control.operators[0]));
	ssize_t n = recv(pair[1], text, sizeof text - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	text[n] = '\0';
	json_t *heard = json_loads(text, 0, NULL);
	const json_t *params = json_object_get(heard, "params");
	assert_string_equal(word(heard, "method"), "guard.event");
	assert_int_equal(number(params, "count"), 1);
	assert_int_equal(number(params, "total"), 1001);
	assert_true(json_is_integer(json_object_get(params, "missed")));
	json_decref(heard);

	announce_stop(&announcer, "the end", NOW + 2 * SECOND);
	close_control(&control); /* what is queued goes out first */
	n = recv(pair[1], text, sizeof text - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	text[n] = '\0';
	assert_non_null(strstr(text, "the end"));
	close(pair[1]);
}

static struct name_events name_events;

/* The same thing of the same name is told once a minute; any other at once. */
static void what_names_find_out(void **unused)
{
	static const struct name_rules rules = { .pattern_count = 1,
						 .pattern = { { .name = { 7, "example" }, .is_zone = 1 } } };
	static const struct name name = { 9, "a.example" };
	struct name_event event = {
		.kind = NAME_SEEN, .name = &name, .peer = ipv4, .port = 443, .protocol = 17, .naming = NAMED_IN_QUIC
	};
	(void)unused;
	memset(&name_events, 0, sizeof name_events);
	tell_name(&name_events, &announcer, &event, &rules, NOW);
	must_have_told("{\"event\":\"name-seen\",\"name\":\"a.example\",\"address\":\"10.0.0.5\",\"protocol\":\"udp\","
		       "\"port\":443,\"by\":\"quic\",\"reason\":null,\"rule\":\"*.example\"}");
	tell_name(&name_events, &announcer, &event, &rules, NOW + MINUTE - 1);
	assert_int_equal(announcer.told, 1);
	tell_name(&name_events, &announcer, &event, &rules, NOW + MINUTE);
	assert_int_equal(announcer.told, 2);
	event =
	    (struct name_event){ .kind = NAME_REFUSED, .peer = server, .pattern = NO_PATTERN, .verdict = DROP_DNS_NAME };
	tell_name(&name_events, &announcer, &event, &rules, NOW + MINUTE);
	must_have_told("{\"event\":\"name-refused\",\"name\":null,\"address\":\"10.0.0.1\",\"protocol\":null,"
		       "\"port\":null,\"by\":null,\"reason\":\"dns-name\",\"rule\":null}");
}

/* Names of a guest's choice leave room for what is told beside them. */
static void many_names(void **unused)
{
	(void)unused;
	memset(&name_events, 0, sizeof name_events);
	for (uint16_t port = 1; port <= 1000; port++) {
		struct name_event event = { .kind = NAME_REFUSED, .peer = server, .port = port, .pattern = NO_PATTERN };
		tell_name(&name_events, &announcer, &event, NULL, NOW);
	}
	assert_true(announcer.told <= 50 && announcer.withheld + announcer.told == 1000);
	uint64_t before = announcer.told;
	announce_learned(&announcer, &(struct event){ .kind = EVENT_LEASE_NEW, .address = ipv4 }, NOW);
	assert_true(announcer.told == before + 1);
}

/* What is learned is told once by its table, so none of it may be withheld. */
static void many_learned(void **unused)
{
	const struct name name = { 9, "a.example" };
	(void)unused;
	memset(&name_events, 0, sizeof name_events);
	for (int i = 0; i < 1000; i++) {
		struct name_event event = {
			.kind = NAME_ASKED_FOR, .name = &name, .pattern = NO_PATTERN, .is_learned = true
		};
		tell_name(&name_events, &announcer, &event, NULL, NOW);
	}
	assert_int_equal(announcer.told, 1000);
	struct name_event event = { .kind = NAME_SEEN,
				    .peer = ipv4,
				    .port = 22,
				    .protocol = 6,
				    .naming = NAMED_BY_ADDRESS,
				    .shown = &name,
				    .pattern = NO_PATTERN,
				    .is_learned = true };
	tell_name(&name_events, &announcer, &event, NULL, NOW);
	must_have_told("{\"event\":\"name-seen\",\"name\":null,\"address\":\"10.0.0.5\",\"protocol\":\"tcp\","
		       "\"port\":22,\"by\":\"address\",\"reason\":null,\"rule\":null,\"shown\":\"a.example\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_learned),
		TEST(what_the_guard_does),
		TEST(the_first_drop_and_then_one_a_minute),
		TEST(a_full_queue_has_no_frame),
		TEST(who_claims_what_is_not_its_own),
		TEST(a_flood_is_a_bounded_number_of_lines),
		TEST(no_drop_is_forgotten),
		TEST(what_is_pressing_is_told_however_full_the_bucket),
		TEST(a_port_that_comes_and_goes),
		TEST(what_names_find_out),
		TEST(many_names),
		TEST(many_learned),
		TEST(listeners_come_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
