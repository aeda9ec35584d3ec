/* Server messages to the guest: believed only from a trusted server, in answer to a question the guest asked. */
#include "core/learn4/dhcp4_ids.h"
#include "core/wire/ipv4.h"
#include "core/learn4/lease.h"
#include "core/learn4/snoop_anchors4.h"
#include "core/judge/trust.h"

#include <stddef.h>

/*
 * A trusted server or relay may name any server (RFC 2131 4.1, RFC 5107): it is the one that the guest's later messages may
 * go to. A selecting REQUEST has chosen one already.
 */
static bool is_server_identifier(const struct guard *s, const struct dhcp *m, const struct transaction *t, uint64_t now_ms)
{
	if (!m->has_server)
		return t->kind == TRANSACTION_INFORM || t->kind == TRANSACTION_BOOT;
	if (is_unset(m->server) || !is_unicast4(m->server) || owns_address4(s->state, m->server, now_ms))
		return false;
	return t->kind != TRANSACTION_SELECT || same_address(m->server, t->server);
}

/* Why the sender is believed. */
enum credit { CREDIT_NONE, CREDIT_LOCK, CREDIT_SILENCE, CREDIT_SECRET };

static enum credit credit_of(const struct guard *s, const struct dhcp_frame *f, const struct transaction *t,
			     uint64_t now_ms)
{
	uint32_t source = ipv4_of_address(f->source);
	if (is_trusted_server4(s->config, s->state, source, f->source_mac, now_ms))
		return CREDIT_LOCK;
	bool asks_all = t->broadcast && t->kind != TRANSACTION_INFORM;
	if (asks_all && may_succeed_server4(s->config, s->state, source, f->source_mac, now_ms))
		return CREDIT_SILENCE;
	/*
	 * It renews what is there, and nothing else: a switch that floods a unicast frame lets others know the id. A refusal would
	 * end the lease before the server itself can answer.
	 */
	bool renews = f->message.type == DHCPACK && same_address(f->message.yiaddr, t->requested);
	if (t->secret && renews && may_vouch_server4(s->config, s->state, source, f->source_mac, now_ms))
		return CREDIT_SECRET;
	return CREDIT_NONE;
}

static bool answers(const struct dhcp *m, const struct transaction *t)
{
	bool request = t->kind == TRANSACTION_SELECT || t->kind == TRANSACTION_REBOOT || t->kind == TRANSACTION_RENEW;
	switch (m->type) {
	case DHCPOFFER:
		return t->kind == TRANSACTION_DISCOVER || t->kind == TRANSACTION_BOOT;
	case DHCPACK:
		return request || t->kind == TRANSACTION_INFORM || t->kind == TRANSACTION_BOOT ||
		       (t->kind == TRANSACTION_DISCOVER && t->rapid_commit && m->rapid_commit);
	case DHCPNAK:
		return request;
	default:
		return false;
	}
}

/* The network's own addresses are nobody's: RFC 1122 3.2.1.3. /31 and /32 have none (RFC 3021). */
static bool is_subnet_end(struct address a, uint32_t prefix_length)
{
	uint32_t host = ipv4_of_address(a) & ~ipv4_mask(prefix_length);
	return prefix_length <= 30 && (host == 0 || host == ~ipv4_mask(prefix_length));
}

/* --vm-ip says which addresses the guest has; what it shares is beside those that are leased. */
static bool static_only(const struct config *config, const struct state *state)
{
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		if (state->ipv4[i].state == BINDING_STATIC && !is_shared(config, state->ipv4[i].address))
			return true;
	return false;
}

static enum verdict check_lease(struct guard *s, const struct dhcp *m, uint64_t now_ms)
{
	struct binding *b = find_lease(s->state, m->yiaddr);
	if (!is_leasable4(s->config, s->state, m->yiaddr, now_ms) || same_address(m->yiaddr, m->server) ||
	    set_has(&m->routers, m->yiaddr) || is_subnet_end(m->yiaddr, m->prefix_length))
		return DROP_DHCP4_BAD_LEASE;
	if (m->is_shared)
		return DROP_DHCP4_BAD_LEASE;
	if (static_only(s->config, s->state) && (!b || b->state != BINDING_STATIC))
		return DROP_DHCP4_BAD_LEASE;
	if (m->type != DHCPACK)
		return PASS;
	if (!m->has_lease || m->lease_s == 0)
		return DROP_DHCP4_BAD_LEASE;
	if (!b && !may_spend(s, RATE_OF_NEW_LEASE, now_ms))
		return DROP_BINDING_CHURN;
	return !s->claim || s->claim(s->context, m->yiaddr) ? PASS : DROP_BINDING_CLAIMED;
}

