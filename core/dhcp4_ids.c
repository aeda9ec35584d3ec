/* Client identifiers and transaction ids of DHCPv4: fixed tables, each with a stated answer to being full. */
#include "dhcp4_ids.h"
#include "lease.h"

#include <stddef.h>

static struct client_id *find_client_id(struct state *state, uint64_t hash, uint64_t now_ms)
{
	for (uint32_t i = 0; i < CLIENT_IDS4_MAX; i++)
		if (now_ms < state->client_ids[i].until_ms && state->client_ids[i].hash == hash)
			return &state->client_ids[i];
	return NULL;
}

bool may_use_client_id(struct snoop *snoop, uint64_t hash, uint64_t now_ms)
{
	if (find_client_id(snoop->state, hash, now_ms))
		return true;
	uint32_t live = 0;
	for (uint32_t i = 0; i < CLIENT_IDS4_MAX; i++)
		live += now_ms < snoop->state->client_ids[i].until_ms;
	return live < CLIENT_IDS_FREE || (live < CLIENT_IDS4_MAX && may_spend(snoop, RATE_OF_NEW_CLIENT, now_ms));
}

void remember_client_id4(struct state *state, uint64_t hash, uint64_t until_ms, uint64_t now_ms)
{
	struct client_id *slot = find_client_id(state, hash, now_ms);
	for (uint32_t i = 0; i < CLIENT_IDS4_MAX && !slot; i++)
		if (now_ms >= state->client_ids[i].until_ms) {
			slot = &state->client_ids[i];
			*slot = (struct client_id){ .hash = hash };
		}
	if (slot && slot->until_ms < until_ms)
		slot->until_ms = until_ms;
}

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
