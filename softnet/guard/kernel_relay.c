/* Frames come from the ring here, and not from ports; what passes is given back to the kernel. */
#include "softnet/guard/kernel_relay.h"
#include <string.h>
#include "core/learn4/snoop_anchors4.h"
#include "port/kernel/kernel_inject.h"
#include "port/kernel/kernel_port.h"
#include "system/platform.h"
#include "system/clock.h"
#include "softnet/guard/keeping.h"
#include "softnet/left/left.h"
#include "system/log.h"

enum {
	NEWS_A_TURN = 256,  /* so that a flood starves nobody */
	PATIENCE_MS = 10000 /* of the sender of a frame that waits: without a process, nobody has looked at it */
};

static struct kernel_guard guard;
static struct kernel_port ports[DIRECTIONS];
static uint64_t lost; /* of the memory's, what is known */

void open_kernel_relay(struct relay *r, const struct options *options, struct port **guest, struct port **uplink)
{
	struct error error = { 0 };
	if (!attach_kernel_guard(&guard, options->interface, &error))
		die("attach: %s", error.text);
	if (!make_kernel_ports(&guard, isolates_port(options), ports, &error))
		die("attach: %s", error.text);
	*guest = &ports[FROM_GUEST].port;
	*uplink = &ports[TO_GUEST].port;
	r->kernel = &guard;
	r->lease_questions.is_free = true;
}

void take_kernel_state(struct relay *r, struct state *state, uint64_t setup_hash)
{
	struct kernel_memory *memory = r->kernel->memory;
	bool is_same = r->kernel->is_taken_over && memory->setup_hash == setup_hash;
	if (is_same)
		*state = memory->state[memory->state_at % STATE_COPIES];
	else
		memory->has_other_flows = 1;
	memory->setup_hash = setup_hash;
	if (is_same)
		info("attach: %s: what the guard in the kernel has learned is taken over", r->kernel->interface);
}

/* What is counted already was told by the process that was there. */
static void take_counters(struct relay *r)
{
	const struct kernel_memory *memory = r->kernel->memory;
	for (int direction = 0; direction < DIRECTIONS; direction++) {
		memcpy(r->counters.verdicts[direction], memory->counted[direction].verdicts,
		       sizeof r->counters.verdicts[direction]);
		r->counters.octets[direction] = memory->counted[direction].octets;
		memcpy(r->counters.last[direction], memory->last[direction], sizeof r->counters.last[direction]);
		for (int verdict = 0; verdict < VERDICTS; verdict++)
			r->counters.log[direction][verdict].told = r->counters.verdicts[direction][verdict];
	}
}

/* One that knows the old rules only could open a flow still. */
static void end_flows(struct relay *r)
{
	wait_for_programs(r->kernel);
	forget_kernel_flows(r->kernel);
}

void start_kernel_relay(struct relay *r)
{
	struct kernel_memory *memory = r->kernel->memory;
	if (r->guard.config->has_names)
		die("attach: rules by name cannot be had in the kernel");
	if (!r->kernel->is_taken_over)
		fill_buckets(r->guard.config, &memory->buckets, r->now_ms);
	r->guard.buckets = &memory->buckets;
	r->guard.flows = &memory->flows; /* to be looked at: only programs write it */
	memory->wants = (r->rejections.wanted ? WANTS_REJECTED : 0) | (r->capture->path ? WANTS_DROPS : 0) |
			(r->capture->path && r->capture->wants_all ? WANTS_PASSED : 0);
	memory->is_left = r->options->leaves;
	take_counters(r);
	lost = memory->lost;
	publish_config(r->kernel, r->guard.config, true);
	publish_state(r->kernel, r->guard.state);
	if (r->kernel->is_taken_over && memory->has_other_flows)
		end_flows(r);
	memory->has_other_flows = 0;
	if (!r->options->leaves)
		attend_kernel_guard(r->kernel, r->now_ms);
	open_kernel_guard(r->kernel);
	platform_outlive_starter();
	keep_state(r, true);
}

