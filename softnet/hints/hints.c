/* Which of address, MAC address and server identifier was refused, on whose word, and the options that change it. */
#include "softnet/hints/hints.h"
#include <stdarg.h>
#include <stdio.h>
#include "core/judge/trust6.h"

enum { LIST_TEXT = ADDRESS_SET_MAX * ADDRESS_TEXT };

void say_hint(char hint[HINT_TEXT], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(hint, HINT_TEXT, format, arguments);
	va_end(arguments);
}

/* "A,B", as it stands on a command line: those of IPv4. */
static const char *list_addresses(const struct address_set *set, char text[LIST_TEXT])
{
	char one[ADDRESS_TEXT];
	size_t length = 0;
	text[0] = '\0';
	for (uint32_t i = 0; i < set->count; i++)
		if (is_ipv4(set->item[i]))
			length += (size_t)snprintf(text + length, LIST_TEXT - length, "%s%s", length > 0 ? "," : "",
						   format_address(set->item[i], one));
	return text;
}

/* The last `most` of them. */
static const char *list_macs(const struct mac_set *set, uint32_t most, char text[LIST_TEXT])
{
	char one[MAC_TEXT];
	size_t length = 0;
	text[0] = '\0';
	for (uint32_t i = set->count > most ? set->count - most : 0; i < set->count; i++)
		length += (size_t)snprintf(text + length, LIST_TEXT - length, "%s%s", length > 0 ? "," : "",
					   format_mac(set->item[i], one));
	return text;
}

static bool names_ipv4(const struct address_set *set)
{
	for (uint32_t i = 0; i < set->count; i++)
		if (is_ipv4(set->item[i]))
			return true;
	return false;
}

/* --- routers --- */

/* The host is taken for the router, by its own word, and not for this one. */
static bool is_hosts_mac(const struct trust *t)
{
	return t->options->gateway_macs.count == 0 && t->view.config->gateway_macs.count > 0;
}

static bool is_hosts(const struct trust *t, struct address a)
{
	return set_has(&t->view.config->host, a) || set_has(&t->view.config->host6, a);
}

bool is_mac_of(const struct trust *t, struct address router, uint64_t mac)
{
	if (is_resident(t->view.config, router))
		return mac == t->view.config->resident_mac;
	if (is_hosts_mac(t) && !is_hosts(t, router))
		return false;
	if (is_ipv4(router))
		return router_mac4(t->view.config, t->view.state, ipv4_of_address(router), mac, t->view.now_ms) ==
		       ROUTER_MAC;
	return gateway_mac6(t->view.config, &t->view.state->ipv6, mac) == GATEWAY_MAC;
}

/* " --dhcp-server A": a gateway that is named would be the only server, and the VM has its lease from another one. */
static const char *keep_server(const struct trust *t, struct address router, char text[LIST_TEXT])
{
	char server[ADDRESS_TEXT];
	text[0] = '\0';
	for (uint32_t i = 0; i < BINDINGS4_MAX && t->options->servers.count == 0; i++) {
		const struct binding *b = &t->view.state->ipv4[i];
		if (is_live(b, t->view.now_ms) && !is_unset(b->server) && !same_address(b->server, router))
			snprintf(text, LIST_TEXT, " --dhcp-server %s", format_address(b->server, server));
	}
	return text;
}

/* Nobody is named: which MACs it had; of routers of IPv6 no list is needed. */
static void explain_learned_gateway(const struct trust *t, struct address router, const char *address, const char *mac,
				    char hint[HINT_TEXT])
{
	uint32_t entry = is_ipv4(router) ? find_router_entry4(t->view.state, ipv4_of_address(router)) : ROUTERS4_MAX;
	char macs[LIST_TEXT] = "";
	if (entry < ROUTERS4_MAX)
		list_macs(&t->view.state->learned.routers[entry].lock.macs, MAC_SET_MAX, macs);
	say_hint(hint,
		 "%s answers as the gateway %s, which %s%s: it is believed when that one has been silent for "
		 "some seconds, or at once with guard.relearn",
		 mac, address, macs[0] != '\0' ? "was learned at " : "had another MAC address", macs);
}

void explain_gateway(const struct trust *t, struct address router, uint64_t mac, unsigned verdict, char hint[HINT_TEXT])
{
	char address[ADDRESS_TEXT], is[MAC_TEXT], text[LIST_TEXT];
	const struct mac_set *trusted = &t->view.config->gateway_macs;
	format_address(router, address);
	format_mac(mac, is);
	if (verdict == DROP_ARP_SHA_SPOOF)
		say_hint(hint,
			 "%s answers ARP for the gateway %s, and names another MAC address in it than its own: "
			 "no option lets that pass",
			 is, address);
	else if (is_resident(t->view.config, router))
		say_hint(hint, "%s answers as %s, which is this host's own address: one of the two needs another", is,
			 address);
	else if (t->options->gateway_macs.count > 0)
		say_hint(hint,
			 "%s answers as the gateway %s, and is none of --gateway-mac: if it is the right one, "
			 "--gateway-mac %s,%s",
			 is, address, list_macs(trusted, MAC_SET_MAX - 1, text), is);
	else if (is_hosts_mac(t) && !is_hosts(t, router) && !names_ipv4(&t->options->gateways))
		say_hint(hint,
			 "%s answers as the gateway %s, but this host is taken for the gateway: if it is "
			 "another machine, --gateway %s%s",
			 is, address, address, keep_server(t, router, text));
	else if (is_hosts_mac(t))
		say_hint(hint,
			 "%s answers as the gateway %s, and this host's MAC address alone is trusted: if it is "
			 "the right one, --gateway-mac %s,%s",
			 is, address, list_macs(trusted, MAC_SET_MAX - 1, text), is);
	else
		explain_learned_gateway(t, router, address, is, hint);
}

