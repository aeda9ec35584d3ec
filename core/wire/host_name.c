/* Reads the names of DHCP's options, in both spellings, and holds them against those that the guest may have. */
#include "core/wire/host_name.h"

enum { FLAG_E = 4, FQDN4_HEADER = 3, FQDN6_HEADER = 1, LABEL_OCTETS_MAX = 63 };

/* What was read. Not `is_whole`: something stands behind it, or in it, that no name has; another reader may read on. */
struct name {
	struct host_name as_text;
	bool is_whole;
};

bool read_name_option(struct reader *r, struct name_option *option)
{
	if (option->is_given || octets_left(r) > NAME_OPTION_OCTETS_MAX)
		return false;
	option->is_given = true;
	option->octets = (uint8_t)octets_left(r);
	if (option->octets > 0)
		read_bytes(r, option->text, option->octets);
	return true;
}

static uint8_t small_letter(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static void append(struct name *name, uint8_t c)
{
	if (name->as_text.octets < HOST_NAME_OCTETS_MAX)
		name->as_text.text[name->as_text.octets++] = small_letter(c);
	else
		name->is_whole = false;
}

/* RFC 2132 2: NULs at the end do not count. The dot of the root does not, either. */
static struct name read_ascii(const uint8_t *octets, uint32_t n)
{
	struct name name = { .is_whole = true };
	while (n > 0 && octets[n - 1] == 0)
		n--;
	if (n > 0 && octets[n - 1] == '.')
		n--;
	for (uint32_t i = 0; i < n; i++) {
		if (octets[i] == 0)
			name.is_whole = false;
		append(&name, octets[i]);
	}
	return name;
}

/* RFC 1035 3.1. The root may be missing: then it is a part of a name (RFC 4702 2.3.1). */
static struct name read_labels(const uint8_t *octets, uint32_t n)
{
	struct name name = { .is_whole = true };
	uint32_t at = 0;
	while (at < n && octets[at] != 0) {
		uint32_t length = octets[at++];
		if (length > LABEL_OCTETS_MAX || length > n - at) {
			name.is_whole = false;
			return name;
		}
		if (name.as_text.octets > 0)
			append(&name, '.');
		for (uint32_t i = 0; i < length; i++, at++) {
			if (octets[at] == 0 || octets[at] == '.')
				name.is_whole = false;
			append(&name, octets[at]);
		}
	}
	if (at < n && at + 1 != n)
		name.is_whole = false;
	return name;
}

static bool same_name(const struct host_name *a, const struct host_name *b)
{
	for (uint32_t i = 0; i < a->octets && i < b->octets; i++)
		if (a->text[i] != b->text[i])
			return false;
	return a->octets == b->octets;
}

/*
 * Names by which clients find a service that speaks for others: proxies (WPAD), tunnels (RFC 5214). No machine has them by
 * chance. The first label counts: the domain is the server's to say.
 */
static bool is_of_a_service(const struct host_name *name)
{
	static const struct host_name services[] = { { 4, "wpad" }, { 6, "isatap" } };
	struct host_name label = { 0 };
	for (uint32_t i = 0; i < name->octets && name->text[i] != '.' && name->text[i] != 0; i++)
		label.text[label.octets++] = name->text[i];
	for (uint32_t i = 0; i < sizeof services / sizeof services[0]; i++)
		if (same_name(&label, &services[i]))
			return true;
	return false;
}

static bool may_have(const struct host_names *names, const struct name *name)
{
	if (name->as_text.octets == 0 && name->is_whole)
		return true; /* RFC 4702 3.1: the server shall choose one */
	if (names->none)
		return false;
	if (names->count == 0)
		return !is_of_a_service(&name->as_text);
	for (uint32_t i = 0; i < names->count && i < HOST_NAMES_MAX; i++)
		if (name->is_whole && same_name(&name->as_text, &names->item[i]))
			return true;
	return false;
}

bool may_have_host_name(const struct host_names *names, const struct name_option *option)
{
	struct name name = read_ascii(option->text, option->octets);
	return may_have(names, &name);
}

/* Where any name will do, it is no service's in either spelling: not every server heeds the flag. */
static bool may_have_fqdn(const struct host_names *names, const struct name_option *option, uint32_t header,
			  bool as_labels)
{
	uint32_t n = option->octets > header ? option->octets - header : 0;
	struct name ascii = read_ascii(option->text + header, n), labels = read_labels(option->text + header, n);
	bool is_any = names->count == 0 && !names->none;
	return may_have(names, as_labels ? &labels : &ascii) &&
	       (!is_any || may_have(names, as_labels ? &ascii : &labels));
}

bool may_have_fqdn4(const struct host_names *names, const struct name_option *option)
{
	return may_have_fqdn(names, option, FQDN4_HEADER, (option->text[0] & FLAG_E) != 0);
}

bool may_have_fqdn6(const struct host_names *names, const struct name_option *option)
{
	return may_have_fqdn(names, option, FQDN6_HEADER, true);
}

static bool is_name_letter(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

bool spell_name4(const struct name_option *option, bool is_fqdn, struct host_name *name)
{
	uint32_t header = is_fqdn ? FQDN4_HEADER : 0, n = option->octets > header ? option->octets - header : 0;
	bool as_labels = is_fqdn && (option->text[0] & FLAG_E) != 0;
	const uint8_t *octets = option->text + header;
	struct name read = as_labels ? read_labels(octets, n) : read_ascii(octets, n);
	bool is_plain = read.is_whole && read.as_text.octets > 0;
	for (uint32_t i = 0; i < read.as_text.octets; i++)
		is_plain = is_plain && is_name_letter(read.as_text.text[i]);
	*name = read.as_text;
	return is_plain;
}
