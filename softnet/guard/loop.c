/*
 * The relay. A turn is: wait; signals; ports look after themselves; at most one batch from each side; what follows from
 * a changed state. One batch, so that neither side can starve the other, nor a flood a signal.
 */
#include "softnet/guard/loop.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "core/learn4/snoop_anchors4.h"
#include "system/clock.h"
#include "softnet/launch/escalation.h"
#include "softnet/guard/hold_relay.h"
#include "softnet/guard/keeping.h"
#include "softnet/guard/kernel_relay.h"
#include "softnet/guard/claiming.h"
#include "softnet/guard/resting.h"
#include "softnet/guard/rules_in_force.h"
#include "system/log.h"

enum { TICK_MS = 1000, DISK_PATIENCE_MS = 5000, LAST_WRITES_MS = 2000 };

static struct port *source_of(const struct relay *r, enum direction direction)
{
	return r->port[direction];
}

static struct port *target_of(const struct relay *r, enum direction direction)
{
	return r->port[direction == FROM_GUEST ? TO_GUEST : FROM_GUEST];
}

static enum relay_end end_of(const struct relay *r, const struct port *port)
{
	return port == source_of(r, FROM_GUEST) ? RELAY_GUEST_GONE : RELAY_UPLINK_GONE;
}

/* One of the processes may have ended. */
static void look_after_files(struct relay *r)
{
	attend_deferred(r->queue);
	attend_deferred(r->state_queue);
	attend_deferred(r->log_queue);
	attend_deferred(r->policy_queue);
}

static enum relay_end handle_signals(struct relay *r)
{
	struct arrived_signal arrived;
	while (r->has_signal && next_signal(&arrived)) {
		if (arrived.number == SIGUSR1)
			print_summary(&r->counters, r->questions.sent, r->guard.state, r->now_ms);
		else if (arrived.number == SIGCHLD)
			look_after_files(r); /* else it has only woken us */
		else if (arrived.number == SIGHUP && r->options->policy_file_count > 0 && !arrived.from_terminal)
			reload_policy(r);
		else if (r->command)
			signal_command(r->command, &arrived, r->now_ms);
		else if (arrived.number != SIGUSR2)
			return RELAY_STOPPED;
	}
	return r->command && command_has_ended(r->command) ? RELAY_COMMAND_ENDED : RELAY_GOES_ON;
}

/* Where rules name hosts, the frames of a stream are looked into one by one: none may wait that is many. */
static bool is_too_long(const struct relay *r, const struct packet *packet)
{
	return packet->truncated || (packet->cut.kind != NOT_CUT && r->guard.config->has_names);
}

static enum verdict decide_packet(struct relay *r, enum direction direction, struct packet *packet)
{
	struct frame frame = { .bytes = packet->bytes, .length = packet->length };
	if (is_too_long(r, packet))
		return DROP_FRAME_OVERSIZE;
	if (packet->cut.kind != NOT_CUT && !measure_parts(&frame, &packet->cut))
		return DROP_L4_MALFORMED;
	enum verdict verdict = decide(&r->guard, direction, &frame, r->now_ms);
	if (is_drop(verdict) && direction == FROM_GUEST)
		add_rejection(&r->rejections, verdict, &frame, r->now_ms);
	else if (is_drop(verdict))
		add_refused_answer(&r->rejections, verdict, &frame, r->now_ms);
	return verdict;
}

struct trust trust_of(const struct relay *r)
{
	return (struct trust){ view_of(&r->guard, r->now_ms), r->options };
}

void ask_for_lease(struct relay *r, const struct frame *frame, unsigned verdict)
{
	uint8_t bytes[LEASE_QUESTION_MAX];
	struct frame question = { .bytes = bytes };
	question.length = make_due_lease_question(&r->lease_questions, &r->guard, frame, verdict, r->now_ms, bytes);
	if (question.length == 0)
		return;
	if (r->kernel)
		keep_kernel(r); /* before its answer comes */
	capture_frame(r->capture, FROM_GUEST, &question, PASS, r->now_ms);
	send_question(&r->questions, bytes, question.length);
}

