/* DHCPv6 messages from the guest: which of them may go out, and what answer they open the door for. */
#include "core/learn4/lease.h"
#include "core/made/question.h"
#include "core/flows/siphash.h"
#include "core/learn6/snoop_dhcp6.h"
#include "core/learn6/snoop_nd.h"
#include "core/judge/trust6.h"

#include <stddef.h>

/* RFC 8415 7.1: All_DHCP_Relay_Agents_and_Servers, and its MAC (RFC 2464 7). */
static const struct address all_servers = { 0xff02000000000000ULL, 0x10002 };
#define MAC_OF_ALL_SERVERS 0x333300010002ULL

static bool is_client_type(uint8_t type)
{
	switch (type) {
	case DHCP6_SOLICIT:
	case DHCP6_REQUEST:
	case DHCP6_CONFIRM:
	case DHCP6_RENEW:
	case DHCP6_REBIND:
	case DHCP6_RELEASE:
	case DHCP6_DECLINE:
	case DHCP6_INFORMATION_REQUEST:
	case DHCP6_REGISTRATION:
		return true;
	default:
		return false;
	}
}

/*
 * To all servers, from a link-local address; a registration comes from the address that it is about (RFC 9686 4.2). To one
 * server alone where that has said so (RFC 8415 18.2.2, 18.2.4, 18.2.7, 18.2.8).
 */
static bool is_well_addressed(const struct guard *s, const struct dhcp6_frame *f, uint64_t now_ms)
{
	uint8_t type = f->message.type;
	bool to_all = same_address(f->destination, all_servers) && f->destination_mac == MAC_OF_ALL_SERVERS;
	if (type == DHCP6_REGISTRATION || to_all)
		return to_all && is_link_local(f->source) == (type != DHCP6_REGISTRATION);
	return (type == DHCP6_REQUEST || type == DHCP6_RENEW || type == DHCP6_RELEASE || type == DHCP6_DECLINE) &&
	       is_unicast_server6(view_of(s, now_ms), f->destination, f->destination_mac);
}

static enum verdict check_common(const struct guard *s, const struct dhcp6_frame *f, uint64_t now_ms)
{
	const struct config *config = s->config;
	const struct dhcp6 *m = &f->message;
	if (!is_well_addressed(s, f, now_ms))
		return DROP_DHCP6_ADDRESSING;
	if (!is_client_type(m->type))
		return DROP_DHCP6_TYPE;
	if (m->client_id_length == 0 && m->type != DHCP6_INFORMATION_REQUEST) /* RFC 8415 18.2.6 */
		return DROP_DHCP6_MALFORMED;
	if (config->strict_client_id && duid_names_other_mac(m->client_id, m->client_id_length, config->vm_mac))
		return DROP_DHCP6_CLIENT_ID_SPOOF;
	if (m->has_relay_option)
		return DROP_DHCP6_SERVER;
	if (!may_have_fqdn6(&config->host_names, &m->fqdn))
		return DROP_DHCP_HOSTNAME;
	return PASS;
}

/* The live lease of this address and IA; NULL: none. */
static struct binding6 *leased(struct state *state, uint64_t identity, struct address a, uint64_t now_ms)
{
	struct binding6 *b = find_live(state, a, now_ms);
	return b && b->origin == ORIGIN_DHCP && b->identity == identity ? b : NULL;
}

/* RFC 8415 18.2.8: only addresses are declined. */
static bool is_own_lease(struct state *state, const struct dhcp6 *m, uint32_t index, uint64_t now_ms)
{
	const struct dhcp6_address *a = &m->addresses[index];
	uint64_t identity = hash_of_identity(state, m, a->association);
	if (m->associations[a->association].type == IA_PD)
		return m->type == DHCP6_RELEASE && has_delegated(state, identity, a, now_ms);
	return leased(state, identity, a->address, now_ms) != NULL;
}

static uint32_t count_leased(struct state *state, const struct dhcp6 *m, uint64_t now_ms)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < m->address_count; i++)
		count += is_own_lease(state, m, i, now_ms);
	return count;
}

/* Some servers read an IA without addresses as all of it. */
static bool names_something_in_each(const struct dhcp6 *m)
{
	bool named[DHCP6_ASSOCIATIONS_MAX] = { false };
	for (uint32_t i = 0; i < m->address_count; i++)
		named[m->addresses[i].association] = true;
	for (uint32_t i = 0; i < m->association_count; i++)
		if (!named[i])
			return false;
	return m->association_count > 0;
}

