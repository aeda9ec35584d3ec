/*
 * Ports of the host that lead to the guest, by the framework's rules: one for each protocol, port and family, on all of the
 * host's addresses. The framework answers later, on a thread of its own.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include "port/vmnet.h"

static struct vmnet *vmnet_of(struct port *port)
{
	return (struct vmnet *)(void *)port;
}

/* Guesses, where the framework knows but a general failure: a port that cannot be had is one that somebody else has. */
static int error_of(vmnet_return_t status)
{
	switch ((uint32_t)status) {
	case VMNET_SUCCESS:
		return 0;
	case VMNET_FAILURE:
		return EADDRINUSE;
	case VMNET_MEM_FAILURE:
		return ENOMEM;
	case VMNET_INVALID_ARGUMENT:
		return EINVAL;
	case VMNET_INVALID_ACCESS:
		return EACCES;
	default:
		return EIO;
	}
}

static uint8_t family_of(const struct expose *expose)
{
	return is_ipv4(expose->external) ? AF_INET : AF_INET6;
}

static bool same_listener(const struct expose *a, const struct expose *b)
{
	return a->protocol == b->protocol && same_address(a->external, b->external) &&
	       a->external_port == b->external_port && a->ports == b->ports;
}

static bool is_any_address(struct address a)
{
	return is_unset(a) || same_address(a, address_of_ipv4(0));
}

/* The framework has told of one port. Its thread. */
static void note(struct vmnet *v, uint32_t number, uint16_t port, vmnet_return_t status)
{
	pthread_mutex_lock(&v->lock);
	for (int i = 0; i < FORWARDINGS_MAX; i++) {
		struct vmnet_forwarding *f = &v->forwardings[i];
		if (!f->used || f->number != number || f->waiting == 0)
			continue;
		if (status != VMNET_SUCCESS && f->result.error == 0) {
			f->result.error = error_of(status);
			f->result.port = port;
		}
		f->has_news = --f->waiting == 0;
		if (f->has_news && !v->is_closed)
			vmnet_wake(v);
	}
	pthread_mutex_unlock(&v->lock);
}

static void remove_rules(struct vmnet *v, const struct expose *expose)
{
	for (uint32_t i = 0; i < expose->ports; i++)
		vmnet_interface_remove_ip_port_forwarding_rule(v->interface, expose->protocol,
							       (uint16_t)(expose->external_port + i), family_of(expose),
							       ^(vmnet_return_t status) {
								 (void)status; /* it is forgotten either way */
							       });
}

static void add_rule(struct vmnet *v, const struct expose *expose, const uint8_t octets[16], uint32_t number, uint16_t at)
{
	uint16_t external = (uint16_t)(expose->external_port + at), internal = (uint16_t)(expose->internal_port + at);
	vmnet_return_t status = vmnet_interface_add_ip_port_forwarding_rule(
	    v->interface, expose->protocol, external, family_of(expose), octets, internal, ^(vmnet_return_t later) {
	      note(v, number, external, later);
	    });
	if (status != VMNET_SUCCESS) /* then the block does not come */
		note(v, number, external, status);
}

/* Its place in the table, NULL: none. */
static struct vmnet_forwarding *find(struct vmnet *v, const struct expose *expose)
{
	for (int i = 0; i < FORWARDINGS_MAX; i++)
		if (v->forwardings[i].used && same_listener(&v->forwardings[i].result.expose, expose))
			return &v->forwardings[i];
	return NULL;
}

static struct vmnet_forwarding *take_place(struct vmnet *v)
{
	for (int i = 0; i < FORWARDINGS_MAX; i++)
		if (!v->forwardings[i].used)
			return &v->forwardings[i];
	return NULL;
}

static void add(struct vmnet *v, const struct expose *expose, struct address guest)
{
	uint8_t octets[16];
	bool is_possible = is_any_address(expose->external);
	pthread_mutex_lock(&v->lock);
	struct vmnet_forwarding *f = !find(v, expose) ? take_place(v) : NULL;
	uint32_t number = ++v->last_number;
	if (f)
		*f = (struct vmnet_forwarding){ .used = true,
						.number = number,
						.waiting = is_possible ? expose->ports : 0,
						.has_news = !is_possible,
						.result = { .expose = *expose } };
	if (f && !is_possible) { /* the framework cannot bind to one address */
		f->result.error = EADDRNOTAVAIL;
		f->result.port = expose->external_port;
	}
	pthread_mutex_unlock(&v->lock);
	if (!f) {
		port_tell(&v->port, "port %u cannot be exposed twice, nor more than %d", expose->external_port,
			  FORWARDINGS_MAX);
		return;
	}
	octets_of_address(guest, octets);
	for (uint16_t i = 0; is_possible && i < expose->ports; i++)
		add_rule(v, expose, octets, number, i);
}

void vmnet_expose(struct port *port, const struct expose *expose, struct address guest, bool is_wanted)
{
	struct vmnet *v = vmnet_of(port);
	if (is_wanted) {
		add(v, expose, guest);
		return;
	}
	pthread_mutex_lock(&v->lock);
	struct vmnet_forwarding *f = find(v, expose);
	/* Those of one that failed go when that is asked for. */
	bool has_rules = f && (f->waiting > 0 || f->has_news || f->result.error == 0);
	if (f)
		f->used = false;
	pthread_mutex_unlock(&v->lock);
	if (has_rules && is_any_address(expose->external))
		remove_rules(v, expose);
}

/* All of its ports or none: what was had of one that failed is given back. */
bool vmnet_exposed(struct port *port, struct expose_result *result)
{
	struct vmnet *v = vmnet_of(port);
	bool is_found = false;
	pthread_mutex_lock(&v->lock);
	for (int i = 0; i < FORWARDINGS_MAX && !is_found; i++) {
		struct vmnet_forwarding *f = &v->forwardings[i];
		is_found = f->used && f->has_news;
		if (!is_found)
			continue;
		f->has_news = false;
		*result = f->result;
	}
	pthread_mutex_unlock(&v->lock);
	if (is_found && result->error != 0 && is_any_address(result->expose.external))
		remove_rules(v, &result->expose);
	return is_found;
}
