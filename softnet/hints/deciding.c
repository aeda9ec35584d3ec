/* Asks the policy again about the frame of a drop, as the judge has asked it, for the rule that it went by. */
#include "softnet/hints/deciding.h"
#include <stdio.h>
#include <string.h>
#include "core/judge/judge.h"

enum { PORTS_OCTETS = 8 }; /* that must be kept of the upper layer */

static bool is_of_policy(unsigned verdict)
{
	switch (verdict) {
	case DROP_ARP_TARGET_DENIED:
	case DROP_DST_BLOCKED:
	case DROP_DST_PRIVATE:
	case DROP_DST_LOCAL_NET:
	case DROP_DST_BROADCAST:
	case DROP_DST_MULTICAST:
	case DROP_SRC_BLOCKED:
	case DROP_UNSOLICITED:
		return true;
	default:
		return false;
	}
}

/*
 * Headers alone are read, but they tell of more octets than are kept. So the rest stands there as zeros.
 */
static struct frame whole_frame(const struct specimen *last)
{
	static uint8_t bytes[14 + UINT16_MAX];
	uint32_t length = last->length < sizeof bytes ? last->length : sizeof bytes;
	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, last->bytes, last->kept < length ? last->kept : length);
	return (struct frame){ .bytes = bytes, .length = length };
}

static bool read_contact4(const struct frame *frame, uint32_t kept, bool inward, struct contact *c)
{
	struct ipv4 ip;
	struct udp ports = { 0, 0, 0 };
	if (!parse_ipv4(frame, ETHERNET_HEADER, &ip) || ip.payload + PORTS_OCTETS > kept)
		return false;
	if (has_ports(ip.protocol) && ip.fragment_offset == 0)
		parse_udp(frame, ip.payload, ip.end, &ports);
	*c = contact4(inward ? ip.source : ip.destination, inward, &ip, &ports);
	return true;
}

static bool read_contact6(const struct frame *frame, uint32_t kept, bool inward, struct contact *c)
{
	struct ipv6 ip;
	struct udp ports = { 0, 0, 0 };
	if (!parse_ipv6(frame, ETHERNET_HEADER, &ip) || walk_headers(frame, &ip, false) != PASS ||
	    ip.payload + PORTS_OCTETS > kept)
		return false;
	if (has_ports(ip.protocol) && ip.fragment_offset == 0)
		parse_udp(frame, ip.payload, ip.end, &ports);
	*c = contact6(inward ? ip.source : ip.destination, inward, &ip, &ports);
	return true;
}

static bool read_contact(const struct specimen *last, enum direction direction, struct contact *c)
{
	struct frame frame = whole_frame(last);
	struct ethernet eth;
	struct arp arp;
	if (!parse_ethernet(&frame, &eth))
		return false;
	if (eth.type == ETHERTYPE_IPV4)
		return read_contact4(&frame, last->kept, direction == TO_GUEST, c);
	if (eth.type == ETHERTYPE_IPV6)
		return read_contact6(&frame, last->kept, direction == TO_GUEST, c);
	if (eth.type != ETHERTYPE_ARP || !parse_arp(&frame, ETHERNET_HEADER, &arp))
		return false;
	*c = (struct contact){ .peer = arp.target, .ports = PORTS_ANY };
	return true;
}

const char *find_deciding(const struct trust *trust, const struct rule_list *rules, enum direction direction,
			  unsigned verdict, const struct specimen *last, char text[DECIDING_TEXT])
{
	char rule[RULE_TEXT];
	struct contact c;
	if (!is_of_policy(verdict) || last->kept == 0 || !read_contact(last, direction, &c))
		return NULL;
	struct permission p = is_ipv4(c.peer) ? may_contact4(trust->view, &c) : may_contact6(trust->view, &c);
	bool is_asked = verdict == DROP_ARP_TARGET_DENIED;
	if (is_asked ? p.verdict == PASS : p.verdict != verdict)
		return NULL;
	if (!p.by_rule || p.origin >= rules->count)
		return "default";
	snprintf(text, DECIDING_TEXT, "%s %s", rules->rule[p.origin].class == CLASS_ALLOWED ? "allow" : "block",
		 format_rule(&rules->rule[p.origin].text, rule));
	return text;
}