static void account_for_drop(struct relay *r, enum direction direction, const struct frame *frame, enum verdict verdict)
{
	bool is_first = r->counters.verdicts[direction][verdict] == 0;
	count_drop(&r->counters, direction, verdict, 1, r->now_ms);
	keep_specimen(&r->counters, direction, verdict, frame, r->now_ms);
	if (direction == FROM_GUEST)
		ask_for_lease(r, frame, verdict);
	if (is_first)
		announce_first_drop(&r->drop_events, &r->announcer, &r->counters, direction, verdict, r->now_ms);
}

void account_for(struct relay *r, enum direction direction, const struct packet *packet, enum verdict verdict)
{
	struct trust trust = trust_of(r);
	struct frame frame = { .bytes = packet->bytes, .length = packet->length };
	capture_frame(r->capture, direction, &frame, verdict, r->now_ms);
	look_for_gateway(&r->gateway, &trust, direction, &frame, verdict);
	if (is_drop(verdict))
		account_for_drop(r, direction, &frame, verdict);
}

/* A capture of all frames has it since it came, so that a replay sees it in its place. */
void account_for_held(struct relay *r, const struct packet *packet, enum verdict verdict)
{
	struct frame frame = { .bytes = packet->bytes, .length = packet->length };
	if (!r->capture->wants_all)
		capture_frame(r->capture, FROM_GUEST, &frame, verdict, r->now_ms);
	account_for_drop(r, FROM_GUEST, &frame, verdict);
}

/*
 * A frame counts as passed when the other port has taken it. Ports tell how many they took, not which: where a few of a
 * batch were refused, the octets are those of as many from its front.
 */
static void count_sent(struct relay *r, enum direction direction, const struct packet *packets,
		       const struct send_result *result)
{
	for (uint32_t i = 0; i < result->sent; i++)
		r->counters.octets[direction] += packets[i].length;
	r->counters.verdicts[direction][PASS] += result->sent;
	count_drop(&r->counters, direction, DROP_QUEUE_FULL, result->full, r->now_ms);
	count_drop(&r->counters, direction, DROP_WRITE_ERROR, result->failed, r->now_ms);
}

bool send_passed(struct relay *r, enum direction direction, const struct packet *packets, uint32_t n)
{
	struct port *target = target_of(r, direction);
	struct send_result result = { 0, 0, 0 };
	if (n == 0)
		return true;
	bool is_there = target->kind->send(target, packets, n, &result);
	count_sent(r, direction, packets, &result);
	if (direction == FROM_GUEST && result.full + result.failed > 0)
		forget_silence4(r->guard.state); /* it may have been a question */
	return is_there;
}

/* One batch. State changes while frames are decided, so before any of them, or any later one, is delivered. */
static enum relay_end move_batch(struct relay *r, enum direction direction)
{
	struct packet packets[RUN_MAX];
	struct port *source = source_of(r, direction);
	bool is_there = true, is_uplink_there = true;
	uint32_t got = 0, passed = 0;
	if (!source->kind->receive(source, packets, RUN_MAX, &got))
		return end_of(r, source);
	r->has_more[direction] = got >= BATCH_MAX;
	for (uint32_t i = 0; i < got; i++) {
		enum verdict verdict = decide_packet(r, direction, &packets[i]);
		account_for(r, direction, &packets[i], verdict);
		if (is_hold_left(r)) { /* these are older than this one, and younger than those before it */
			is_there &= send_passed(r, direction, packets, passed);
			is_uplink_there &= leave_hold(r);
			passed = 0;
		}
		if (verdict == PASS)
			packets[passed++] = packets[i];
	}
	if (!send_rejections(&r->rejections, source_of(r, FROM_GUEST)))
		return end_of(r, source_of(r, FROM_GUEST));
	is_there &= send_passed(r, direction, packets, passed);
	if (!is_uplink_there)
		return RELAY_UPLINK_GONE;
	return is_there ? RELAY_GOES_ON : end_of(r, target_of(r, direction));
}

