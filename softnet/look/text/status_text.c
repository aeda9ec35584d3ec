/* A guard.status as people read it: what a tired operator wants first stands first. */
#include "softnet/look/text/status_text.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "softnet/look/text/claims_text.h"
#include "softnet/look/text/trusted_text.h"
#include "system/text.h"

enum { DROPS_SHOWN = 10, RECENT_S = 10, SILENT_S = 4 };

static bool is_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static const json_t *side_of(const json_t *status, const char *key, const char *side)
{
	return json_object_get(json_object_get(status, key), side);
}

/* --- in a few words --- */

/* What machines of a network say to each other all day, and a bridge brings to everybody: no trouble of this VM. */
static bool is_trouble(const json_t *drop)
{
	static const char *const everyday[] = { "rs-to-guest", "l2-not-for-guest", "dhcp4-client-to-guest",
						"dhcp4-not-for-guest" };
	for (size_t i = 0; i < sizeof everyday / sizeof *everyday; i++)
		if (strcmp(word_of(drop, "reason").text, everyday[i]) == 0)
			return false;
	return true;
}

/* The most frequent reason of those by which something was dropped just now. */
static const json_t *recent_drop(const json_t *status)
{
	size_t i;
	const json_t *drop, *found = NULL;
	const json_t *drops = json_object_get(status, "drops");
	json_array_foreach(drops, i, drop) if (json_is_integer(json_object_get(drop, "seconds")) &&
					       number_of(drop, "seconds") < RECENT_S && is_trouble(drop) &&
					       (!found || number_of(drop, "count") > number_of(found, "count")))
	    found = drop;
	return found;
}

static struct word dropping(const json_t *status)
{
	uint64_t rate = number_of(side_of(status, "rates", "guest"), "drops") +
			number_of(side_of(status, "rates", "uplink"), "drops");
	const json_t *drop = recent_drop(status);
	if (!drop)
		return word("%s", "");
	if (rate == 0)
		return word("; drops now and then: %.40s", word_of(drop, "reason").text);
	return word("; drops %s/s: %.40s", format_amount(rate).text, word_of(drop, "reason").text);
}

/* What else is wrong, but does not cut it off by itself. */
static struct word besides(const json_t *status)
{
	const json_t *ground = json_object_get(status, "ground");
	bool has_warning = json_is_string(json_object_get(ground, "warning"));
	return word("%s%s%.150s", dropping(status).text, has_warning ? "; " : "",
		    has_warning ? word_of(ground, "warning").text : "");
}

static const char *traffic(const json_t *status)
{
	bool sends = number_of(side_of(status, "rates", "guest"), "frames") > 0;
	bool hears = number_of(side_of(status, "rates", "uplink"), "frames") > 0;
	/* Rates look back ten seconds; what has ended since then is told sooner. */
	if (sends && hears && number_of(side_of(status, "rates", "guest"), "silent") < SILENT_S / 2 &&
	    number_of(side_of(status, "rates", "uplink"), "silent") >= SILENT_S)
		hears = false;
	return sends && hears ? "traffic flows"
	       : sends        ? "sends and hears nothing"
	       : hears        ? "hears and sends nothing"
			      : "is quiet";
}

/* Not only IPv6 made from its own MAC, which every VM has. */
static bool has_address(const json_t *status)
{
	size_t i;
	const json_t *one;
	json_array_foreach(json_object_get(status, "addresses"), i,
			   one) if (strcmp(word_of(one, "origin").text, "link-local") != 0 &&
				    strcmp(word_of(one, "state").text, "tentative") != 0) return true;
	return false;
}

/* Of the VM, passed or dropped. */
static bool has_sent(const json_t *status)
{
	size_t i;
	const json_t *drop;
	json_array_foreach(json_object_get(status, "drops"), i,
			   drop) if (strcmp(word_of(drop, "side").text, "guest") == 0) return true;
	return number_of(side_of(status, "passed", "guest"), "frames") > 0;
}

/* A VM may use those without asking anybody, so no list has them, and nobody knows whether it does. */
static bool may_make_addresses(const json_t *status)
{
	size_t i;
	const json_t *router;
	json_array_foreach(json_object_get(status, "routers"), i,
			   router) if (strchr(word_of(router, "address").text,
					      ':')) return strcmp(word_of(status, "ipv6").text, "off") != 0;
	return false;
}

