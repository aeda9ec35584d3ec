/* Words to values and back: what options, rules and the state file are made of. Nothing here prints or ends the
 * program. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include "core/wire/address.h"
#include "system/error.h"

enum { ADDRESS_TEXT = 48, MAC_TEXT = 18 };

/*
 * Writers for what is written thousands of times, where snprintf(3) would take most of the time. Each gives the place behind
 * what it wrote, where it leaves a zero. Who calls has made room.
 */
char *append_text(char *to, const char *text);
char *append_number(char *to, uint32_t number);
char *append_address(char *to, struct address);

const char *format_address(struct address, char text[ADDRESS_TEXT]);
const char *format_mac(uint64_t mac, char text[MAC_TEXT]);

/* The whole text must be the value; no blanks, no signs. */
bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *value);
bool parse_hex(const char *text, uint64_t *value);
bool parse_address(const char *text, struct address *);
bool parse_mac(const char *text, uint64_t *mac);
/* The prefix length counts in 128 bits (IPv4: 96 + n); host bits are cleared; a bare address is a prefix of one. */
bool parse_prefix(const char *text, struct address *, uint32_t *prefix_length);

/* RFC 6052 2.2: prefixes that stand for IPv4 have these lengths only. */
bool is_nat64_length(uint32_t prefix_length);

/* Keeps the first prefix_length bits. */
struct address mask_address(struct address, uint32_t prefix_length);

/*
 * Takes the next item off a list separated by commas, without the blanks around it. False: nothing is left, or an item
 * is empty or too long for `item` (then *rest is not NULL).
 */
bool next_item(const char **rest, char *item, size_t size);

/* Replaces what could end the line or drive a terminal by '?'. */
void make_printable(char *text);

/* RFC 3339 in UTC, with milliseconds, of what wall_clock_ms() gives: "2026-11-24T03:50:31.123Z". */
enum { TIME_TEXT = 40 };
const char *format_time(uint64_t wall_ms, char text[TIME_TEXT]);
