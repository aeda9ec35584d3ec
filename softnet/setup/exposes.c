/* --expose: forwardings follow the guest's addresses, old ones removed before new ones are added. */
#include "softnet/setup/exposes.h"
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "core/judge/own6.h"
#include "system/log.h"

static enum expose_family family_of(const struct expose *expose)
{
	return is_ipv4(expose->external) ? EXPOSE_IPV4 : EXPOSE_IPV6;
}

/* Which address */

/* Forwardings stay while their address is a full lease; one that is on its way out gives way to another. */
static struct address choose_ipv4(const struct state *state, struct address current, uint64_t now_ms)
{
	struct address best = { 0, 0 };
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		const struct binding *binding = &state->ipv4[i];
		bool is_current = same_address(binding->address, current);
		if (!is_live(binding, now_ms))
			continue;
		if (binding->state != BINDING_GRACE && is_current)
			return binding->address;
		if (binding->state != BINDING_GRACE || (is_unset(best) && is_current))
			best = binding->address;
	}
	return best;
}

static bool is_in_networks_prefix(const struct state *state, struct address a, uint64_t now_ms)
{
	return is_slaac_prefix(&state->ipv6, a.high, now_ms) || is_on_link6(&state->ipv6, a.high, a.low, now_ms);
}

/* What is made from the MAC address needs no claim to be own: the guest may have had it since before we came. */
static struct address guess_ipv6(const struct config *config, const struct state *state, uint64_t now_ms)
{
	for (uint32_t i = 0; i < PREFIXES_MAX; i++) {
		const struct prefix6 *p = &state->ipv6.prefixes[i];
		struct address a = { p->prefix.high, interface_id_of(config->vm_mac) };
		if (is_live_prefix(p, now_ms) && p->autonomous && is_own6((struct view){ config, state, now_ms }, a))
			return a;
	}
	return (struct address){ 0, 0 };
}

/*
 * Of addresses that others can reach: the current one, unless another one is in a prefix of the network's and it is not;
 * then the oldest, since temporary ones (RFC 8981) are young.
 */
static struct address choose_ipv6(const struct config *config, const struct state *state, struct address current,
				  uint64_t now_ms)
{
	const struct binding6 *best = NULL;
	bool best_is_near = false;
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++) {
		const struct binding6 *b = &state->ipv6.bindings[i];
		if (status_of(b, now_ms) != STATUS_VALID || is_link_local(b->address))
			continue;
		bool is_near = is_in_networks_prefix(state, b->address, now_ms);
		bool is_better = !best || is_near > best_is_near;
		if (!is_better && is_near == best_is_near && !same_address(best->address, current))
			is_better = same_address(b->address, current) || b->since_ms < best->since_ms;
		if (is_better) {
			best = b;
			best_is_near = is_near;
		}
	}
	return best ? best->address : guess_ipv6(config, state, now_ms);
}

/* Forwarding */

static void ask_for(struct exposes *exposes, struct exposed *item)
{
	struct address guest = exposes->guest[family_of(&item->expose)];
	if (is_unset(guest))
		return;
	item->state = EXPOSE_ASKED;
	exposes->uplink->kind->expose(exposes->uplink, &item->expose, guest, true);
}

static void take_back(struct exposes *exposes, struct exposed *item)
{
	if (item->state == EXPOSE_ASKED || item->state == EXPOSE_INSTALLED)
		exposes->uplink->kind->expose(exposes->uplink, &item->expose, exposes->guest[family_of(&item->expose)],
					      false);
	item->state = EXPOSE_WAITING;
}

static void follow_family(struct exposes *exposes, enum expose_family family, struct address wanted)
{
	if (same_address(wanted, exposes->guest[family]))
		return;
	for (uint32_t i = 0; i < exposes->count; i++)
		if (family_of(&exposes->items[i].expose) == family)
			take_back(exposes, &exposes->items[i]);
	exposes->guest[family] = wanted;
	for (uint32_t i = 0; i < exposes->count; i++)
		if (family_of(&exposes->items[i].expose) == family)
			ask_for(exposes, &exposes->items[i]);
}

/* Results */

static const char *name_protocol(const struct expose *expose)
{
	return expose->protocol == IPPROTO_UDP ? "udp" : "tcp";
}

