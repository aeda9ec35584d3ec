/* The reader of DNS: what a message says, and that every doubt is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "core/names/read/dns.h"
#include "octets.h"

#include <cmocka.h>

static struct octets o;
static struct dns_answer answer;
static struct dns_query query;

static void put_dotted(const char *name)
{
	while (*name != '\0') {
		uint32_t label = (uint32_t)strcspn(name, ".");
		put_value(&o, label, 1);
		put_octets(&o, name, label);
		name += label + (name[label] == '.');
	}
	put_value(&o, 0, 1);
}

static void start(uint16_t flags, uint16_t questions, uint16_t answers, uint16_t authorities, uint16_t additional)
{
	o.length = 0;
	put_value(&o, 0x1234, 2);
	put_value(&o, flags, 2);
	put_value(&o, questions, 2);
	put_value(&o, answers, 2);
	put_value(&o, authorities, 2);
	put_value(&o, additional, 2);
}

static void put_question(const char *name, uint16_t type)
{
	put_dotted(name);
	put_value(&o, type, 2);
	put_value(&o, DNS_CLASS_IN, 2);
}

enum { TO_QUESTION = 0xc00c };

/* Type, class, time to live; the length of what follows is filled in by end_length(). */
static uint32_t put_type(uint16_t type, uint32_t ttl_s)
{
	put_value(&o, type, 2);
	put_value(&o, DNS_CLASS_IN, 2);
	put_value(&o, ttl_s, 4);
	put_value(&o, 0, 2);
	return o.length - 2;
}

static void put_record(const char *owner, uint16_t type, uint32_t ttl_s, const char *hex)
{
	if (!owner)
		put_value(&o, TO_QUESTION, 2);
	else
		put_dotted(owner);
	uint32_t at = put_type(type, ttl_s);
	put_hex(&o, hex);
	end_length(&o, at, 2);
}

static void put_cname(const char *owner, const char *target, uint32_t ttl_s)
{
	put_dotted(owner);
	uint32_t at = put_type(DNS_CNAME, ttl_s);
	put_dotted(target);
	end_length(&o, at, 2);
}

static void put_option(void)
{
	put_hex(&o, "0000290400000000000000");
}

static bool parse_query(void)
{
	struct frame frame = exact_frame(o.bytes, o.length);
	bool parsed = parse_dns_query(&frame, 0, frame.length, &query);
	free((void *)frame.bytes);
	return parsed;
}

/* In the middle of a frame, so that pointers must count from the message. */
static bool parse_answer(void)
{
	struct octets in = { .length = 0 };
	put_hex(&in, "ffffffffffffff");
	put_octets(&in, o.bytes, o.length);
	struct frame frame = exact_frame(in.bytes, in.length);
	bool parsed = parse_dns_answer(&frame, 7, frame.length, &answer);
	free((void *)frame.bytes);
	return parsed;
}

static void assert_name(const struct name *name, const char *text)
{
	assert_int_equal(name->length, strlen(text));
	assert_memory_equal(name->text, text, name->length);
}

static void questions(void **state)
{
	(void)state;
	start(0x0120, 1, 0, 0, 1);
	put_question("API.GitHub.com", DNS_AAAA);
	uint32_t end = o.length;
	put_option();
	assert_true(parse_query());
	assert_int_equal(query.id, 0x1234);
	assert_true(query.wants_recursion && query.has_edns && query.question.is_host);
	assert_name(&query.question.name, "api.github.com");
	assert_int_equal(query.question.type, DNS_AAAA);
	assert_int_equal(query.question_end, end);
	put_value(&o, 0, 1);
	assert_false(parse_query()); /* something behind it */
	o.length -= 2;
	assert_false(parse_query());
	static const uint16_t flags[] = { 0x8000, 0x2800, 0x0200 }; /* an answer; UPDATE; truncated */
	for (int i = 0; i < 3; i++) {
		start(flags[i], 1, 0, 0, 0);
		put_question("a.example", DNS_A);
		assert_false(parse_query());
	}
	start(0x0100, 2, 0, 0, 0);
	put_question("a.example", DNS_A);
	put_question("b.example", DNS_A);
	assert_false(parse_query());
	start(0x0100, 1, 1, 0, 0);
	put_question("a.example", DNS_A);
	put_record("b.example", 16, 0, "00");
	assert_false(parse_query());
	start(0x0100, 1, 0, 0, 1);
	put_question("a.example", DNS_A);
	put_record("b.example", 16, 0, "00"); /* text in the place of OPT */
	assert_false(parse_query());
	start(0x0100, 1, 0, 0, 0);
	put_value(&o, TO_QUESTION, 2); /* points to itself */
	put_value(&o, DNS_A, 2);
	put_value(&o, DNS_CLASS_IN, 2);
	assert_false(parse_query());
}

