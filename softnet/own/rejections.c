/* Answers are collected while a batch is judged, and go out behind it. */
#include "softnet/own/rejections.h"

/* Per 1000 s, and at once: a connection attempt costs one, so this is for people, not for scans. */
static const struct rate rate = { 100000, 200 };

void start_rejections(struct rejections *r, bool wanted, uint64_t now_ms)
{
	r->wanted = wanted;
	r->bucket = (struct bucket){ (uint64_t)rate.burst * 1000, now_ms };
}

static void keep_answer(struct rejections *r, uint32_t length, uint64_t now_ms)
{
	if (length == 0 || !take_token(&rate, &r->bucket, now_ms))
		return;
	r->packets[r->waiting] = (struct packet){ .bytes = r->bytes[r->waiting], .length = length };
	r->waiting++;
}

void add_rejection(struct rejections *r, enum verdict verdict, const struct frame *frame, uint64_t now_ms)
{
	if (!r->wanted || !is_rejected(verdict) || r->waiting >= BATCH_MAX)
		return;
	uint8_t *to = r->bytes[r->waiting];
	uint32_t length = is_dns_refusal(verdict) ? make_dns_refusal(frame, FROM_GUEST, verdict, to) : 0;
	if (length == 0)
		length = make_rejection(frame, to);
	keep_answer(r, length, now_ms);
}

void add_refused_answer(struct rejections *r, enum verdict verdict, const struct frame *frame, uint64_t now_ms)
{
	if (r->wanted && is_dns_refusal(verdict) && r->waiting < BATCH_MAX)
		keep_answer(r, make_dns_refusal(frame, TO_GUEST, verdict, r->bytes[r->waiting]), now_ms);
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
