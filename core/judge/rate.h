/*
 * Token buckets: the judge names one, its caller takes the token. Only frames that would pass are ever charged. Nobody may be
 * able to empty a bucket that another's frames need: docs/filter.md, Rates, says of each who can.
 */
#pragma once
#include "core/wire/frame.h"
#include "core/wire/verdict.h"

/*
 * A name with a dash behind another's is a part of it: --rate sets both by the first.
 *
 *        NAME       name         refill/1000 s  burst  drop reason          the reason for the number */
// clang-format off
#define SHARED_RATE_CLASSES(X) \
	X(DHCP,       "dhcp",       2000,     16,   RATE_DHCP)      /* PXE, loader and system: about 12 in 10 s */ \
	X(DECLINE,    "decline",    1,        3,    RATE_DHCP)      /* Kea gives it to nobody for a day: 89 of 256 at most */ \
	X(RESYNC,     "resync",     500,      2,    RATE_DHCP)      /* a renewal that the guard knows no lease of */ \
	X(NEW_CLIENT, "newid",      2,        4,    DHCP4_CLIENT_ID_LIMIT) /* beyond four: firmware, loader, installer, system */ \
	X(NEW_CLIENT6, "newid6",    2,        4,    DHCP6_CLIENT_ID_LIMIT) /* as newid */ \
	X(NEW_LEASE,  "newlease",   17,       8,    BINDING_CHURN)  /* one for each client identifier that may be new at once */ \
	X(NEW_LEASE6, "newlease6",  17,       8,    BINDING_CHURN)  /* as newlease: a boot asks for 4 at most */ \
	X(NEW_IDENTITY, "newia6",   2,        1,    DHCP6_IDENTITY_LIMIT) /* an IA more than fit: every 8 minutes */ \
	X(ARP,        "arp",        50000,    100,  RATE_ARP)       /* a /24 sweep still ends when the LAN is allowed */ \
	X(ARP_GATEWAY, "arp-gateway", 20000,  40,   RATE_ARP)       /* RFC 1122 2.3.2.1: one question a second for each */ \
	X(ARP_CLAIM,  "arp-claim",  10000,    60,   RATE_ARP)       /* RFC 5227 1.1: five frames for each address */ \
	X(ND,         "nd",         50000,    100,  RATE_ND)        /* as arp */ \
	X(ND_GATEWAY, "nd-gateway", 20000,    40,   RATE_ND)        /* RFC 4861 10: RetransTimer is a second */ \
	X(ND_CLAIM,   "nd-claim",   10000,    60,   RATE_ND)        /* DAD: three frames for each of newbind6's addresses */ \
	X(ROUTER_SOLICITATION, "rs", 1000,    4,    RATE_ND)        /* RFC 4861 10: MAX_RTR_SOLICITATIONS is 3 */ \
	X(NEW_ADDRESS, "newbind6",  200,      16,   BINDING_CHURN)  /* a reboot with two prefixes makes up to 7 */ \
	X(UNBOUND,    "unbound6",   2000,     16,   IP6_SRC_UNBOUND) /* forged sources must not reach the snooper in a flood */ \
	X(MULTICAST,  "mcast",      50000,    150,  RATE_MULTICAST) /* mDNS at boot */ \
	X(REPORT,     "mcast-report", 50000,  150,  RATE_MULTICAST) /* IGMP and MLD: a report for each group, each query */ \
	X(STREAM,     "stream",     3000000,  6000, RATE_MULTICAST) /* video of 30 Mbit/s to a group that a rule opened */ \
	X(FROM_GUEST, "slowpath",   200000,   400,  RATE_SLOW_PATH) /* messages to the snooper: more than the others let by */
// clang-format on

/* Each machine beside the guest has a bucket of its own, found by its MAC address. */
// clang-format off
#define PEER_RATE_CLASSES(X) \
	X(ARP_ANSWER, "arp-answer", 50000,    100,  RATE_ARP)       /* more than may ask: what is asked is answered */ \
	X(ND_ANSWER,  "nd-answer",  50000,    100,  RATE_ND)        /* as arp-answer */ \
	X(UPLINK_DHCP, "u-dhcp",    20000,    40,   RATE_UPLINK) \
	X(UPLINK_ROUTER, "u-ra",    20000,    40,   RATE_UPLINK) \
	X(UPLINK_DAD, "u-dad",      20000,    40,   RATE_UPLINK) \
	X(UPLINK_GROUP, "uplink-bum", 1000000, 2000, RATE_UPLINK)   /* a brake for broadcast storms */ \
	X(UPLINK_GATEWAY, "uplink-bum-gateway", 1000000, 2000, RATE_UPLINK) /* a router may send streams, too */ \
	X(UPLINK_ASK, "uplink-bum-ask", 20000, 50,  RATE_UPLINK)    /* a machine asks once a second for each address */ \
	X(UPLINK_QUERY, "uplink-bum-query", 2000, 20, RATE_UPLINK)  /* RFC 3376 8: two a second for a group that is left */ \
	X(FROM_UPLINK, "u-slowpath", 200000,  400,  RATE_SLOW_PATH)
// clang-format on

#define RATE_CLASSES(X) SHARED_RATE_CLASSES(X) PEER_RATE_CLASSES(X)

enum rate_class {
	RATE_FREE,
#define X(name, text, refill, burst, reason) RATE_OF_##name,
	RATE_CLASSES(X)
#undef X
	    RATE_CLASSES_END,
	FIRST_PEER_RATE = RATE_OF_ARP_ANSWER
};

/* refill: tokens per 1000 s, so that one per minute is a whole number; 0 in burst: no limit. */
struct rate {
	uint32_t refill, burst;
};

struct bucket {
	uint64_t millitokens;
	uint64_t filled_ms;
};

/* A keyed hash of the MAC address picks the place. Two machines of 256 may share one, and nobody can tell which. */
enum { PEER_BUCKETS = 256 }; /* a power of two */

struct buckets {
	struct bucket of[FIRST_PEER_RATE];
	struct bucket of_peer[RATE_CLASSES_END - FIRST_PEER_RATE][PEER_BUCKETS];
};

/* All of them or none. */
INLINE bool take_tokens(const struct rate *rate, struct bucket *bucket, uint32_t tokens, uint64_t now_ms)
{
	if (rate->burst == 0)
		return true;
	uint64_t price = tokens * 1000ULL;
	uint64_t full = (uint64_t)rate->burst * 1000;
	uint64_t idle_ms = now_ms > bucket->filled_ms ? now_ms - bucket->filled_ms : 0;
	/* A long idle time fills the bucket; bounding it first keeps the product in range. */
	uint64_t bounded = idle_ms > 1000000000 ? 1000000000 : idle_ms;
	uint64_t gained = bounded * rate->refill / 1000;
	if (gained > 0) {
		uint64_t sum = bucket->millitokens + gained;
		bucket->millitokens = sum > full ? full : sum;
		bucket->filled_ms = now_ms;
	}
	if (bucket->millitokens < price)
		return false;
	bucket->millitokens -= price;
	return true;
}

INLINE bool take_token(const struct rate *rate, struct bucket *bucket, uint64_t now_ms)
{
	return take_tokens(rate, bucket, 1, now_ms);
}