/* A dot or a zero inside of a label is no host's. */
static void odd_labels(void **state)
{
	(void)state;
	static const char *const odd[] = { "0a6769746875622e636f6d00",
					   "0667697400756203636f6d00",
					   "04a0a1a2a303636f6d00",
					   "00",
					   "0131013200",
					   "05612a622e6300" };
	for (uint32_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		start(0x0100, 1, 0, 0, 0);
		put_hex(&o, odd[i]);
		put_value(&o, DNS_A, 2);
		put_value(&o, DNS_CLASS_IN, 2);
		assert_true(parse_query());
		assert_false(query.question.is_host);
	}
	start(0x0100, 1, 0, 0, 0);
	put_hex(&o, "41610362636400"); /* RFC 2673, a bit label */
	put_value(&o, DNS_A, 2);
	put_value(&o, DNS_CLASS_IN, 2);
	assert_false(parse_query());
	for (uint8_t octets = 63; octets <= 64; octets++) { /* RFC 1035 2.3.4 */
		start(0x0100, 1, 0, 0, 0);
		put_value(&o, octets, 1);
		for (uint8_t i = 0; i < octets; i++)
			put_value(&o, 'a', 1);
		put_value(&o, 0, 1);
		put_value(&o, DNS_A, 2);
		put_value(&o, DNS_CLASS_IN, 2);
		assert_int_equal(parse_query(), octets == 63);
	}
}

static void long_names(void **state)
{
	(void)state;
	for (uint32_t last = 61; last <= 62; last++) { /* RFC 1035 2.3.4: 255 octets and not one more */
		start(0x0100, 1, 0, 0, 0);
		for (int i = 0; i < 3; i++) {
			put_value(&o, 63, 1);
			for (int j = 0; j < 63; j++)
				put_value(&o, 'a', 1);
		}
		put_value(&o, last, 1);
		for (uint32_t j = 0; j < last; j++)
			put_value(&o, 'a', 1);
		put_value(&o, 0, 1);
		put_value(&o, DNS_A, 2);
		put_value(&o, DNS_CLASS_IN, 2);
		assert_int_equal(parse_query(), last == 61);
		if (last == 61)
			assert_int_equal(query.question.name.length, NAME_MAX_OCTETS);
	}
}

static void addresses_at_the_chains_end(void **state)
{
	(void)state;
	start(0x8180, 1, 5, 0, 1);
	put_question("www.example.com", DNS_A);
	put_record("b.cdn.example", DNS_A, 500, "01020304");
	put_cname("a.cdn.example", "B.cdn.example", 40); /* in any order */
	put_cname("www.EXAMPLE.com", "a.cdn.example", 300);
	put_record("b.cdn.example", DNS_AAAA, 20, "20010db8000000000000000000000001");
	put_record("www.example.com", DNS_A, 500, "05060708"); /* beside a CNAME nothing else can be */
	put_option();
	assert_true(parse_answer());
	assert_int_equal(answer.id, 0x1234);
	assert_true(answer.has_question && !answer.is_truncated && !answer.has_ech);
	assert_int_equal(answer.address_count, 2);
	assert_true(same_address(answer.addresses[0].address, address_of_ipv4(0x01020304)));
	assert_int_equal(answer.addresses[0].ttl_s, 40);
	assert_true(answer.addresses[1].address.high == 0x20010db800000000ULL && answer.addresses[1].address.low == 1);
	assert_int_equal(answer.addresses[1].ttl_s, 20);
	assert_int_equal(answer.alias_count, 2);
	assert_name(&answer.aliases[0].name, "a.cdn.example");
	assert_int_equal(answer.aliases[0].ttl_s, 300);
	assert_name(&answer.aliases[1].name, "b.cdn.example");
	assert_int_equal(answer.aliases[1].ttl_s, 40);
}

