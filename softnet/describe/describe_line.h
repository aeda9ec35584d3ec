/* describe.c and describe_payload.c: the line that grows while a frame is read. What is foreign goes into it as numbers. */
#pragma once
#include <stddef.h>
#include "core/wire/ipv6.h"
#include "system/text.h"

struct line {
	char *text;
	size_t length, room; /* room: with the final zero; what does not fit is cut off */
};

__attribute__((format(printf, 2, 3))) void say(struct line *, const char *format, ...);
void say_address(struct line *, struct address);
void say_mac(struct line *, uint64_t mac);
/* The entry of a table; a number where it has none. */
void say_name(struct line *, const char *const *names, size_t count, unsigned number, const char *otherwise);

/* What stands behind an IP header. `r` ends where the packet does, or what was kept of it. */
struct payload {
	struct reader r;
	uint32_t octets; /* as the headers say; may be more than are there */
	uint8_t protocol;
	bool is_later; /* fragment: its first octets are somewhere in the middle */
	bool is_fragment;
	uint64_t source_mac;
};

void say_payload(struct line *, const struct payload *);
void say_icmp4(struct line *, struct reader);
void say_icmp6(struct line *, struct reader);
