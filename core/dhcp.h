/* DHCP messages, RFC 2131 and 2132, as far as a guard needs them. */
#pragma once
#include "address.h"

enum { BOOTREQUEST = 1, BOOTREPLY = 2 };

enum dhcp_type {
	DHCPDISCOVER = 1, DHCPOFFER, DHCPREQUEST, DHCPDECLINE, DHCPACK, DHCPNAK, DHCPRELEASE, DHCPINFORM
};

enum { CLIENT_ID_OCTETS_MAX = 255 };

struct dhcp {
	uint8_t op, hardware_type, hardware_length, hops;
	uint8_t type;                 /* option 53; 0: absent, plain BOOTP */
	uint32_t xid;
	struct address ciaddr, yiaddr, giaddr;
	uint64_t chaddr;              /* the first six of its sixteen octets */
	struct address requested;     /* option 50; unset where has_requested is false */
	struct address server;        /* option 54 */
	uint32_t lease_s;             /* option 51 */
	uint32_t prefix_length;       /* from option 1; 32 when it is absent or no mask */
	struct address_set routers;   /* option 3 */
	struct address_set resolvers; /* option 6 */
	uint32_t client_id_length;    /* option 61 */
	uint8_t client_id[CLIENT_ID_OCTETS_MAX];
	bool has_requested, has_server, has_lease, has_client_id;
	bool rapid_commit;            /* option 80, RFC 4039 */
	bool relay_information;       /* option 82, RFC 3046 */
	bool overloaded;              /* option 52 */
};

/*
 * Reads the UDP payload [at, end) of the frame. False: shorter than 240 or longer than 1472 octets, no magic cookie, an
 * option that runs past its area, a second copy of an option that decides something, one of them with another length than
 * RFC 2132 gives it, or more than 128 options.
 */
bool parse_dhcp(const struct frame *frame, uint32_t at, uint32_t end, struct dhcp *message);
