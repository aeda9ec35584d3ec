/* A decision from the first part to the last: judge, flows, names, token, snooper. And the names of verdicts. */
#include "core/decide/snoop.h"
#include "core/learn4/lease.h"
#include "core/names/names.h"
#include "core/judge/settle.h"

void stamp_binding(struct guard *guard, uint32_t index, uint64_t now_ms)
{
	struct state *state = guard->state;
	if (index < BINDINGS4_MAX && state->ipv4[index].ends_grace)
		end_grace(guard, &state->ipv4[index]);
	stamp(index < BINDINGS4_MAX ? &state->ipv4[index].used_ms
				    : &state->ipv6.bindings[(index - BINDINGS4_MAX) % BINDINGS6_MAX].used_ms,
	      now_ms);
}

/* What stays closed by its address may be open by its name; what passes may be a question or an answer of DNS. */
static uint8_t ask_names(struct guard *guard, struct decision d, bool to_guest, const struct packet_facts *p,
			 const struct frame *frame, uint64_t now_ms)
{
	bool is_asked = d.verdict == PASS || (d.flow & FLOW_BY_NAME);
	if (!is_asked)
		return d.verdict;
	if (to_guest)
		return (uint8_t)names_to_guest(guard->names, frame, now_ms);
	enum verdict verdict = names_from_guest(guard->names, frame, d.verdict, now_ms);
	bool opens = d.verdict != PASS && (verdict == PASS || verdict == HELD) && guard->config->stateful;
	if (opens && !open_flow(guard->flows, p, false, now_ms) && verdict == PASS)
		return DROP_FLOW_LIMIT;
	return (uint8_t)verdict;
}

static enum verdict finish(struct guard *guard, struct decision d, const struct frame *frame, uint64_t now_ms)
{
	if (d.verdict < FIRST_DROP && d.binding != NO_BINDING)
		stamp_binding(guard, d.binding, now_ms);
	bool is_decided = d.verdict == PASS || d.verdict == HELD || d.verdict >= FIRST_DROP;
	return is_decided ? (enum verdict)d.verdict : snoop_frame(guard, d.verdict, frame, now_ms);
}

enum verdict decide(struct guard *guard, enum direction direction, const struct frame *frame, uint64_t now_ms)
{
	bool to_guest = direction == TO_GUEST;
	struct packet_facts p = { .kind = PACKET_WITHOUT_FLOW };
	struct decision d = judge_frame(guard->config, guard->state, direction, frame, now_ms);
	/* What the snooper would read is one message, and not what a card makes many of. */
	if (frame->parts > 0 && d.verdict != PASS && d.verdict < FIRST_DROP)
		d = drop(DROP_L4_MALFORMED);
	if (d.flow != 0 && read_facts(frame, to_guest, &p))
		d.verdict = ask_flows(guard->flows, d, to_guest, &p, now_ms);
	if (guard->names != 0 && guard->config->has_names)
		d.verdict = ask_names(guard, d, to_guest, &p, frame, now_ms);
	d.verdict = charge(view_of(guard, now_ms), guard->buckets, frame, d, to_guest);
	return finish(guard, d, frame, now_ms);
}

enum verdict decide_again(struct guard *guard, enum direction direction, const struct frame *frame, uint64_t now_ms)
{
	return finish(guard, judge_frame(guard->config, guard->state, direction, frame, now_ms), frame, now_ms);
}

const char *const side_names[] = { [FROM_GUEST] = "guest", [TO_GUEST] = "uplink" };

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
