/* What leaves the hold goes out at once, or is counted as what it was dropped for. */
#include "softnet/guard/hold_relay.h"

static void drop_held(struct relay *r, const struct packet *packet, enum verdict verdict)
{
	struct frame frame = { .bytes = packet->bytes, .length = packet->length };
	add_rejection(&r->rejections, verdict, &frame, r->now_ms);
	account_for_held(r, packet, verdict);
}

/* Its octets are good until the next decision. */
bool leave_hold(struct relay *r)
{
	struct packet packets[BATCH_MAX];
	struct frame frame;
	enum verdict verdict;
	uint32_t n = 0;
	bool is_there = true;
	while (take_from_hold(r->guard.names, &frame, &verdict)) {
		struct packet packet = { .bytes = frame.bytes, .length = frame.length };
		if (verdict != PASS)
			drop_held(r, &packet, verdict);
		else
			packets[n++] = packet;
		if (n < BATCH_MAX)
			continue;
		is_there &= send_passed(r, FROM_GUEST, packets, n);
		n = 0;
	}
	return send_passed(r, FROM_GUEST, packets, n) && is_there;
}

void follow_name(void *context, const struct name_event *event)
{
	struct relay *r = context;
	tell_name(&r->name_events, &r->announcer, event, r->guard.names->rules, r->now_ms);
}

uint64_t follow_hold(struct relay *r)
{
	if (!r->guard.config->has_names)
		return NEVER_EXPIRES;
	uint64_t next_ms = expire_names(r->guard.names, r->now_ms);
	leave_hold(r);
	send_rejections(&r->rejections, r->port[FROM_GUEST]);
	return next_ms;
}