/*
 * First use: this server, and the router if it is the same machine, are the ones from now on until their leases are over. Who
 * was believed for another reason has its MAC learned beside those that the lock holds.
 */
static void learn_anchors(struct guard *s, const struct dhcp_frame *f, const struct binding *b, enum credit credit,
			  uint64_t now_ms)
{
	const struct config *config = s->config;
	uint32_t source = ipv4_of_address(f->source);
	if (config->strict_anchors)
		return;
	extend_locks4(s, b->expires_ms, now_ms);
	bool is_named = anchored_servers(config)->count > 0 && set_has(anchored_servers(config), f->source);
	bool is_first = anchored_servers(config)->count == 0 && !has_learned_server4(s->state, now_ms);
	if (is_named || is_first || credit != CREDIT_LOCK)
		learn_server4(s, f->source, f->source_mac, b->expires_ms, now_ms);
	if (!is_learnable_router4(view_of(s, now_ms), f->source))
		return;
	uint32_t known = router_mac4(config, s->state, source, f->source_mac, now_ms);
	if (known == ROUTER_UNLEARNED || (known == ROUTER_OTHER_MAC && credit == CREDIT_SECRET))
		learn_router4(s, f->source, f->source_mac, now_ms);
}

/*
 * RFC 2131 4.1 fixes the port that an answer goes to, and some servers answer from another one than 67. Nobody can have
 * provoked such an answer from the server itself, since the guest sends from port 68 to DHCP servers only. But a NAT that
 * hides callers behind the server's address may bring one, to an address that the guest has. So to such an address
 * answers come from the port that the lease came from; else they go to all, or to the address that they give.
 */
static bool is_server_port(const struct guard *s, const struct dhcp_frame *f, const struct transaction *t, uint64_t now_ms)
{
	if (f->source_port == DHCP_SERVER_PORT || t->kind == TRANSACTION_BOOT)
		return true;
	uint32_t held = find_binding4(s->state, f->destination, now_ms);
	if (held != NO_BINDING)
		return s->state->ipv4[held].server_port == f->source_port;
	return ipv4_of_address(f->destination) == IPV4_BROADCAST || same_address(f->destination, f->message.yiaddr);
}

/*
 * Boot servers of PXE, and servers of a network that wants no IPv4 (RFC 8925 3.3.1, RFC 2563 2), offer no address. Such an
 * offer gives no right, nor does what a boot server says on its own port.
 */
static enum verdict accept_no_lease(const struct dhcp *m, struct transaction *t)
{
	if (!is_unset(m->yiaddr) && !same_address(m->yiaddr, t->requested))
		return DROP_DHCP4_BAD_LEASE;
	if (m->prefers_ipv6)
		t->prefers_ipv6 = 1;
	return PASS;
}

static enum verdict accept_offer(struct guard *s, const struct dhcp *m, struct transaction *t, uint64_t now_ms)
{
	if (is_unset(m->yiaddr))
		return accept_no_lease(m, t);
	enum verdict verdict = check_lease(s, m, now_ms);
	if (verdict != PASS)
		return verdict;
	t->offered = m->yiaddr;
	t->prefers_ipv6 = m->prefers_ipv6;
	return PASS;
}

static enum verdict accept_ack(struct guard *s, const struct dhcp_frame *f, struct transaction *t, enum credit credit,
			       uint64_t now_ms)
{
	const struct dhcp *m = &f->message;
	if (t->kind == TRANSACTION_INFORM) {
		if (!is_unset(m->yiaddr))
			return DROP_DHCP4_BAD_LEASE;
		for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
			if (is_live(&s->state->ipv4[i], now_ms) && m->has_server && m->resolvers.count > 0 &&
			    same_address(s->state->ipv4[i].server, m->server))
				s->state->ipv4[i].resolvers = m->resolvers;
		return PASS;
	}
	enum verdict verdict = check_lease(s, m, now_ms);
	if (verdict != PASS)
		return verdict;
	bind_lease(s, m, t, f->source_mac, now_ms);
	struct binding *b = find_lease(s->state, m->yiaddr);
	if (b) {
		b->server_port = f->source_port;
		remember_served_client4(s->state, t->client_id);
		learn_anchors(s, f, b, credit, now_ms);
	}
	if (b && b->expires_ms != NEVER_EXPIRES)
		remember_client_id(s->state->client_ids, t->client_id, b->expires_ms, now_ms);
	t->acked = m->yiaddr;
	t->server = m->server;
	t->vouched_mac = credit == CREDIT_SECRET ? f->source_mac : MAC_NONE;
	t->done = 1;
	t->deadline_ms = now_ms + TRANSACTION_DONE_MS;
	return PASS;
}

