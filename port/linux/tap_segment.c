/* The bridge that a tap is a port of; and where that bridge has several networks, the VLAN of the tap's frames. */
#include "port/linux/tap_segment.h"
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "port/linux/rtnetlink.h"

/* Of an interface. */
struct facts {
	unsigned master; /* 0: none */
	bool is_bridge_port, filters_vlans;
	bool is_owned;
	uid_t owner;
};

static bool is_text(const struct attribute *a, const char *text)
{
	size_t length = strlen(text);
	const char *data = a->data;
	return a->length >= length && memcmp(data, text, length) == 0 && (a->length == length || data[length] == '\0');
}

/* What a kind of interface says of itself. The numbers of attributes mean something else with each kind. */
static void read_kind(struct facts *facts, bool is_tun, bool is_bridge, const struct attribute *data)
{
	struct attribute a;
	struct attributes list = attributes_in(data);
	while (next_attribute(&list, &a)) {
		if (is_tun && a.type == IFLA_TUN_OWNER) {
			facts->is_owned = true;
			facts->owner = number_in(&a);
		}
		if (is_bridge && a.type == IFLA_BR_VLAN_FILTERING)
			facts->filters_vlans = number_in(&a) != 0;
	}
}

static void read_link_kinds(struct facts *facts, struct attributes list)
{
	struct attribute a;
	bool is_tun = false, is_bridge = false;
	while (next_attribute(&list, &a)) {
		if (a.type == IFLA_INFO_KIND) {
			is_tun = is_text(&a, "tun");
			is_bridge = is_text(&a, "bridge");
		}
		if (a.type == IFLA_INFO_SLAVE_KIND)
			facts->is_bridge_port = is_text(&a, "bridge");
		if (a.type == IFLA_INFO_DATA)
			read_kind(facts, is_tun, is_bridge, &a);
	}
}

static bool read_facts_message(void *context, const struct nlmsghdr *message)
{
	struct facts *facts = context;
	struct attribute a;
	if (message->nlmsg_type != RTM_NEWLINK)
		return true;
	struct attributes list = attributes_of(message, sizeof(struct ifinfomsg));
	while (next_attribute(&list, &a)) {
		if (a.type == IFLA_MASTER)
			facts->master = number_in(&a);
		if (a.type == IFLA_LINKINFO)
			read_link_kinds(facts, attributes_in(&a));
	}
	return false;
}

static bool read_facts(unsigned index, struct facts *facts)
{
	struct rtnetlink_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.link), .nlmsg_type = RTM_GETLINK },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index },
	};
	memset(facts, 0, sizeof *facts);
	return index != 0 && ask_kernel(&request, read_facts_message, facts) == 0;
}

struct vlan_reader {
	unsigned index;
	uint16_t vlan; /* of frames without a tag, which are all that a guest has; 0: none */
};

static void read_vlans(struct vlan_reader *r, struct attributes list)
{
	struct attribute a;
	struct bridge_vlan_info info;
	while (next_attribute(&list, &a)) {
		if (a.type != IFLA_BRIDGE_VLAN_INFO || a.length != sizeof info)
			continue;
		memcpy(&info, a.data, sizeof info);
		if ((info.flags & BRIDGE_VLAN_INFO_PVID) != 0)
			r->vlan = info.vid;
	}
}

static bool read_vlan_message(void *context, const struct nlmsghdr *message)
{
	struct vlan_reader *r = context;
	struct ifinfomsg info;
	struct attribute a;
	if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof info))
		return true;
	memcpy(&info, NLMSG_DATA(message), sizeof info);
	if ((unsigned)info.ifi_index != r->index)
		return true;
	struct attributes list = attributes_of(message, sizeof info);
	while (next_attribute(&list, &a))
		if (a.type == IFLA_AF_SPEC)
			read_vlans(r, attributes_in(&a));
	return false;
}

static uint16_t read_vlan(unsigned index)
{
	const uint32_t with_vlans = RTEXT_FILTER_BRVLAN;
	struct vlan_reader reader = { index, 0 };
	struct rtnetlink_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.link),
			    .nlmsg_type = RTM_GETLINK,
			    .nlmsg_flags = NLM_F_DUMP },
		.link = { .ifi_family = AF_BRIDGE },
	};
	put_attribute(&request, IFLA_EXT_MASK, &with_vlans, sizeof with_vlans);
	return ask_kernel(&request, read_vlan_message, &reader) == 0 ? reader.vlan : 0;
}

/*
 * Other switches than the kernel's bridge are a master too (Open vSwitch: one for all of its bridges), and do not say
 * what belongs together.
 */
void read_tap_segment(unsigned index, struct segment_id *segment)
{
	struct facts port, bridge;
	struct stat space;
	*segment = (struct segment_id){ .port = 0 };
	if (!read_facts(index, &port) || !port.is_bridge_port || !read_facts(port.master, &bridge) ||
	    stat("/proc/self/ns/net", &space) < 0)
		return;
	segment->port = index;
	unsigned long long netspace = space.st_ino;
	int length = snprintf(segment->text, sizeof segment->text, "bridge %llu:%u", netspace, port.master);
	if (bridge.filters_vlans && length > 0)
		snprintf(segment->text + length, sizeof segment->text - (size_t)length, " vlan %u", read_vlan(index));
}

bool is_tap_of(unsigned own_index, unsigned index, const uid_t *user)
{
	struct facts port;
	struct segment_id own, other;
	if (!read_facts(index, &port) || (user && (!port.is_owned || port.owner != *user)))
		return false;
	read_tap_segment(own_index, &own);
	read_tap_segment(index, &other);
	return own.text[0] != '\0' && strcmp(own.text, other.text) == 0;
}
