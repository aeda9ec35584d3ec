/* A frame in a line: ICMP, and what IPv6 uses it for. */
#include <inttypes.h>
#include "core/wire/nd.h"
#include "softnet/describe/describe_line.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

void say_icmp4(struct line *line, struct reader r)
{
	enum { UNREACHABLE = 3, REDIRECT = 5 };
	static const char *const types[] = {
		[0] = "echo reply",           [UNREACHABLE] = "unreachable", [4] = "source quench",
		[REDIRECT] = "redirect",      [8] = "echo request",          [9] = "router advertisement",
		[10] = "router solicitation", [11] = "time exceeded",        [12] = "parameter problem",
		[13] = "timestamp request",   [14] = "timestamp reply",      [17] = "mask request",
		[18] = "mask reply",
	};
	static const char *const codes[] = {
		"net", "host", "protocol", "port", "fragmentation needed", [9] = "net prohibited", [10] = "host prohibited", [13] = "prohibited"
	};
	uint8_t type = read_u8(&r), code = read_u8(&r);
	bool has_type = r.ok;
	skip_bytes(&r, 2);
	struct address gateway = address_of_ipv4(read_be32(&r));
	say(line, " ICMP ");
	if (!has_type) {
		say(line, "cut off");
		return;
	}
	say_name(line, types, COUNT(types), type, "type");
	if (type == UNREACHABLE) {
		say(line, ": ");
		say_name(line, codes, COUNT(codes), code, "code");
	}
	if (type == REDIRECT && r.ok) {
		say(line, " to ");
		say_address(line, gateway);
	}
}

/* Of the options, the first that names a MAC. */
static void say_link_address(struct line *line, struct reader r, const char *word)
{
	for (uint32_t i = 0; i < ND_OPTIONS_MAX && octets_left(&r) > 0; i++) {
		uint8_t type = read_u8(&r), length = read_u8(&r);
		if (length == 0)
			return;
		if ((type == SOURCE_LINK_ADDRESS || type == TARGET_LINK_ADDRESS) && length == 1) {
			uint64_t mac = read_be48(&r);
			if (r.ok) {
				say(line, " %s ", word);
				say_mac(line, mac);
			}
			return;
		}
		skip_bytes(&r, 8u * length - 2);
	}
}

/* From behind the first four octets on. */
static void say_discovery(struct line *line, uint8_t type, struct reader r)
{
	uint32_t word = read_be32(&r);
	if (type == ROUTER_ADVERTISEMENT) {
		if (r.ok)
			say(line, " lifetime %u", (unsigned)(word & 0xffff));
		return;
	}
	if (type == ROUTER_SOLICITATION)
		return;
	struct address target = read_address6(&r);
	if (!r.ok) {
		say(line, " cut off");
		return;
	}
	say(line, type == ICMP6_REDIRECT ? " to " : " for ");
	say_address(line, target);
	if (type == NEIGHBOR_ADVERTISEMENT)
		say_link_address(line, r, "at");
	if (type == NEIGHBOR_SOLICITATION)
		say_link_address(line, r, "from");
}

void say_icmp6(struct line *line, struct reader r)
{
	static const char *const types[] = {
		[ICMP6_UNREACHABLE] = "ICMPv6 unreachable",
		[2] = "ICMPv6 packet too big",
		[3] = "ICMPv6 time exceeded",
		[ICMP6_PARAMETER_PROBLEM] = "ICMPv6 parameter problem",
		[ICMP6_ECHO_REQUEST] = "ICMPv6 echo request",
		[ICMP6_ECHO_REPLY] = "ICMPv6 echo reply",
		[MLD_QUERY] = "MLD query",
		[MLD_REPORT] = "MLD report",
		[MLD_DONE] = "MLD done",
		[ROUTER_SOLICITATION] = "RS",
		[ROUTER_ADVERTISEMENT] = "RA",
		[NEIGHBOR_SOLICITATION] = "NS",
		[NEIGHBOR_ADVERTISEMENT] = "NA",
		[ICMP6_REDIRECT] = "redirect",
		[MLD_REPORT_2] = "MLD report v2",
	};
	static const char *const codes[] = { "no route", "prohibited",     "beyond scope",  "address",
					     "port",     "source refused", "route rejected" };
	uint8_t type = read_u8(&r), code = read_u8(&r);
	bool has_type = r.ok;
	skip_bytes(&r, 2);
	say(line, has_type ? " " : " ICMPv6 cut off");
	if (!has_type)
		return;
	say_name(line, types, COUNT(types), type, "ICMPv6 type");
	if (type == ICMP6_UNREACHABLE) {
		say(line, ": ");
		say_name(line, codes, COUNT(codes), code, "code");
	}
	if (type >= ROUTER_SOLICITATION && type <= ICMP6_REDIRECT)
		say_discovery(line, type, r);
}
