/* A question goes out at once, so that its answer is not older than what it is about. */
#include "softnet/own/questions.h"

bool send_question(struct questions *q, const uint8_t *frame, uint32_t length)
{
	struct packet packet = { .bytes = frame, .length = length };
	struct send_result result = { 0, 0, 0 };
	bool is_there = q->uplink->kind->send(q->uplink, &packet, 1, &result);
	q->sent += result.sent;
	return is_there && result.sent == 1;
}
