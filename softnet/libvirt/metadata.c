/* The metadata of softnet: strict, since what is misspelled would leave a guest without its guard. */
#include "softnet/libvirt/metadata.h"
#include <stdlib.h>
#include <string.h>
#include "softnet/options/options.h"

const struct _xmlNode *first_element(const struct _xmlNode *node)
{
	while (node && node->type != XML_ELEMENT_NODE)
		node = node->next;
	return node;
}

static bool is_called(const struct _xmlNode *node, const char *name)
{
	return strcmp((const char *)node->name, name) == 0;
}

const struct _xmlNode *find_element(const struct _xmlNode *parent, const char *name)
{
	const struct _xmlNode *node = first_element(parent->children);
	while (node && (node->ns || !is_called(node, name)))
		node = first_element(node->next);
	return node;
}

static bool is_softnets(const struct _xmlNode *node)
{
	return node->ns && node->ns->href && strcmp((const char *)node->ns->href, SOFTNET_NAMESPACE) == 0;
}

/* A namespace with a slip in it must not become a domain without a guard. */
static bool is_meant_for_softnet(const struct _xmlNode *node)
{
	if (!node->ns)
		return false;
	return (node->ns->prefix && strcmp((const char *)node->ns->prefix, "softnet") == 0) ||
	       (node->ns->href && strcasestr((const char *)node->ns->href, "softnet"));
}

/* Comments aside, the element has elements only. */
static bool has_text(const struct _xmlNode *parent)
{
	for (const struct _xmlNode *node = parent->children; node; node = node->next)
		if (node->type != XML_ELEMENT_NODE && node->type != XML_COMMENT_NODE && !xmlIsBlankNode(node))
			return true;
	return false;
}

static bool take_yes(const char *attribute, const char *value, bool *is_yes, struct error *error)
{
	*is_yes = strcmp(value, "yes") == 0;
	return *is_yes || strcmp(value, "no") == 0 || refuse(error, "%s='%.60s': expected yes or no", attribute, value);
}

/* The MAC address and the descriptor are given by the hook itself, and its guards stay. */
static const struct option_line *find_option(const char *name)
{
	bool is_ours = strcmp(name, "vm-mac-address") == 0 || strcmp(name, "control-fd") == 0 ||
		       strcmp(name, "leave") == 0;
	for (int i = 0; i < option_line_count && !is_ours; i++)
		if (strcmp(option_lines[i].name, name) == 0 && verb_takes(WANT_ATTACH, name))
			return &option_lines[i];
	return NULL;
}

static bool take_option(struct wish *wish, const char *name, const char *value, struct error *error)
{
	const struct option_line *line = find_option(name);
	bool is_wanted = true;
	if (!line)
		return refuse(error,
			      "%.60s='%.60s': unknown attribute; expected mac, guard, or an option of `softnet attach`",
			      name, value);
	if (!line->argument && !take_yes(name, value, &is_wanted, error))
		return false;
	if (!is_wanted)
		return true;
	size_t size = strlen(name) + strlen(value) + sizeof "--=";
	char *option = wish->option_count < OPTIONS_MAX ? malloc(size) : NULL;
	if (!option)
		return refuse(error, "too many attributes");
	snprintf(option, size, line->argument ? "--%s=%s" : "--%s", name, value);
	wish->options[wish->option_count++] = option;
	wish->has_name |= strcmp(name, "name") == 0;
	return true;
}

static bool take_attribute(struct wish *wish, const char *name, const char *value, struct error *error)
{
	bool is_guarded;
	if (strcmp(name, "mac") == 0) {
		wish->has_mac = true;
		return parse_mac(value, &wish->mac) || refuse(error, "mac='%.60s': expected a MAC address", value);
	}
	if (strcmp(name, "guard") != 0)
		return take_option(wish, name, value, error);
	bool is_taken = take_yes(name, value, &is_guarded, error);
	wish->is_unguarded = is_taken && !is_guarded;
	return is_taken;
}

