/* By rtnetlink. */
#include "port/linux/link_kind.h"
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <string.h>
#include <sys/socket.h>
#include "port/linux/rtnetlink.h"

static void read_info(struct link_kind *kind, struct attributes list)
{
	struct attribute a;
	while (next_attribute(&list, &a))
		if (a.type == IFLA_INFO_KIND && a.length > 0 && a.length <= sizeof kind->kind)
			memcpy(kind->kind, a.data, a.length - 1);
}

static bool read_kind_message(void *context, const struct nlmsghdr *message)
{
	struct link_kind *kind = context;
	struct attribute a;
	if (message->nlmsg_type != RTM_NEWLINK)
		return true;
	struct attributes list = attributes_of(message, sizeof(struct ifinfomsg));
	while (next_attribute(&list, &a)) {
		if (a.type == IFLA_LINK)
			kind->other = number_in(&a);
		if (a.type == IFLA_LINK_NETNSID)
			kind->other_space = (int32_t)number_in(&a);
		if (a.type == IFLA_LINKINFO)
			read_info(kind, attributes_in(&a));
	}
	return false;
}

bool read_link_kind(unsigned index, struct link_kind *kind)
{
	struct rtnetlink_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.link), .nlmsg_type = RTM_GETLINK },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)index },
	};
	memset(kind, 0, sizeof *kind);
	kind->other_space = -1;
	return index != 0 && ask_kernel(&request, read_kind_message, kind) == 0;
}

static bool read_number_message(void *context, const struct nlmsghdr *message)
{
	int32_t *number = context;
	struct attribute a;
	if (message->nlmsg_type != RTM_NEWNSID)
		return true;
	struct attributes list = attributes_of(message, sizeof(struct rtgenmsg));
	while (next_attribute(&list, &a))
		if (a.type == NETNSA_NSID)
			*number = (int32_t)number_in(&a);
	return false;
}

int32_t number_of_netspace(int fd)
{
	const uint32_t asked = (uint32_t)fd;
	int32_t number = -1;
	struct rtnetlink_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.any), .nlmsg_type = RTM_GETNSID },
		.any = { .rtgen_family = AF_UNSPEC },
	};
	put_attribute(&request, NETNSA_FD, &asked, sizeof asked);
	return ask_kernel(&request, read_number_message, &number) == 0 ? number : -1;
}
