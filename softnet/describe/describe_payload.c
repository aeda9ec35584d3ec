/* A frame in a line: what stands behind the IP header, ICMP apart. */
#include "softnet/describe/describe_line.h"
#include <inttypes.h>
#include "core/wire/dhcp.h"
#include "core/wire/dhcp6.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))

enum { LLMNR_PORT = 5355, DHCP6_CLIENT_PORT = 546, DHCP6_SERVER_PORT = 547 };
enum { OPTIONS_MAX = 128, LABELS_MAX = 32, NAME_SHOWN = 64 };

static void say_cut(struct line *line)
{
	say(line, " cut off");
}

/* The options that tell what a message is about; those behind what was kept of it are not there. */
struct dhcp_about {
	uint8_t type;
	struct address requested, server;
};

static struct dhcp_about find_dhcp_options(struct reader r)
{
	enum { PAD = 0, REQUESTED = 50, TYPE = 53, SERVER = 54, END = 255, COOKIE = 0x63825363 };
	struct dhcp_about about = { 0 };
	if (read_be32(&r) != COOKIE)
		return about;
	for (int i = 0; i < OPTIONS_MAX && octets_left(&r) > 0; i++) {
		uint8_t code = read_u8(&r);
		if (code == PAD)
			continue;
		uint32_t octets = code == END ? 0 : read_u8(&r);
		struct reader value = read_from(r.frame, r.at, r.at + octets < r.end ? r.at + octets : r.end);
		if (code == END || !r.ok)
			break;
		if (code == TYPE)
			about.type = read_u8(&value);
		if (code == REQUESTED && octets == 4)
			about.requested = address_of_ipv4(read_be32(&value));
		if (code == SERVER && octets == 4)
			about.server = address_of_ipv4(read_be32(&value));
		skip_bytes(&r, octets);
	}
	return about;
}

static void say_if_set(struct line *line, const char *word, struct address address)
{
	if (is_unset(address))
		return;
	say(line, " %s ", word);
	say_address(line, address);
}

static void say_dhcp(struct line *line, struct reader r, uint64_t source_mac)
{
	static const char *const types[] = {
		[DHCPDISCOVER] = "DISCOVER", [DHCPOFFER] = "OFFER",   [DHCPREQUEST] = "REQUEST",
		[DHCPDECLINE] = "DECLINE",   [DHCPACK] = "ACK",       [DHCPNAK] = "NAK",
		[DHCPRELEASE] = "RELEASE",   [DHCPINFORM] = "INFORM",
	};
	uint8_t op = read_u8(&r);
	skip_bytes(&r, 11);
	struct address ciaddr = address_of_ipv4(read_be32(&r)), yiaddr = address_of_ipv4(read_be32(&r));
	skip_bytes(&r, 4);
	struct address giaddr = address_of_ipv4(read_be32(&r));
	uint64_t chaddr = read_be48(&r);
	bool has_chaddr = r.ok;
	skip_bytes(&r, 10 + 64 + 128); /* the rest of chaddr, sname, file */
	struct dhcp_about about = find_dhcp_options(r);
	say(line, " DHCP ");
	if (!has_chaddr)
		say(line, "cut off");
	else if (about.type != 0)
		say_name(line, types, COUNT(types), about.type, "type");
	else
		say(line, op == BOOTREQUEST ? "request" : op == BOOTREPLY ? "reply" : "malformed, op %u", op);
	if (!has_chaddr)
		return;
	say_if_set(line, "of", ciaddr);
	say_if_set(line, "for", op == BOOTREPLY ? yiaddr : about.requested);
	say_if_set(line, "by", about.server);
	say_if_set(line, "relay", giaddr);
	if (op == BOOTREPLY || chaddr != source_mac) { /* else the frame's own MAC says it */
		say(line, " client ");
		say_mac(line, chaddr);
	}
}

static void say_dhcp6(struct line *line, struct reader r)
{
	static const char *const types[] = {
		[DHCP6_SOLICIT] = "SOLICIT",
		[DHCP6_ADVERTISE] = "ADVERTISE",
		[DHCP6_REQUEST] = "REQUEST",
		[DHCP6_CONFIRM] = "CONFIRM",
		[DHCP6_RENEW] = "RENEW",
		[DHCP6_REBIND] = "REBIND",
		[DHCP6_REPLY] = "REPLY",
		[DHCP6_RELEASE] = "RELEASE",
		[DHCP6_DECLINE] = "DECLINE",
		[DHCP6_RECONFIGURE] = "RECONFIGURE",
		[DHCP6_INFORMATION_REQUEST] = "INFORMATION-REQUEST",
		[DHCP6_RELAY_FORWARD] = "RELAY-FORW",
		[DHCP6_RELAY_REPLY] = "RELAY-REPL",
	};
	uint8_t type = read_u8(&r);
	say(line, " DHCPv6 ");
	if (r.ok)
		say_name(line, types, COUNT(types), type, "type");
	else
		say(line, "cut off");
}

/* The name of the first question. A guest chooses its octets: what is no plain letter of a name becomes '?'. */
static void say_question(struct line *line, struct reader r)
{
	uint32_t shown = 0;
	for (int labels = 0; labels < LABELS_MAX && shown < NAME_SHOWN; labels++) {
		uint8_t octets = read_u8(&r);
		if (!r.ok || octets == 0 || octets > 63) /* the root, or a compressed name, which no question has */
			return;
		say(line, labels > 0 ? "." : " ");
		for (; octets > 0 && shown < NAME_SHOWN; octets--, shown++) {
			uint8_t c = read_u8(&r);
			if (r.ok)
				say(line, "%c", c > ' ' && c <= '~' ? c : '?');
		}
	}
	say(line, "...");
}