static enum verdict accept_nak(struct guard *s, struct transaction *t)
{
	struct binding *b = find_lease(s->state, t->requested);
	if (b && b->state == BINDING_BOUND)
		s->state->past.ran_out =
		    b->address; /* systemd-networkd hears no broadcast NAK while it renews, and asks again */
	*t = (struct transaction){ 0 };
	if (b)
		remove_lease(s, b, "refused by the server");
	return PASS;
}

/*
 * The ACK once more. From a second relay it is a copy that says nothing new, and no answer. From the server's own MAC, when
 * another one was believed for knowing the id, it tells that somebody has overheard it: what that one said is void.
 */
static enum verdict accept_again(struct guard *s, const struct dhcp_frame *f, struct transaction *t, uint64_t now_ms)
{
	const struct dhcp *m = &f->message;
	bool is_trusted = is_trusted_server4(s->config, s->state, ipv4_of_address(f->source), f->source_mac, now_ms);
	bool repeated = m->type == DHCPACK && m->has_server && same_address(m->server, t->server) &&
			same_address(m->yiaddr, t->acked);
	if (repeated)
		settle_request(s->state, m->xid, now_ms);
	if (!is_trusted)
		return repeated ? DROP_DHCP4_NO_TRANSACTION : DROP_DHCP4_ROGUE_SERVER;
	if (!repeated)
		return DROP_DHCP4_NO_TRANSACTION;
	if (t->vouched_mac != MAC_NONE && t->vouched_mac != f->source_mac) {
		unlearn_mac4(s, f->source, t->vouched_mac);
		t->vouched_mac = MAC_NONE;
		bind_lease(s, m, t, f->source_mac, now_ms);
	}
	return PASS;
}

/* The judge has seen to it that the message may come from a server, and names the guest and an exchange of its own. */
enum verdict snoop_dhcp4_server(struct guard *s, const struct dhcp_frame *f, uint64_t now_ms)
{
	const struct dhcp *m = &f->message;
	/* Some servers write the size of the field, 16. Below 6 the MAC address in it would not be whole. */
	if (m->op != BOOTREPLY || m->hardware_type != 1 || m->hardware_length < 6)
		return DROP_DHCP4_MALFORMED;
	if (m->type != DHCPOFFER && m->type != DHCPACK && m->type != DHCPNAK)
		return DROP_DHCP4_TYPE;
	struct transaction *t = find_transaction(s->state, m->xid, now_ms);
	if (!t)
		return DROP_DHCP4_NO_TRANSACTION;
	if (t->done)
		return accept_again(s, f, t, now_ms);
	enum credit credit = credit_of(s, f, t, now_ms);
	if (credit == CREDIT_NONE)
		return DROP_DHCP4_ROGUE_SERVER;
	if (credit == CREDIT_LOCK)
		note_dhcp_answer(s->state, t->broadcast);
	if (!answers(m, t))
		return DROP_DHCP4_NO_TRANSACTION;
	if (!is_server_identifier(s, m, t, now_ms))
		return DROP_DHCP4_ROGUE_SERVER;
	if (!is_server_port(s, f, t, now_ms))
		return DROP_DHCP4_PORT_MISUSE;
	if (t->kind == TRANSACTION_BOOT)
		return accept_no_lease(m, t);
	if (m->type != DHCPOFFER && t->kind != TRANSACTION_INFORM)
		settle_request(s->state, m->xid, now_ms);
	if (m->type == DHCPNAK)
		return accept_nak(s, t);
	return m->type == DHCPACK ? accept_ack(s, f, t, credit, now_ms) : accept_offer(s, m, t, now_ms);
}