static bool read_wish(const struct _xmlNode *node, struct wish *wish, struct error *error)
{
	for (const struct _xmlAttr *attribute = node->properties; attribute; attribute = attribute->next) {
		xmlChar *value = xmlNodeListGetString(node->doc, attribute->children, 1);
		const char *text = value ? (const char *)value : "", *name = (const char *)attribute->name;
		bool is_taken = !attribute->ns ? take_attribute(wish, name, text, error)
					       : refuse(error, "%.60s: an attribute with a prefix; leave it out", name);
		xmlFree(value);
		if (!is_taken)
			return false;
	}
	if (first_element(node->children) || has_text(node))
		return refuse(error, "expected nothing inside it: options are attributes");
	if (wish->is_unguarded && wish->option_count > 0)
		return refuse(error, "guard='no': not together with options");
	return true;
}

/* Two about the same interface could contradict each other. */
static bool is_about_the_same(const struct wish *wish, const struct wish *other)
{
	return wish->has_mac == other->has_mac && wish->mac == other->mac;
}

static bool add_wish(const struct _xmlNode *node, struct wishes *wishes, struct error *error)
{
	struct error cause;
	if (!is_softnets(node) || !is_called(node, "interface"))
		return refuse(error, "metadata: <%.60s>: unknown element in softnet's <guard>; expected <interface>",
			      (const char *)node->name);
	if (wishes->count == PORTS_MAX)
		return refuse(error, "metadata: more than %d elements <interface>", PORTS_MAX);
	struct wish *wish = &wishes->all[wishes->count++];
	if (!read_wish(node, wish, &cause))
		return refuse(error, "metadata: <interface>: %s", cause.text);
	for (uint32_t i = 0; i + 1 < wishes->count; i++)
		if (is_about_the_same(wish, &wishes->all[i]))
			return refuse(error, "metadata: two elements <interface> are about the same interface");
	return true;
}

static bool read_guard(const struct _xmlNode *guard, struct wishes *wishes, struct error *error)
{
	wishes->is_there = true;
	if (guard->properties)
		return refuse(error, "metadata: <guard>: %.60s: unknown attribute; expected none",
			      (const char *)guard->properties->name);
	if (has_text(guard))
		return refuse(error, "metadata: <guard>: expected elements <interface> inside it");
	const struct _xmlNode *node = first_element(guard->children);
	for (; node; node = first_element(node->next))
		if (!add_wish(node, wishes, error))
			return false;
	return true;
}

bool read_wishes(const struct _xmlNode *metadata, struct wishes *wishes, struct error *error)
{
	memset(wishes, 0, sizeof *wishes);
	const struct _xmlNode *node = metadata ? first_element(metadata->children) : NULL;
	for (; node; node = first_element(node->next)) {
		const char *name = (const char *)node->name;
		if (!is_softnets(node) && is_meant_for_softnet(node))
			return refuse(error, "metadata: <%.60s>: its namespace is \"%.60s\"; expected \"%s\"", name,
				      node->ns->href ? (const char *)node->ns->href : "", SOFTNET_NAMESPACE);
		if (!is_softnets(node))
			continue;
		if (!is_called(node, "guard") || wishes->is_there)
			return refuse(error, "metadata: <%.60s>: expected one element <guard> of softnet", name);
		if (!read_guard(node, wishes, error))
			return false;
	}
	return true;
}

struct wish *find_wish(struct wishes *wishes, uint64_t mac)
{
	struct wish *rest = NULL;
	for (uint32_t i = 0; i < wishes->count; i++) {
		if (wishes->all[i].has_mac && wishes->all[i].mac == mac)
			return &wishes->all[i];
		if (!wishes->all[i].has_mac)
			rest = &wishes->all[i];
	}
	return rest;
}

bool check_used(const struct wishes *wishes, struct error *error)
{
	char text[MAC_TEXT];
	for (uint32_t i = 0; i < wishes->count; i++)
		if (wishes->all[i].has_mac && !wishes->all[i].is_used)
			return refuse(error, "metadata: no interface of the domain has the MAC address %s",
				      format_mac(wishes->all[i].mac, text));
	return true;
}

void forget_wishes(struct wishes *wishes)
{
	for (uint32_t i = 0; i < wishes->count; i++)
		for (uint32_t j = 0; j < wishes->all[i].option_count; j++)
			free(wishes->all[i].options[j]);
	wishes->count = 0;
}