/* What the VM asks DHCP, and hears nothing. */
static void tell_of_questions(struct relay *r)
{
	char hint[HINT_TEXT];
	uint64_t seconds = r->asking.since_ms == 0 ? 0 : (r->now_ms - r->asking.since_ms) / 1000;
	enum asking_news news = follow_questions(&r->asking, r->guard.state, &r->counters, r->now_ms);
	if (news == ANSWERED_AT_LAST)
		announce_answer(&r->announcer, seconds, r->now_ms);
	if (news != STILL_UNANSWERED)
		return;
	struct trust trust = trust_of(r);
	why_unanswered(&r->asking, &trust, &r->counters, hint);
	info("no DHCP answer for %u s: %s", (unsigned)seconds, hint);
	announce_no_answer(&r->announcer, seconds, hint, r->now_ms);
}

/* The VM asks for its gateway, and hears only somebody who is not believed. */
static void tell_of_gateway(struct relay *r)
{
	char hint[HINT_TEXT];
	struct trust trust = trust_of(r);
	enum gateway_news news = follow_gateway(&r->gateway, r->now_ms);
	if (news == GATEWAY_HEARD_AGAIN)
		announce_gateway(&r->announcer, r->gateway.router, NULL, r->now_ms);
	if (news != GATEWAY_UNHEARD)
		return;
	explain_gateway(&trust, r->gateway.router, r->gateway.mac, r->gateway.verdict, hint);
	info("the gateway's answers are dropped: %s", hint);
	announce_gateway(&r->announcer, r->gateway.router, hint, r->now_ms);
}

/* Ports have no clock to say it themselves. */
static void follow_absence(struct relay *r)
{
	for (int side = 0; side < DIRECTIONS; side++)
		if (r->port[side]->away[0] == '\0')
			r->away_since_ms[side] = 0;
		else if (r->away_since_ms[side] == 0)
			r->away_since_ms[side] = r->now_ms;
}

/* What a port tells of frames that it never saw. */
static void count_lost(struct relay *r)
{
	for (enum direction from = FROM_GUEST; from < DIRECTIONS; from++)
		if (r->port[from]->kind->lost)
			count_drop(&r->counters, from, DROP_OVERRUN, r->port[from]->kind->lost(r->port[from]), r->now_ms);
}

static void tell_of_disk(const struct relay *r, struct deferred_queue *queue)
{
	const char *file = hanging_file(queue, r->now_ms, DISK_PATIENCE_MS);
	if (file)
		warning(
		    "%s: its disk has not answered for %d s; what is to be written waits, and is lost where it has no "
		    "room; frames go on",
		    file, DISK_PATIENCE_MS / 1000);
}

/* What needs no precision. */
static enum relay_end tick(struct relay *r)
{
	if (r->now_ms - r->tick_ms < TICK_MS)
		return RELAY_GOES_ON;
	r->tick_ms = r->now_ms;
	r->file->has_changed = true; /* events do not tell of client identifiers: look once a second */
	count_lost(r);
	tell_drops(&r->counters, r->now_ms);
	announce_drops(&r->drop_events, &r->announcer, &r->counters, false, r->now_ms);
	tell_of_questions(r);
	tell_of_gateway(r);
	take_sample(&r->counters, r->now_ms);
	tell_uplink(r);
	if (r->has_claims) {
		follow_claims(&r->claims, r->now_ms);
		tell_ends(&r->claims, r->guard.state, r->now_ms);
	}
	tick_other_vms(r);
	tell_of_state_file(r);
	follow_reading(r);
	follow_capture(r->capture, r->now_ms);
	follow_metrics_file(r->metrics, r->now_ms);
	look_after_files(r);
	tell_of_disk(r, r->queue);
	tell_of_disk(r, r->state_queue);
	tell_of_disk(r, r->policy_queue);
	return r->parent != 0 && getppid() != r->parent ? RELAY_PARENT_GONE : RELAY_GOES_ON;
}

