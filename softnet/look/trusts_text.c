/* Whom a guard trusts, in few lines: who is the host and the DHCP server at once stands in one of them. */
#include "softnet/look/trusts_text.h"
#include <string.h>

enum { ROLES = 4, SETS = 1 << ROLES, LINE_COLUMNS = 80 };

static const char *const roles[ROLES][2] = {
	{ "host", "host" }, { "servers", "DHCP server" }, { "resolvers", "resolver" }, { "macs", "gateway" }
};

static void write_learned(struct sheet *sheet, const json_t *status, const char *key, const char *what, const char **name)
{
	size_t i;
	const json_t *one;
	json_array_foreach(json_object_get(status, key), i, one) if (i < LIST_SHOWN)
	    write_to(sheet, "%-10s %s %.40s  %.40s  learned, %s\n", label(name), what, word_of(one, "address").text,
		     word_of(one, "mac").text, left_of(one).text);
}

/* It is trusted to be the host, and no more. */
static void write_resident(struct sheet *sheet, const json_t *status, const char **name)
{
	size_t i;
	const json_t *one, *resident = side_of(status, "anchors", "resident");
	bool has_why = json_is_string(json_object_get(resident, "why"));
	json_array_foreach(json_object_get(resident, "addresses"), i, one) if (i < LIST_SHOWN)
	    write_to(sheet, "%-10s host itself %.40s  %.40s%s%.60s\n", label(name), word_in(one).text,
		     word_of(resident, "mac").text, has_why && i == 0 ? "  not the router: " : "",
		     has_why && i == 0 ? word_of(resident, "why").text : "");
}

static bool has(const json_t *list, const json_t *address)
{
	bool found = false;
	for (size_t i = 0; i < json_array_size(list) && i < LIST_SHOWN && !found; i++)
		found = json_equal(json_array_get(list, i), address);
	return found;
}

/* A bit for each role that the address has. */
static unsigned roles_of(const json_t *status, const json_t *address)
{
	unsigned set = 0;
	for (unsigned role = 0; role < ROLES; role++)
		set |= has(side_of(status, "anchors", roles[role][0]), address) ? 1U << role : 0;
	return set;
}

/* "host, DHCP server" */
static struct word name_roles(unsigned set)
{
	struct word name = { "" };
	for (unsigned role = 0; role < ROLES; role++)
		if (set & 1U << role)
			name = word("%.80s%s%s", name.text, name.text[0] != '\0' ? ", " : "", roles[role][1]);
	return name;
}

/* Those that have all these roles and no other, in lines that fit: the first of these roles lists them. */
static void write_set(struct sheet *sheet, const json_t *status, unsigned set, const char **name)
{
	size_t i, column = LINE_COLUMNS;
	const json_t *one;
	unsigned first = 0;
	while ((set & 1U << first) == 0)
		first++;
	bool has_begun = false;
	json_array_foreach(side_of(status, "anchors", roles[first][0]), i, one)
	{
		if (i >= LIST_SHOWN || roles_of(status, one) != set)
			continue;
		struct word address = word("%.40s", word_in(one).text);
		bool fits = has_begun && column + 2 + strlen(address.text) <= LINE_COLUMNS;
		if (fits)
			write_to(sheet, ", %s", address.text);
		else
			write_to(sheet, "%s%-10s %s %s", has_begun ? "\n" : "", label(name), name_roles(set).text,
				 address.text);
		column = fits ? column + 2 + strlen(address.text)
			      : 12 + strlen(name_roles(set).text) + strlen(address.text);
		has_begun = true;
	}
	write_to(sheet, "%s", has_begun ? "\n" : "");
}

void write_trusted(struct sheet *sheet, const json_t *status)
{
	const char *name = "trusts";
	write_learned(sheet, status, "servers", "DHCP server", &name);
	write_learned(sheet, status, "routers", "router", &name);
	for (unsigned first = 0; first < ROLES; first++)
		for (unsigned set = SETS - 1; set > 0; set--)
			if ((set & 1U << first) != 0 && (set & ((1U << first) - 1)) == 0)
				write_set(sheet, status, set, &name);
	write_resident(sheet, status, &name);
	if (*name != '\0')
		write_to(sheet, "%-10s nobody yet\n", name);
}
