/* --dhcp-hostname: the host names that the VM may give itself. */
#include <string.h>
#include "softnet/options/option_values.h"

static bool is_host_name_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* RFC 1035 3.1: labels of 1 to 63 octets. The underscore is no letter of host names, and is in use. */
static bool parse_host_name(const char *text, struct host_name *name)
{
	size_t length = strlen(text), label = 0;
	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0 || length > HOST_NAME_OCTETS_MAX)
		return false;
	*name = (struct host_name){ .octets = (uint8_t)length };
	for (size_t i = 0; i < length; i++) {
		bool is_dot = text[i] == '.';
		if (is_dot ? label == 0 || i + 1 == length : !is_host_name_letter(text[i]) || label == 63)
			return false;
		label = is_dot ? 0 : label + 1;
		name->text[i] = (uint8_t)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
	}
	return true;
}

bool take_host_names(struct options *options, const char *value, struct error *error)
{
	struct host_names *names = &options->host_names;
	char item[HOST_NAME_OCTETS_MAX + 3];
	const char *rest = value;
	bool is_word = strcmp(value, "any") == 0 || strcmp(value, "none") == 0;
	if (options->host_names_given && (is_word || names->count == 0))
		return refuse_value(error, value, "any or none alone, or names alone");
	options->host_names_given = true;
	names->none = strcmp(value, "none") == 0;
	while (!is_word && next_item(&rest, item, sizeof item)) {
		if (names->count == HOST_NAMES_MAX)
			return refuse(error, "more than %d names", HOST_NAMES_MAX);
		if (!parse_host_name(item, &names->item[names->count]))
			return refuse_value(error, item, "any, none or a host name");
		names->count++;
	}
	return is_word || !rest || refuse_value(error, value, "a comma list without empty items");
}
