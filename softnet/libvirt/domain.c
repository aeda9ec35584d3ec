/* The XML of a domain, by libxml2: what cannot be understood whole is refused, for half of a policy is none. */
#include "softnet/libvirt/domain.h"
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>
#include "softnet/libvirt/metadata.h"
#include "softnet/options/options.h"
#include "system/descriptors.h"

static const struct _xmlNode *root_of(const struct domain *domain)
{
	return xmlDocGetRootElement(domain->document);
}

/* Becomes the name of a file. */
static bool take_uuid(struct domain *domain, struct error *error)
{
	const struct _xmlNode *root = root_of(domain), *node = root ? find_element(root, "uuid") : NULL;
	xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
	const char *uuid = text ? (const char *)text : "";
	bool is_uuid = strlen(uuid) == UUID_TEXT - 1 && uuid[strspn(uuid, "0123456789abcdefABCDEF-")] == '\0';
	copy_text(domain->uuid, sizeof domain->uuid, is_uuid ? uuid : "");
	copy_text(domain->record, sizeof domain->record, domain->uuid);
	xmlFree(text);
	return is_uuid || refuse(error, "the domain on standard input has no UUID");
}

bool open_domain(struct domain *domain, const char *xml, size_t octets, struct error *error)
{
	memset(domain, 0, sizeof *domain);
	domain->document = octets > 0 ? xmlReadMemory(xml, (int)octets, "domain.xml", NULL,
						      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)
				      : NULL;
	if (!domain->document)
		return refuse(error, "expected the XML of a domain on standard input");
	return take_uuid(domain, error);
}

/* One of the devices, as libvirt has written it. */
struct interface {
	char type[16], name[IF_NAMESIZE], mac_text[MAC_TEXT];
	uint64_t mac;
};

static void take_attribute(const struct _xmlNode *parent, const char *element, const char *attribute, char *to,
			   size_t size)
{
	const struct _xmlNode *node = element ? find_element(parent, element) : parent;
	xmlChar *value = node ? xmlGetNoNsProp(node, (const xmlChar *)attribute) : NULL;
	copy_text(to, size, value ? (const char *)value : "");
	xmlFree(value);
}

static bool read_interface(const struct _xmlNode *node, struct interface *interface, struct error *error)
{
	take_attribute(node, NULL, "type", interface->type, sizeof interface->type);
	take_attribute(node, "target", "dev", interface->name, sizeof interface->name);
	take_attribute(node, "mac", "address", interface->mac_text, sizeof interface->mac_text);
	return parse_mac(interface->mac_text, &interface->mac) ||
	       refuse(error, "an interface of the domain has no MAC address");
}

/* What guest and host share otherwise than by a tap cannot be guarded where it is. */
static bool check_kind(const struct interface *interface, struct error *error)
{
	static const char *const with_tap[] = { "network", "bridge", "ethernet" };
	bool has_tap = false;
	for (size_t i = 0; i < sizeof with_tap / sizeof *with_tap; i++)
		has_tap |= strcmp(interface->type, with_tap[i]) == 0;
	if (!has_tap)
		return refuse(
		    error,
		    "interface %s: type '%s' has no tap that could be guarded; take network, bridge or ethernet, "
		    "or write guard='no' for it",
		    interface->mac_text, interface->type);
	return interface->name[0] != '\0' ||
	       refuse(error, "interface %s: libvirt has not said which tap it has", interface->mac_text);
}

static bool keep_word(struct port_wanted *port, const char *option, const char *value, struct error *error)
{
	size_t size = strlen(option) + strlen(value) + 1;
	char *word = port->count < WORDS_MAX ? malloc(size) : NULL;
	if (!word)
		return refuse(error, "interface %s: too many words", port->interface);
	snprintf(word, size, "%s%s", option, value);
	port->words[port->count++] = word;
	return true;
}

static bool add_port(struct domain *domain, const struct interface *interface, const struct wish *wish,
		     const char *domain_name, struct error *error)
{
	struct port_wanted *port = &domain->ports[domain->port_count];
	char name[VM_NAME_MAX + 1];
	if (domain->port_count == PORTS_MAX)
		return refuse(error, "more than %d interfaces", PORTS_MAX);
	domain->port_count++;
	copy_text(port->interface, sizeof port->interface, interface->name);
	port->mac = interface->mac;
	copy_text(name, sizeof name, domain_name);
	make_vm_name(name);
	bool is_kept = keep_word(port, "softnet", "", error) && keep_word(port, "attach", "", error) &&
		       keep_word(port, interface->name, "", error) &&
		       keep_word(port, "--vm-mac-address=", interface->mac_text, error) &&
		       (wish->has_name || keep_word(port, "--name=", name, error));
	for (uint32_t i = 0; i < wish->option_count && is_kept; i++)
		is_kept = keep_word(port, wish->options[i], "", error);
	return is_kept;
}

static bool take_interface(struct domain *domain, const struct _xmlNode *node, struct wishes *wishes, const char *name,
			   struct error *error)
{
	struct interface interface;
	if (!read_interface(node, &interface, error))
		return false;
	struct wish *wish = find_wish(wishes, interface.mac);
	if (!wish)
		return refuse(
		    error,
		    "interface %s: the metadata of softnet says nothing about it; add <interface mac='%s' .../>, "
		    "with guard='no' if nobody is to guard it",
		    interface.mac_text, interface.mac_text);
	if (wish->has_mac && wish->is_used)
		return refuse(error, "two interfaces have the MAC address %s", interface.mac_text);
	wish->is_used = true;
	return wish->is_unguarded || (check_kind(&interface, error) && add_port(domain, &interface, wish, name, error));
}

bool find_ports(struct domain *domain, const char *name, struct error *error)
{
	static struct wishes wishes;
	const struct _xmlNode *root = root_of(domain), *devices = find_element(root, "devices");
	bool is_found = read_wishes(find_element(root, "metadata"), &wishes, error);
	const struct _xmlNode *node = devices && wishes.is_there ? first_element(devices->children) : NULL;
	for (; node && is_found; node = first_element(node->next))
		if (strcmp((const char *)node->name, "interface") == 0)
			is_found = take_interface(domain, node, &wishes, name, error);
	is_found = is_found && check_used(&wishes, error);
	forget_wishes(&wishes);
	return is_found;
}

const char *find_name(const struct domain *domain, char name[DOMAIN_NAME])
{
	const struct _xmlNode *node = find_element(root_of(domain), "name");
	xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
	copy_text(name, DOMAIN_NAME, text ? (const char *)text : "");
	xmlFree(text);
	return name;
}

static void forget_port(struct port_wanted *port)
{
	for (uint32_t i = 0; i < port->count; i++)
		free(port->words[i]);
}

void keep_new_ports(struct domain *domain, bool (*is_known)(const char *uuid, const char *interface))
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < domain->port_count; i++)
		if (is_known(domain->uuid, domain->ports[i].interface))
			forget_port(&domain->ports[i]);
		else
			domain->ports[count++] = domain->ports[i];
	domain->port_count = count;
}

void close_domain(struct domain *domain)
{
	for (uint32_t i = 0; i < domain->port_count; i++)
		forget_port(&domain->ports[i]);
	xmlFreeDoc(domain->document);
	memset(domain, 0, sizeof *domain);
}
