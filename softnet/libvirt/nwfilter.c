/* What a filter of libvirt lets pass, softnet is told as attributes. What is not understood is refused: half of it is none. */
#include "softnet/libvirt/nwfilter.h"
#include <stdlib.h>
#include <string.h>
#include "softnet/libvirt/metadata.h"

enum { VALUE = 256, LISTED = 1024 };

struct filter {
	const char *name;
	const char *attributes; /* to the letter: it lets the guest reach every address, and drops IPv6 */
};

static const struct filter filters[] = {
	{ "clean-traffic", " allow='0.0.0.0/0' ipv6='off'" },
	{ "clean-traffic-gateway", " allow='out 0.0.0.0/0' inbound='established' ipv6='off'" },
};

/* Values of one parameter, which may be given several times. */
struct parameters {
	char addresses[LISTED], server[VALUE], gateway[VALUE], learning[VALUE];
};

static void read_attribute(const struct _xmlNode *node, const char *name, char value[VALUE])
{
	xmlChar *text = xmlGetNoNsProp(node, (const xmlChar *)name);
	snprintf(value, VALUE, "%s", text ? (const char *)text : "");
	xmlFree(text);
}

static bool is_address_list(const char *text)
{
	char one[ADDRESS_TEXT];
	struct address address;
	const char *rest = text;
	while (next_item(&rest, one, sizeof one))
		if (!parse_address(one, &address))
			return false;
	return !rest;
}

static bool add_address(struct parameters *p, const char *value, struct error *error)
{
	size_t length = strlen(p->addresses);
	if (!is_address_list(value))
		return refuse(error, "parameter IP: \"%.60s\": expected an address", value);
	int octets = snprintf(p->addresses + length, sizeof p->addresses - length, "%s%s", length > 0 ? "," : "", value);
	return (octets >= 0 && (size_t)octets < sizeof p->addresses - length) ||
	       refuse(error, "parameter IP: too many");
}

static bool take_parameter(struct parameters *p, const char *name, const char *value, struct error *error)
{
	static const char *const ways[] = { "any", "dhcp", "none" };
	uint64_t mac;
	if (strcmp(name, "IP") == 0)
		return add_address(p, value, error);
	if (strcmp(name, "MAC") == 0)
		return true; /* the interface's own, always */
	if (strcmp(name, "DHCPSERVER") == 0) {
		snprintf(p->server, sizeof p->server, "%s", value);
		return is_address_list(value) ||
		       refuse(error, "parameter DHCPSERVER: \"%.60s\": expected an address", value);
	}
	if (strcmp(name, "GATEWAY_MAC") == 0) {
		snprintf(p->gateway, sizeof p->gateway, "%s", value);
		return parse_mac(value, &mac) ||
		       refuse(error, "parameter GATEWAY_MAC: \"%.60s\": expected a MAC address", value);
	}
	if (strcmp(name, "CTRL_IP_LEARNING") != 0)
		return refuse(error, "parameter %.60s: not known", name);
	snprintf(p->learning, sizeof p->learning, "%s", value);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (strcmp(value, ways[i]) == 0)
			return true;
	return refuse(error, "parameter CTRL_IP_LEARNING: \"%.60s\": expected any, dhcp or none", value);
}

static bool read_parameters(const struct _xmlNode *filter, struct parameters *p, struct error *error)
{
	char name[VALUE], value[VALUE];
	memset(p, 0, sizeof *p);
	for (const struct _xmlNode *node = first_element(filter->children); node; node = first_element(node->next)) {
		read_attribute(node, "name", name);
		read_attribute(node, "value", value);
		if (!take_parameter(p, name, value, error))
			return false;
	}
	return true;
}

static const struct filter *find_filter(const char *name)
{
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
		if (strcmp(filters[i].name, name) == 0)
			return &filters[i];
	return NULL;
}

static bool fit_together(const struct filter *filter, const struct parameters *p, struct error *error)
{
	bool wants_gateway = filter == &filters[1];
	if (wants_gateway != (p->gateway[0] != '\0'))
		return refuse(error, wants_gateway ? "expected a parameter GATEWAY_MAC"
						   : "parameter GATEWAY_MAC: not known here");
	return strcmp(p->learning, "none") != 0 || p->addresses[0] != '\0' ||
	       refuse(error, "parameter CTRL_IP_LEARNING: \"none\": expected a parameter IP with it");
}

/* All values have been read, so there is nothing in them that XML would take for its own. */
static void print_parameters(const struct parameters *p, FILE *to)
{
	if (p->addresses[0] != '\0')
		fprintf(to, " vm-ip='%s'%s", p->addresses, strcmp(p->learning, "none") == 0 ? " no-dhcp='yes'" : "");
	if (p->server[0] != '\0')
		fprintf(to, " dhcp-server='%s'", p->server);
	if (p->gateway[0] != '\0')
		fprintf(to, " gateway-mac='%s'", p->gateway);
}

static bool convert_filter(const struct _xmlNode *node, FILE *to, struct error *error)
{
	char name[VALUE];
	struct parameters p;
	struct error cause;
	read_attribute(node, "filter", name);
	const struct filter *filter = find_filter(name);
	if (!filter)
		return refuse(error, "filter %.60s: only clean-traffic and clean-traffic-gateway can be converted", name);
	if (!read_parameters(node, &p, &cause) || !fit_together(filter, &p, &cause))
		return refuse(error, "filter %s: %s", name, cause.text);
	fputs(filter->attributes, to);
	print_parameters(&p, to);
	return true;
}

static bool convert_interface(const struct _xmlNode *node, FILE *to, bool *is_filtered, struct error *error)
{
	char text[VALUE] = "";
	uint64_t mac;
	struct error cause;
	const struct _xmlNode *address = find_element(node, "mac"), *filter = find_element(node, "filterref");
	if (address)
		read_attribute(address, "address", text);
	if (!parse_mac(text, &mac))
		return refuse(error, "an interface of the domain has no MAC address");
	*is_filtered |= filter != NULL;
	fprintf(to, "<interface mac='%s'%s", text, filter ? "" : " guard='no'");
	if (filter && !convert_filter(filter, to, &cause))
		return refuse(error, "interface %s: %s", text, cause.text);
	fputs("/>", to);
	return true;
}

static bool convert_all(const struct domain *domain, FILE *to, struct error *error)
{
	bool is_filtered = false;
	const struct _xmlNode *root = xmlDocGetRootElement(domain->document), *devices = find_element(root, "devices");
	const struct _xmlNode *node = devices ? first_element(devices->children) : NULL;
	fputs("<guard>", to);
	for (; node; node = first_element(node->next))
		if (strcmp((const char *)node->name, "interface") == 0 &&
		    !convert_interface(node, to, &is_filtered, error))
			return false;
	fputs("</guard>\n", to);
	return is_filtered || refuse(error, "no interface of the domain has a <filterref>");
}

bool convert_filters(const struct domain *domain, FILE *to, struct error *error)
{
	char *text = NULL;
	size_t octets;
	FILE *sheet = open_memstream(&text, &octets);
	bool is_done = sheet ? convert_all(domain, sheet, error) : refuse(error, "out of memory");
	is_done = (!sheet || fclose(sheet) == 0) && is_done && (fputs(text, to) >= 0 || refuse(error, "cannot write"));
	free(text);
	return is_done;
}
