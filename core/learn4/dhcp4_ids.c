/* Transaction ids of DHCPv4: a fixed table; full, the one goes that is nearest to its end. */
#include "core/learn4/dhcp4_ids.h"

#include <stddef.h>

static struct request_id4 *find_request(struct state *state, uint32_t id)
{
	for (uint32_t i = 0; i < REQUEST_IDS4_MAX; i++)
		if (state->request_ids[i].until_ms > 0 && state->request_ids[i].id == id)
			return &state->request_ids[i];
	return NULL;
}

void remember_request(struct state *state, uint32_t id, bool to_all, uint64_t now_ms)
{
	struct request_id4 *r = find_request(state, id);
	if (r && now_ms >= r->until_ms)
		*r = (struct request_id4){ .id = id };
	if (!r) {
		r = &state->request_ids[0];
		for (uint32_t i = 1; i < REQUEST_IDS4_MAX; i++)
			if (state->request_ids[i].until_ms < r->until_ms)
				r = &state->request_ids[i];
		*r = (struct request_id4){ .id = id };
	}
	if (r->unanswered < UINT16_MAX)
		r->unanswered++;
	r->to_all = r->to_all || to_all;
	r->until_ms = now_ms + ANSWER_LIFE_MS;
}

void settle_request(struct state *state, uint32_t id, uint64_t now_ms)
{
	struct request_id4 *r = find_request(state, id);
	if (!r || r->unanswered == 0)
		return;
	r->unanswered--;
	if (r->unanswered == 0)
		r->until_ms = now_ms + (r->to_all ? OTHERS_ANSWER_LIFE_MS : COPY_LIFE_MS);
}

void spend_requests(struct state *state)
{
	for (uint32_t i = 0; i < REQUEST_IDS4_MAX; i++)
		state->request_ids[i].is_spent = 1;
}

bool is_spent(const struct state *state, uint32_t id, uint64_t now_ms)
{
	for (uint32_t i = 0; i < REQUEST_IDS4_MAX; i++) {
		const struct request_id4 *r = &state->request_ids[i];
		if (r->is_spent && r->id == id && now_ms < r->until_ms)
			return true;
	}
	return false;
}