/* Of everything that it names, each with its IA. */
static uint64_t hash_of_named(const struct state *state, const struct dhcp6 *m)
{
	enum { ITEM = 25 };
	uint8_t octets[DHCP6_ADDRESSES_MAX * ITEM];
	for (uint32_t i = 0; i < m->address_count; i++) {
		uint64_t identity = hash_of_identity(state, m, m->addresses[i].association);
		for (uint32_t k = 0; k < 8; k++) {
			octets[ITEM * i + k] = (uint8_t)(m->addresses[i].address.high >> (56 - 8 * k));
			octets[ITEM * i + 8 + k] = (uint8_t)(m->addresses[i].address.low >> (56 - 8 * k));
			octets[ITEM * i + 16 + k] = (uint8_t)(identity >> (56 - 8 * k));
		}
		octets[ITEM * i + 24] = m->addresses[i].length;
	}
	return siphash(state->hash_key, octets, ITEM * m->address_count);
}

/* Each address that is declined is one that the server gives to nobody for a long time. */
static bool may_decline(struct guard *s, uint32_t count, uint64_t now_ms)
{
	for (uint32_t i = 0; i < count; i++)
		if (!may_spend(s, RATE_OF_DECLINE, now_ms))
			return false;
	return true;
}

/*
 * RELEASE and DECLINE. The server gives the address to others or to nobody, so the guest loses it before the message
 * leaves; and for good, even where the answer to a renewal that it sent just before is still on its way. Both get an
 * answer and are repeated until it comes (RFC 8415 18.2.7, 18.2.8); a repeated one must name what the first one
 * named, and takes away what the guest has got again in the meantime.
 */
static enum verdict give_back(struct guard *s, const struct dhcp6 *m, uint64_t client_id, uint64_t now_ms)
{
	uint64_t hash = hash_of_named(s->state, m);
	struct transaction6 *t = find_transaction6(s->state, m->id, now_ms);
	bool repeated = t && t->kind == m->type && t->client_id == client_id && has_given_back(t, hash);
	uint32_t count = count_leased(s->state, m, now_ms);
	if (!names_something_in_each(m) || (count < m->address_count && !repeated))
		return DROP_DHCP6_NOT_OWNER;
	if (m->type == DHCP6_DECLINE && !may_decline(s, count, now_ms))
		return DROP_RATE_DHCP;
	for (uint32_t i = 0; i < m->address_count; i++) {
		struct binding6 *b = leased(s->state, hash_of_identity(s->state, m, m->addresses[i].association),
					    m->addresses[i].address, now_ms);
		if (b)
			remove_lease6(s, b, m->type == DHCP6_DECLINE ? "declined" : "released", now_ms);
	}
	close_transactions6(s->state);
	give_back_wanted(s->state, m, now_ms);
	remember_given_back(open_transaction6(s->state, m, client_id, now_ms), hash);
	return PASS;
}

/* A lease of the guest's, or static. Prefixes are the server's to know. */
static bool names_unknown_address(struct state *state, const struct dhcp6 *m, uint64_t now_ms)
{
	for (uint32_t i = 0; i < m->address_count; i++)
		if (m->addresses[i].length == DHCP6_ADDRESS_BITS && !find_live(state, m->addresses[i].address, now_ms))
			return true;
	return false;
}

/*
 * CONFIRM asks whether old addresses fit the link; the answer tells no lifetime, so they stay unknown until they are
 * renewed. A RENEW of an address that the guard knows nothing of may be real: it may have restarted while the guest kept
 * its lease. Neither gives a right before a Reply does. A REBIND is believed by servers that did not give the lease, and
 * some of them give it to any client that asks, though another one holds it (dnsmasq).
 */
static enum verdict ask(struct guard *s, const struct dhcp6 *m, uint64_t client_id, uint64_t now_ms)
{
	bool must_know = m->type == DHCP6_REBIND || (m->type == DHCP6_RENEW && s->config->no_resync);
	if (must_know && names_unknown_address(s->state, m, now_ms))
		return DROP_DHCP6_NOT_OWNER;
	bool asks = m->type == DHCP6_SOLICIT || may_lead_to_lease(m->type, m->rapid_commit);
	if (asks && is_spent_request_id(s->state->ipv6.request_ids, m->id, now_ms))
		return DROP_DHCP6_NO_TRANSACTION;
	enum verdict verdict = want_leases(s, m, now_ms);
	if (verdict != PASS)
		return verdict;
	open_transaction6(s->state, m, client_id, now_ms);
	if (may_lead_to_lease(m->type, m->rapid_commit))
		remember_request_id(s->state->ipv6.request_ids, m->id, now_ms);
	return PASS;
}

