/* The routers that the routes of DHCP lead to: option 121, RFC 3442, and option 249, Microsoft's older copy of it. */
#pragma once
#include "core/wire/address.h"

/*
 * Takes octets one by one, since a long option comes in pieces that are cut anywhere (RFC 3396). Zero it first.
 * A route is the width of its destination, as many octets of that as the width covers, and the router.
 */
struct route_reader {
	struct address_set routers;
	uint32_t router;
	uint8_t destination_octets, router_octets; /* that are to come */
	bool is_broken;
	uint8_t reserved;
};

INLINE void read_route_octet(struct route_reader *r, uint8_t octet)
{
	if (r->router_octets == 0) { /* the width */
		r->is_broken |= octet > 32;
		r->destination_octets = (uint8_t)((octet + 7) / 8);
		r->router_octets = 4;
		return;
	}
	if (r->destination_octets > 0) {
		r->destination_octets--;
		return;
	}
	r->router = r->router << 8 | octet;
	r->router_octets--;
	uint32_t first = r->router >> 24;
	if (r->router_octets == 0 && first != 0 && first != 127 && first < 224) /* 0.0.0.0: on the link */
		set_add(&r->routers, address_of_ipv4(r->router));
}

/* Adds all except the guest's own address: some servers say by it that a destination is on the link. Broken: none. */
INLINE void add_routers(const struct route_reader *r, struct address guest, struct address_set *routers)
{
	for (uint32_t i = 0; !r->is_broken && r->router_octets == 0 && i < r->routers.count; i++)
		if (!same_address(r->routers.item[i], guest))
			set_add(routers, r->routers.item[i]);
}
