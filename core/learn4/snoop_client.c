/* Client messages from the guest: which of them may go out, and what answer they open the door for. */
#include "core/learn4/dhcp4_ids.h"
#include "core/wire/dhcp6.h"
#include "core/wire/ipv4.h"
#include "core/learn4/lease.h"
#include "core/flows/siphash.h"
#include "core/learn4/snoop_anchors4.h"
#include "core/judge/trust.h"

/* A client message that passed the checks which all types share. */
struct request {
	const struct dhcp_frame *frame;
	const struct dhcp *message;
	uint64_t client_id;
	bool broadcast; /* to 255.255.255.255 */
	bool is_spent;  /* its transaction id, see struct request_id4 */
};

/* RFC 2132 9.14: type 1 is Ethernet and then the identifier is a MAC. Servers key leases on it. */
static bool names_other_mac(const struct config *config, const struct dhcp *m)
{
	if (!m->has_client_id)
		return false;
	if (m->client_id[0] == 1) {
		uint64_t mac = 0;
		for (uint32_t i = 1; i < 7 && i < m->client_id_length; i++)
			mac = mac << 8 | m->client_id[i];
		return m->client_id_length != 7 || mac != config->vm_mac;
	}
	/* Type 255 holds an IAID and a DUID (RFC 4361 6.1). */
	return config->strict_client_id && m->client_id[0] == 255 && m->client_id_length > 5 &&
	       duid_names_other_mac(m->client_id + 5, m->client_id_length - 5, config->vm_mac);
}

static enum verdict check_common(const struct config *config, const struct dhcp_frame *f)
{
	const struct dhcp *m = &f->message;
	if (m->op != BOOTREQUEST)
		return DROP_DHCP4_MALFORMED;
	if (m->hardware_type != 1 || m->hardware_length != 6 || m->chaddr != config->vm_mac)
		return DROP_DHCP4_CHADDR;
	if (m->hops != 0 || !is_unset(m->giaddr) || m->has_relay_option || !is_unset(m->yiaddr))
		return DROP_DHCP4_RELAY_FIELDS;
	if (m->type != DHCPDISCOVER && m->type != DHCPREQUEST && m->type != DHCPDECLINE && m->type != DHCPRELEASE &&
	    m->type != DHCPINFORM)
		return DROP_DHCP4_TYPE;
	bool to_all = f->destination_mac == MAC_BROADCAST;
	bool broadcast = ipv4_of_address(f->destination) == IPV4_BROADCAST;
	bool to_one = is_unicast4(f->destination) && !is_unset(f->destination) && !mac_is_group(f->destination_mac);
	if (broadcast != to_all || (!broadcast && !to_one))
		return DROP_DHCP4_ADDRESSING;
	if (names_other_mac(config, m))
		return DROP_DHCP4_CLIENT_ID_SPOOF;
	if (!may_have_host_name(&config->host_names, &m->host_name) || !may_have_fqdn4(&config->host_names, &m->fqdn))
		return DROP_DHCP_HOSTNAME;
	return PASS;
}

/* RFC 2131 4.1 and table 5: before it has an address the client sends from 0.0.0.0 to everybody. */
static bool is_from_nobody(const struct request *q)
{
	return q->broadcast && is_unset(q->frame->source) && is_unset(q->message->ciaddr);
}

/*
 * A server hears it, and has no reason to pass over it. What is said under a client identifier that it does not know it may
 * pass over (RFC 2131 4.3.2), so who asks counts, too.
 */
static bool is_plain(const struct request *q)
{
	return q->frame->is_heard && !q->message->is_odd;
}

static enum verdict discover(struct guard *s, const struct request *q, uint64_t now_ms)
{
	if (!is_from_nobody(q) || q->message->has_server)
		return DROP_DHCP4_FORM;
	struct transaction *t = open_transaction(s->state, q->message->xid, TRANSACTION_DISCOVER, q->client_id, now_ms);
	t->rapid_commit = q->message->rapid_commit && !q->is_spent; /* only an OFFER answers it then, which binds nothing */
	if (t->rapid_commit)
		remember_request(s->state, t->id, true, now_ms);
	t->broadcast = 1;
	if (is_plain(q) && is_served_client4(s->state, q->client_id))
		note_dhcp_question(s->state, TRANSACTION_DISCOVER, true, now_ms);
	return PASS;
}

