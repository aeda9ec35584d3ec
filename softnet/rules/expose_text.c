/* One --expose: from its text to what a port takes. */
#include "softnet/rules/expose_text.h"
#include <netinet/in.h>
#include <string.h>

#define FORM "[tcp/|udp/][ADDR:]EXT[-EXT]:INT[-INT] with ports 1-65535"

/* PORT or FIRST-LAST. */
static bool parse_range(char *text, uint16_t *first, uint32_t *ports)
{
	uint64_t low, high;
	char *dash = strchr(text, '-');
	if (dash)
		*dash = '\0';
	if (!parse_number(text, 1, UINT16_MAX, &low) || !parse_number(dash ? dash + 1 : text, low, UINT16_MAX, &high))
		return false;
	*first = (uint16_t)low;
	*ports = (uint32_t)(high - low + 1);
	return true;
}

/* What a socket can be bound to by its number alone: a link-local address would need an interface, a group is nobody's. */
static bool can_listen(struct address a)
{
	if (is_ipv4(a))
		return is_unicast4(a);
	return a.high >> 54 != LINK_LOCAL_PREFIX >> 54 && !is_group6(a);
}

/* IPv6 in brackets, IPv4 without. */
static bool parse_listener(char *text, struct address *external)
{
	size_t length = strlen(text);
	bool has_brackets = length > 2 && text[0] == '[' && text[length - 1] == ']';
	if (has_brackets) {
		text[length - 1] = '\0';
		text++;
	}
	return parse_address(text, external) && is_ipv4(*external) == !has_brackets && can_listen(*external);
}

bool parse_expose(const char *text, struct expose *expose, struct error *error)
{
	char cut[EXPOSE_TEXT], *rest = cut;
	uint32_t external_ports, internal_ports;
	*expose = (struct expose){ .protocol = IPPROTO_TCP, .external = address_of_ipv4(0) };
	if (strlen(text) >= sizeof cut)
		return refuse_value(error, text, FORM);
	strcpy(cut, text);
	if (strncmp(rest, "udp/", 4) == 0)
		expose->protocol = IPPROTO_UDP;
	if (strncmp(rest, "udp/", 4) == 0 || strncmp(rest, "tcp/", 4) == 0)
		rest += 4;
	char *internal = strrchr(rest, ':');
	if (!internal || !parse_range(internal + 1, &expose->internal_port, &internal_ports))
		return refuse_value(error, text, FORM);
	*internal = '\0';
	char *colon = strrchr(rest, ':');
	if (!parse_range(!colon ? rest : colon + 1, &expose->external_port, &external_ports))
		return refuse_value(error, text, FORM);
	if (colon)
		*colon = '\0';
	if (colon && !parse_listener(rest, &expose->external))
		return refuse_value(error, text,
				    "an IPv4 address, or an IPv6 address in brackets, that can be listened on");
	if (external_ports != internal_ports)
		return refuse_value(error, text, "as many ports on both sides");
	expose->ports = (uint16_t)external_ports;
	return true;
}

bool same_expose(const struct expose *a, const struct expose *b)
{
	return a->protocol == b->protocol && same_address(a->external, b->external) &&
	       a->external_port == b->external_port && a->internal_port == b->internal_port && a->ports == b->ports;
}

/* The first port of the host that both want, or 0. 0.0.0.0 has all of IPv4, :: all of IPv6. */
static uint32_t find_overlap(const struct expose *a, const struct expose *b)
{
	uint32_t first = a->external_port > b->external_port ? a->external_port : b->external_port;
	bool same_family = is_ipv4(a->external) == is_ipv4(b->external);
	bool alike = is_unset(a->external) || is_unset(b->external) || same_address(a->external, b->external);
	bool overlaps = first < (uint32_t)a->external_port + a->ports && first < (uint32_t)b->external_port + b->ports;
	return a->protocol == b->protocol && same_family && alike && overlaps ? first : 0;
}

bool append_expose(struct exposed items[EXPOSES_MAX], uint32_t *count, const char *text, struct error *error)
{
	struct expose expose;
	uint32_t ports = 0;
	if (!parse_expose(text, &expose, error))
		return false;
	for (uint32_t i = 0; i < *count; i++) {
		uint32_t port = find_overlap(&items[i].expose, &expose);
		ports += items[i].expose.ports;
		if (port != 0)
			return refuse(error, "\"%s\": port %u is exposed already, by \"%s\"", text, port, items[i].text);
	}
	if (*count >= EXPOSES_MAX)
		return refuse(error, "\"%s\": more than %d forwardings", text, EXPOSES_MAX);
	if (ports + expose.ports > EXPOSED_PORTS_MAX)
		return refuse(error, "\"%s\": more than %d ports in all", text, EXPOSED_PORTS_MAX);
	struct exposed *item = &items[(*count)++];
	*item = (struct exposed){ .expose = expose };
	strcpy(item->text, text);
	return true;
}

uint32_t list_guest_ports(const struct exposed *items, uint32_t count, struct exposed_port *to, uint32_t room)
{
	uint32_t listed = 0;
	for (; listed < count && listed < room; listed++) {
		const struct expose *e = &items[listed].expose;
		to[listed] = (struct exposed_port){ .first_port = e->internal_port,
						    .protocol = e->protocol,
						    .is_ipv6 = !is_ipv4(e->external),
						    .last_port = (uint16_t)(e->internal_port + e->ports - 1) };
	}
	return listed;
}