static const char made_by_mac[] = "but those of IPv6 that its MAC address makes";
static const char may_have_address[] = "has the addresses of IPv6 that its MAC address makes";

static struct word away_for(const json_t *status, const char *side)
{
	const json_t *seconds = side_of(status, "away_for", side);
	return json_is_integer(seconds)
		   ? word(" for %s", format_span(number_of(json_object_get(status, "away_for"), side)).text)
		   : word("%s", "");
}

/* Nobody measures what passes. */
static struct word situation_of_left(const json_t *status, const json_t *left)
{
	if (!is_true(left, "stands"))
		return word("NOT GUARDED: its programs are no longer at %.20s, so everything passes",
			    word_of(left, "interface").text);
	return word("guarded by the kernel alone%s", dropping(status).text);
}

static struct word situation_of(const json_t *status)
{
	const json_t *left = json_object_get(status, "left");
	if (json_is_object(left))
		return situation_of_left(status, left);
	const json_t *asking = json_object_get(status, "asking"), *away = json_object_get(status, "away");
	if (json_is_string(json_object_get(away, "uplink")))
		return word("the network is away%s: %s", away_for(status, "uplink").text, word_of(away, "uplink").text);
	if (json_is_string(json_object_get(away, "guest")))
		return word("the VM is away%s: %s", away_for(status, "guest").text, word_of(away, "guest").text);
	if (json_is_object(asking))
		return word("asks for an address and gets no answer for %s: %s",
			    format_span(number_of(asking, "seconds")).text, word_of(asking, "hint").text);
	const json_t *gateway = json_object_get(status, "gateway");
	if (json_is_object(gateway) && has_sent(status))
		return word("%s, but its gateway's answers are dropped for %s: %s",
			    has_address(status)          ? "has an address"
			    : may_make_addresses(status) ? may_have_address
							 : "has no address",
			    format_span(number_of(gateway, "seconds")).text, word_of(gateway, "hint").text);
	if (!has_sent(status))
		return word("no frame from the VM yet%s", besides(status).text);
	if (!has_address(status) && may_make_addresses(status))
		return word("has no address %s, %s%s", made_by_mac, traffic(status), besides(status).text);
	if (!has_address(status))
		return word("has no address%s", besides(status).text);
	return word("has an address, %s%s", traffic(status), besides(status).text);
}

struct word format_situation(const json_t *status)
{
	return word("%s%s", situation_of(status).text, format_claims(status).text);
}

static const char *color_of(const json_t *status)
{
	const json_t *away = json_object_get(status, "away");
	bool is_away = json_is_string(json_object_get(away, "uplink")) ||
		       json_is_string(json_object_get(away, "guest"));
	bool is_in_vain = json_is_object(json_object_get(status, "asking")) ||
			  json_is_object(json_object_get(status, "gateway"));
	const json_t *left = json_object_get(status, "left");
	bool is_bare = json_is_object(left) && !is_true(left, "stands");
	if (is_away || is_in_vain || is_bare)
		return "\033[31m";
	return recent_drop(status) ? "\033[33m" : has_address(status) ? "\033[32m" : "";
}

static void write_situation(struct sheet *sheet, const json_t *status)
{
	const char *color = sheet->is_colored ? color_of(status) : "";
	write_to(sheet, "%s%s%s\n", color, format_situation(status).text, color[0] != '\0' ? "\033[0m" : "");
}

/* --- a page --- */

static void write_addresses(struct sheet *sheet, const json_t *status)
{
	size_t i;
	const json_t *one;
	const char *name = "address";
	json_array_foreach(json_object_get(status, "addresses"), i, one)
	{
		struct word state = word_of(one, "state");
		bool has_server = json_is_string(json_object_get(one, "server"));
		if (i < LIST_SHOWN)
			write_to(sheet, "%-10s %.40s  %.20s%s%s%.20s, %s%s%.40s\n", label(&name),
				 word_of(one, "address").text, word_of(one, "origin").text,
				 is_true(one, "shared") ? ", shared with others" : "",
				 strcmp(state.text, "bound") == 0 ? "" : ", ",
				 strcmp(state.text, "bound") == 0 ? "" : state.text, left_of(one).text,
				 has_server ? ", from " : "", has_server ? word_of(one, "server").text : "");
	}
	if (*name != '\0')
		write_to(sheet, "%-10s none%s%s\n", name, may_make_addresses(status) ? " " : "",
			 may_make_addresses(status) ? made_by_mac : "");
}