/* SELECTING names the server that offered; INIT-REBOOT names none. */
static enum verdict request_new(struct guard *s, const struct request *q, uint64_t now_ms)
{
	const struct dhcp *m = q->message;
	if (!is_from_nobody(q) || !m->has_requested)
		return DROP_DHCP4_FORM;
	if (q->is_spent)
		return DROP_DHCP4_SPENT_ID;
	remember_request(s->state, m->xid, !m->has_server, now_ms);
	struct transaction *t = open_transaction(
	    s->state, m->xid, m->has_server ? TRANSACTION_SELECT : TRANSACTION_REBOOT, q->client_id, now_ms);
	t->requested = m->requested;
	t->server = m->server;
	t->broadcast = 1;
	return PASS;
}

/* What it shares is no lease. */
static bool holds_a_lease(const struct guard *s, uint64_t now_ms)
{
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&s->state->ipv4[i], now_ms) && !is_shared(s->config, s->state->ipv4[i].address))
			return true;
	return false;
}

/*
 * A renewal of an address that the guard knows nothing of is let through when it could be real: the guard may have
 * restarted while the guest kept its lease, or the guest slept for longer than its lease. Once a lease was seen, only that
 * one can be meant. It gives no right before a matching ACK, and a guest that holds a lease has no need of it.
 */
bool may_resync4(const struct guard *s, struct address a, uint64_t now_ms)
{
	struct state *state = s->state;
	const struct binding *old = find_lease(state, a);
	bool ran_out = same_address(state->past.ran_out, a) || (old && old->state == BINDING_BOUND);
	return !s->config->no_resync && !holds_a_lease(s, now_ms) && (!state->past.had_lease || ran_out) &&
	       is_leasable4(s->config, state, a, now_ms);
}

/* RFC 1918 and RFC 6598: what no router carries out of its site. */
static bool is_private4(struct address a)
{
	uint32_t host = ipv4_of_address(a);
	return host >> 24 == 10 || host >> 20 == 0xac1 || host >> 16 == 0xc0a8 || host >> 22 == 0x191;
}

/*
 * The server that a guest renews with may be unknown after a restart; it is the first that the guest turns to. From one
 * private address to another, and by a next hop as far as these are known, so that the datagram goes no farther than the
 * broadcast of the same message would by a relay.
 */
static bool may_be_its_server(const struct guard *s, const struct request *q, uint64_t now_ms)
{
	const struct config *config = s->config;
	uint64_t mac = q->frame->destination_mac;
	bool is_next_hop = !knows_gateway(config, s->state, now_ms) || is_gateway_mac(view_of(s, now_ms), mac) ||
			   is_learned_server_mac(s->state, mac, now_ms);
	return !config->strict_anchors && is_next_hop && is_private4(q->message->ciaddr) &&
	       is_private4(q->frame->destination);
}

/*
 * Nobody but the receiver of this unicast can know its id. Clients may keep one id over all exchanges: then all have heard
 * it when the lease was made.
 */
static bool is_secret_id(const struct state *state, uint32_t id, uint32_t binding, uint64_t now_ms)
{
	uint32_t known = find_transaction4(state, id, now_ms);
	if (!state->ipv4[binding].has_public_id || (known < TRANSACTIONS_MAX && !state->dhcp4[known].secret))
		return false;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms) && state->ipv4[i].public_id == id)
			return false;
	return true;
}

/*
 * What reaches the server for sure, and has to be answered: a hostile guest must not make it seem silent, nor tell a friend
 * what only the server may know. Nobody needs to answer for an address that is no lease of this client (RFC 2131 4.3.2), as
 * one that is shared.
 */
static bool must_be_answered(const struct guard *s, const struct request *q, uint32_t binding, uint64_t now_ms)
{
	uint64_t mac = q->frame->destination_mac;
	const struct binding *b = &s->state->ipv4[binding];
	bool is_leased = b->state == BINDING_STATIC ? !is_unset(b->server) && is_served_client4(s->state, q->client_id)
						    : b->client_id == q->client_id;
	if (!is_plain(q) || !is_leased || is_shared(s->config, q->message->ciaddr))
		return false;
	return q->broadcast || is_gateway_mac(view_of(s, now_ms), mac) || is_learned_server_mac(s->state, mac, now_ms);
}