static void say_dns(struct line *line, const char *kind, struct reader r)
{
	skip_bytes(&r, 2);
	uint16_t flags = read_be16(&r), questions = read_be16(&r);
	skip_bytes(&r, 6);
	say(line, " %s%s", kind, !r.ok ? "" : (flags & 0x8000) != 0 ? " answer" : " query");
	if (r.ok && questions > 0)
		say_question(line, r);
}

static bool is_between(const struct udp *udp, uint16_t client, uint16_t server)
{
	return (udp->source == client && udp->destination == server) ||
	       (udp->source == server && udp->destination == client);
}

static bool has_port(const struct udp *udp, uint16_t port)
{
	return udp->source == port || udp->destination == port;
}

static void say_udp(struct line *line, const struct payload *payload)
{
	struct udp udp;
	struct reader r = payload->r;
	if (!parse_udp(r.frame, r.at, r.end, &udp)) {
		say(line, " UDP cut off");
		return;
	}
	skip_bytes(&r, 8);
	if (is_between(&udp, DHCP_CLIENT_PORT, DHCP_SERVER_PORT)) {
		say_dhcp(line, r, payload->source_mac);
		return;
	}
	if (is_between(&udp, DHCP6_CLIENT_PORT, DHCP6_SERVER_PORT)) {
		say_dhcp6(line, r);
		return;
	}
	say(line, " UDP %u > %u", udp.source, udp.destination);
	if (!payload->is_fragment && (udp.length < 8 || udp.length > payload->octets))
		say(line, " malformed, %u octets in %" PRIu32, udp.length, payload->octets);
	else if (has_port(&udp, DNS_PORT))
		say_dns(line, "DNS", r);
	else if (has_port(&udp, MDNS_PORT))
		say_dns(line, "mDNS", r);
	else if (has_port(&udp, LLMNR_PORT))
		say_dns(line, "LLMNR", r);
}

static void say_tcp(struct line *line, struct reader r)
{
	static const char *const flags[] = { "FIN", "SYN", "RST", "PSH", "ACK", "URG" };
	unsigned source = read_be16(&r), destination = read_be16(&r);
	if (!r.ok) {
		say(line, " TCP cut off");
		return;
	}
	say(line, " TCP %u > %u", source, destination);
	skip_bytes(&r, 8);
	uint16_t word = read_be16(&r);
	for (unsigned i = 0; r.ok && i < COUNT(flags); i++)
		if ((word >> i & 1) != 0)
			say(line, " %s", flags[i]);
	if (!r.ok)
		say_cut(line);
	else if ((word & 0x3f) == 0)
		say(line, " no flags");
}

static void say_sctp(struct line *line, struct reader r)
{
	unsigned source = read_be16(&r), destination = read_be16(&r);
	say(line, r.ok ? " SCTP %u > %u" : " SCTP cut off", source, destination);
}

static void say_igmp(struct line *line, struct reader r)
{
	uint8_t type = read_u8(&r);
	skip_bytes(&r, 3);
	struct address group = address_of_ipv4(read_be32(&r));
	const char *name = type == 0x11                   ? "query"
			   : type == 0x17                 ? "leave"
			   : type == 0x12 || type == 0x16 ? "report"
							  : NULL;
	say(line, " IGMP ");
	if (!r.ok)
		say(line, "cut off");
	else if (name)
		say(line, "%s", name);
	else
		say(line, type == 0x22 ? "report v3" : "type 0x%02x", type);
	if (r.ok && name)
		say_if_set(line, "of", group);
}

static const char *name_of_protocol(uint8_t protocol)
{
	static const char *const names[256] = {
		[1] = "ICMP",    [2] = "IGMP",   [4] = "IPIP",        [6] = "TCP",
		[17] = "UDP",    [41] = "6in4",  [43] = "IPv6-Route", [47] = "GRE",
		[50] = "ESP",    [51] = "AH",    [58] = "ICMPv6",     [59] = "no next header",
		[88] = "EIGRP",  [89] = "OSPF",  [103] = "PIM",       [112] = "VRRP",
		[115] = "L2TP",  [132] = "SCTP", [135] = "mobility",  [139] = "HIP",
		[140] = "Shim6",
	};
	return names[protocol];
}

void say_payload(struct line *line, const struct payload *payload)
{
	const char *name = name_of_protocol(payload->protocol);
	if (!payload->is_later)
		switch (payload->protocol) {
		case PROTOCOL_ICMP:
			say_icmp4(line, payload->r);
			return;
		case PROTOCOL_ICMP6:
			say_icmp6(line, payload->r);
			return;
		case PROTOCOL_IGMP:
			say_igmp(line, payload->r);
			return;
		case PROTOCOL_TCP:
			say_tcp(line, payload->r);
			return;
		case PROTOCOL_UDP:
			say_udp(line, payload);
			return;
		case PROTOCOL_SCTP:
			say_sctp(line, payload->r);
			return;
		}
	if (name)
		say(line, " %s", name);
	else
		say(line, " protocol %u", payload->protocol);
}
