/* What people read of a guard's status: the page as a whole, and whatever a hostile guard may put into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softnet/look/text/claims_text.h"
#include "softnet/look/text/status_text.h"
#include "softnet/look/text/trusted_text.h"

#include <cmocka.h>

enum { TEXT_MAX = 64 << 10, KEYS_MAX = 64, KINDS = 11 };

/* As a guard writes it; ' stands for ". */
static const char good[] =
    "{'version':'0.1.0','pid':4711,'name':'web1','mac':'02:00:00:00:00:05','started':'2026-11-24T04:14:36.183Z',"
    "'uptime':11100,'guest':'fd:4','uplink':'tap:u0','ipv6':'guard','isolation':true,'inbound':'any','stateful':false,"
    "'reject':true,'policy':{'allow':2,'block':1},"
    "'anchors':{'host':[],'servers':[],'resolvers':['9.9.9.9'],'macs':['02:00:00:00:00:01']},"
    "'exposes':[{'expose':'8080:80','state':'in-place'},{'expose':'22:22','state':'failed','why':'port is taken'}],"
    "'addresses':[{'address':'192.168.77.12','origin':'dhcp','state':'bound','seconds':552,'server':'192.168.77.1'},"
    "{'address':'fe80::5','origin':'link-local','state':'tentative','seconds':null,'server':null}],"
    "'servers':[{'address':'192.168.77.1','mac':'02:00:00:00:00:01','seconds':552}],'routers':[],"
    "'passed':{'guest':{'frames':12345,'octets':1200000},'uplink':{'frames':20,'octets':3000}},"
    "'rates':{'seconds':10,'guest':{'frames':12,'octets':1500,'drops':120},'uplink':{'frames':3,'octets':12,'drops':0}}"
    ","
    "'drops':[{'side':'guest','reason':'dst-private','meaning':'no rule allows it','count':4242,'seconds':2,"
    "'frame':'IPv4 192.168.77.12 > 10.0.0.1','rule':'block 10.0.0.0/8'},"
    "{'side':'uplink','reason':'queue-full','meaning':'the other side is full','count':1,'seconds':null,'frame':null}],"
    "'flows':{'established':3,'closing':0},'names':{'of':[{'name':'*.a.org','addresses':2,'flows':1,'octets':12345}]},'"
    "rejections':7,'asking':null,'gateway':null,"
    "'capture':{'file':'/tmp/x.pcapng','frames':17,'octets':1,'lost':2},"
    "'claims':{'segment':'bridge "
    "1:2','seen_by':'all','conflicts':[{'address':'192.168.77.12','holder':'this','guard':'web2',"
    "'pid':99,'user':0,'seconds':3},{'address':'fe80::9','holder':'other','guard':'w\\u00e9b','pid':98,'user':1,'"
    "seconds':4}]},"
    "'state_file':{'file':'/tmp/x.state','kept':'void','what':'it cannot be "
    "written','failed':3},'sandbox':{'mode':'off','system_calls':false,'missing':null,'user':1},'events':{'told':1,'"
    "withheld':0,'lost':5}}";

static const char page[] =
    "web1  02:00:00:00:00:05  pid 4711, user alice, up 3 h 5 min\n"
    "has an address, traffic flows; drops 120/s: dst-private; 192.168.77.12 is wanted by web2 too\n"
    "\n"
    "address    192.168.77.12  dhcp, 9 min left, from 192.168.77.1\n"
    "           fe80::5  link-local, tentative, for ever\n"
    "claims     192.168.77.12 is also wanted by web2 (guard 99), 3 s ago\n"
    "           fe80::9 is held by w??b (guard 98), 4 s ago\n"
    "trusts     DHCP server 192.168.77.1  02:00:00:00:00:01  learned, 9 min left\n"
    "           resolver 9.9.9.9\n"
    "           gateway 02:00:00:00:00:01\n"
    "policy     2 allow, 1 block; inbound any; isolation on; IPv6 guard; reject\n"
    "traffic    from the VM     12 frames/s  12.0 kbit/s    120 drops/s; 12.3 k frames\n"
    "           to   the VM      3 frames/s     96 bit/s      0 drops/s; 20 frames\n"
    "flows      established 3\n"
    "names      *.a.org: addresses 2, flows 1, sent 12.3 k octets\n"
    "exposes    8080:80  in-place\n"
    "           22:22  failed: port is taken\n"
    "capture    /tmp/x.pcapng: 17 frames, 2 lost\n"
    "state      /tmp/x.state: it cannot be written\n"
    "events     5 lost: what they are written to does not take them\n"
    "sandbox    off: whoever gets code to run in this guard has its user's rights\n"
    "ports      guest fd:4, uplink tap:u0\n"
    "\n"
    "drops\n"
    "       2 s ago  from the VM   4242  dst-private\n"
    "    no rule allows it\n"
    "    IPv4 192.168.77.12 > 10.0.0.1\n"
    "    rule: block 10.0.0.0/8\n"
    "             ?  to the VM        1  queue-full\n"
    "    the other side is full\n";