static void follow_state(struct relay *r)
{
	uint64_t hold_ms = follow_hold(r);
	r->expires_ms = expire_bindings(&r->guard, r->now_ms);
	if (hold_ms < r->expires_ms)
		r->expires_ms = hold_ms;
	follow_address(&r->exposes, r->guard.config, r->guard.state, r->now_ms);
	if (is_due(r->file, r->now_ms))
		keep_state(r, false);
}

/* For poll(2): -1 until something happens. */
static int time_to_sleep(struct relay *r)
{
	enum { LONGEST_MS = 24 * 3600 * 1000 };
	uint64_t tick_ms = may_rest(r) ? UINT64_MAX : r->tick_ms + TICK_MS;
	uint64_t until = tick_ms, control_ms = control_deadline_ms(&r->control);
	uint64_t uplink_ms = uplink_deadline_ms(&r->uplink, r->now_ms);
	r->sleeps_for_tick = false;
	if (r->expires_ms < until)
		until = r->expires_ms;
	if (r->vms_until_ms < until)
		until = r->vms_until_ms;
	if (control_ms < until)
		until = control_ms;
	if (uplink_ms < until)
		until = uplink_ms;
	for (int side = 0; side < DIRECTIONS; side++) {
		uint64_t deadline = r->port[side]->kind->deadline_ms(r->port[side]);
		if (r->has_more[side])
			return 0;
		if (deadline < until)
			until = deadline;
	}
	if (until == UINT64_MAX)
		return -1;
	r->sleeps_for_tick = until == tick_ms;
	uint64_t left_ms = until > r->now_ms ? until - r->now_ms : 0;
	return left_ms < LONGEST_MS ? (int)left_ms : LONGEST_MS;
}

/* Its addresses have changed. */
static void follow_host(struct relay *r)
{
	if (follow_sites(&r->sites))
		begin_capture_section(r->capture, r->now_ms);
}

/* It takes some while to come, and nobody else gets any work done while we try without a pause. */
static void wait_for_memory(int error)
{
	enum { PAUSE_MS = 10 };
	if (error != EAGAIN && error != ENOMEM)
		die("cannot wait for frames: %s", strerror(error));
	poll(NULL, 0, PAUSE_MS); /* this takes none */
}

/* Sleeps until something happens; sets in `is_awake` which sides have something to tell. */
static void sleep_until_event(struct relay *r, bool is_awake[DIRECTIONS])
{
	enum { OWN = 5 };
	struct pollfd fds[OWN + DIRECTIONS * PORT_POLL_MAX + CONTROL_POLL_MAX] = {
		{ .fd = signal_fd(), .events = POLLIN },
		{ .fd = r->sites.fd, .events = POLLIN },
		{ .fd = r->channel, .events = POLLIN },
		{ .fd = uplink_fd(&r->uplink, r->port[TO_GUEST], r->now_ms), .events = POLLIN },
		{ .fd = r->has_claims ? r->claims.bell : -1, .events = POLLIN },
	};
	int first[DIRECTIONS + 1] = { OWN, 0, 0 };
	for (int side = 0; side < DIRECTIONS; side++)
		first[side + 1] = first[side] + r->port[side]->kind->watch(r->port[side], fds + first[side]);
	int controls = watch_control(&r->control, fds + first[DIRECTIONS]);
	int timeout_ms = time_to_sleep(r);
	int awake = poll(fds, (nfds_t)first[DIRECTIONS] + (nfds_t)controls, timeout_ms);
	bool has_slept = awake >= 0;
	r->has_stirred = awake != 0 || !r->sleeps_for_tick;
	if (!has_slept && errno != EINTR)
		wait_for_memory(errno);
	if (has_slept && fds[1].revents != 0)
		follow_host(r);
	r->has_signal = !has_slept || fds[0].revents != 0;
	r->has_uplink_news = has_slept && fds[3].revents != 0;
	if (has_slept && fds[4].revents != 0)
		r->has_news_of_vms |= drain_bell(&r->claims);
	if (has_slept && fds[2].revents != 0 && !follow_channel(r->channel))
		r->channel = -1;
	if (has_slept)
		wake_control(&r->control, fds + first[DIRECTIONS], controls);
	for (int side = 0; side < DIRECTIONS; side++) {
		is_awake[side] = r->has_more[side];
		for (int i = first[side]; has_slept && i < first[side + 1]; i++)
			is_awake[side] |= fds[i].revents != 0;
	}
}

