/* --expose: forwardings follow the guest's address. */
#pragma once
#include "../core/state.h"
#include "../port/port.h"

struct exposes {
	const struct expose *items;
	uint32_t count;
	struct port *uplink;
	struct address installed; /* unset: none */
};

/* Called after each turn; does nothing unless the address changed. */
void follow_address(struct exposes *, const struct state *, uint64_t now_ms);