static char text[TEXT_MAX];

static json_t *parse(const char *quoted)
{
	char *copy = strdup(quoted);
	assert_non_null(copy);
	for (char *c = copy; *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	json_t *value = json_loads(copy, JSON_DECODE_ANY, NULL);
	free(copy);
	assert_non_null(value);
	return value;
}

static void a_page(void **unused)
{
	struct sheet sheet = { .text = text, .size = sizeof text };
	json_t *status = parse(good);
	(void)unused;
	write_page(&sheet, status, "alice");
	assert_string_equal(text, page);
	sheet.length = 0;
	write_table_head(&sheet, true, 123);
	write_table_row(&sheet, status, "alice", 123);
	assert_string_equal(
	    text, "VM                    PID USER       ADDRESS              OUT/s       IN/s DROP/s  STATE\n"
		  "web1                 4711 alice      192.168.77.12    12.0 kbit     96 bit    120  "
		  "has an address, traffic flows; drops 120/s: dst-private; 192.168.77.12 is wanted by web2 too\n");
	sheet.length = 0;
	write_table_head(&sheet, true, 122); /* no room beside the facts */
	write_table_row(&sheet, status, "alice", 122);
	assert_string_equal(
	    text, "VM                    PID USER       ADDRESS              OUT/s       IN/s DROP/s\n"
		  "web1                 4711 alice      192.168.77.12    12.0 kbit     96 bit    120\n"
		  "    has an address, traffic flows; drops 120/s: dst-private; 192.168.77.12 is wanted by web2 too\n");
	json_decref(status);
}

static void trusts(const char *server, const char *router, const char *host, const char *expected)
{
	struct sheet sheet = { .text = text, .size = sizeof text };
	json_t *status = parse(good);
	json_t *anchors = json_object_get(status, "anchors");
	json_object_set_new(status, "servers", parse(server));
	json_object_set_new(status, "routers", parse(router));
	json_object_set_new(anchors, "host", parse(host));
	json_object_set_new(anchors, "servers", parse(host));
	json_object_set_new(anchors, "resolvers", parse(host));
	json_object_set_new(anchors, "macs", parse("[]"));
	write_trusted(&sheet, status);
	assert_string_equal(text, expected);
	json_decref(status);
}

/* A line for each machine, and two where what was learned of it differs. */
static void whom_it_trusts(void **unused)
{
	static const char one[] = "[{'address':'10.0.0.1','mac':'02:00:00:00:00:01','seconds':60}]";
	(void)unused;
	trusts("[]", "[]", "['10.0.0.1','fd00::1']",
	       "trusts     host, DHCP server, resolver 10.0.0.1\n"
	       "           host, DHCP server, resolver fd00::1\n");
	trusts(one, one, "['10.0.0.1']",
	       "trusts     DHCP server, router, host, resolver 10.0.0.1  02:00:00:00:00:01  learned, 60 s left\n");
	trusts(one, "[{'address':'10.0.0.1','mac':'02:00:00:00:00:02','seconds':60}]", "[]",
	       "trusts     DHCP server 10.0.0.1  02:00:00:00:00:01  learned, 60 s left\n"
	       "           router 10.0.0.1  02:00:00:00:00:02  learned, 60 s left\n");
	trusts("[]", "[]", "[]", "trusts     nobody yet\n");
}

/* As it is when nobody else wants its addresses. */
static json_t *parse_alone(void)
{
	json_t *status = parse(good);
	json_object_set_new(status, "claims", json_null());
	return status;
}

/* What a network says to all, all day, is no trouble of this VM. */
static void everyday_drops(void **unused)
{
	static const char *const everyday[] = { "rs-to-guest", "l2-not-for-guest", "dhcp4-client-to-guest",
						"dhcp4-not-for-guest" };
	(void)unused;
	for (size_t i = 0; i < sizeof everyday / sizeof *everyday; i++) {
		json_t *status = parse_alone();
		json_t *drop = json_array_get(json_object_get(status, "drops"), 0);
		json_object_set_new(drop, "reason", json_string(everyday[i]));
		assert_string_equal(format_situation(status).text, "has an address, traffic flows");
		json_decref(status);
	}
}

/* The status with one key changed, in words. */
static void stands(const char *key, const char *value, const char *expected)
{
	json_t *status = parse_alone();
	json_object_set_new(status, key, parse(value));
	assert_string_equal(format_situation(status).text, expected);
	json_decref(status);
}

static void how_it_stands(void **unused)
{
	(void)unused;
	stands("name", "'web1'", "has an address, traffic flows; drops 120/s: dst-private");
	stands("drops", "[]", "has an address, traffic flows");
	stands("asking", "{'seconds':42,'hint':'no server has answered'}",
	       "asks for an address and gets no answer for 42 s: no server has answered");
	stands("gateway", "{'seconds':42,'hint':'another machine answers'}",
	       "has an address, but its gateway's answers are dropped for 42 s: another machine answers");
	json_t *asks = parse_alone();
	char longest[400];
	snprintf(longest, sizeof longest, "%0379d --gateway-mac a,b", 0); /* as long as a hint can be */
	json_object_set_new(asks, "asking", json_pack("{s:i, s:s}", "seconds", 42, "hint", longest));
	assert_non_null(strstr(format_situation(asks).text, longest));
	json_decref(asks);
	stands("away", "{'guest':null,'uplink':'nobody is there'}", "the network is away: nobody is there");
	stands("away", "{'guest':'nobody has come','uplink':null}", "the VM is away: nobody has come");
	json_t *lost = parse_alone();
	json_object_set_new(lost, "away", parse("{'guest':'nobody has come','uplink':'it is closed; waiting'}"));
	json_object_set_new(lost, "away_for", parse("{'guest':9,'uplink':3}"));
	assert_string_equal(format_situation(lost).text, "the network is away for 3 s: it is closed; waiting");
	json_decref(lost);
	stands("addresses", "[]", "has no address; drops 120/s: dst-private");
	stands("addresses", "[{'address':'fe80::5','origin':'link-local','state':'bound'}]",
	       "has no address; drops 120/s: dst-private");
	json_t *six = parse_alone();
	json_object_set_new(six, "addresses", json_array());
	json_object_set_new(six, "routers", parse("[{'address':'fe80::1','mac':'02:00:00:00:00:01','seconds':60}]"));
	assert_string_equal(format_situation(six).text, "has no address but those of IPv6 that its MAC address makes, "
							"traffic flows; drops 120/s: dst-private");
	json_object_set_new(six, "gateway", parse("{'seconds':42,'hint':'why'}"));
	assert_string_equal(format_situation(six).text, "has the addresses of IPv6 that its MAC address makes, but its "
							"gateway's answers are dropped for 42 s: why");
	json_object_set_new(six, "gateway", json_null());
	json_object_set_new(six, "ipv6", json_string("off"));
	assert_string_equal(format_situation(six).text, "has no address; drops 120/s: dst-private");
	json_decref(six);
	stands("rates", "{'guest':{'frames':1}}",
	       "has an address, sends and hears nothing; drops now and then: dst-private");
	stands("rates", "{'guest':{'frames':1,'silent':1},'uplink':{'frames':1,'silent':4}}",
	       "has an address, sends and hears nothing; drops now and then: dst-private");
	stands("rates", "{'guest':{'frames':1,'silent':1},'uplink':{'frames':1,'silent':3}}",
	       "has an address, traffic flows; drops now and then: dst-private");
	stands("rates", "{'guest':{'frames':1,'silent':5},'uplink':{'frames':1,'silent':5}}",
	       "has an address, traffic flows; drops now and then: dst-private");
	stands("rates", "{'uplink':{'frames':1}}",
	       "has an address, hears and sends nothing; drops now and then: dst-private");
	stands("claims", "{'conflicts':[{'address':'10.0.0.5','holder':'other','guard':'web1'}]}",
	       "has an address, traffic flows; drops 120/s: dst-private; 10.0.0.5 is held by web1");
	json_t *fresh = parse("{'passed':{'guest':{'frames':0}},'drops':[]}");
	assert_string_equal(format_situation(fresh).text, "no frame from the VM yet");
	json_decref(fresh);
}

static void what_two_have(void **unused)
{
	static const char *const said[] = {
		"{'name':'a','claims':{'segment':'x'},'addresses':[{'address':'10.0.0.5'},{'address':'10.0.0.6'}]}",
		"{'name':'b','claims':{'segment':'x'},'addresses':[{'address':'10.0.0.5'},{'address':'10.0.0.7'}]}",
		"{'name':'c','claims':{'segment':'y'},'addresses':[{'address':'10.0.0.6'}]}", /* another network */
		"{'name':'d','claims':null,'addresses':[{'address':'10.0.0.6'}]}",            /* alone on it */
		"{'name':'e','claims':{'segment':null},'addresses':[{'address':'10.0.0.6'},{'address':7},3]}",
		"{'name':'f','claims':{'segment':'x'},'addresses':[{'address':'10.0.0.9'},{'address':'10.0.0.7'}]}",
		"{'name':'g','claims':{'segment':'x'},'addresses':[{'address':'10.0.0.9'}]}", /* of strangers both */
		"{'name':'h','claims':[],'addresses':{}}",
		"7",
		"{'name':'i','claims':{'segment':'x'},'addresses':[{'address':'10.0.0.1','shared':true}]}",
		"{'name':'j','claims':{'segment':'x'},'addresses':[{'address':'10.0.0.1','shared':true}]}",
		"{'name':'k','claims':{'segment':'x'},'addresses':[{'address':'10.0.0.2','shared':true}]}", /* only one says so */
		"{'name':'l','claims':{'segment':'x'},'addresses':[{'address':'10.0.0.2'}]}",
	};
	struct stated_claims guards[13];
	struct sheet sheet = { .text = text, .size = sizeof text };
	(void)unused;
	for (int i = 0; i < 13; i++)
		guards[i] = (struct stated_claims){ parse(said[i]), i < 5 || i > 8 };
	text[0] = '\0';
	write_doubles(&sheet, guards, 13);
	assert_string_equal(text, "\n10.0.0.2 is held by two: k and l\n10.0.0.5 is held by two: a and b\n"
				  "10.0.0.7 is held by two: b and f\n");
	sheet.length = 0;
	text[0] = '\0';
	write_doubles(&sheet, guards, 1);
	write_doubles(&sheet, guards, 0);
	assert_string_equal(text, "");
	for (int i = 0; i < 13; i++)
		json_decref((json_t *)(uintptr_t)guards[i].status);
}

static void amounts_and_spans(void **unused)
{
	static const struct {
		uint64_t n;
		const char *amount, *bits, *span;
	} cases[] = {
		{ 0, "0", "0 bit", "0 s" },
		{ 119, "119", "952 bit", "119 s" },
		{ 120, "120", "960 bit", "2 min" },
		{ 9999, "9999", "79.9 kbit", "2 h 46 min" },
		{ 10000, "10.0 k", "80.0 kbit", "2 h 46 min" },
		{ 99999, "99.9 k", "799 kbit", "1 d 3 h" },
		{ 999999, "999 k", "7.9 Mbit", "11 d 13 h" },
		{ 1000000, "1.0 M", "8.0 Mbit", "11 d 13 h" },
		{ UINT64_MAX, "18.4 E", "18.4 Ebit", "213503982334601 d 7 h" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_string_equal(format_amount(cases[i].n).text, cases[i].amount);
		assert_string_equal(format_bits(cases[i].n).text, cases[i].bits);
		assert_string_equal(format_span(cases[i].n).text, cases[i].span);
	}
}

/* Everything that is shown of it is printable and within bounds. */
static void show(const json_t *status)
{
	struct sheet sheet = { .text = text, .size = sizeof text };
	write_page(&sheet, status, NULL);
	write_table_row(&sheet, status, "alice", 80);
	write_drop(&sheet, status, "somebody", true);
	write_to(&sheet, "%s\n", format_situation(status).text);
	assert_true(sheet.length > 0 && sheet.length < sizeof text && text[sheet.length] == '\0');
	for (size_t i = 0; i < sheet.length; i++)
		assert_true(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
}

static json_t *spoilt_value(int kind)
{
	static char huge[100000];
	json_t *list;
	switch (kind) {
	case 0:
		return json_null();
	case 1:
		return json_true();
	case 2:
		return json_string("\033[2J\033]0;title\a\r\n\x7f\302\233 %s%n");
	case 3:
		return json_integer(INT64_MAX);
	case 4:
		return json_integer(INT64_MIN);
	case 5:
		return json_real(1e300);
	case 6:
		return json_object();
	case 7:
		return json_array();
	case 8:
		memset(huge, 'x', sizeof huge - 1);
		return json_string(huge);
	case 9:
		list = json_array();
		for (int i = 0; i < 1000; i++)
			json_array_append_new(list, json_pack("{s:s, s:i}", "address", "\033[2J", "seconds", i));
		return list;
	case 10:
		return json_pack("{s:s, s:{s:s}}", "\033[2J", "\033[2J", "guest", "octets", "\n");
	default:
		return NULL;
	}
}

/* The keys first: their order changes on the way. */
static size_t keys_of(const json_t *object, char *keys[KEYS_MAX])
{
	const char *key;
	const json_t *value;
	size_t count = 0;
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		assert_true(count < KEYS_MAX);
		keys[count] = strdup(key);
		assert_non_null(keys[count++]);
	}
	return count;
}

static int spoil(json_t *root, json_t *node)
{
	char *keys[KEYS_MAX];
	size_t i, count = keys_of(node, keys);
	json_t *value;
	int shown = 0;
	for (i = 0; i < count; i++) {
		json_t *before = json_incref(json_object_get(node, keys[i]));
		for (int kind = 0; kind < KINDS; kind++, shown++) {
			json_object_set_new(node, keys[i], spoilt_value(kind));
			show(root);
		}
		json_object_del(node, keys[i]);
		show(root);
		json_object_set_new(node, keys[i], before);
		shown += spoil(root, before);
		free(keys[i]);
	}
	json_array_foreach(node, i, value)
	{
		json_t *before = json_incref(value);
		for (int kind = 0; kind < KINDS; kind++, shown++) {
			json_array_set_new(node, i, spoilt_value(kind));
			show(root);
		}
		json_array_set_new(node, i, before);
		shown += spoil(root, before);
	}
	return shown;
}

static void whatever_a_guard_says(void **unused)
{
	json_t *status = parse(good);
	(void)unused;
	assert_in_range(spoil(status, status), 1000, 10000);
	for (int kind = 0; kind < KINDS; kind++) {
		json_t *value = spoilt_value(kind);
		show(value);
		json_decref(value);
	}
	json_decref(status);
}

static void what_does_not_fit_is_left_out(void **unused)
{
	json_t *status = parse(good);
	(void)unused;
	for (size_t size = 1; size < sizeof page + 10; size++) {
		char *small = malloc(size);
		struct sheet sheet = { .text = small, .size = size };
		write_page(&sheet, status, "alice");
		assert_true(sheet.length < size && strlen(small) == sheet.length);
		free(small);
	}
	json_decref(status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page),
		cmocka_unit_test(whom_it_trusts),
		cmocka_unit_test(everyday_drops),
		cmocka_unit_test(how_it_stands),
		cmocka_unit_test(what_two_have),
		cmocka_unit_test(amounts_and_spans),
		cmocka_unit_test(whatever_a_guard_says),
		cmocka_unit_test(what_does_not_fit_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