static enum relay_end turn(struct relay *r)
{
	bool is_awake[DIRECTIONS];
	sleep_until_event(r, is_awake);
	r->now_ms = clock_ms();
	if (r->has_stirred)
		r->stirred_ms = r->now_ms;
	if (r->now_ms - r->tick_ms >= 2 * TICK_MS)
		end_rest(r, r->tick_ms);
	enum relay_end end = handle_signals(r);
	if (r->has_news_of_vms || r->now_ms >= r->vms_until_ms)
		follow_other_vms(r); /* before frames, which may go to whom has the address next */
	for (int side = 0; side < DIRECTIONS && end == RELAY_GOES_ON; side++)
		if (!r->port[side]->kind->service(r->port[side], r->now_ms))
			end = end_of(r, r->port[side]);
	for (int side = 0; side < DIRECTIONS && end == RELAY_GOES_ON && !r->kernel; side++)
		if (is_awake[side])
			end = move_batch(r, (enum direction)side);
	if (end == RELAY_GOES_ON && r->kernel)
		end = follow_kernel(r);
	if (end != RELAY_GOES_ON)
		return end;
	follow_uplink(r, r->has_uplink_news);
	follow_absence(r);
	follow_state(r);
	serve_control(&r->control, r->now_ms);
	if (r->kernel)
		keep_kernel(r);
	return tick(r);
}

enum relay_end run_relay(struct relay *r)
{
	enum relay_end end;
	r->now_ms = r->tick_ms = r->stirred_ms = clock_ms();
	take_sample(&r->counters, r->now_ms);
	announce_start(&r->announcer, r->guard.config->vm_mac, r->port[FROM_GUEST]->name, r->port[TO_GUEST]->name,
		       r->now_ms);
	follow_absence(r);
	follow_state(r);
	do
		end = turn(r);
	while (end == RELAY_GOES_ON);
	return end;
}

void finish_relay(struct relay *r, const char *why)
{
	r->now_ms = clock_ms();
	keep_state(r, true);
	if (r->guard.config->has_names)
		finish_learning(r->guard.names, r->now_ms);
	finish_capture(r->capture, r->now_ms);
	remove_metrics_file(r->metrics);
	tell_drops(&r->counters, r->now_ms + TICK_MS); /* what the last second held back */
	announce_drops(&r->drop_events, &r->announcer, &r->counters, true, r->now_ms);
	announce_stop(&r->announcer, why, r->now_ms);
	bool is_written = finish_deferred(r->state_queue, LAST_WRITES_MS);
	is_written &= finish_deferred(r->queue, LAST_WRITES_MS);
	if (!is_written)
		warning("a disk does not answer: what was to be written there at the end is lost");
	if (is_verbose())
		print_summary(&r->counters, r->questions.sent, r->guard.state, r->now_ms);
	if (finish_deferred(r->log_queue, LAST_WRITES_MS))
		hand_log_to(NULL); /* what comes now need not wait */
}
