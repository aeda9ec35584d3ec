/* Words to values and back. */
#include "system/text.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void fill_error(struct error *error, enum exit_status status, const char *format, va_list arguments)
{
	error->status = status;
	vsnprintf(error->text, sizeof error->text, format, arguments);
	make_printable(error->text);
}

bool refuse(struct error *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fill_error(error, EXIT_USAGE, format, arguments);
	va_end(arguments);
	return false;
}

bool report_failure(struct error *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fill_error(error, EXIT_RUNTIME, format, arguments);
	va_end(arguments);
	return false;
}

bool refuse_value(struct error *error, const char *value, const char *what)
{
	enum { SHOWN_MAX = 80 };
	bool is_long = strlen(value) > SHOWN_MAX;
	return refuse(error, "\"%.*s%s\": expected %s", SHOWN_MAX, value, is_long ? "..." : "", what);
}

void make_printable(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
}

char *append_text(char *to, const char *text)
{
	size_t length = strlen(text);
	memcpy(to, text, length + 1);
	return to + length;
}

static char *append_digits(char *to, uint32_t number, uint32_t base)
{
	enum { DIGITS = 10 };
	char digits[DIGITS];
	int count = 0;
	do
		digits[count++] = "0123456789abcdef"[number % base];
	while ((number /= base) > 0);
	while (count > 0)
		*to++ = digits[--count];
	*to = '\0';
	return to;
}

char *append_number(char *to, uint32_t number)
{
	return append_digits(to, number, 10);
}

static char *append_ipv4(char *to, uint32_t address)
{
	for (int shift = 24; shift >= 0; shift -= 8) {
		to = append_number(to, address >> shift & 255);
		if (shift > 0)
			*to++ = '.';
	}
	return to;
}

enum { GROUPS = 8 };

static uint32_t group_at(struct address a, int i)
{
	return (uint32_t)((i < 4 ? a.high : a.low) >> 16 * (3 - i % 4)) & 0xffff;
}

/* RFC 5952 4.2: the first of the longest runs of two zeros or more. */
static int longest_run(struct address a, int *first)
{
	int longest = 1;
	for (int i = 0, run = 0; i < GROUPS; i++) {
		run = group_at(a, i) == 0 ? run + 1 : 0;
		if (run > longest) {
			longest = run;
			*first = i + 1 - run;
		}
	}
	return longest;
}

static char *append_ipv6(char *to, struct address a)
{
	int first = GROUPS, run = longest_run(a, &first);
	if (first == 0 && run == 6) /* RFC 4291 2.2: what looks like IPv4 inside is written so, as inet_ntop(3) does */
		return append_ipv4(append_text(to, "::"), ipv4_of_address(a));
	for (int i = 0; i < GROUPS; i++) {
		if (i == first) {
			to = append_text(to, "::");
			i += run - 1;
			continue;
		}
		if (i > 0 && i != first + run)
			*to++ = ':';
		to = append_digits(to, group_at(a, i), 16);
	}
	return to;
}

char *append_address(char *to, struct address a)
{
	return is_ipv4(a) ? append_ipv4(to, ipv4_of_address(a)) : append_ipv6(to, a);
}

const char *format_address(struct address a, char text[ADDRESS_TEXT])
{
	append_address(text, a);
	return text;
}

const char *format_mac(uint64_t mac, char text[MAC_TEXT])
{
	snprintf(text, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(mac >> 40 & 255),
		 (unsigned)(mac >> 32 & 255), (unsigned)(mac >> 24 & 255), (unsigned)(mac >> 16 & 255),
		 (unsigned)(mac >> 8 & 255), (unsigned)(mac & 255));
	return text;
}

bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
	uint64_t sum = 0;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		unsigned digit = (unsigned)(*text - '0');
		if (sum > (UINT64_MAX - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return low <= sum && sum <= high;
}

/* -1: not a digit. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool parse_hex(const char *text, uint64_t *value)
{
	uint64_t sum = 0;
	size_t digits = strlen(text);
	if (digits == 0 || digits > 16)
		return false;
	for (; *text != '\0'; text++) {
		if (hex_digit(*text) < 0)
			return false;
		sum = sum << 4 | (uint64_t)hex_digit(*text);
	}
	*value = sum;
	return true;
}

bool parse_mac(const char *text, uint64_t *mac)
{
	uint64_t sum = 0;
	/* Each octet has one or two digits: macOS prints 2:0:a:b:c:d. */
	for (int octet = 0; octet < 6; octet++) {
		int digits = 0;
		uint64_t value = 0;
		for (; digits < 2 && hex_digit(*text) >= 0; digits++, text++)
			value = value << 4 | (uint64_t)hex_digit(*text);
		if (digits == 0)
			return false;
		sum = sum << 8 | value;
		if (octet < 5 && *text != ':' && *text != '-')
			return false;
		if (octet < 5)
			text++;
	}
	*mac = sum;
	return *text == '\0';
}

bool parse_address(const char *text, struct address *address)
{
	uint8_t octets[16] = { 0 };
	if (inet_pton(AF_INET, text, octets) == 1) {
		*address = address_of_octets(octets, 4);
		return true;
	}
	if (inet_pton(AF_INET6, text, octets) != 1)
		return false;
	/* ::ffff:10.0.0.1 is how IPv4 is kept here; as IPv6 on the wire it is never valid. */
	*address = address_of_octets(octets, 16);
	return !is_ipv4(*address);
}

bool is_nat64_length(uint32_t prefix_length)
{
	static const uint32_t lengths[] = { 32, 40, 48, 56, 64, 96 };
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		if (lengths[i] == prefix_length)
			return true;
	return false;
}

struct address mask_address(struct address a, uint32_t prefix_length)
{
	if (prefix_length == 0)
		return (struct address){ 0, 0 };
	if (prefix_length <= 64)
		return (struct address){ a.high & UINT64_MAX << (64 - prefix_length), 0 };
	if (prefix_length < 128)
		a.low &= UINT64_MAX << (128 - prefix_length);
	return a;
}

bool parse_prefix(const char *text, struct address *address, uint32_t *prefix_length)
{
	char head[ADDRESS_TEXT];
	size_t length = strcspn(text, "/");
	if (length >= sizeof head)
		return false;
	memcpy(head, text, length);
	head[length] = '\0';
	if (!parse_address(head, address))
		return false;
	uint64_t bits = is_ipv4(*address) ? 32 : 128;
	uint64_t given = bits;
	if (text[length] == '/' && !parse_number(text + length + 1, 0, bits, &given))
		return false;
	*prefix_length = (uint32_t)(128 - bits + given);
	*address = mask_address(*address, *prefix_length);
	return true;
}

bool next_item(const char **rest, char *item, size_t size)
{
	if (!*rest)
		return false;
	const char *first = *rest + strspn(*rest, " \t");
	size_t length = strcspn(first, ",");
	const char *behind = first + length;
	while (length > 0 && (first[length - 1] == ' ' || first[length - 1] == '\t'))
		length--;
	if (length == 0 || length >= size)
		return false;
	memcpy(item, first, length);
	item[length] = '\0';
	*rest = *behind == ',' ? behind + 1 : NULL;
	return true;
}

const char *format_time(uint64_t wall_ms, char text[TIME_TEXT])
{
	struct tm tm;
	time_t seconds = (time_t)(wall_ms / 1000);
	if (!gmtime_r(&seconds, &tm))
		return strcpy(text, "-");
	size_t length = strftime(text, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + length, TIME_TEXT - length, ".%03uZ", (unsigned)(wall_ms % 1000));
	return text;
}
