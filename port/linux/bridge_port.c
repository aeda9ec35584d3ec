/* What a tap's bridge is asked by rtnetlink, and told. */
#include "port/linux/bridge_port.h"
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/socket.h>
#include "port/linux/rtnetlink.h"

/* --- an interface --- */

static uint64_t mac_in(const struct attribute *a)
{
	const uint8_t *octets = a->data;
	uint64_t mac = 0;
	for (size_t i = 0; i < 6 && a->length == 6; i++)
		mac = mac << 8 | octets[i];
	return mac;
}

static void read_port(struct link *link, struct attributes list)
{
	struct attribute a;
	while (next_attribute(&list, &a)) {
		if (a.type == IFLA_BRPORT_ISOLATED)
			link->is_isolated = number_in(&a) != 0;
		if (a.type == IFLA_BRPORT_STATE)
			link->is_forwarding = number_in(&a) == BR_STATE_FORWARDING;
	}
}

static void read_link_info(struct link *link, struct attributes list)
{
	struct attribute a;
	bool is_port = false;
	while (next_attribute(&list, &a)) {
		if (a.type == IFLA_INFO_SLAVE_KIND)
			is_port = a.length >= 6 && memcmp(a.data, "bridge", 6) == 0;
		if (a.type == IFLA_INFO_SLAVE_DATA && is_port)
			read_port(link, attributes_in(&a));
	}
	link->is_port = is_port;
}

static bool read_link_message(void *context, const struct nlmsghdr *message)
{
	struct link *link = context;
	struct ifinfomsg info;
	struct attribute a;
	if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof info))
		return true;
	memcpy(&info, NLMSG_DATA(message), sizeof info);
	link->index = (unsigned)info.ifi_index;
	link->is_up = (info.ifi_flags & IFF_UP) != 0;
	link->has_carrier = (info.ifi_flags & IFF_RUNNING) != 0;
	struct attributes list = attributes_of(message, sizeof info);
	while (next_attribute(&list, &a)) {
		if (a.type == IFLA_IFNAME && a.length > 0 && a.length <= sizeof link->name)
			memcpy(link->name, a.data, a.length - 1);
		if (a.type == IFLA_ADDRESS)
			link->mac = mac_in(&a);
		if (a.type == IFLA_MTU)
			link->mtu = number_in(&a);
		if (a.type == IFLA_MASTER)
			link->master = number_in(&a);
		if (a.type == IFLA_LINKINFO)
			read_link_info(link, attributes_in(&a));
	}
	return false;
}

bool read_link(unsigned index, const char *name, struct link *link)
{
	struct rtnetlink_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.link), .nlmsg_type = RTM_GETLINK },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index },
	};
	if (index == 0 && name)
		put_attribute(&request, IFLA_IFNAME, name, strlen(name) + 1);
	memset(link, 0, sizeof *link);
	int error = index == 0 && !name ? ENODEV : ask_kernel(&request, read_link_message, link);
	errno = error != 0 ? error : ENODEV;
	return error == 0 && link->index != 0;
}

int set_down(unsigned index)
{
	struct rtnetlink_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.link),
			    .nlmsg_type = RTM_NEWLINK,
			    .nlmsg_flags = NLM_F_ACK },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index, .ifi_change = IFF_UP },
	};
	return ask_kernel(&request, NULL, NULL);
}

int set_isolation(unsigned port_index, bool isolated)
{
	uint8_t value = isolated;
	struct rtnetlink_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.link),
			    .nlmsg_type = RTM_SETLINK,
			    .nlmsg_flags = NLM_F_ACK },
		.link = { .ifi_family = AF_BRIDGE, .ifi_index = (int)port_index },
	};
	struct rtattr *nest = put_attribute(&request, IFLA_PROTINFO | NLA_F_NESTED, NULL, 0);
	put_attribute(&request, IFLA_BRPORT_ISOLATED, &value, sizeof value);
	nest->rta_len = (unsigned short)((char *)&request + request.header.nlmsg_len - (char *)nest);
	return ask_kernel(&request, NULL, NULL);
}

int make_no_addresses(unsigned index)
{
	uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
	struct rtnetlink_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.link),
			    .nlmsg_type = RTM_SETLINK,
			    .nlmsg_flags = NLM_F_ACK },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index },
	};
	struct rtattr *outer = put_attribute(&request, IFLA_AF_SPEC | NLA_F_NESTED, NULL, 0);
	struct rtattr *inner = put_attribute(&request, AF_INET6 | NLA_F_NESTED, NULL, 0);
	put_attribute(&request, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
	const char *end = (char *)&request + request.header.nlmsg_len;
	inner->rta_len = (unsigned short)(end - (char *)inner);
	outer->rta_len = (unsigned short)(end - (char *)outer);
	return ask_kernel(&request, NULL, NULL);
}