/* The target is compressed against the question, the owner against the target. */
static void pointers(void **state)
{
	(void)state;
	start(0x8180, 1, 2, 0, 0);
	put_question("www.example.com", DNS_A);
	put_value(&o, TO_QUESTION, 2);
	uint32_t at = put_type(DNS_CNAME, 60), target = o.length;
	put_hex(&o, "03636468c010"); /* cdh.example.com */
	end_length(&o, at, 2);
	put_value(&o, 0xc000 + target, 2);
	at = put_type(DNS_A, 60);
	put_hex(&o, "01010101");
	end_length(&o, at, 2);
	assert_true(parse_answer());
	assert_int_equal(answer.address_count, 1);
	assert_name(&answer.aliases[0].name, "cdh.example.com");
	o.bytes[target + 5] = (uint8_t)target; /* to itself: the label is read once, and then comes the pointer again */
	assert_false(parse_answer());
	o.bytes[target + 5] = 4; /* into the header */
	assert_false(parse_answer());
	o.bytes[target + 4] = 0xff; /* far behind the end */
	assert_false(parse_answer());
}

static void chains_that_do_not_end(void **state)
{
	(void)state;
	char owner[] = "a.example", target[] = "a.example";
	for (int links = 1; links <= 10; links++) {
		start(0x8180, 1, (uint16_t)(links + 1), 0, 0);
		put_question("a.example", DNS_A);
		for (int i = 0; i < links; i++) {
			owner[0] = (char)('a' + i);
			target[0] = (char)('a' + i + 1);
			put_cname(owner, target, 60);
		}
		put_record(target, DNS_A, 60, "01010101");
		assert_int_equal(parse_answer(), links <= DNS_CHAIN_MAX);
	}
	start(0x8180, 1, 2, 0, 0);
	put_question("a.example", DNS_A);
	put_cname("a.example", "b.example", 60);
	put_cname("b.example", "a.example", 60);
	assert_false(parse_answer());
	start(0x8180, 1, 2, 0, 0);
	put_question("a.example", DNS_A);
	put_cname("a.example", "b.example", 60); /* two ways to go on */
	put_cname("a.example", "c.example", 60);
	assert_false(parse_answer());
	start(0x8180, 1, 2, 0, 0);
	put_question("a.example", DNS_A);
	put_cname("a.example", "b*.example", 60); /* a name that no host has: nothing is learned */
	put_record("b*.example", DNS_A, 60, "01010101");
	assert_true(parse_answer());
	assert_int_equal(answer.address_count + answer.alias_count, 0);
}

static void services(void **state)
{
	(void)state;
	start(0x8180, 1, 1, 0, 0);
	put_question("www.example.com", DNS_HTTPS);
	put_record(NULL, DNS_HTTPS, 300,
		   "000100"
		   "00010003026832"
		   "000400080101010102020202"
		   "0006001020010db8000000000000000000000007");
	assert_true(parse_answer());
	assert_int_equal(answer.address_count, 3);
	assert_false(answer.has_ech);
	assert_int_equal(answer.alias_count, 0);
	assert_int_equal(answer.addresses[2].address.low, 7);
	start(0x8180, 1, 1, 0, 0);
	put_question("www.example.com", DNS_HTTPS);
	put_record(NULL, DNS_HTTPS, 300,
		   "0001"
		   "0161076578616d706c6500"
		   "00050003000001");
	assert_true(parse_answer());
	assert_true(answer.has_ech);
	assert_name(&answer.aliases[0].name, "a.example");
	static const char *const broken[] = {
		"000100"
		"0004000101", /* three octets of an address */
		"000100"
		"000400080101010102020202"
		"00010003026832", /* out of order */
		"000100"
		"00010003026832"
		"00010003026832", /* twice */
		"000100"
		"00040000", /* no address at all */
		"0001c00c"
		"00010003026832", /* compressed */
		"0001",           /* no target */
	};
	for (uint32_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		start(0x8180, 1, 1, 0, 0);
		put_question("www.example.com", DNS_HTTPS);
		put_record(NULL, DNS_HTTPS, 300, broken[i]);
		assert_false(parse_answer());
	}
	start(0x8180, 1, 1, 0, 0);
	put_question("_http._tcp.example.com", DNS_SRV);
	put_record(NULL, DNS_SRV, 300,
		   "0000000001bb"
		   "0161076578616d706c6500");
	assert_true(parse_answer());
	assert_name(&answer.aliases[0].name, "a.example");
}