static void write_policy(struct sheet *sheet, const json_t *status)
{
	const json_t *policy = json_object_get(status, "policy");
	write_to(sheet, "%-10s %.20s allow, %.20s block; inbound %.20s; isolation %s; IPv6 %.20s%s\n", "policy",
		 word_of(policy, "allow").text, word_of(policy, "block").text, word_of(status, "inbound").text,
		 is_true(status, "isolation") ? "on" : "off", word_of(status, "ipv6").text,
		 is_true(status, "reject") ? "; reject" : "");
}

/* Other VMs that rules name. */
static void write_vms(struct sheet *sheet, const json_t *status)
{
	const char *name, *label_text = "vm:";
	json_t *addresses;
	json_object_foreach(json_object_get(status, "vms"), name, addresses)
	{
		const json_t *first = json_array_get(addresses, 0);
		size_t count = json_array_size(addresses);
		struct word more = count > 1 ? word(" and %zu more", count - 1) : word("%s", "");
		write_to(sheet, "%-10s %.63s  %.40s%.20s\n", label(&label_text), word("%s", name).text,
			 first ? word_in(first).text : "no address now", more.text);
	}
}

static void write_traffic(struct sheet *sheet, const json_t *status)
{
	static const char *const sides[][3] = { { "guest", "traffic", "from" }, { "uplink", "", "to" } };
	for (int i = 0; i < 2; i++) {
		const json_t *rate = side_of(status, "rates", sides[i][0]),
			     *passed = side_of(status, "passed", sides[i][0]);
		write_to(sheet, "%-10s %-4s the VM %6s frames/s %10s/s %6s drops/s; %s frames\n", sides[i][1],
			 sides[i][2], format_amount(number_of(rate, "frames")).text,
			 format_bits(number_of(rate, "octets")).text, format_amount(number_of(rate, "drops")).text,
			 format_amount(number_of(passed, "frames")).text);
	}
}

/* Where the uplink stands, as far as it can tell. */
static void write_ground(struct sheet *sheet, const json_t *status)
{
	const json_t *ground = json_object_get(status, "ground");
	bool has_bridge = json_is_string(json_object_get(ground, "bridge"));
	if (!json_is_object(ground))
		return;
	write_to(sheet, "%-10s %.20s%s%.20s, %s%s%s; MTU %.10s\n", "uplink", word_of(ground, "interface").text,
		 has_bridge ? " in " : "", has_bridge ? word_of(ground, "bridge").text : "",
		 is_true(ground, "up") ? "up" : "down", is_true(ground, "carrier") ? "" : ", no carrier",
		 !has_bridge                   ? ""
		 : is_true(ground, "isolated") ? ", isolated"
					       : ", not isolated",
		 word_of(ground, "mtu").text);
}

static void write_flows(struct sheet *sheet, const json_t *status)
{
	const char *class;
	json_t *count, *flows = json_object_get(status, "flows");
	uint64_t sum = 0;
	json_object_foreach(flows, class, count) sum += json_integer_value(count) > 0;
	if (sum == 0)
		return;
	write_to(sheet, "%-10s", "flows");
	json_object_foreach(flows, class, count) if (json_integer_value(count) > 0)
	    write_to(sheet, " %.24s %s", word("%s", class).text, word_in(count).text);
	write_to(sheet, "\n");
}

enum { NAMES_SHOWN = 16, WAYS_SHOWN = 4, WAYS_TEXT = 80 };

/* "by tls/443 quic/443, " while it is learned. */
static const char *format_ways(const json_t *one, char text[WAYS_TEXT])
{
	size_t i, length = 0;
	const json_t *way, *ways = json_object_get(one, "reached");
	text[0] = '\0';
	json_array_foreach(ways, i, way)
	{
		if (i < WAYS_SHOWN && json_is_string(way))
			length += (size_t)snprintf(text + length, WAYS_TEXT - length, "%s%.12s", i == 0 ? "by " : " ",
						   json_string_value(way));
	}
	if (length > 0)
		snprintf(text + length, WAYS_TEXT - length, "%s", i > WAYS_SHOWN ? " ..., " : ", ");
	make_printable(text);
	return text;
}

