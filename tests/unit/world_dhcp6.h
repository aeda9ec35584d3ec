/* The DHCPv6 half of the small network: a builder of whole messages in both directions, and the four of a lease. */
#pragma once
#include "world6.h"

enum {
	SOLICIT = 1,
	ADVERTISE,
	REQUEST,
	CONFIRM,
	RENEW,
	REBIND,
	REPLY,
	RELEASE,
	DECLINE,
	RECONFIGURE,
	INFORMATION_REQUEST,
	RELAY_FORWARD,
	RELAY_REPLY
};
enum { ID6 = 0x123456, IAID = 0x0a0b0c0d, DHCP6_AT = 14 + 40 + 8 };
enum { NO_ADDRS_AVAILABLE = 2, NO_BINDING6 = 3, NOT_ON_LINK = 4, USE_MULTICAST = 5 }; /* RFC 8415 21.13 */

/* Unset: the end of the list. */
struct lease6_spec {
	struct address address;
	uint32_t valid_s, preferred_s; /* preferred 0: half of valid */
	uint16_t status;
};

struct ia_spec {
	uint32_t iaid; /* 0: the end of the list */
	bool temporary;
	uint16_t status;
	struct lease6_spec lease[6];
};

/* A whole message with its headers. Fields left 0 are what an honest message has; an option with 0 is absent. */
struct dhcp6_spec {
	uint8_t type;
	uint32_t id;         /* 0: ID6 */
	const uint8_t *duid; /* NULL: the guest's, a DUID-LL */
	uint32_t duid_octets;
	bool no_client_id, no_server_id; /* an honest client names the server in REQUEST, RENEW, RELEASE and DECLINE */
	bool rapid_commit;
	uint16_t status;
	struct address address; /* the one address of the one IA_NA, IAID; unset: an IA without */
	uint32_t valid_s;       /* 0 on the wire, too */
	struct ia_spec ia[5];   /* instead of the one IA_NA */
	bool no_ia;             /* as an INFORMATION-REQUEST and a stateless answer are */
	struct address resolver;
	uint32_t refresh_s;
	const uint8_t *extra; /* further options, at the end */
	uint32_t extra_octets;
	struct address ip_from, ip_to; /* unset: link-local ones; all servers or the guest */
	uint64_t mac_from, mac_to;     /* 0: guest or gateway; as ip_to says, or the guest */
};
void put_client_message6(struct world *w, const struct dhcp6_spec *spec);
void put_server_message6(struct world *w, const struct dhcp6_spec *spec);

/* Builds and judges. */
enum verdict ask6(struct world *w, struct dhcp6_spec spec);
enum verdict answer6(struct world *w, struct dhcp6_spec spec);

/* The four messages of a lease, each of which must pass; the last two with the id that is given. */
void lease6(struct world *w, struct address address, uint32_t valid_s, uint32_t id);