/* RFC 9686 4.2: the guest tells which address it uses. Its own source, and nothing else. */
static enum verdict tell_address(struct guard *s, const struct dhcp6_frame *f, uint64_t client_id, uint64_t now_ms)
{
	const struct dhcp6 *m = &f->message;
	if (!same_address(m->registered, f->source))
		return DROP_DHCP6_NOT_OWNER;
	if (m->association_count > 0)
		return DROP_DHCP6_MALFORMED;
	open_transaction6(s->state, m, client_id, now_ms);
	return PASS;
}

/* RFC 8200 8.1. Behind the end of the datagram nothing is summed, so nothing may be there. */
static bool is_heard(const struct frame *frame)
{
	struct ipv6 ip;
	struct udp udp;
	return parse_ipv6(frame, ETHERNET_HEADER, &ip) && walk_headers(frame, &ip, false) == PASS && !ip.extended &&
	       parse_udp(frame, ip.payload, ip.end, &udp) && udp.length == payload_octets6(&ip) &&
	       has_good_checksum6(frame, &ip, PROTOCOL_UDP);
}

/*
 * Every server answers a Solicit for addresses, and a Rebind of an address that it may have leased. A guest must not be
 * able to make a server look silent, so nothing that a server would pass over counts.
 */
static bool must_be_answered(struct state *state, const struct frame *frame, const struct dhcp6 *m, uint64_t now_ms)
{
	bool solicits = m->type == DHCP6_SOLICIT && !m->has_server_id && m->association_count > 0;
	bool rebinds = m->type == DHCP6_REBIND && !m->has_server_id && count_leased(state, m, now_ms) > 0;
	return (solicits || rebinds) && !m->is_odd && m->associations[0].type == IA_NA && is_heard(frame);
}

/*
 * The answer goes to one address, and the server may have to ask for its MAC first. A guest that keeps silent then would make
 * the server seem silent; so the guard says it in a question of its own (RFC 4861 7.2.3).
 */
static void tell_server(struct guard *s, struct address client, uint64_t now_ms)
{
	const struct learned_server6 *lock = &s->state->ipv6.server;
	uint8_t question[QUESTION_MAX];
	if (s->ask && is_locked_server6(s->state, now_ms) && is_link_local(lock->address))
		s->ask(s->context, question, make_neighbor_question(s->config->vm_mac, client, lock->address, question));
}

static void count_question(struct learned_server6 *lock, uint64_t now_ms)
{
	if (lock->questions == 0)
		lock->asked_ms = now_ms;
	if (lock->questions < UINT32_MAX)
		lock->questions++;
}

/* The judge has seen to it that the source address is the guest's. */
enum verdict snoop_dhcp6_client(struct guard *s, const struct frame *frame, uint64_t now_ms)
{
	struct dhcp6_frame f;
	if (!parse_dhcp6_frame(frame, &f))
		return DROP_DHCP6_MALFORMED;
	const struct dhcp6 *m = &f.message;
	enum verdict verdict = check_common(s, &f, now_ms);
	if (verdict != PASS)
		return verdict;
	struct client_id *known = s->state->ipv6.client_ids;
	bool has_client_id = m->client_id_length > 0;
	uint64_t client_id = hash_of_client_id(s->state, m);
	if (has_client_id && !may_use_client_id(s, known, RATE_OF_NEW_CLIENT6, client_id, now_ms))
		return DROP_DHCP6_CLIENT_ID_LIMIT;
	bool gives_back = m->type == DHCP6_RELEASE || m->type == DHCP6_DECLINE;
	if (m->type == DHCP6_REGISTRATION)
		verdict = tell_address(s, &f, client_id, now_ms);
	else
		verdict = gives_back ? give_back(s, m, client_id, now_ms) : ask(s, m, client_id, now_ms);
	if (verdict == PASS && must_be_answered(s->state, frame, m, now_ms)) {
		tell_server(s, f.source, now_ms);
		count_question(&s->state->ipv6.server, now_ms);
	}
	if (verdict == PASS && has_client_id)
		remember_client_id(known, client_id, now_ms + CLIENT_ID_LIFE_MS, now_ms);
	return verdict;
}
