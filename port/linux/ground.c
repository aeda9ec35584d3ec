/*
 * What a tap stands on, by rtnetlink. A message of the feed only says that something has changed: what is true now is
 * read anew, so lost messages do not matter. A filter in the kernel keeps the rest of a busy host away: other
 * interfaces, and all routes but the default ones.
 */
#include "port/linux/ground.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "port/io.h"
#include "port/linux/rtnetlink.h"

void init_ground(struct ground_watch *w, const char *interface, const char *bridge, bool wants_isolation)
{
	*w = (struct ground_watch){ .index = if_nametoindex(interface), .wants_isolation = wants_isolation, .fd = -1 };
	copy_text(w->interface, sizeof w->interface, interface);
	copy_text(w->bridge, sizeof w->bridge, bridge);
}

void close_ground(struct ground_watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

/* --- the feed --- */

static void open_feed(struct ground_watch *w)
{
	const struct sockaddr_nl changes = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (w->fd >= 0 && bind(w->fd, (const struct sockaddr *)(const void *)&changes, sizeof changes) < 0)
		close_ground(w);
}

/*
 * Which messages are ours. Both struct ifinfomsg and struct ifaddrmsg have the interface's index at the same place.
 * Loads of a filter are in network order, and rtnetlink speaks the host's.
 */
static void filter_feed(struct ground_watch *w, unsigned bridge)
{
	enum {
		TYPE_AT = offsetof(struct nlmsghdr, nlmsg_type),
		INDEX_AT = NLMSG_HDRLEN + offsetof(struct ifinfomsg, ifi_index),
		LENGTH_AT = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_dst_len),
		TABLE_AT = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_table),
	};
	_Static_assert(offsetof(struct ifinfomsg, ifi_index) == offsetof(struct ifaddrmsg, ifa_index),
		       "one place for both");
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, TYPE_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 4, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, INDEX_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(w->index), 6, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(bridge), 5, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, LENGTH_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TABLE_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RT_TABLE_MAIN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	w->filtered[0] = w->index;
	w->filtered[1] = bridge;
	const struct sock_fprog program = { .len = sizeof code / sizeof *code, .filter = code };
	(void)setsockopt(w->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program); /* else all of them wake us */
}

static void drain_feed(struct ground_watch *w)
{
	enum { AT_ONCE = 1000 }; /* the caller polls again for more */
	for (int i = 0; i < AT_ONCE; i++) {
		char message;
		ssize_t got = recv(w->fd, &message, sizeof message, 0); /* the rest of it is not missed */
		if (got < 0 && means_full(errno) && errno != ENOBUFS)
			return;
		if (got <= 0 && !(got < 0 && (errno == EINTR || errno == ENOBUFS))) {
			close_ground(w);
			return;
		}
	}
}

/* --- the ground --- */

__attribute__((format(printf, 2, 3))) static void say(char to[GROUND_TEXT], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(to, GROUND_TEXT, format, arguments);
	va_end(arguments);
}

/* Why no frame passes, and the line that cures it. */
static void explain_ground(const struct ground_watch *w, struct ground *g)
{
	const char *name = w->interface;
	if (!g->is_here)
		say(g->away, "%s is gone: it was moved to another network namespace, or deleted", name);
	else if (!g->is_up)
		say(g->away, "%s is down: ip link set %s up", name, name);
	else if (w->bridge[0] != '\0' && g->bridge[0] == '\0')
		say(g->away, "%s is in no bridge: ip link set %s master %s", name, name, w->bridge);
	else if (!g->is_bridge_up)
		say(g->away, "%s is down: ip link set %s up", g->bridge, g->bridge);
	else if (!g->is_forwarding)
		say(g->away, "%s passes no frames of %s yet: its spanning tree is not ready", g->bridge, name);
	else if (w->bridge[0] != '\0' && strcmp(w->bridge, g->bridge) != 0)
		say(g->warning, "%s is in %s, not in %s", name, g->bridge, w->bridge);
	else if (g->bridge[0] != '\0' && w->wants_isolation && !g->is_isolated)
		say(g->warning, "%s is not isolated from other ports of %s: bridge link set dev %s isolated on", name,
		    g->bridge, name);
}

