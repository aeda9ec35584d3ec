/* Whom a guard trusts: one line for each machine, for a host that is router, server and resolver in one is the usual case. */
#include "softnet/look/text/trusted_text.h"
#include <stdio.h>
#include <string.h>

enum { ROLES_TEXT = 80, SOURCES = 5 };

/* Where addresses stand in a status, and what those are: learned ones are objects, those of options are strings. */
static const struct source {
	const char *key, *role;
	bool is_learned;
} sources[SOURCES] = { { "servers", "DHCP server", true },
		       { "routers", "router", true },
		       { "host", "host", false },
		       { "servers", "DHCP server", false },
		       { "resolvers", "resolver", false } };

static const json_t *list_of(const json_t *status, const struct source *source)
{
	return json_object_get(source->is_learned ? status : json_object_get(status, "anchors"), source->key);
}

static struct word address_in(const json_t *one)
{
	return json_is_object(one) ? word_of(one, "address") : word_in(one);
}

/* Learned twice, but with another MAC or until another time: that is told apart. */
static bool is_same(const json_t *one, const json_t *other)
{
	return json_is_object(one) && json_is_object(other) ? json_equal(one, other)
							    : strcmp(address_in(one).text, address_in(other).text) == 0;
}

static bool is_in(const json_t *list, const json_t *machine)
{
	size_t i;
	const json_t *one;
	json_array_foreach(list, i, one) if (is_same(one, machine)) return true;
	return false;
}

/* Each machine is told of where it stands first. */
static bool is_told(const json_t *status, int now, const json_t *machine)
{
	for (int i = 0; i < now; i++)
		if (is_in(list_of(status, &sources[i]), machine))
			return true;
	return false;
}

/* "router, resolver", without a word twice. */
static void format_roles(const json_t *status, const json_t *machine, char text[ROLES_TEXT])
{
	size_t length = 0;
	text[0] = '\0';
	for (int i = 0; i < SOURCES; i++)
		if (is_in(list_of(status, &sources[i]), machine) && !strstr(text, sources[i].role))
			length += (size_t)snprintf(text + length, ROLES_TEXT - length, "%s%s", length > 0 ? ", " : "",
						   sources[i].role);
}

static void write_machine(struct sheet *sheet, const json_t *status, const json_t *one, const char **name)
{
	char roles[ROLES_TEXT];
	format_roles(status, one, roles);
	write_to(sheet, "%-10s %s %.40s", label(name), roles, address_in(one).text);
	if (json_is_object(one))
		write_to(sheet, "  %.40s  learned, %s", word_of(one, "mac").text, left_of(one).text);
	write_to(sheet, "\n");
}

/* It is trusted to be the host, and no more. */
static void write_resident(struct sheet *sheet, const json_t *status, const char **name)
{
	size_t i;
	const json_t *one, *resident = json_object_get(json_object_get(status, "anchors"), "resident");
	bool has_why = json_is_string(json_object_get(resident, "why"));
	json_array_foreach(json_object_get(resident, "addresses"), i, one) if (i < LIST_SHOWN)
	    write_to(sheet, "%-10s host itself %.40s  %.40s%s%.60s\n", label(name), word_in(one).text,
		     word_of(resident, "mac").text, has_why && i == 0 ? "  not the router: " : "",
		     has_why && i == 0 ? word_of(resident, "why").text : "");
}

void write_trusted(struct sheet *sheet, const json_t *status)
{
	size_t i;
	const json_t *one;
	const char *name = "trusts";
	for (int source = 0; source < SOURCES; source++)
		json_array_foreach(list_of(status, &sources[source]), i, one)
		{
			if (i < LIST_SHOWN && !is_told(status, source, one))
				write_machine(sheet, status, one, &name);
		}
	json_array_foreach(json_object_get(json_object_get(status, "anchors"), "macs"), i, one) if (i < LIST_SHOWN)
	    write_to(sheet, "%-10s gateway %.40s\n", label(&name), word_in(one).text);
	write_resident(sheet, status, &name);
	if (*name != '\0')
		write_to(sheet, "%-10s nobody yet\n", name);
}
