/* Puts the three parts of a decision in order, and gives verdicts their names. */
#include "guard.h"
#include "judge.h"

static const uint8_t reason_of_rate[RATE_CLASSES_END] = {
#define X(name, text, refill, burst, reason) [RATE_OF_##name] = DROP_##reason,
	RATE_CLASSES(X)
#undef X
};

enum { USED_STEP_MS = 1000 };

static bool may_charge(struct snoop *snoop, uint8_t class, uint64_t now_ms)
{
	return class == RATE_FREE || take_token(&snoop->config->rates[class], &snoop->buckets->of[class], now_ms);
}

static void stamp_binding(struct state *state, uint32_t index, uint64_t now_ms)
{
	uint64_t *used_ms = index < BINDINGS4_MAX ? &state->ipv4[index].used_ms
						  : &state->ipv6.bindings[(index - BINDINGS4_MAX) % BINDINGS6_MAX].used_ms;
	if (now_ms >= *used_ms + USED_STEP_MS) /* to the second: the order of eviction needs no more */
		*used_ms = now_ms;
}

/* Its fate hangs on the flow or the datagram that it belongs to: PASS or a DROP. */
static enum verdict ask_flows(struct snoop *snoop, struct decision d, bool to_guest, const struct frame *frame,
			      uint64_t now_ms)
{
	struct packet_facts p;
	if (!read_facts(frame, to_guest, &p))
		return d.verdict;
	if (d.flow & FLOW_LATER_FRAGMENT)
		return is_known_datagram(snoop->flows, &p, to_guest, now_ms) ? PASS : d.verdict;
	bool is_tracked = (d.flow & (FLOW_OPENS | FLOW_ANSWERS)) != 0;
	if (is_tracked && !is_answer(snoop->flows, &p, to_guest, now_ms)) {
		if (d.flow & FLOW_ANSWERS)
			return d.verdict;
		if (!open_flow(snoop->flows, &p, to_guest, now_ms))
			return DROP_FLOW_LIMIT;
	}
	/* Errors are never so long (RFC 1812 4.3.2.3, RFC 4443 2.4 c); a later fragment would rewrite what was quoted. */
	if ((d.flow & FLOW_FIRST_FRAGMENT) && p.kind != PACKET_OF_ERROR)
		remember_datagram(snoop->flows, &p, to_guest, now_ms);
	return PASS;
}

enum verdict decide(struct snoop *snoop, enum direction direction, const struct frame *frame, uint64_t now_ms)
{
	bool from_guest = direction == FROM_GUEST;
	struct decision d = from_guest ? judge_from_guest(snoop->config, snoop->state, frame, now_ms)
				       : judge_to_guest(snoop->config, snoop->state, frame, now_ms);
	if (d.flow != 0)
		d.verdict = (uint8_t)ask_flows(snoop, d, !from_guest, frame, now_ms);
	if (d.verdict >= FIRST_DROP)
		return d.verdict;
	if (!may_charge(snoop, d.bucket, now_ms))
		return reason_of_rate[d.bucket];
	if (d.binding != NO_BINDING)
		stamp_binding(snoop->state, d.binding, now_ms);
	if (d.verdict == PASS)
		return PASS;
	uint8_t slow = from_guest ? RATE_OF_FROM_GUEST : RATE_OF_FROM_UPLINK;
	if (!may_charge(snoop, slow, now_ms))
		return reason_of_rate[slow];
	return snoop_frame(snoop, d.verdict, frame, now_ms);
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[VERDICTS] = {
		[PASS] = "pass",
#define X(name, text, meaning) [DROP_##name] = text,
		DROP_REASONS(X)
#undef X
	};
	return (unsigned)verdict < VERDICTS && names[verdict] ? names[verdict] : "punt";
}

const char *verdict_meaning(enum verdict verdict)
{
	static const char *const meanings[VERDICTS] = {
#define X(name, text, meaning) [DROP_##name] = meaning,
		DROP_REASONS(X)
#undef X
	};
	return (unsigned)verdict < VERDICTS && meanings[verdict] ? meanings[verdict] : "";
}
