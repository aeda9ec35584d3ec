/* Answers are collected while a batch is judged, and go out behind it. */
#include "softnet/guard/rejections.h"

/* Per 1000 s, and at once: a connection attempt costs one, so this is for people, not for scans. */
static const struct rate rate = { 100000, 200 };

void start_rejections(struct rejections *r, bool wanted, uint64_t now_ms)
{
	r->wanted = wanted;
	r->bucket = (struct bucket){ (uint64_t)rate.burst * 1000, now_ms };
}

void add_rejection(struct rejections *r, enum verdict verdict, const struct frame *frame, uint64_t now_ms)
{
	if (!r->wanted || !is_rejected(verdict) || r->waiting >= BATCH_MAX)
		return;
	uint32_t length = make_rejection(frame, r->bytes[r->waiting]);
	if (length == 0 || !take_token(&rate, &r->bucket, now_ms))
		return;
	r->packets[r->waiting] = (struct packet){ .bytes = r->bytes[r->waiting], .length = length };
	r->waiting++;
}

bool send_rejections(struct rejections *r, struct port *guest)
{
	struct send_result result = { 0, 0, 0 };
	uint32_t n = r->waiting;
	r->waiting = 0;
	if (n == 0)
		return true;
	bool is_there = guest->kind->send(guest, r->packets, n, &result);
	r->sent += result.sent; /* what the guest has no room for is lost, as it would be without --reject */
	return is_there;
}
