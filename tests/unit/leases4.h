/* A world in which the guest gets its lease, and the messages that both sides send for it. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/judge/trust.h"
#include "world.h"

#include <cmocka.h>

static struct world w;

static inline bool owns(uint32_t address)
{
	return owns_address4(&w.state, address_of_ipv4(address), w.now_ms);
}

static inline enum verdict client(struct dhcp_spec spec)
{
	put_client_message(&w, &spec);
	return from_guest(&w);
}

static inline enum verdict server(struct dhcp_spec spec)
{
	put_server_message(&w, &spec);
	return to_guest(&w);
}

static inline enum verdict renew(uint32_t xid)
{
	return client((struct dhcp_spec){
	    .type = 3, .xid = xid, .ciaddr = GUEST_IP, .ip_from = GUEST_IP, .ip_to = GATEWAY_IP, .mac_to = GATEWAY_MAC });
}

static inline enum verdict ack(uint32_t xid, uint32_t address, uint32_t seconds)
{
	return server((struct dhcp_spec){ .type = 5,
					  .xid = xid,
					  .yiaddr = address,
					  .server = GATEWAY_IP,
					  .lease_s = seconds,
					  .mask = 0xffffff00,
					  .router = GATEWAY_IP });
}

static inline enum verdict select_offer(uint32_t xid, uint32_t address)
{
	return client((struct dhcp_spec){ .type = 3, .xid = xid, .requested = address, .server = GATEWAY_IP });
}