void note_new_policy(struct relay *r)
{
	if (!r->kernel)
		return;
	r->kernel->memory->has_other_flows = 1; /* before any is opened: the process may be killed */
	publish_config(r->kernel, r->guard.config, true);
	end_flows(r);
}

void note_new_setup(struct relay *r, uint64_t setup_hash)
{
	if (r->kernel)
		r->kernel->memory->setup_hash = setup_hash;
}

/* When frames passed from its addresses; a stamp may be older than the binding that is in this place now. */
static void take_stamps(struct relay *r)
{
	const struct state *state = r->guard.state;
	const uint64_t *used_ms = r->kernel->memory->used_ms;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		if (used_ms[i] > state->ipv4[i].used_ms && is_live(&state->ipv4[i], r->now_ms))
			stamp_binding(&r->guard, i, used_ms[i]);
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++)
		if (used_ms[BINDINGS4_MAX + i] > state->ipv6.bindings[i].used_ms)
			stamp_binding(&r->guard, BINDINGS4_MAX + i, used_ms[BINDINGS4_MAX + i]);
}

/* As the programs count, who do so at the same time. */
static void count_as_kernel(struct relay *r, enum direction direction, unsigned verdict, uint32_t octets)
{
	struct kernel_memory *memory = r->kernel->memory;
	__atomic_add_fetch(&memory->counted[direction].verdicts[verdict], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&memory->counted[direction].octets, octets, __ATOMIC_RELAXED);
}

/* A frame as it will be on the wire: nobody hears what has a wrong checksum there, and nobody need answer it. */
static struct packet completed(const struct news *news)
{
	static uint8_t octets[LONGEST_FRAME];
	uint32_t length = news->length < LONGEST_FRAME ? news->length : LONGEST_FRAME;
	memcpy(octets, news + 1, length);
	complete_checksum(octets, length);
	return (struct packet){ .bytes = octets, .length = length, .truncated = length < news->length };
}

static enum verdict judge_waiting(struct relay *r, enum direction direction, const struct packet *packet, uint64_t at_ms)
{
	struct frame frame = { .bytes = packet->bytes, .length = packet->length };
	if (packet->truncated)
		return DROP_FRAME_OVERSIZE;
	return r->now_ms > at_ms + PATIENCE_MS ? DROP_QUEUE_FULL : decide_again(&r->guard, direction, &frame, r->now_ms);
}

/* A frame that waits. The state that it makes counts before it, or any answer to it, passes. */
static void decide_waiting(struct relay *r, enum direction direction, const struct news *news)
{
	const struct packet packet = completed(news);
	struct frame frame = { .bytes = packet.bytes, .length = packet.length };
	struct send_result result = { 0, 0, 0 };
	enum verdict verdict = judge_waiting(r, direction, &packet, news->at_ms);
	publish_state(r->kernel, r->guard.state);
	if (verdict == PASS) {
		struct port *target = r->port[direction == FROM_GUEST ? TO_GUEST : FROM_GUEST];
		target->kind->send(target, &packet, 1, &result);
		verdict = result.full > 0 ? DROP_QUEUE_FULL : result.failed > 0 ? DROP_WRITE_ERROR : PASS;
	} else if (direction == FROM_GUEST) {
		add_rejection(&r->rejections, verdict, &frame, r->now_ms);
	}
	if (direction == FROM_GUEST && result.full + result.failed > 0)
		forget_silence4(r->guard.state); /* it may have been a question */
	count_as_kernel(r, direction, verdict, verdict == PASS ? packet.length : 0);
	if (verdict == PASS) {
		r->counters.verdicts[direction][PASS]++;
		r->counters.octets[direction] += packet.length;
	}
	account_for(r, direction, &packet, verdict);
}