/* --- addresses --- */

struct address_reader {
	unsigned index;
	struct address_set *links, *others;
};

/* False: no address of a family that we know. */
static bool take_address(struct address *to, const uint8_t *octets, size_t length)
{
	if (length != 4 && length != 16)
		return false;
	*to = address_of_octets(octets, (uint32_t)length);
	return true;
}

/* An IPv4 interface with a peer has its own address in IFA_LOCAL. */
static bool read_address_message(void *context, const struct nlmsghdr *message)
{
	const struct address_reader *r = context;
	struct ifaddrmsg info;
	struct attribute a;
	struct address address = { 0, 0 };
	bool is_local = false;
	if (message->nlmsg_type != RTM_NEWADDR || message->nlmsg_len < NLMSG_LENGTH(sizeof info))
		return true;
	memcpy(&info, NLMSG_DATA(message), sizeof info);
	struct attributes list = attributes_of(message, sizeof info);
	while (next_attribute(&list, &a)) {
		if ((a.type != IFA_LOCAL && (a.type != IFA_ADDRESS || is_local)) ||
		    !take_address(&address, a.data, a.length))
			continue;
		is_local = a.type == IFA_LOCAL;
	}
	if (info.ifa_index == r->index && !is_unset(address))
		set_add(is_link_local(address) ? r->links : r->others, address);
	return true;
}

bool read_addresses(unsigned index, struct address_set *links, struct address_set *others)
{
	struct rtnetlink_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.address),
			    .nlmsg_type = RTM_GETADDR,
			    .nlmsg_flags = NLM_F_DUMP },
		.address = { .ifa_family = AF_UNSPEC, .ifa_index = index },
	};
	struct address_reader reader = { index, links, others };
	errno = ask_kernel(&request, read_address_message, &reader);
	return errno == 0;
}

/* --- the default route --- */

struct route_reader {
	unsigned index;
	uint32_t metric; /* of the best so far */
	bool leaves_here, leaves_elsewhere;
};

static void read_hop(struct route_reader *r, unsigned interface)
{
	r->leaves_here |= interface == r->index;
	r->leaves_elsewhere |= interface != r->index;
}

static void read_hops(struct route_reader *r, const struct attribute *a)
{
	const char *at = a->data, *end = at + a->length;
	struct rtnexthop hop;
	while (end - at >= (ptrdiff_t)sizeof hop) {
		memcpy(&hop, at, sizeof hop);
		if (hop.rtnh_len < sizeof hop || hop.rtnh_len > end - at)
			return;
		read_hop(r, (unsigned)hop.rtnh_ifindex);
		ptrdiff_t step = (ptrdiff_t)RTNH_ALIGN(hop.rtnh_len);
		at = step < end - at ? at + step : end;
	}
}

static bool read_route_message(void *context, const struct nlmsghdr *message)
{
	struct route_reader *r = context;
	struct rtmsg info;
	struct attribute a, ways = { 0 }, way = { 0 };
	uint32_t metric = 0;
	if (message->nlmsg_type != RTM_NEWROUTE || message->nlmsg_len < NLMSG_LENGTH(sizeof info))
		return true;
	memcpy(&info, NLMSG_DATA(message), sizeof info);
	if (info.rtm_dst_len != 0 || info.rtm_type != RTN_UNICAST || info.rtm_table != RT_TABLE_MAIN)
		return true;
	struct attributes list = attributes_of(message, sizeof info);
	while (next_attribute(&list, &a)) {
		if (a.type == RTA_PRIORITY)
			metric = number_in(&a);
		if (a.type == RTA_OIF)
			way = a;
		if (a.type == RTA_MULTIPATH)
			ways = a;
	}
	bool is_first = !r->leaves_here && !r->leaves_elsewhere;
	if (!is_first && metric > r->metric)
		return true;
	if (metric < r->metric || is_first)
		*r = (struct route_reader){ r->index, metric, false, false };
	if (ways.data)
		read_hops(r, &ways);
	else if (way.data)
		read_hop(r, number_in(&way));
	return true;
}

/*
 * Where it leaves both ways at the same cost, it counts as leaving elsewhere: the host routes for this segment. Trees
 * of routes are read from their root on: default routes come first, and it does not matter that not all may be read.
 */
enum way_out read_way_out(int family, unsigned index)
{
	struct rtnetlink_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.route),
			    .nlmsg_type = RTM_GETROUTE,
			    .nlmsg_flags = NLM_F_DUMP },
		.route = { .rtm_family = (unsigned char)family, .rtm_table = RT_TABLE_MAIN },
	};
	struct route_reader reader = { .index = index };
	(void)ask_kernel(&request, read_route_message, &reader);
	return reader.leaves_elsewhere ? OUT_ELSEWHERE : reader.leaves_here ? OUT_HERE : NO_WAY_OUT;
}
