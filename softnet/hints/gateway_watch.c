/* Watches who speaks in the gateway's name, without looking into frames in ordinary times. */
#include "softnet/hints/gateway_watch.h"
#include "core/wire/arp.h"
#include "core/wire/ethernet.h"
#include "core/judge/trust6.h"

/* Whom a frame is about: who speaks in it, or is asked for. */
struct subject {
	struct ethernet ethernet;
	struct address speaker, asked; /* unset: nobody */
};

static struct address read_ipv6(struct reader *r)
{
	uint64_t high = (uint64_t)read_be32(r) << 32;
	high |= read_be32(r);
	uint64_t low = (uint64_t)read_be32(r) << 32;
	return (struct address){ high, low | read_be32(r) };
}

/* Neighbor discovery comes without headers in between (RFC 6980 5). */
static void read_subject6(const struct frame *frame, struct subject *s)
{
	enum { NEXT_HEADER_AT = 20, SOURCE_AT = 22, TYPE_AT = 54, TARGET_AT = 62 };
	enum { ICMP6 = 58, SOLICITATION = 135, ADVERTISEMENT = 136 };
	struct reader next = read_from(frame, NEXT_HEADER_AT, frame->length);
	struct reader source = read_from(frame, SOURCE_AT, frame->length);
	struct reader type = read_from(frame, TYPE_AT, frame->length);
	struct reader target = read_from(frame, TARGET_AT, frame->length);
	bool is_icmp = read_u8(&next) == ICMP6;
	uint8_t is = read_u8(&type);
	s->speaker = read_ipv6(&source);
	if (is_icmp && is == ADVERTISEMENT)
		s->speaker = read_ipv6(&target);
	else if (is_icmp && is == SOLICITATION)
		s->asked = read_ipv6(&target);
}

static bool read_subject(const struct frame *frame, struct subject *s)
{
	enum { SOURCE4_AT = 26 };
	struct reader source = read_from(frame, SOURCE4_AT, frame->length);
	struct arp arp;
	*s = (struct subject){ .speaker = { 0, 0 } };
	if (!parse_ethernet(frame, &s->ethernet))
		return false;
	if (s->ethernet.type == ETHERTYPE_ARP && parse_arp(frame, ETHERNET_HEADER, &arp)) {
		s->speaker = arp.sender;
		s->asked = arp.target;
	} else if (s->ethernet.type == ETHERTYPE_IPV4) {
		s->speaker = address_of_ipv4(read_be32(&source));
	} else if (s->ethernet.type == ETHERTYPE_IPV6) {
		read_subject6(frame, s);
	}
	return true;
}

static bool is_refusal(unsigned verdict)
{
	return verdict == DROP_ARP_GATEWAY_SPOOF || verdict == DROP_IP4_GATEWAY_SPOOF ||
	       verdict == DROP_ND_GATEWAY_SPOOF || verdict == DROP_IP6_GATEWAY_SPOOF || verdict == DROP_RA_UNTRUSTED ||
	       verdict == DROP_ARP_SHA_SPOOF || verdict == DROP_DHCP4_ROGUE_SERVER;
}

static bool is_router(const struct trust *t, struct address a)
{
	return is_ipv4(a) ? is_router4(t->view, a) : is_router6(t->view, a);
}

static bool is_watching(const struct gateway_watch *w, uint64_t now_ms)
{
	return w->since_ms != 0 && now_ms < w->refused_ms + GATEWAY_RECENT_MS;
}

/* One router at a time: else two that are refused in turn would hide each other. */
static void note_refusal(struct gateway_watch *w, const struct subject *s, unsigned verdict, uint64_t now_ms)
{
	if (!is_watching(w, now_ms)) {
		w->router = s->speaker;
		w->since_ms = now_ms;
		w->is_wanted = false;
	}
	if (!same_address(w->router, s->speaker))
		return;
	w->mac = s->ethernet.source;
	w->verdict = verdict;
	w->refused_ms = now_ms;
}

void look_for_gateway(struct gateway_watch *w, const struct trust *t, enum direction direction,
		      const struct frame *frame, unsigned verdict)
{
	struct subject s;
	bool is_refused = direction == TO_GUEST && is_refusal(verdict);
	if ((!is_refused && !is_watching(w, t->view.now_ms)) || !read_subject(frame, &s))
		return;
	if (is_refused && is_router(t, s.speaker))
		note_refusal(w, &s, verdict, t->view.now_ms);
	else if (direction == FROM_GUEST && (same_address(s.asked, w->router) || verdict == DROP_L2_NEXT_HOP ||
					     is_mac_of(t, w->router, s.ethernet.destination)))
		w->is_wanted = true;
	else if (direction == TO_GUEST && verdict == PASS && is_mac_of(t, w->router, s.ethernet.source))
		w->since_ms = 0;
}

bool is_gateway_unheard(const struct gateway_watch *w, uint64_t now_ms)
{
	return is_watching(w, now_ms) && w->is_wanted && now_ms >= w->since_ms + GATEWAY_DOUBT_MS;
}

bool is_about_gateway(const struct gateway_watch *w, uint64_t now_ms)
{
	return is_watching(w, now_ms) || (w->told_ms != 0 && w->since_ms == 0);
}

enum gateway_news follow_gateway(struct gateway_watch *w, uint64_t now_ms)
{
	bool was_told = w->told_ms != 0, is_heard = w->since_ms == 0;
	if (was_told && is_heard) {
		w->told_ms = 0;
		return GATEWAY_HEARD_AGAIN;
	}
	bool is_due = was_told ? now_ms >= w->told_ms + GATEWAY_REPEAT_MS : now_ms >= w->since_ms + GATEWAY_PATIENCE_MS;
	if (!is_gateway_unheard(w, now_ms) || !is_due)
		return GATEWAY_NO_NEWS;
	w->told_ms = now_ms;
	return GATEWAY_UNHEARD;
}
