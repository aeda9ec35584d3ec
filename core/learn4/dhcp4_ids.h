/* What a guest has called its questions in DHCPv4: transaction ids. User space only. */
#pragma once
#include "core/guard.h"

enum {
	ANSWER_LIFE_MS = 64000,       /* the largest retransmission gap of RFC 2131 4.1 */
	COPY_LIFE_MS = 2000,          /* an answer that comes by two relays */
	OTHERS_ANSWER_LIFE_MS = 10000 /* a further server's answer to what went to all of them */
};

/* A message leaves that a server answers by an ACK; `to_all`: several may do so. */
void remember_request(struct state *state, uint32_t id, bool to_all, uint64_t now_ms);

/* An ACK or NAK of this id has come. */
void settle_request(struct state *state, uint32_t id, uint64_t now_ms);

/* The guest gives an address back: answers that may still be on their way come too late. */
void spend_requests(struct state *state);

/* An answer to what was asked before an address was given back could not be told from one to a new REQUEST of this id. */
bool is_spent(const struct state *state, uint32_t id, uint64_t now_ms);
