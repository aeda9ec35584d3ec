/* --reject: tells the guest at once what the policy refuses. Nothing of this ever goes to the network. */
#pragma once
#include "core/judge/rate.h"
#include "core/made/dns_refusal.h"
#include "core/made/reject.h"
#include "port/port.h"

struct rejections {
	bool wanted;
	struct bucket bucket;
	uint64_t sent;
	uint32_t waiting; /* of this batch */
	struct packet packets[BATCH_MAX];
	uint8_t bytes[BATCH_MAX][REJECTION_MAX];
};

void start_rejections(struct rejections *, bool wanted, uint64_t now_ms);
/* A frame of the guest was dropped, or one to it: keeps the answer that is due to the guest, if one is. */
void add_rejection(struct rejections *, enum verdict, const struct frame *, uint64_t now_ms);
void add_refused_answer(struct rejections *, enum verdict, const struct frame *, uint64_t now_ms);
/* Hands what is kept to the guest's port. False: the guest is gone for good. */
bool send_rejections(struct rejections *, struct port *guest);
