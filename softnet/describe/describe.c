/* A frame in a line, for people: Ethernet, ARP and the IP headers. */
#include "softnet/describe/describe.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include "core/wire/arp.h"
#include "core/wire/ethernet.h"
#include "softnet/describe/describe_line.h"

enum { TAGS_MAX = 2, RUNT_SHOWN = ETHERNET_HEADER - 1, MACS_TEXT = 2 * MAC_TEXT + sizeof " ( > , 4294967295 octets)" };

void say(struct line *line, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(line->text + line->length, line->room - line->length, format, arguments);
	va_end(arguments);
	size_t left = line->room - line->length - 1;
	line->length += length < 0 ? 0 : (size_t)length < left ? (size_t)length : left;
}

void say_address(struct line *line, struct address address)
{
	char text[ADDRESS_TEXT];
	say(line, "%s", format_address(address, text));
}

void say_mac(struct line *line, uint64_t mac)
{
	char text[MAC_TEXT];
	say(line, "%s", format_mac(mac, text));
}

void say_name(struct line *line, const char *const *names, size_t count, unsigned number, const char *otherwise)
{
	if (number < count && names[number])
		say(line, "%s", names[number]);
	else
		say(line, "%s %u", otherwise, number);
}

static void say_arp(struct line *line, const struct frame *frame, uint32_t at)
{
	struct arp arp;
	say(line, "ARP ");
	if (!parse_arp(frame, at, &arp)) {
		struct reader r = read_from(frame, at, frame->length);
		skip_bytes(&r, 6);
		unsigned operation = read_be16(&r);
		say(line, r.ok ? "malformed, operation %u" : "malformed, cut off", operation);
		return;
	}
	if (arp.operation == ARP_REPLY || same_address(arp.sender, arp.target)) {
		say_address(line, arp.sender);
		say(line, arp.operation == ARP_REPLY ? " is at " : " announced at ");
		say_mac(line, arp.sender_mac);
		return;
	}
	say(line, is_unset(arp.sender) ? "probe: who has " : "who has ");
	say_address(line, arp.target);
	say(line, is_unset(arp.sender) ? "" : ", tell ");
	if (!is_unset(arp.sender))
		say_address(line, arp.sender);
}

static void say_ends(struct line *line, struct address source, struct address destination)
{
	say_address(line, source);
	say(line, " > ");
	say_address(line, destination);
}

static void say_fragment(struct line *line, uint32_t offset, bool has_more)
{
	say(line, " fragment at %" PRIu32 "%s", offset, has_more ? ", more follow," : ", the last,");
}

/* Not parse_ipv4(): of a specimen only the front was kept, and what is wrong with a header is to be seen. */
static void say_ipv4(struct line *line, const struct frame *frame, uint32_t length, uint32_t at, uint64_t source_mac)
{
	struct reader r = read_from(frame, at, frame->length);
	uint8_t version_ihl = read_u8(&r);
	skip_bytes(&r, 1);
	uint32_t total = read_be16(&r);
	skip_bytes(&r, 2);
	uint16_t flags_offset = read_be16(&r);
	skip_bytes(&r, 1);
	uint8_t protocol = read_u8(&r);
	skip_bytes(&r, 2);
	struct address source = address_of_ipv4(read_be32(&r)), destination = address_of_ipv4(read_be32(&r));
	uint32_t header = 4u * (version_ihl & 15), offset = 8u * (flags_offset & 0x1fff);
	bool has_more = (flags_offset & 0x2000) != 0;
	say(line, "IPv4 ");
	if (!r.ok || version_ihl >> 4 != 4) {
		say(line, r.ok ? "malformed, version %u" : "cut off", version_ihl >> 4);
		return;
	}
	say_ends(line, source, destination);
	if (total < header || total > length - at)
		say(line, " of %" PRIu32 " octets", total);
	if (header != 20)
		say(line, header < 20 ? " malformed, header of %" PRIu32 " octets" : " with options", header);
	if (header < 20 || total < header)
		return;
	if (offset > 0 || has_more)
		say_fragment(line, offset, has_more);
	uint32_t end = at + total < frame->length ? at + total : frame->length;
	say_payload(line, &(struct payload){ read_from(frame, at + header, end), total - header, protocol, offset > 0,
					     offset > 0 || has_more, source_mac });
}

static const char *name_of_header(uint8_t type)
{
	return type == HOP_BY_HOP              ? "hop-by-hop"
	       : type == ROUTING_HEADER        ? "routing"
	       : type == AUTHENTICATION_HEADER ? "AH"
					       : "dest-options";
}

/* Unlike walk_headers() this goes on where something is not allowed, and says what stood there. */
static void walk_and_say(struct line *line, struct payload *payload)
{
	struct reader *r = &payload->r;
	for (int walked = 0; walked <= EXTENSION_HEADERS_MAX && is_extension6(payload->protocol) && !payload->is_later;
	     walked++) {
		uint8_t type = payload->protocol;
		uint32_t start = r->at;
		payload->protocol = read_u8(r);
		uint32_t length = read_u8(r), octets = 8 * (length + 1);
		uint16_t word = read_be16(r);
		if (type == AUTHENTICATION_HEADER)
			octets = 4 * (length + 2);
		if (type == FRAGMENT_HEADER) {
			octets = 8;
			payload->is_later = (word & 0xfff8) != 0;
			payload->is_fragment = payload->is_later || (word & 1) != 0;
			say_fragment(line, word & 0xfff8u, (word & 1) != 0);
		} else {
			say(line, " %s", name_of_header(type));
		}
		skip_bytes(r, octets - 4);
		if (!r->ok) {
			say(line, " cut off");
			payload->octets = 0;
			return;
		}
		uint32_t taken = r->at - start;
		payload->octets = payload->octets > taken ? payload->octets - taken : 0;
	}
}