const char *describe_failure(const struct exposed *item, char text[FAILURE_TEXT])
{
	char address[ADDRESS_TEXT];
	text[0] = '\0';
	if (item->state == EXPOSE_FAILED)
		snprintf(text, FAILURE_TEXT, "%s port %u on %s: %s", name_protocol(&item->expose), item->failed_port,
			 format_address(item->expose.external, address), strerror(item->error));
	return text;
}

/* The same error again is no news; a guest that changes its address now and then must not fill the terminal. */
static void tell_result(const struct exposes *exposes, struct exposed *item)
{
	char text[FAILURE_TEXT], address[ADDRESS_TEXT];
	struct address guest = exposes->guest[family_of(&item->expose)];
	if (item->state == EXPOSE_INSTALLED) {
		info("--expose: \"%s\" leads to %s", item->text, format_address(guest, address));
	} else if (item->error != item->told_error) {
		warning("--expose: \"%s\" is not in place: %s", item->text, describe_failure(item, text));
		if (exposes->tell)
			exposes->tell(exposes->context, text);
	}
	item->told_error = item->error;
}

static void take_results(struct exposes *exposes)
{
	struct expose_result result;
	while (exposes->uplink->kind->exposed(exposes->uplink, &result))
		for (uint32_t i = 0; i < exposes->count; i++) {
			struct exposed *item = &exposes->items[i];
			if (!same_expose(&item->expose, &result.expose))
				continue;
			item->state = result.error == 0 ? EXPOSE_INSTALLED : EXPOSE_FAILED;
			item->error = result.error;
			item->failed_port = result.port;
			tell_result(exposes, item);
		}
}

void follow_address(struct exposes *exposes, const struct config *config, const struct state *state, uint64_t now_ms)
{
	if (exposes->count == 0 || !exposes->uplink->kind->expose)
		return;
	follow_family(exposes, EXPOSE_IPV4, choose_ipv4(state, exposes->guest[EXPOSE_IPV4], now_ms));
	follow_family(exposes, EXPOSE_IPV6, choose_ipv6(config, state, exposes->guest[EXPOSE_IPV6], now_ms));
	for (uint32_t i = 0; i < exposes->count; i++)
		if (exposes->items[i].state == EXPOSE_WAITING)
			ask_for(exposes, &exposes->items[i]);
	take_results(exposes);
}

/* Live control */

/* A change of the list may have made room for those that failed. */
static void try_again(struct exposes *exposes)
{
	for (uint32_t i = 0; i < exposes->count; i++)
		if (exposes->items[i].state == EXPOSE_FAILED)
			exposes->items[i].state = EXPOSE_WAITING;
}

bool add_expose(struct exposes *exposes, const char *text, struct error *error)
{
	if (!exposes->uplink->kind->expose)
		return refuse(error, "the uplink \"%s\" cannot forward ports", exposes->uplink->name);
	struct expose expose;
	if (parse_expose(text, &expose, error) && exposes->ipv6_off && !is_ipv4(expose.external))
		return refuse_value(error, text, "an IPv4 address: IPv6 is off");
	if (!append_expose(exposes->items, &exposes->count, text, error))
		return false;
	try_again(exposes);
	return true;
}

const struct exposed *find_expose(const struct exposes *exposes, const char *text)
{
	struct expose expose;
	struct error unused;
	if (!parse_expose(text, &expose, &unused))
		return NULL;
	for (uint32_t i = 0; i < exposes->count; i++)
		if (same_expose(&exposes->items[i].expose, &expose))
			return &exposes->items[i];
	return NULL;
}

bool remove_expose(struct exposes *exposes, const char *text, struct error *error)
{
	struct expose expose;
	const struct exposed *found = find_expose(exposes, text);
	if (!parse_expose(text, &expose, error))
		return false;
	if (!found)
		return refuse(error, "\"%s\": not exposed", text);
	uint32_t index = (uint32_t)(found - exposes->items);
	take_back(exposes, &exposes->items[index]);
	exposes->count--;
	memmove(&exposes->items[index], &exposes->items[index + 1], (exposes->count - index) * sizeof exposes->items[0]);
	try_again(exposes);
	return true;
}

uint32_t exposed_ports(const struct exposes *exposes, struct exposed_port *to, uint32_t room)
{
	return list_guest_ports(exposes->items, exposes->count, to, room);
}