/* --- DHCP servers --- */

/* Others are named, or the host is. */
static void explain_address(const struct trust *t, const char *server, char hint[HINT_TEXT])
{
	char named[LIST_TEXT];
	const char *said = "the server that answers is not trusted: its address";
	if (names_ipv4(&t->options->servers))
		say_hint(hint, "%s %s is none of --dhcp-server: if it is the right one, --dhcp-server %s,%s", said,
			 server, list_addresses(&t->options->servers, named), server);
	else if (names_ipv4(&t->options->gateways))
		say_hint(hint, "%s %s is none of --gateway: if it is the right one, --dhcp-server %s", said, server,
			 server);
	else
		say_hint(hint,
			 "%s %s is not this host's (%s), which is taken for router and server: --gateway %s if "
			 "another machine is both, or --dhcp-server %s if it is the server alone",
			 said, server, list_addresses(anchored_servers(t->view.config), named), server, server);
}

/* Nobody is named. */
static void explain_learned_server(const struct trust *t, const char *server, const char *mac, char hint[HINT_TEXT])
{
	const struct locked *known = NULL;
	char is[ADDRESS_TEXT], macs[LIST_TEXT];
	for (uint32_t i = 0; i < SERVERS4_MAX; i++)
		if (!known && is_locked(&t->view.state->learned.servers[i], t->view.now_ms))
			known = &t->view.state->learned.servers[i];
	if (!known)
		say_hint(hint,
			 "the server that answers is not trusted, as nobody is learned (--anchors strict): if "
			 "%s is the right one, --dhcp-server %s",
			 server, server);
	else
		say_hint(hint,
			 "the server that answers is not trusted: it is %s at %s, and %s at %s was learned. It "
			 "is believed when that one stays silent, or at once with guard.relearn; or name it: "
			 "--dhcp-server %s",
			 server, mac, format_address(known->address, is), list_macs(&known->macs, 2, macs), server);
}

/* The address is right, but not at this MAC. */
static void explain_mac(const struct trust *t, struct address source, uint64_t mac, char hint[HINT_TEXT])
{
	char server[ADDRESS_TEXT], is[MAC_TEXT], macs[LIST_TEXT] = "";
	uint32_t entry = find_server_entry4(t->view.state, ipv4_of_address(source), t->view.now_ms);
	if (speaks_as_router4(t->view, source, mac)) {
		explain_gateway(t, source, mac, DROP_DHCP4_ROGUE_SERVER, hint);
		return;
	}
	if (entry < SERVERS4_MAX)
		list_macs(&t->view.state->learned.servers[entry].macs, 2, macs);
	say_hint(hint,
		 "the server that answers is not trusted: the MAC address of %s is %s, and was %s. It is "
		 "believed %s with guard.relearn",
		 format_address(source, server), format_mac(mac, is), macs,
		 t->view.config->strict_anchors ? "only" : "when that one stays silent, or at once");
}

void explain_server(const struct trust *t, uint32_t ipv4, uint64_t mac, uint32_t identifier, char hint[HINT_TEXT])
{
	struct address source = address_of_ipv4(ipv4);
	const struct address_set *servers = anchored_servers(t->view.config);
	bool is_named = set_has(servers, source);
	bool is_known = is_named || find_server_entry4(t->view.state, ipv4, t->view.now_ms) < SERVERS4_MAX ||
			poses_as_resident(t->view.config, source, mac);
	char server[ADDRESS_TEXT], is[MAC_TEXT], other[ADDRESS_TEXT];
	format_address(source, server);
	if (is_trusted_server4(t->view.config, t->view.state, ipv4, mac, t->view.now_ms))
		say_hint(hint,
			 "the guard drops the answer of the server %s (dhcp4-rogue-server): its server "
			 "identifier (option 54%s%s) is missing, is no server's address, or is not the one that the "
			 "VM chose",
			 server, identifier != 0 ? ", " : "",
			 identifier != 0 ? format_address(address_of_ipv4(identifier), other) : "");
	else if (is_known)
		explain_mac(t, source, mac, hint);
	else if (servers->count > 0)
		explain_address(t, server, hint);
	else
		explain_learned_server(t, server, format_mac(mac, is), hint);
}