static void write_names(struct sheet *sheet, const json_t *status)
{
	char ways[WAYS_TEXT];
	size_t i;
	const json_t *one, *names = json_object_get(status, "names"), *list = json_object_get(names, "of");
	bool learns = strcmp(word_of(names, "mode").text, "learn") == 0;
	if (learns)
		write_to(sheet, "%-10s learned: nothing is refused because of names\n", "names");
	json_array_foreach(list, i, one)
	{
		if (i < NAMES_SHOWN)
			write_to(sheet, "%-10s %.80s: %saddresses %.20s, flows %.20s, sent %.20s octets\n",
				 i == 0 && !learns ? "names" : "", word_of(one, "name").text, format_ways(one, ways),
				 word_of(one, "addresses").text, word_of(one, "flows").text,
				 format_amount(number_of(one, "octets")).text);
	}
	if (i > NAMES_SHOWN)
		write_to(sheet, "%10s %zu more: --json has them\n", "", i - NAMES_SHOWN);
}

static void write_exposes(struct sheet *sheet, const json_t *status)
{
	size_t i;
	const json_t *one;
	const char *name = "exposes";
	json_array_foreach(json_object_get(status, "exposes"), i, one)
	{
		bool has_why = json_is_string(json_object_get(one, "why"));
		if (i < LIST_SHOWN)
			write_to(sheet, "%-10s %.60s  %.20s%s%.120s\n", label(&name), word_of(one, "expose").text,
				 word_of(one, "state").text, has_why ? ": " : "",
				 has_why ? word_of(one, "why").text : "");
	}
}

/* Only where something is missing. */
static void write_sandbox(struct sheet *sheet, const json_t *status)
{
	const json_t *sandbox = json_object_get(status, "sandbox");
	bool is_off = strcmp(word_of(sandbox, "mode").text, "off") == 0;
	if (is_off)
		write_to(sheet, "%-10s off: whoever gets code to run in this guard has its user's rights\n", "sandbox");
	else if (json_is_string(json_object_get(sandbox, "missing")))
		write_to(sheet, "%-10s %.120s\n", "sandbox", word_of(sandbox, "missing").text);
}

/* Only what was asked for, and lost events even so; of the state file only that it fails. */
static void write_recorded(struct sheet *sheet, const json_t *status)
{
	const json_t *capture = json_object_get(status, "capture"), *events = json_object_get(status, "events");
	const json_t *kept = json_object_get(status, "state_file");
	if (json_is_object(capture))
		write_to(sheet, "%-10s %s: %s frames%s\n", "capture", word_of(capture, "file").text,
			 format_amount(number_of(capture, "frames")).text,
			 number_of(capture, "lost") > 0 ? word(", %" PRIu64 " lost", number_of(capture, "lost")).text
							: "");
	if (json_is_object(kept) && strcmp(word_of(kept, "kept").text, "kept") != 0)
		write_to(sheet, "%-10s %s: %s\n", "state", word_of(kept, "file").text, word_of(kept, "what").text);
	if (number_of(events, "lost") > 0)
		write_to(sheet, "%-10s %" PRIu64 " lost: what they are written to does not take them\n", "events",
			 number_of(events, "lost"));
}

void write_drop(struct sheet *sheet, const json_t *drop, const char *who, bool with_meaning)
{
	bool is_guests = strcmp(word_of(drop, "side").text, "guest") == 0;
	struct word ago = json_is_integer(json_object_get(drop, "seconds"))
			      ? word("%s ago", format_span(number_of(drop, "seconds")).text)
			      : word("?");
	struct word from = word("%s %.40s", is_guests ? "from" : "to", who ? who : "the VM");
	write_to(sheet, "%14s  %-11s %6s  %s\n", ago.text, from.text, format_amount(number_of(drop, "count")).text,
		 word_of(drop, "reason").text);
	if (with_meaning)
		write_to(sheet, "    %s\n", word_of(drop, "meaning").text);
	if (json_is_string(json_object_get(drop, "frame")))
		write_to(sheet, "    %s\n", word_of(drop, "frame").text);
	if (json_is_string(json_object_get(drop, "rule")))
		write_to(sheet, "    rule: %s\n", word_of(drop, "rule").text);
}

