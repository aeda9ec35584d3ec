/*
 * The name that a guest gives itself in DHCP: options 12 and 81 (RFC 2132 3.14, RFC 4702), 39 in DHCPv6 (RFC 4704). Servers put
 * it into DNS, so it acts on everybody who asks for that name. User space only, except the names in the config.
 */
#pragma once
#include "core/wire/frame.h"

enum { HOST_NAMES_MAX = 8, HOST_NAME_OCTETS_MAX = 253, NAME_OPTION_OCTETS_MAX = 255 };

struct host_name {
	uint8_t octets;
	uint8_t text[HOST_NAME_OCTETS_MAX + 2]; /* in small letters, with dots between labels and none at the end */
};

/* --dhcp-hostname. No item: any name, but those by which others find a service. */
struct host_names {
	struct host_name item[HOST_NAMES_MAX];
	uint32_t count;
	uint8_t none; /* no name at all */
	uint8_t reserved[3];
};

/* The option as it came. */
struct name_option {
	bool is_given;
	uint8_t octets;
	uint8_t text[NAME_OPTION_OCTETS_MAX];
};

/* Reads the value of the option, which r covers; false: a second one, or one that is too long. */
bool read_name_option(struct reader *r, struct name_option *option);

/* Option 12: ASCII, perhaps with NUL behind it. */
bool may_have_host_name(const struct host_names *names, const struct name_option *option);

/* Option 81: flags and two octets in front; flag E says whether the name is as DNS writes it, or ASCII. */
bool may_have_fqdn4(const struct host_names *names, const struct name_option *option);

/* Option 39: flags in front, the name as DNS writes it. */
bool may_have_fqdn6(const struct host_names *names, const struct name_option *option);

/* For people: the name that option 12 or, is_fqdn, 81 spells. False: none, or something that is no plain name. */
bool spell_name4(const struct name_option *option, bool is_fqdn, struct host_name *name);
