/* Looks again at a rule that could not be read, for the mistake that is most likely. */
#include "softnet/rules/rule_fault.h"
#include "softnet/rules/rule_names.h"
#include "softnet/rules/rule_vms.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "system/guess.h"

enum { SHOWN = 60, PART_TEXT = 64 };

static const char *target_word(size_t i)
{
	static const char *const words[] = { "any", "@host", "@gateway", "@dns", "@lan", "@global" };
	return i < sizeof words / sizeof *words ? words[i] : NULL;
}

/* Words of other programs, and what they are here. */
static const char *synonym_of(const char *word, size_t length)
{
	static const char *const synonyms[][2] = { { "@internet", "@global" }, { "internet", "@global" },
						   { "@wan", "@global" },      { "wan", "@global" },
						   { "@world", "@global" },    { "@public", "@global" },
						   { "all", "any" },           { "@all", "any" },
						   { "@any", "any" },          { "*", "any" },
						   { "localhost", "@host" },   { "@localhost", "@host" },
						   { "@private", "@lan" },     { "@local", "@lan" },
						   { "@router", "@gateway" } };
	for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
		if (strlen(synonyms[i][0]) == length && strncmp(synonyms[i][0], word, length) == 0)
			return synonyms[i][1];
	return guess_word(word, length, target_word);
}

static bool consists_of(const char *text, size_t length, const char *set)
{
	return length > 0 && strspn(text, set) >= length;
}

/* A number for each octet, four of them. */
static bool refuse_ipv4(const char *text, const char *target, size_t length, struct error *error)
{
	int dots = 0;
	for (const char *at = target; at < target + length;) {
		size_t digits = strspn(at, "0123456789");
		if (digits > 3 || strtoul(at, NULL, 10) > 255)
			return refuse(error, "\"%.*s\": %.*s is too much for an octet of an IPv4 address: 255 at most",
				      SHOWN, text, (int)(digits < 12 ? digits : 12), at);
		at += digits;
		dots += at < target + length;
		at += at < target + length;
	}
	if (dots != 3)
		return refuse(error, "\"%.*s\": an IPv4 address has four numbers; a network is written as 10.0.0.0/24",
			      SHOWN, text);
	return refuse_value(error, text, EXPECTED_TARGET);
}

/* An address stands before the slash, and no length of its family behind it. */
static bool has_bad_length(const char *target, size_t slash, int *bits)
{
	char copy[PART_TEXT];
	struct address address;
	uint64_t length;
	size_t skipped = target[0] == '[', head = slash - skipped;
	if (slash <= skipped || head >= sizeof copy)
		return false;
	memcpy(copy, target + skipped, head);
	copy[head] = '\0';
	copy[strcspn(copy, "]")] = '\0';
	if (!parse_address(copy, &address))
		return false;
	*bits = is_ipv4(address) ? 32 : 128;
	snprintf(copy, sizeof copy, "%.*s", (int)strcspn(target + slash + 1, ":]"), target + slash + 1);
	return !parse_number(copy, 0, (uint64_t)*bits, &length);
}

/* What stands before the last colon is an address of IPv6, and what stands behind it is none of its groups. */
static bool lacks_brackets(const char *target, size_t *colon)
{
	char copy[PART_TEXT];
	struct address address;
	const char *last = strrchr(target, ':');
	if (!last || target[0] == '[' || (size_t)(last - target) >= sizeof copy)
		return false;
	*colon = (size_t)(last - target);
	snprintf(copy, sizeof copy, "%.*s", (int)*colon, target);
	return parse_address(copy, &address) && !is_ipv4(address);
}

bool refuse_target(const char *text, const char *target, struct error *error)
{
	size_t blank = strcspn(target, " \t"), word = strcspn(target, ":/ \t"), slash = strcspn(target, "/"), colon;
	int bits;
	const char *meant = synonym_of(target, word);
	if (target[blank] != '\0')
		return refuse(error,
			      "\"%.*s\": these are two rules: a comma stands between them, in a file the end of "
			      "a line",
			      SHOWN, text);
	if (strncmp(target, "vm:", 3) == 0)
		return refuse(error, "\"%.*s\": behind vm: stands the --name of a VM, " EXPECTED_VM_NAME, SHOWN, text);
	if (meant)
		return refuse(error, "\"%.*s\": did you mean %s? A target is %s", SHOWN, text, meant, EXPECTED_TARGET);
	if (target[slash] == '/' && has_bad_length(target, slash, &bits))
		return refuse(error, "\"%.*s\": behind the slash stands a length of 0 to %d bits", SHOWN, text, bits);
	if (consists_of(target, word, "0123456789.") && strchr(target, '.')) {
		const char *second = strchr(target, ':') ? strchr(strchr(target, ':') + 1, ':') : NULL;
		if (second)
			return refuse(error, "\"%.*s\": between protocol and port stands a slash: tcp/443", SHOWN, text);
		return refuse_ipv4(text, target, word, error);
	}
	if (lacks_brackets(target, &colon))
		return refuse(error, "\"%.*s\": before a port IPv6 stands in brackets: [%.*s]%s", SHOWN, text,
			      (int)colon, target, target + colon);
	if (target[0] == '[' && !strchr(target, ']'))
		return refuse(error, "\"%.*s\": the bracket is not closed: [fd00::1]:443", SHOWN, text);
	if (target[0] != '@' && target[0] != '[' && !check_likeness_to_name(text, target, error))
		return false;
	return refuse_value(error, text, EXPECTED_TARGET);
}

bool refuse_qualifier(const char *text, const char *qualifier, struct error *error)
{
	static const char digits[] = "0123456789";
	size_t first = strcspn(qualifier, "/"), number = strspn(qualifier, digits);
	const char *port = qualifier[first] == '/' ? qualifier + first + 1 : qualifier;
	size_t low = strspn(port, digits);
	if (number > 0 && qualifier[number] == '/')
		return refuse(error, "\"%.*s\": the protocol stands before the port: %.8s/%.*s", SHOWN, text,
			      qualifier + number + 1, (int)(number < 8 ? number : 8), qualifier);
	if (low > 0 && port[low] == '\0')
		return strncmp(qualifier, "tcp/", 4) != 0 && strncmp(qualifier, "udp/", 4) != 0 &&
			       strncmp(qualifier, "sctp/", 5) != 0 && port != qualifier
			   ? refuse(error, "\"%.*s\": only tcp, udp and sctp have ports", SHOWN, text)
			   : refuse(error, "\"%.*s\": a port is 1 to 65535", SHOWN, text);
	if (low > 0 && port[low] == '-' && consists_of(port + low + 1, strlen(port + low + 1), digits))
		return refuse(error, "\"%.*s\": a range of ports is LOW-HIGH, with 1 to 65535", SHOWN, text);
	return refuse_value(error, text, EXPECTED_QUALIFIER);
}

const char *doubtful_port(const char *rule)
{
	static char cure[2 * PART_TEXT + 32];
	size_t colon;
	const char *target = rule + (strncmp(rule, "in ", 3) == 0 ? 3 : strncmp(rule, "out ", 4) == 0 ? 4 : 0);
	if (strchr(target, '/') || strlen(target) >= PART_TEXT || !lacks_brackets(target, &colon))
		return NULL;
	const char *port = target + colon + 1;
	if (strspn(port, "0123456789") != strlen(port) || strlen(port) < 2)
		return NULL;
	snprintf(cure, sizeof cure, "[%.*s]:%s for the port, or %s/128", (int)colon, target, port, target);
	return cure;
}