static void write_drops(struct sheet *sheet, const json_t *status)
{
	const json_t *drops = json_object_get(status, "drops");
	size_t count = json_array_size(drops);
	for (size_t i = 0; i < count && i < DROPS_SHOWN; i++) {
		write_to(sheet, "%s", i == 0 ? "\ndrops\n" : "");
		write_drop(sheet, json_array_get(drops, i), NULL, true);
	}
	if (count > DROPS_SHOWN)
		write_to(sheet, "%16s%zu more reasons: --json has them\n", "", count - DROPS_SHOWN);
}

void write_summary(struct sheet *sheet, const json_t *status, const char *user)
{
	struct word name = word_of(status, "name"), mac = word_of(status, "mac");
	bool has_name = strcmp(name.text, mac.text) != 0;
	struct word process = json_is_object(json_object_get(status, "left"))
				  ? word("no process")
				  : word("pid %.20s", word_of(status, "pid").text);
	write_to(sheet, "%.63s%s%.20s  %s%s%.32s, up %s\n", name.text, has_name ? "  " : "", has_name ? mac.text : "",
		 process.text, user ? ", user " : "", user ? user : "", format_span(number_of(status, "uptime")).text);
	write_situation(sheet, status);
	write_to(sheet, "\n");
	write_addresses(sheet, status);
	write_claims(sheet, status);
	write_trusted(sheet, status);
	write_policy(sheet, status);
	write_vms(sheet, status);
	write_traffic(sheet, status);
	write_ground(sheet, status);
	write_flows(sheet, status);
	write_names(sheet, status);
	write_exposes(sheet, status);
	write_recorded(sheet, status);
	write_sandbox(sheet, status);
	write_to(sheet, "%-10s guest %s, uplink %s\n", "ports", word_of(status, "guest").text,
		 word_of(status, "uplink").text);
}

void write_page(struct sheet *sheet, const json_t *status, const char *user)
{
	write_summary(sheet, status, user);
	write_drops(sheet, status);
}

/* --- a table --- */

/* Columns in front of the state, and what the state itself wants: "has an address, hears and sends nothing". */
enum { FACTS = 72, USER = 11, STATE = 40 };

static bool has_room_for_state(bool has_users, int columns)
{
	return columns == 0 || columns >= FACTS + (has_users ? USER : 0) + STATE;
}

void write_table_head(struct sheet *sheet, bool has_users, int columns)
{
	write_to(sheet, "%-17s %7s %s%-15s %10s %10s %6s%s\n", "VM", "PID", has_users ? "USER       " : "", "ADDRESS",
		 "OUT/s", "IN/s", "DROP/s", has_room_for_state(has_users, columns) ? "  STATE" : "");
}

/* The first one of IPv4, or the first one. */
static struct word main_address(const json_t *status)
{
	size_t i;
	const json_t *one, *addresses = json_object_get(status, "addresses");
	json_array_foreach(addresses, i, one) if (!strchr(word_of(one, "address").text, ':')) return word_of(one,
													     "address");
	return json_array_size(addresses) > 0 ? word_of(json_array_get(addresses, 0), "address") : word("-");
}

void write_table_row(struct sheet *sheet, const json_t *status, const char *user, int columns)
{
	const json_t *out = side_of(status, "rates", "guest"), *in = side_of(status, "rates", "uplink");
	bool has_process = json_is_integer(json_object_get(status, "pid"));
	write_to(sheet, "%-17.63s %7.10s ", word_of(status, "name").text,
		 has_process ? word_of(status, "pid").text : "-");
	if (user)
		write_to(sheet, "%-10.32s ", user);
	write_to(sheet, "%-15.40s %10s %10s %6s%s", main_address(status).text,
		 format_bits(number_of(out, "octets")).text, format_bits(number_of(in, "octets")).text,
		 format_amount(number_of(out, "drops") + number_of(in, "drops")).text,
		 has_room_for_state(user != NULL, columns) ? "  " : "\n    ");
	write_situation(sheet, status);
}
