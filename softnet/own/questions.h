/* What the guard asks the network in its guest's name: core/made/question.h says what, and when. */
#pragma once
#include "port/port.h"

struct questions {
	struct port *uplink;
	uint64_t sent;
};

/* Sends one to the uplink. False: it has no room for it, or is gone, which the relay finds at its next turn. */
bool send_question(struct questions *, const uint8_t *frame, uint32_t length);
