/* --expose: forwardings follow the guest's address, old ones removed before new ones are added. */
#include "exposes.h"

/* Forwardings stay while their address is a full lease; one that is on its way out gives way to another. */
static struct address choose_address(const struct exposes *exposes, const struct state *state, uint64_t now_ms)
{
	struct address best = { 0, 0 };
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		const struct binding *binding = &state->ipv4[i];
		bool is_installed = same_address(binding->address, exposes->installed);
		if (!is_live(binding, now_ms))
			continue;
		if (binding->state != BINDING_GRACE && is_installed)
			return binding->address;
		if (binding->state != BINDING_GRACE || (is_unset(best) && is_installed))
			best = binding->address;
	}
	return best;
}

static void forward(const struct exposes *exposes, struct address guest, bool add)
{
	if (is_unset(guest))
		return;
	for (uint32_t i = 0; i < exposes->count; i++)
		exposes->uplink->kind->expose(exposes->uplink, &exposes->items[i], guest, add);
}

void follow_address(struct exposes *exposes, const struct state *state, uint64_t now_ms)
{
	if (exposes->count == 0 || exposes->uplink->kind->expose == NULL)
		return;
	struct address wanted = choose_address(exposes, state, now_ms);
	if (same_address(wanted, exposes->installed))
		return;
	forward(exposes, exposes->installed, false);
	forward(exposes, wanted, true);
	exposes->installed = wanted;
}
