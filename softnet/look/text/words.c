/* What a status is written with: a sheet, and words of a hostile guard's JSON. */
#include "softnet/look/text/words.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "system/text.h"

void write_to(struct sheet *sheet, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	size_t room = sheet->size - sheet->length;
	int length = vsnprintf(sheet->text + sheet->length, room, format, arguments);
	va_end(arguments);
	if (length >= 0 && (size_t)length < room)
		sheet->length += (size_t)length;
	else
		sheet->text[sheet->length] = '\0';
}

struct word word(const char *format, ...)
{
	struct word w;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(w.text, sizeof w.text, format, arguments);
	va_end(arguments);
	make_printable(w.text);
	return w;
}

struct word word_in(const json_t *value)
{
	if (json_is_integer(value))
		return word("%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return word("%s", json_is_string(value) ? json_string_value(value) : "?");
}

struct word word_of(const json_t *object, const char *key)
{
	return word_in(json_object_get(object, key));
}

uint64_t number_of(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));
	return n > 0 ? (uint64_t)n : 0;
}

struct word format_amount(uint64_t n)
{
	static const char units[] = "kMGTPE";
	int unit = -1;
	uint64_t tenths = n;
	if (n < 10000)
		return word("%" PRIu64, n);
	for (tenths = n / 100, unit = 0; tenths >= 10000; unit++)
		tenths /= 1000;
	if (tenths < 1000)
		return word("%" PRIu64 ".%u %c", tenths / 10, (unsigned)(tenths % 10), units[unit]);
	return word("%" PRIu64 " %c", tenths / 10, units[unit]);
}

struct word format_span(uint64_t seconds)
{
	enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
	if (seconds < 2 * MINUTE)
		return word("%" PRIu64 " s", seconds);
	if (seconds < HOUR)
		return word("%" PRIu64 " min", seconds / MINUTE);
	if (seconds < DAY)
		return word("%" PRIu64 " h %" PRIu64 " min", seconds / HOUR, seconds % HOUR / MINUTE);
	return word("%" PRIu64 " d %" PRIu64 " h", seconds / DAY, seconds % DAY / HOUR);
}

struct word format_bits(uint64_t octets)
{
	uint64_t bits = octets < UINT64_MAX / 8 ? octets * 8 : UINT64_MAX;
	struct word amount = format_amount(bits);
	return word("%s%sbit", amount.text, strchr(amount.text, ' ') ? "" : " ");
}

const char *label(const char **text)
{
	const char *now = *text;
	*text = "";
	return now;
}

struct word left_of(const json_t *lease)
{
	if (!json_is_integer(json_object_get(lease, "seconds")))
		return word("for ever");
	return word("%s left", format_span(number_of(lease, "seconds")).text);
}
