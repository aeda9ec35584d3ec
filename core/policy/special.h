/*
 * What an address is when no rule is about it: IANA's special-purpose registries (RFC 6890 and its updates) as data.
 * Longest prefix decides. IPv4: what is not listed is global. IPv6: only 2000::/3 is delegated, so the default is turned
 * round. Groups: RFC 5771 and RFC 4291 2.7; the neighbors hear those of every scope, so none is global.
 */
#pragma once
#include "core/policy/policy.h"

#define IPV4_PREFIX(a, b, c, d, n) \
	{ 0, MAPPED_IPV4 | (uint64_t)(a) << 24 | (uint64_t)(b) << 16 | (uint64_t)(c) << 8 | (d) }, 96 + (n)
#define IPV6_PREFIX(high, n) { high, 0 }, n

static const struct rule special_purpose[] = {
	{ IPV4_PREFIX(0, 0, 0, 0, 0), .class = CLASS_GLOBAL },
	{ IPV4_PREFIX(0, 0, 0, 0, 8), .class = CLASS_NEVER }, /* this network */
	{ IPV4_PREFIX(10, 0, 0, 0, 8), .class = CLASS_PRIVATE },
	{ IPV4_PREFIX(100, 64, 0, 0, 10), .class = CLASS_PRIVATE },  /* shared address space, RFC 6598 */
	{ IPV4_PREFIX(127, 0, 0, 0, 8), .class = CLASS_NEVER },      /* loopback */
	{ IPV4_PREFIX(169, 254, 0, 0, 16), .class = CLASS_PRIVATE }, /* link-local, RFC 3927 */
	{ IPV4_PREFIX(172, 16, 0, 0, 12), .class = CLASS_PRIVATE },
	{ IPV4_PREFIX(192, 0, 0, 0, 24), .class = CLASS_PRIVATE },   /* IETF protocol assignments, but: */
	{ IPV4_PREFIX(192, 0, 0, 9, 32), .class = CLASS_GLOBAL },    /* PCP anycast, RFC 7723 */
	{ IPV4_PREFIX(192, 0, 0, 10, 32), .class = CLASS_GLOBAL },   /* TURN anycast, RFC 8155 */
	{ IPV4_PREFIX(192, 0, 2, 0, 24), .class = CLASS_PRIVATE },   /* documentation */
	{ IPV4_PREFIX(192, 88, 99, 0, 24), .class = CLASS_PRIVATE }, /* 6to4 relay, deprecated by RFC 7526 */
	{ IPV4_PREFIX(192, 168, 0, 0, 16), .class = CLASS_PRIVATE },
	{ IPV4_PREFIX(198, 18, 0, 0, 15), .class = CLASS_PRIVATE },   /* benchmarking, RFC 2544 */
	{ IPV4_PREFIX(198, 51, 100, 0, 24), .class = CLASS_PRIVATE }, /* documentation */
	{ IPV4_PREFIX(203, 0, 113, 0, 24), .class = CLASS_PRIVATE },  /* documentation */
	{ IPV4_PREFIX(224, 0, 0, 0, 4), .class = CLASS_GROUP },
	{ IPV4_PREFIX(240, 0, 0, 0, 4), .class = CLASS_PRIVATE }, /* reserved */
	{ IPV4_PREFIX(255, 255, 255, 255, 32), .class = CLASS_BROADCAST },

	{ IPV6_PREFIX(0, 0), .class = CLASS_PRIVATE },
	{ IPV6_PREFIX(0, 96), .class = CLASS_NEVER }, /* ::, ::1 and IPv4-compatible */
	{ IPV6_PREFIX(0x2000000000000000, 3), .class = CLASS_GLOBAL },
	{ IPV6_PREFIX(0x2001000000000000, 23), .class = CLASS_PRIVATE }, /* IETF protocol assignments, but: */
	{ { 0x2001000100000000, 1 }, 128, .class = CLASS_GLOBAL },       /* PCP anycast */
	{ { 0x2001000100000000, 2 }, 128, .class = CLASS_GLOBAL },       /* TURN anycast */
	{ { 0x2001000100000000, 3 }, 128, .class = CLASS_GLOBAL },       /* DNS-SD SRP anycast */
	{ IPV6_PREFIX(0x2001000300000000, 32), .class = CLASS_GLOBAL },  /* AMT, RFC 7450 */
	{ IPV6_PREFIX(0x2001000401120000, 48), .class = CLASS_GLOBAL },  /* AS112, RFC 7535 */
	{ IPV6_PREFIX(0x2001002000000000, 28), .class = CLASS_GLOBAL },  /* ORCHIDv2, RFC 7343 */
	{ IPV6_PREFIX(0x2001003000000000, 28), .class = CLASS_GLOBAL },  /* drone remote id, RFC 9374 */
	{ IPV6_PREFIX(0x20010db800000000, 32), .class = CLASS_PRIVATE }, /* documentation */
	{ IPV6_PREFIX(0x2002000000000000, 16), .class = CLASS_PRIVATE }, /* 6to4 */
	{ IPV6_PREFIX(0x3fff000000000000, 20), .class = CLASS_PRIVATE }, /* documentation, RFC 9637 */
	{ IPV6_PREFIX(0xff00000000000000, 8), .class = CLASS_GROUP },
};

enum { SPECIAL_PURPOSE_COUNT = sizeof special_purpose / sizeof special_purpose[0] };
_Static_assert((int)SPECIAL_PURPOSE_COUNT <= (int)SPECIAL_MAX, "INTERVALS_MAX counts on it");
