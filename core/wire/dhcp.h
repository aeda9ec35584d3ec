/* DHCP messages, RFC 2131 and 2132, as far as a guard needs them. */
#pragma once
#include "core/wire/address.h"
#include "core/wire/host_name.h"

enum { BOOTREQUEST = 1, BOOTREPLY = 2 };

enum dhcp_type { DHCPDISCOVER = 1, DHCPOFFER, DHCPREQUEST, DHCPDECLINE, DHCPACK, DHCPNAK, DHCPRELEASE, DHCPINFORM };

enum { OPTION_OCTETS_MAX = 255 };

struct dhcp {
	uint8_t op, hardware_type, hardware_length, hops;
	uint8_t type; /* option 53; 0: absent, plain BOOTP */
	uint32_t xid;
	struct address ciaddr, yiaddr, giaddr;
	uint64_t chaddr;              /* the first six of its sixteen octets */
	struct address requested;     /* option 50; unset where has_requested is false */
	struct address server;        /* option 54 */
	uint32_t lease_s;             /* option 51 */
	uint32_t prefix_length;       /* from option 1; 32 when it is absent or no mask */
	struct address_set routers;   /* option 3, and those of the routes, options 121 and 249 */
	struct address_set resolvers; /* option 6 */
	uint32_t client_id_length;    /* option 61 */
	uint8_t client_id[OPTION_OCTETS_MAX];
	struct name_option host_name; /* option 12 */
	struct name_option fqdn;      /* option 81, RFC 4702 */
	bool has_requested, has_server, has_lease, has_client_id;
	bool rapid_commit;     /* option 80, RFC 4039 */
	bool has_relay_option; /* what a relay says of its client: 82, 118, 220, 221 */
	bool prefers_ipv6;     /* option 108, RFC 8925 */
	uint8_t fault;         /* the option at which reading ended; 0: none is to blame */
	bool is_odd;           /* has an option that a server may stumble over; of a request */
	bool is_shared;        /* option 159, RFC 7618: the address is leased to several, with some ports to each */
};

/*
 * Reads the UDP payload [at, end) of the frame. False: shorter than 240 or longer than 1472 octets, no magic cookie, an
 * option that runs past its area, one that decides something with a length that RFC 2132 does not give it, or more than
 * 128 options.
 *
 * Servers differ in what they make of odd messages, and a guest must not say one thing to the guard and another to the
 * server. So of a request a second copy of an option that decides something is refused as well, and one that stands in file
 * or sname (option 52), where not every server looks.
 *
 * A reply comes from a trusted server. It may repeat what it has said, in the same words; leave an option empty, which says
 * nothing; and end in the middle of an option that decides nothing.
 */
bool parse_dhcp(const struct frame *frame, uint32_t at, uint32_t end, struct dhcp *message);
