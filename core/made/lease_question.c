/* The frame of core/made/lease_question.h. */
#include "core/made/lease_question.h"
#include "core/wire/dhcp.h"
#include "core/wire/ethernet.h"
#include "core/wire/ipv4.h"
#include "core/wire/writer.h"

enum {
	MESSAGE_OCTETS = 300 /* RFC 951: some servers hear no shorter one */,
	UDP_HEADER = 8,
	IPV4_HEADER = 20,
	TTL = 64
};

static const uint32_t magic_cookie = 0x63825363;

static void put_zeros(struct writer *w, uint32_t octets)
{
	for (uint32_t i = 0; i < octets; i++)
		put(w, 0, 1);
}

/* RFC 791 3.1 */
static void put_ip_header(struct writer *w)
{
	uint32_t start = w->at;
	put(w, 0x4500, 2);
	put(w, IPV4_HEADER + UDP_HEADER + MESSAGE_OCTETS, 2);
	put(w, 0x00004000, 4);
	put(w, TTL, 1);
	put(w, PROTOCOL_UDP, 1);
	put(w, 0, 2);
	put(w, 0, 4);
	put(w, IPV4_BROADCAST, 4);
	struct writer field = { w->to, start + 10 };
	put(&field, checksum(sum_of(w->to + start, IPV4_HEADER, 0)), 2);
}

/* RFC 768. The addresses of the pseudo header are the last eight octets before it. */
static void put_udp_checksum(struct writer *w, uint32_t start)
{
	uint32_t octets = UDP_HEADER + MESSAGE_OCTETS;
	struct writer field = { w->to, start + 6 };
	put(&field, checksum(sum_of(w->to + start - 8, 8 + octets, PROTOCOL_UDP + octets)), 2);
}

/*
 * What else a lease says is asked for as clients do (RFC 2132 9.8): mask, routers, resolvers, time and server, and routes (RFC
 * 3442): the guard takes its next hops from them.
 */
static void put_options(struct writer *w, struct address requested)
{
	put(w, magic_cookie, 4);
	put(w, 53 << 16 | 1 << 8 | DHCPREQUEST, 3);
	put(w, 50 << 8 | 4, 2);
	put_address(w, requested);
	put(w, 55 << 8 | 6, 2);
	put(w, 0x010306333679, 6);
	put(w, 255, 1);
}

uint32_t make_lease_question(uint64_t vm_mac, uint32_t xid, struct address requested, uint8_t to[LEASE_QUESTION_MAX])
{
	struct writer w = { to, 0 };
	put(&w, MAC_BROADCAST, 6);
	put(&w, vm_mac, 6);
	put(&w, ETHERTYPE_IPV4, 2);
	put_ip_header(&w);
	uint32_t udp = w.at;
	put(&w, DHCP_CLIENT_PORT, 2);
	put(&w, DHCP_SERVER_PORT, 2);
	put(&w, UDP_HEADER + MESSAGE_OCTETS, 2);
	put(&w, 0, 2);
	put(&w, BOOTREQUEST << 24 | 1 << 16 | 6 << 8, 4);
	put(&w, xid, 4);
	put(&w, 0x00008000, 4); /* RFC 2131 2: the answer by broadcast */
	put_zeros(&w, 16);
	put(&w, vm_mac, 6);
	put_zeros(&w, 10 + 64 + 128);
	put_options(&w, requested);
	put_zeros(&w, udp + UDP_HEADER + MESSAGE_OCTETS - w.at);
	put_udp_checksum(&w, udp);
	return w.at;
}
