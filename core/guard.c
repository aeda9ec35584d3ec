/* Puts the three parts of a decision in order, and gives verdicts their names. */
#include "core/guard.h"
#include "core/learn4/lease.h"
#include "core/names/names.h"
#include "core/judge/settle.h"

static void stamp_binding(struct snoop *snoop, uint32_t index, uint64_t now_ms)
{
	struct state *state = snoop->state;
	if (index < BINDINGS4_MAX && state->ipv4[index].ends_grace)
		end_grace(snoop, &state->ipv4[index]);
	stamp(index < BINDINGS4_MAX ? &state->ipv4[index].used_ms
				    : &state->ipv6.bindings[(index - BINDINGS4_MAX) % BINDINGS6_MAX].used_ms,
	      now_ms);
}

/* What stays closed by its address may be open by its name; what passes may be a question or an answer of DNS. */
static uint8_t ask_names(struct snoop *snoop, struct decision d, bool to_guest, const struct packet_facts *p,
			 const struct frame *frame, uint64_t now_ms)
{
	bool is_asked = d.verdict == PASS || (d.flow & FLOW_BY_NAME);
	if (!is_asked)
		return d.verdict;
	if (to_guest)
		return (uint8_t)names_to_guest(snoop->names, frame, now_ms);
	enum verdict verdict = names_from_guest(snoop->names, frame, d.verdict, now_ms);
	bool opens = d.verdict != PASS && (verdict == PASS || verdict == HELD) && snoop->config->stateful;
	if (opens && !open_flow(snoop->flows, p, false, now_ms) && verdict == PASS)
		return DROP_FLOW_LIMIT;
	return (uint8_t)verdict;
}

enum verdict decide(struct snoop *snoop, enum direction direction, const struct frame *frame, uint64_t now_ms)
{
	bool to_guest = direction == TO_GUEST;
	struct packet_facts p = { .kind = PACKET_WITHOUT_FLOW };
	struct decision d = judge_frame(snoop->config, snoop->state, direction, frame, now_ms);
	if (d.flow != 0 && read_facts(frame, to_guest, &p))
		d.verdict = ask_flows(snoop->flows, d, to_guest, &p, now_ms);
	if (snoop->names != 0)
		d.verdict = ask_names(snoop, d, to_guest, &p, frame, now_ms);
	d.verdict = charge(snoop->config, snoop->state, snoop->buckets, frame, d, to_guest, now_ms);
	if (d.verdict < FIRST_DROP && d.binding != NO_BINDING)
		stamp_binding(snoop, d.binding, now_ms);
	bool is_decided = d.verdict == PASS || d.verdict == HELD || d.verdict >= FIRST_DROP;
	return is_decided ? (enum verdict)d.verdict : snoop_frame(snoop, d.verdict, frame, now_ms);
}

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[VERDICTS] = { [PASS] = "pass",
						     [HELD] = "held",
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