/* Gives the index of the interface that the host has its addresses on, 0: none. */
static unsigned read_interfaces(struct ground_watch *w, struct ground *g, uint64_t *mac)
{
	struct link tap, bridge = { 0 };
	g->bridge[0] = '\0';
	g->bridge_index = 0;
	/* One that comes back from another namespace may have another number. */
	g->is_here = read_link(w->index, NULL, &tap) || (read_link(0, w->interface, &tap) && tap.mac == w->mac);
	g->is_bridge_up = g->is_forwarding = true;
	copy_text(g->interface, sizeof g->interface, g->is_here ? tap.name : w->interface);
	if (!g->is_here)
		return 0;
	w->index = tap.index;
	w->mac = tap.mac;
	copy_text(w->interface, sizeof w->interface, tap.name);
	g->is_up = tap.is_up;
	g->has_carrier = tap.has_carrier;
	g->mtu = tap.mtu;
	*mac = tap.mac;
	if (w->bridge[0] == '\0')
		return tap.index;
	if (tap.master == 0 || !read_link(tap.master, NULL, &bridge))
		return 0;
	copy_text(g->bridge, sizeof g->bridge, bridge.name);
	g->bridge_index = bridge.index;
	g->is_bridge_up = bridge.is_up;
	g->has_carrier = tap.has_carrier && bridge.has_carrier;
	g->is_forwarding = !tap.is_port || tap.is_forwarding;
	g->is_isolated = tap.is_isolated;
	*mac = bridge.mac;
	return bridge.index;
}

/*
 * A host whose own way out is this segment is no router of it. A family without a default route follows the other one.
 * Where there is none at all, as when the host's own network is about to come back, it is what it was.
 */
static void read_router(struct ground_watch *w, unsigned index, const char *segment, struct anchors *anchors)
{
	enum way_out out4 = read_way_out(AF_INET, index), out6 = read_way_out(AF_INET6, index);
	if (strcmp(w->segment, segment) != 0)
		w->other_router4 = w->other_router6 = false;
	copy_text(w->segment, sizeof w->segment, segment);
	if (out4 != NO_WAY_OUT || out6 != NO_WAY_OUT) {
		w->other_router4 = (out4 != NO_WAY_OUT ? out4 : out6) == OUT_HERE;
		w->other_router6 = (out6 != NO_WAY_OUT ? out6 : out4) == OUT_HERE;
	}
	anchors->other_router4 = w->other_router4;
	anchors->other_router6 = w->other_router6;
}

/*
 * An interface without an address is a wire: the gateway is somebody else. A link-local address does not count, for the
 * kernel gives one to every interface that is up; but routers speak from them, so they come first where not all find
 * room.
 */
static void read_host(struct ground_watch *w, unsigned index, uint64_t mac, const char *segment, struct anchors *anchors)
{
	struct address_set links = { .count = 0 }, others = { .count = 0 };
	if (!read_addresses(index, &links, &others) || others.count == 0)
		return;
	anchors->host = links;
	for (uint32_t i = 0; i < others.count; i++)
		set_add(&anchors->host, others.item[i]);
	mac_set_add(&anchors->gateway_macs, mac);
	read_router(w, index, segment, anchors);
}

void survey_ground(struct ground_watch *w, struct ground *g, struct anchors *anchors)
{
	uint64_t mac = MAC_NONE;
	memset(g, 0, sizeof *g);
	memset(anchors, 0, sizeof *anchors);
	if (w->fd < 0)
		open_feed(w);
	else
		drain_feed(w);
	unsigned index = read_interfaces(w, g, &mac);
	if (w->fd >= 0 && (w->filtered[0] != w->index || w->filtered[1] != g->bridge_index)) {
		filter_feed(w, g->bridge_index);
		index = read_interfaces(w, g, &mac); /* nobody told what happened to them until now */
	}
	if (index != 0)
		read_host(w, index, mac, g->bridge[0] != '\0' ? g->bridge : g->interface, anchors);
	explain_ground(w, g);
}