static void say_ipv6(struct line *line, const struct frame *frame, uint32_t length, uint32_t at, uint64_t source_mac)
{
	struct reader r = read_from(frame, at, frame->length);
	uint32_t version = read_be32(&r) >> 28, octets = read_be16(&r);
	uint8_t protocol = read_u8(&r);
	skip_bytes(&r, 1);
	struct address source = read_address6(&r), destination = read_address6(&r);
	uint32_t behind = at + IPV6_HEADER;
	say(line, "IPv6 ");
	if (!r.ok || version != 6) {
		say(line, r.ok ? "malformed, version %" PRIu32 : "cut off", version);
		return;
	}
	say_ends(line, source, destination);
	if (octets == 0 || octets > length - behind)
		say(line, " of %" PRIu32 " octets", IPV6_HEADER + octets);
	uint32_t end = behind + octets < frame->length ? behind + octets : frame->length;
	struct payload payload = { read_from(frame, behind, end), octets, protocol, false, false, source_mac };
	walk_and_say(line, &payload);
	if (payload.r.ok)
		say_payload(line, &payload);
}

static const char *name_of_type(uint16_t type)
{
	static const struct {
		uint16_t type;
		const char *name;
	} names[] = {
		{ 0x0842, "wake-on-LAN" }, { 0x8035, "RARP" },          { 0x809b, "AppleTalk" },
		{ 0x80f3, "AARP" },        { 0x8137, "IPX" },           { 0x8808, "PAUSE" },
		{ 0x8809, "LACP" },        { 0x8847, "MPLS" },          { 0x8863, "PPPoE discovery" },
		{ 0x8864, "PPPoE" },       { 0x888e, "802.1X" },        { 0x88cc, "LLDP" },
		{ 0x88e5, "MACsec" },      { 0x88f5, "MVRP" },          { 0x88f7, "PTP" },
		{ 0x8902, "CFM" },         { 0x9000, "loopback test" },
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].type == type)
			return names[i].name;
	return "unknown";
}

/* A length instead of a type: 802.3 with an LLC header, whose first octet tells the protocol. */
static void say_llc(struct line *line, const struct frame *frame, uint32_t at)
{
	struct reader r = read_from(frame, at, frame->length);
	uint8_t dsap = read_u8(&r);
	const char *name = dsap == 0x42 ? " (STP)" : dsap == 0xaa ? " (SNAP)" : dsap == 0xfe ? " (IS-IS)" : "";
	say(line, r.ok ? "802.3 LLC 0x%02x%s" : "802.3", dsap, name);
}

static void say_packet(struct line *line, const struct frame *frame, uint32_t length, const struct ethernet *eth)
{
	uint32_t at = ETHERNET_HEADER;
	uint16_t type = eth->type;
	for (int tags = 0; tags < TAGS_MAX && is_vlan_tag(type); tags++, at += 4) {
		struct reader r = read_from(frame, at, frame->length);
		unsigned id = read_be16(&r) & 0xfff;
		type = read_be16(&r);
		say(line, r.ok ? "VLAN %u " : "VLAN tag, cut off", id);
		if (!r.ok)
			return;
	}
	if (type == ETHERTYPE_IPV4)
		say_ipv4(line, frame, length, at, eth->source);
	else if (type == ETHERTYPE_IPV6)
		say_ipv6(line, frame, length, at, eth->source);
	else if (type == ETHERTYPE_ARP)
		say_arp(line, frame, at);
	else if (type < ETHERTYPE_MIN)
		say_llc(line, frame, at);
	else
		say(line, "ethertype 0x%04x (%s)", type, is_vlan_tag(type) ? "VLAN" : name_of_type(type));
}

const char *describe_frame(const uint8_t *bytes, uint32_t kept, uint32_t length, char text[DESCRIPTION_TEXT])
{
	struct line line = { text, 0, DESCRIPTION_TEXT - MACS_TEXT };
	struct ethernet eth;
	struct frame frame = { .bytes = bytes, .length = kept < length ? kept : length };
	text[0] = '\0';
	if (!parse_ethernet(&frame, &eth)) {
		say(&line, "runt of %" PRIu32 " octets%s", length, frame.length > 0 ? ": " : "");
		for (uint32_t i = 0; i < frame.length && i < RUNT_SHOWN; i++)
			say(&line, "%02x", bytes[i]);
		return text;
	}
	say_packet(&line, &frame, length, &eth);
	line.room = DESCRIPTION_TEXT;
	say(&line, " (");
	say_mac(&line, eth.source);
	say(&line, " > ");
	say_mac(&line, eth.destination);
	say(&line, ", %" PRIu32 " octets)", length);
	return text;
}