/*
 * RENEWING (unicast) and REBINDING (broadcast). systemd-networkd rebinds from 0.0.0.0, which RFC 2131 4.3.2 leaves open. The
 * plug-in dhcp of CNI names its server in a broadcast, against table 5: that counts as no question, for a server may pass over it.
 */
static enum verdict renew(struct guard *s, const struct request *q, uint64_t now_ms)
{
	const struct dhcp *m = q->message;
	bool from_nobody = q->broadcast && is_unset(q->frame->source);
	if (!from_nobody && !same_address(q->frame->source, m->ciaddr))
		return DROP_DHCP4_NOT_OWNER;
	if (m->has_requested && !same_address(m->requested, m->ciaddr))
		return DROP_DHCP4_FORM;
	uint32_t index = find_binding4(s->state, m->ciaddr, now_ms);
	bool resync = index == NO_BINDING;
	if (resync && !may_resync4(s, m->ciaddr, now_ms))
		return DROP_DHCP4_NOT_OWNER;
	if (m->has_server && ((q->broadcast && resync) || !is_dhcp_server4(view_of(s, now_ms), m->server)))
		return DROP_DHCP4_FORM;
	if (!q->broadcast && !is_dhcp_server4(view_of(s, now_ms), q->frame->destination) &&
	    !(resync && may_be_its_server(s, q, now_ms)))
		return DROP_DHCP4_ADDRESSING;
	if (q->is_spent)
		return DROP_DHCP4_SPENT_ID;
	if (resync && !may_spend(s, RATE_OF_RESYNC, now_ms))
		return DROP_RATE_DHCP;
	remember_request(s->state, m->xid, q->broadcast, now_ms);
	bool names_one = q->broadcast && m->has_server;
	bool counts = !resync && !names_one && must_be_answered(s, q, index, now_ms);
	bool secret = counts && !q->broadcast && is_secret_id(s->state, m->xid, index, now_ms);
	struct transaction *t = open_transaction(s->state, m->xid, TRANSACTION_RENEW, q->client_id, now_ms);
	t->requested = m->ciaddr;
	t->broadcast = q->broadcast;
	t->secret = secret;
	/* The ACK goes to the address, and a guest that keeps its MAC to itself would make the server seem silent. */
	if (counts) {
		tell_servers4(s, &s->state->ipv4[index], now_ms);
		note_dhcp_question(s->state, TRANSACTION_RENEW, q->broadcast, now_ms);
	}
	return PASS;
}

/* The guest found its address in use. It must be one that it was just given. */
static enum verdict decline(struct guard *s, const struct request *q, uint64_t now_ms)
{
	const struct dhcp *m = q->message;
	if (!is_from_nobody(q) || !m->has_requested || !m->has_server)
		return DROP_DHCP4_FORM;
	struct binding *b = find_lease(s->state, m->requested);
	bool acked = false;
	for (uint32_t i = 0; i < TRANSACTIONS_MAX; i++)
		acked = acked || (now_ms < s->state->dhcp4[i].deadline_ms &&
				  same_address(s->state->dhcp4[i].acked, m->requested));
	bool own = b && b->state != BINDING_STATIC && is_live(b, now_ms);
	if (!own && !acked)
		return DROP_DHCP4_NOT_OWNER;
	if (!may_spend(s, RATE_OF_DECLINE, now_ms))
		return DROP_RATE_DHCP;
	if (b)
		remove_lease(s, b, "declined");
	close_transactions(s->state);
	return PASS;
}

/*
 * The server may give the address away at once, so the guest loses it before the message leaves; and for good, even where
 * the ACK of a renewal that it sent just before is still on its way (RFC 2131 4.4.6). RFC 2131 table 5 wants
 * the server identifier, but systemd-networkd leaves it out; the address that the message goes to says as much.
 */
