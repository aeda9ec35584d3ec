/* DHCPv6 transactions: what the guest asked for and may still be answered. */
#include "core/learn6/snoop_dhcp6.h"
#include "core/wire/ethernet.h"
#include "core/wire/ipv6.h"
#include "core/learn4/lease.h"
#include "core/flows/siphash.h"

#include <stddef.h>

_Static_assert((int)DHCP6_ASSOCIATIONS_MAX <= (int)IDENTITIES_MAX, "a transaction remembers all IAs of a message");

bool parse_dhcp6_frame(const struct frame *frame, struct dhcp6_frame *f)
{
	struct ethernet eth;
	struct ipv6 ip;
	struct udp udp;
	if (!parse_ethernet(frame, &eth) || !parse_ipv6(frame, ETHERNET_HEADER, &ip) ||
	    walk_headers(frame, &ip, false) != PASS || ip.protocol != PROTOCOL_UDP ||
	    !parse_udp(frame, ip.payload, ip.end, &udp) || udp.length < 8 || udp.length > payload_octets6(&ip))
		return false;
	f->source_mac = eth.source;
	f->destination_mac = eth.destination;
	f->source = ip.source;
	f->destination = ip.destination;
	return parse_dhcp6(frame, ip.payload + 8, ip.payload + udp.length, &f->message);
}

uint64_t hash_of_client_id(const struct state *state, const struct dhcp6 *m)
{
	return m->client_id_length > 0 ? siphash(state->hash_key, m->client_id, m->client_id_length) : 0;
}

bool may_lead_to_lease(uint8_t type, bool rapid_commit)
{
	return type == DHCP6_REQUEST || type == DHCP6_RENEW || type == DHCP6_REBIND ||
	       (type == DHCP6_SOLICIT && rapid_commit);
}

struct transaction6 *find_transaction6(struct state *state, uint32_t id, uint64_t now_ms)
{
	for (uint32_t i = 0; i < TRANSACTIONS6_MAX; i++) {
		struct transaction6 *t = &state->ipv6.transactions[i];
		if (now_ms < t->deadline_ms && t->id == id)
			return t;
	}
	return NULL;
}

struct binding6 *find_live(struct state *state, struct address a, uint64_t now_ms)
{
	struct binding6 *b = find_lease6(state, a);
	return b && now_ms < b->expires_ms ? b : NULL;
}

uint64_t hash_of_identity(const struct state *state, const struct dhcp6 *m, uint32_t association)
{
	const struct dhcp6_association *ia = &m->associations[association];
	uint8_t octets[DUID_OCTETS_MAX + 5] = { ia->type };
	for (uint32_t i = 0; i < 4; i++)
		octets[1 + i] = (uint8_t)(ia->identity >> (24 - 8 * i));
	for (uint32_t i = 0; i < m->client_id_length; i++)
		octets[5 + i] = m->client_id[i];
	return siphash(state->hash_key, octets, 5 + m->client_id_length);
}

bool has_identity(const struct transaction6 *t, uint64_t identity)
{
	for (uint32_t i = 0; i < t->identity_count; i++)
		if (t->identities[i] == identity)
			return true;
	return false;
}

void remember_given_back(struct transaction6 *t, uint64_t hash)
{
	t->identities[0] = hash;
}

bool has_given_back(const struct transaction6 *t, uint64_t hash)
{
	return t->identities[0] == hash;
}

/* Of the messages that speak of their IAs to get or keep them. */
static void add_identities(const struct state *state, struct transaction6 *t, const struct dhcp6 *m)
{
	if (m->type == DHCP6_RELEASE || m->type == DHCP6_DECLINE || m->type == DHCP6_INFORMATION_REQUEST ||
	    m->type == DHCP6_REGISTRATION)
		return;
	for (uint32_t i = 0; i < m->association_count; i++)
		t->identities[t->identity_count++] = hash_of_identity(state, m, i);
}

static bool share_identity(const struct transaction6 *a, const struct transaction6 *b)
{
	for (uint32_t i = 0; i < a->identity_count; i++)
		if (has_identity(b, a->identities[i]))
			return true;
	return false;
}

/*
 * A client has one exchange at a time about one IA, each with an id of its own (RFC 8415 16.1): a new one ends what
 * it still waited for, so that a late answer does not bring back what a newer one has changed. Exchanges about other
 * IAs and INFORMATION-REQUEST may run beside it.
 */
static void supersede(struct state *state, const struct transaction6 *new)
{
	for (uint32_t i = 0; i < TRANSACTIONS6_MAX; i++) {
		struct transaction6 *t = &state->ipv6.transactions[i];
		if (t->client_id == new->client_id && !t->done && share_identity(t, new))
			*t = (struct transaction6){ 0 };
	}
}

/* Registrations come in bursts, one for each address, and nothing hangs on their answers: they give their place to all. */
static bool goes_before(const struct transaction6 *a, const struct transaction6 *b)
{
	bool a_tells = a->kind == DHCP6_REGISTRATION, b_tells = b->kind == DHCP6_REGISTRATION;
	if (a_tells != b_tells && a->deadline_ms != 0 && b->deadline_ms != 0)
		return a_tells;
	return a->deadline_ms < b->deadline_ms;
}

static struct transaction6 *room_for_transaction(struct state *state)
{
	struct transaction6 *t = &state->ipv6.transactions[0];
	for (uint32_t i = 1; i < TRANSACTIONS6_MAX; i++)
		if (goes_before(&state->ipv6.transactions[i], t))
			t = &state->ipv6.transactions[i];
	return t;
}

struct transaction6 *open_transaction6(struct state *state, const struct dhcp6 *m, uint64_t client_id, uint64_t now_ms)
{
	struct transaction6 *t = find_transaction6(state, m->id, now_ms);
	if (t && t->done && t->kind == m->type && t->client_id == client_id) {
		/* It crossed its answer, so what comes is a copy of that. */
		t->deadline_ms = now_ms + TRANSACTION_DONE_MS;
		return t;
	}
	struct transaction6 new = { .client_id = client_id,
				    .id = m->id,
				    .kind = m->type,
				    .rapid_commit = m->rapid_commit,
				    .requested_ms = now_ms,
				    .deadline_ms = now_ms + TRANSACTION_LIFE_MS };
	/*
	 * An answer tells no more than the id, so it may be one to the first message of it. udhcpc6 has one id for all
	 * of its messages, which RFC 8415 16.1 does not want.
	 */
	if (t)
		new.requested_ms = t->requested_ms;
	add_identities(state, &new, m);
	supersede(state, &new);
	if (!t)
		t = room_for_transaction(state);
	*t = new;
	return t;
}

void close_transactions6(struct state *state)
{
	for (uint32_t i = 0; i < TRANSACTIONS6_MAX; i++) {
		struct transaction6 *t = &state->ipv6.transactions[i];
		if (!t->done && may_lead_to_lease(t->kind, t->rapid_commit))
			*t = (struct transaction6){ 0 };
	}
	spend_request_ids(state->ipv6.request_ids);
}
