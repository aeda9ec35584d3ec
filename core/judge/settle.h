/*
 * What the judge leaves open and tables decide: flows, fragments, and the token that the frame costs. The same text is
 * compiled for user space and for the kernel.
 */
#pragma once
#include "core/judge/config.h"
#include "core/judge/decision.h"
#include "core/wire/ethernet.h"
#include "core/judge/flow_facts.h"
#include "core/flows/siphash.h"
#include "core/judge/state.h"

INLINE uint8_t reason_of_rate(uint8_t rate)
{
	switch ((enum rate_class)rate) {
#define X(name, text, refill, burst, reason) \
	case RATE_OF_##name: \
		return DROP_##reason;
		RATE_CLASSES(X)
#undef X
	case RATE_FREE:
	case RATE_CLASSES_END:
		break;
	}
	return DROP_RATE_SLOW_PATH;
}

/* The machine on the other side: whom the guest sends to, or who sends to it. */
PART uint32_t place_of_peer(const struct state *state, const struct frame *frame, bool to_guest)
{
	struct ethernet eth;
	if (!parse_ethernet(frame, &eth))
		return 0;
	uint64_t peer = to_guest ? eth.source : eth.destination;
	return (uint32_t)siphash_words(state->hash_key, &peer, 1);
}

/* A token for each frame that it is on the wire. */
INLINE bool may_charge(struct view view, struct buckets *buckets, const struct frame *frame, uint8_t of, bool to_guest)
{
	uint32_t rate = of, frames = frames_on_wire(frame);
	limit_for_verifier(rate, RATE_CLASSES_END);
	if (rate == RATE_FREE || rate >= RATE_CLASSES_END)
		return true;
	if (rate < FIRST_PEER_RATE)
		return take_tokens(&view.config->rates[rate], &buckets->of[rate], frames, view.now_ms);
	uint32_t place = place_of_peer(view.state, frame, to_guest) & (PEER_BUCKETS - 1);
	return take_tokens(&view.config->rates[rate], &buckets->of_peer[rate - FIRST_PEER_RATE][place], frames,
			   view.now_ms);
}

/* Its fate hangs on the flow or the datagram that it belongs to: PASS or a DROP. */
INLINE uint8_t ask_flows(struct flows *flows, struct decision d, bool to_guest, const struct packet_facts *p,
			 uint64_t now_ms)
{
	if ((d.flow & ~FLOW_BY_NAME) == 0)
		return d.verdict;
	if (d.flow & FLOW_LATER_FRAGMENT)
		return is_known_datagram(flows, p, to_guest, now_ms) ? PASS : d.verdict;
	bool is_tracked = (d.flow & (FLOW_OPENS | FLOW_ANSWERS)) != 0;
	if (is_tracked && !is_answer(flows, p, to_guest, now_ms)) {
		if (d.flow & FLOW_ANSWERS)
			return d.verdict;
		if (!open_flow(flows, p, to_guest, now_ms))
			return DROP_FLOW_LIMIT;
	}
	/* Errors are never so long (RFC 1812 4.3.2.3, RFC 4443 2.4 c); a later fragment would rewrite what was quoted. */
	if ((d.flow & FLOW_FIRST_FRAGMENT) && p->kind != PACKET_OF_ERROR)
		remember_datagram(flows, p, to_guest, now_ms);
	return PASS;
}

/* Only what would pass is charged; what is punted costs a second token, for the snooper's work. */
INLINE uint8_t charge(struct view view, struct buckets *buckets, const struct frame *frame, struct decision d,
		      bool to_guest)
{
	uint8_t slow = to_guest ? RATE_OF_FROM_UPLINK : RATE_OF_FROM_GUEST;
	if (d.verdict >= FIRST_DROP)
		return d.verdict;
	if (!may_charge(view, buckets, frame, d.bucket, to_guest))
		return reason_of_rate(d.bucket);
	/* A router's sign of life must not be lost to a flood. */
	bool is_short = d.verdict == PASS || d.verdict == HELD || d.verdict == PUNT_GATEWAY_ARP;
	if (!is_short && !may_charge(view, buckets, frame, slow, to_guest))
		return reason_of_rate(slow);
	return d.verdict;
}

enum { USED_STEP_MS = 1000 };

/* To the second: the order of eviction needs no more. */
INLINE void stamp(uint64_t *used_ms, uint64_t now_ms)
{
	if (now_ms >= *used_ms + USED_STEP_MS)
		*used_ms = now_ms;
}
