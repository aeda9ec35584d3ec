/* DHCPv6 messages, RFC 8415, as far as a guard needs them. */
#pragma once
#include "core/wire/address.h"
#include "core/wire/host_name.h"

enum dhcp6_type { /* RFC 8415 7.3 */
		  DHCP6_SOLICIT = 1,
		  DHCP6_ADVERTISE,
		  DHCP6_REQUEST,
		  DHCP6_CONFIRM,
		  DHCP6_RENEW,
		  DHCP6_REBIND,
		  DHCP6_REPLY,
		  DHCP6_RELEASE,
		  DHCP6_DECLINE,
		  DHCP6_RECONFIGURE,
		  DHCP6_INFORMATION_REQUEST,
		  DHCP6_RELAY_FORWARD,
		  DHCP6_RELAY_REPLY,
		  DHCP6_REGISTRATION = 36,
		  DHCP6_REGISTRATION_REPLY /* RFC 9686 4 */
};

enum {
	DUID_OCTETS_MIN = 3,
	DUID_OCTETS_MAX = 130, /* RFC 8415 11.1: a type of 2 octets and 1 to 128 behind it */
	DHCP6_ASSOCIATIONS_MAX = 8,
	DHCP6_ADDRESSES_MAX = 8,
	DHCP6_ADDRESS_BITS = 128
};

/* Identity associations: what a lease hangs on. IAIDs of one type say nothing of the others. */
enum association_type { IA_NA = 3, IA_TA = 4, IA_PD = 25 }; /* RFC 8415 21.4, 21.5, 21.21 */

/* A status is 0 where all went well, and where none is given (RFC 8415 21.13). */
struct dhcp6_association {
	uint32_t identity; /* IAID */
	uint16_t status;
	uint8_t type; /* enum association_type */
};

/* RFC 8415 21.6; in an IA_PD a prefix, 21.22. */
struct dhcp6_address {
	struct address address;
	uint32_t preferred_s, valid_s; /* UINT32_MAX: infinite */
	uint32_t association;          /* index of the one it stands in */
	uint16_t status;
	uint8_t length; /* DHCP6_ADDRESS_BITS, or of the prefix */
};

struct dhcp6 {
	uint8_t type;
	uint32_t id;               /* 24 bits; 0 in a relay's message */
	uint16_t status;           /* option 13 */
	uint32_t refresh_s;        /* option 32 */
	uint32_t client_id_length; /* option 1; 0 where it is absent */
	uint8_t client_id[DUID_OCTETS_MAX];
	bool has_server_id; /* option 2 */
	bool has_status, has_refresh, has_unicast, has_registered;
	bool rapid_commit;         /* option 14 */
	bool is_odd;               /* has an option of a length for which a server may pass over the message */
	bool asks_for_more;        /* an association of another type: IA_LL, RFC 8947 */
	bool has_relay_option;     /* what only a relay says: 9, 18, 37, 38, 53, 66, 68, 79 */
	struct name_option fqdn;   /* option 39, RFC 4704 */
	struct address unicast;    /* option 12: where the server may be written to; unset: nowhere */
	struct address registered; /* an IA Address that stands in no IA, RFC 9686 4.2 */
	uint32_t association_count, address_count;
	struct dhcp6_association associations[DHCP6_ASSOCIATIONS_MAX];
	struct dhcp6_address addresses[DHCP6_ADDRESSES_MAX]; /* no address twice */
	struct address_set resolvers;                        /* option 23, RFC 3646 */
};

/*
 * Reads the UDP payload [at, end) of the frame. False: shorter than 4 or longer than 1452 octets; an option that runs
 * past what it stands in; one that decides something with a length that RFC 8415 does not give it, or a second one
 * that differs; an IA or an address twice, differing; more of them than there is room for, or than 64 options, nested
 * ones included. An option that repeats an earlier one octet for octet is ignored, and so are up to 3 octets behind the
 * last option, which can hold none. Of a relay's message, which is laid out otherwise, only the type is read.
 */
bool parse_dhcp6(const struct frame *frame, uint32_t at, uint32_t end, struct dhcp6 *message);

/* The DUID is made from a link-layer address (RFC 8415 11.2 and 11.4), of Ethernet, and from another one than this. */
bool duid_names_other_mac(const uint8_t *duid, uint32_t octets, uint64_t mac);