static enum verdict release(struct guard *s, const struct request *q, uint64_t now_ms)
{
	const struct dhcp *m = q->message;
	struct binding *b = find_lease(s->state, m->ciaddr);
	if (!b || b->state == BINDING_STATIC || !is_live(b, now_ms) || !same_address(q->frame->source, m->ciaddr))
		return DROP_DHCP4_NOT_OWNER;
	if (m->has_requested)
		return DROP_DHCP4_FORM;
	if (q->broadcast || !is_dhcp_server4(view_of(s, now_ms), q->frame->destination))
		return DROP_DHCP4_ADDRESSING;
	remove_lease(s, b, "released");
	close_transactions(s->state);
	return PASS;
}

static enum verdict inform(struct guard *s, const struct request *q, uint64_t now_ms)
{
	const struct dhcp *m = q->message;
	if (!same_address(q->frame->source, m->ciaddr) || !owns_address4(s->state, m->ciaddr, now_ms))
		return DROP_DHCP4_NOT_OWNER;
	if (m->has_requested || m->has_server)
		return DROP_DHCP4_FORM;
	if (!q->broadcast && !is_dhcp_server4(view_of(s, now_ms), q->frame->destination))
		return DROP_DHCP4_ADDRESSING;
	open_transaction(s->state, m->xid, TRANSACTION_INFORM, q->client_id, now_ms);
	return PASS;
}

/*
 * PXE: from a boot server, which offered no address, the guest asks by what to boot. It has an address by then. The
 * answer binds nothing.
 */
static enum verdict ask_boot_server(struct guard *s, const struct request *q, uint64_t now_ms)
{
	const struct dhcp *m = q->message;
	if (m->type != DHCPREQUEST)
		return DROP_DHCP4_TYPE;
	if (!same_address(q->frame->source, m->ciaddr) || !owns_address4(s->state, m->ciaddr, now_ms))
		return DROP_DHCP4_NOT_OWNER;
	if ((m->has_requested && !same_address(m->requested, m->ciaddr)) ||
	    (m->has_server && !is_dhcp_server4(view_of(s, now_ms), m->server)))
		return DROP_DHCP4_FORM;
	if (q->broadcast || !is_dhcp_server4(view_of(s, now_ms), q->frame->destination))
		return DROP_DHCP4_ADDRESSING;
	struct transaction *t = open_transaction(s->state, m->xid, TRANSACTION_BOOT, q->client_id, now_ms);
	t->requested = m->ciaddr;
	return PASS;
}

static enum verdict judge_message(struct guard *s, const struct request *q, uint64_t now_ms)
{
	switch ((enum dhcp_type)q->message->type) {
	case DHCPDISCOVER:
		return discover(s, q, now_ms);
	case DHCPREQUEST:
		return is_unset(q->message->ciaddr) ? request_new(s, q, now_ms) : renew(s, q, now_ms);
	case DHCPDECLINE:
		return decline(s, q, now_ms);
	case DHCPRELEASE:
		return release(s, q, now_ms);
	case DHCPINFORM:
		return inform(s, q, now_ms);
	case DHCPOFFER:
	case DHCPACK:
	case DHCPNAK:
		break;
	}
	return DROP_DHCP4_TYPE;
}

enum verdict snoop_dhcp4_client(struct guard *s, const struct dhcp_frame *f, uint64_t now_ms)
{
	const struct dhcp *m = &f->message;
	bool to_boot_server = f->destination_port == BOOT_SERVER_PORT;
	enum verdict verdict = check_common(s->config, f);
	if (verdict != PASS)
		return verdict;
	uint64_t client_id = siphash(s->state->hash_key, m->client_id, m->client_id_length);
	if (!may_use_client_id(s, s->state->client_ids, RATE_OF_NEW_CLIENT, client_id, now_ms))
		return DROP_DHCP4_CLIENT_ID_LIMIT;
	struct request q = { .frame = f,
			     .message = m,
			     .client_id = client_id,
			     .broadcast = ipv4_of_address(f->destination) == IPV4_BROADCAST,
			     .is_spent = is_spent(s->state, m->xid, now_ms) };
	verdict = to_boot_server ? ask_boot_server(s, &q, now_ms) : judge_message(s, &q, now_ms);
	if (verdict == PASS)
		remember_client_id(s->state->client_ids, client_id, now_ms + CLIENT_ID_LIFE_MS, now_ms);
	return verdict;
}