/* The programs have dropped it, or let it pass, and counted it. */
static void show_decided(struct relay *r, enum direction direction, const struct frame *frame, enum verdict verdict)
{
	capture_frame(r->capture, direction, frame, verdict, r->now_ms);
	if (verdict != PASS)
		keep_specimen(&r->counters, direction, verdict, frame, r->now_ms);
	if (verdict != PASS && direction == FROM_GUEST)
		add_rejection(&r->rejections, verdict, frame, r->now_ms);
}

static void take_news(struct relay *r)
{
	const struct news *news;
	for (int i = 0; i < NEWS_A_TURN && is_still_ours(r->kernel) && (news = next_news(r->kernel)); i++) {
		struct frame frame = { .bytes = (const uint8_t *)(news + 1), .length = news->length };
		enum direction direction = news->direction == TO_GUEST ? TO_GUEST : FROM_GUEST;
		if (news->verdict != PASS && news->verdict < FIRST_DROP)
			decide_waiting(r, direction, news);
		else if (news->verdict < VERDICTS)
			show_decided(r, direction, &frame, (enum verdict)news->verdict);
		drop_news(r->kernel);
	}
}

static uint64_t counted_by_kernel(const struct relay *r, enum direction direction, unsigned verdict)
{
	return __atomic_load_n(&r->kernel->memory->counted[direction].verdicts[verdict], __ATOMIC_RELAXED);
}

/* What the programs have dropped since the last time. */
static void follow_drops(struct relay *r, enum direction direction, unsigned verdict)
{
	uint64_t counted = counted_by_kernel(r, direction, verdict);
	uint64_t known = r->counters.verdicts[direction][verdict];
	struct specimen *last = &r->counters.last[direction][verdict];
	struct trust trust = trust_of(r);
	if (counted == known)
		return;
	count_drop(&r->counters, direction, verdict, counted - known, r->now_ms);
	*last = r->kernel->memory->last[direction][verdict];
	struct frame frame = { .bytes = last->bytes, .length = last->kept % (SPECIMEN_MAX + 1) };
	look_for_gateway(&r->gateway, &trust, direction, &frame, verdict);
	if (direction == FROM_GUEST)
		ask_for_lease(r, &frame, verdict);
	if (known == 0)
		announce_first_drop(&r->drop_events, &r->announcer, &r->counters, direction, verdict, r->now_ms);
}

static void follow_counters(struct relay *r, enum direction direction)
{
	for (unsigned verdict = 0; verdict < FIRST_DROP; verdict++)
		r->counters.verdicts[direction][verdict] = counted_by_kernel(r, direction, verdict);
	for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
		follow_drops(r, direction, verdict);
	r->counters.octets[direction] = __atomic_load_n(&r->kernel->memory->counted[direction].octets, __ATOMIC_RELAXED);
}

/* A capture has a hole where the ring had no room. */
static void follow_losses(struct relay *r)
{
	uint64_t now = __atomic_load_n(&r->kernel->memory->lost, __ATOMIC_RELAXED);
	if (r->capture->path)
		add_shared(&r->capture->lost, now - lost);
	lost = now;
}

enum relay_end follow_kernel(struct relay *r)
{
	attend_kernel_guard(r->kernel, r->now_ms);
	take_stamps(r);
	take_news(r);
	follow_losses(r);
	for (int direction = 0; direction < DIRECTIONS; direction++)
		follow_counters(r, (enum direction)direction);
	return send_rejections(&r->rejections, r->port[FROM_GUEST]) ? RELAY_GOES_ON : RELAY_GUEST_GONE;
}

void keep_kernel(struct relay *r)
{
	publish_config(r->kernel, r->guard.config, false);
	publish_state(r->kernel, r->guard.state);
}

int detach_guard(const char *interface)
{
	struct error error = { 0 };
	unsigned number = if_nametoindex(interface);
	if (!detach_kernel_guard(interface, &error))
		die("detach: %s", error.text);
	forget_left(number);
	return EXIT_OK;
}