static void broken_answers(void **state)
{
	(void)state;
	start(0x8180, 1, 1, 0, 0);
	put_question("a.example", DNS_A);
	put_record(NULL, DNS_A, 60, "0101010101"); /* five octets */
	assert_false(parse_answer());
	start(0x8180, 1, 1, 0, 0);
	put_question("a.example", DNS_A);
	put_record(NULL, DNS_A, 60, "01010101");
	assert_true(parse_answer());
	for (; o.length > 0; o.length--) {
		uint8_t last = o.bytes[o.length - 1];
		o.length--;
		assert_false(parse_answer());
		o.bytes[o.length++] = last;
	}
	start(0x8180, 1, 1, 0, 0);
	put_question("a.example", DNS_A);
	put_record(NULL, DNS_A, 60, "01010101");
	put_value(&o, 0, 1);
	assert_false(parse_answer());
	start(0x0100, 1, 0, 0, 0);
	put_question("a.example", DNS_A);
	assert_false(parse_answer()); /* a question */
	start(0x8180, 2, 0, 0, 0);
	put_question("a.example", DNS_A);
	put_question("a.example", DNS_A);
	assert_false(parse_answer());
}

static void what_teaches_nothing(void **state)
{
	(void)state;
	start(0x8380, 1, 9, 0, 0); /* TC: the records may be cut anywhere */
	put_question("a.example", DNS_A);
	put_record(NULL, DNS_A, 60, "01010101");
	assert_true(parse_answer());
	assert_true(answer.is_truncated && answer.address_count == 0);
	start(0x8181, 0, 0, 0, 0); /* FORMERR, without a question */
	assert_true(parse_answer());
	assert_true(!answer.has_question);
	start(0x8183, 1, 0, 1, 0);
	put_question("a.example", DNS_A);
	put_record("example", 6, 60, "00000000000000000000000000000000000000000000");
	assert_true(parse_answer());
	assert_true(answer.has_question && answer.address_count == 0);
	start(0x8180, 1, 1, 0, 0); /* it would be a server's, were it of type SRV */
	put_question("_http._tcp.example.com", DNS_SRV);
	put_record(NULL, DNS_SRV - 1, 300,
		   "0000000001bb"
		   "0161076578616d706c6500");
	assert_true(parse_answer());
	assert_int_equal(answer.alias_count, 0);
	start(0x8180, 1, 0, 1, 1); /* addresses in other sections are hearsay */
	put_question("a.example", DNS_A);
	put_record("a.example", DNS_A, 60, "01010101");
	put_record("a.example", DNS_A, 60, "02020202");
	assert_true(parse_answer());
	assert_int_equal(answer.address_count, 0);
}

static void too_many(void **state)
{
	(void)state;
	for (uint32_t n = DNS_ADDRESSES_MAX; n <= DNS_ADDRESSES_MAX + 1; n++) {
		start(0x8180, 1, (uint16_t)n, 0, 0);
		put_question("a.example", DNS_A);
		for (uint32_t i = 0; i < n; i++)
			put_record(NULL, DNS_A, 60, "01010101");
		assert_int_equal(parse_answer(), n == DNS_ADDRESSES_MAX);
	}
}

static void zones(void **state)
{
	(void)state;
	static const struct {
		const char *name, *zone;
		bool is_below;
	} cases[] = {
		{ "a.example.com", "example.com", true },    { "a.b.example.com", "example.com", true },
		{ "example.com", "example.com", false },     { "aexample.com", "example.com", false },
		{ ".example.com", "example.com", false },    { "com", "example.com", false },
		{ "a.example.com", "b.example.com", false },
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct name name = { 0 }, zone = { 0 };
		for (const char *c = cases[i].name; *c; c++)
			add_to_name(&name, (uint8_t)*c);
		for (const char *c = cases[i].zone; *c; c++)
			add_to_name(&zone, (uint8_t)*c);
		assert_int_equal(is_below(&name, &zone), cases[i].is_below);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions),
		cmocka_unit_test(odd_labels),
		cmocka_unit_test(long_names),
		cmocka_unit_test(addresses_at_the_chains_end),
		cmocka_unit_test(pointers),
		cmocka_unit_test(chains_that_do_not_end),
		cmocka_unit_test(services),
		cmocka_unit_test(broken_answers),
		cmocka_unit_test(what_teaches_nothing),
		cmocka_unit_test(too_many),
		cmocka_unit_test(zones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
