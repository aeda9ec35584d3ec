/* What a tap's bridge is asked by rtnetlink: one request, one answer. */
#include "bridge_port.h"
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct link_request {
	struct nlmsghdr header;
	struct ifinfomsg link;
	char attributes[32];
};

/* Gives 0 or an errno. The answer, when there is one beside the acknowledgement, is in `answer`. */
static int ask_kernel(struct link_request *request, void *answer, size_t size)
{
	struct nlmsghdr *header = answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return errno;
	ssize_t n = -1;
	if (send(fd, request, request->header.nlmsg_len, 0) >= 0)
		n = recv(fd, answer, size, 0);
	int error = n < 0 ? errno : 0;
	close(fd);
	if (error)
		return error;
	if (!NLMSG_OK(header, (size_t)n))
		return EPROTO;
	if (header->nlmsg_type == NLMSG_ERROR)
		return -((struct nlmsgerr *)NLMSG_DATA(header))->error;
	return 0;
}

static struct rtattr *put_attribute(struct link_request *request, unsigned short type, const void *data, size_t length)
{
	struct rtattr *attribute = (struct rtattr *)(void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(length);
	if (length)
		memcpy(RTA_DATA(attribute), data, length);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) + (uint32_t)RTA_SPACE(length);
	return attribute;
}

int set_isolation(unsigned port_index, bool isolated)
{
	uint8_t value = isolated;
	_Alignas(struct nlmsghdr) char answer[1024];
	struct link_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(request.link)), .nlmsg_type = RTM_SETLINK,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.link = { .ifi_family = AF_BRIDGE, .ifi_index = (int)port_index },
	};
	struct rtattr *nest = put_attribute(&request, IFLA_PROTINFO | NLA_F_NESTED, NULL, 0);
	put_attribute(&request, IFLA_BRPORT_ISOLATED, &value, sizeof(value));
	nest->rta_len = (unsigned short)((char *)&request + request.header.nlmsg_len - (char *)nest);
	return ask_kernel(&request, answer, sizeof(answer));
}

unsigned master_of(const char *interface)
{
	_Alignas(struct nlmsghdr) char answer[8192];
	struct nlmsghdr *header = (struct nlmsghdr *)(void *)answer;
	struct link_request request = {
		.header = { .nlmsg_len = NLMSG_LENGTH(sizeof(request.link)), .nlmsg_type = RTM_GETLINK,
			    .nlmsg_flags = NLM_F_REQUEST },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex(interface) },
	};
	int saved = errno;
	int error = ask_kernel(&request, answer, sizeof(answer));
	errno = saved;
	if (error || header->nlmsg_type != RTM_NEWLINK)
		return 0;
	unsigned master = 0;
	const char *at = (const char *)IFLA_RTA(NLMSG_DATA(header)), *end = answer + header->nlmsg_len;
	struct rtattr attribute;
	while (end - at >= (ptrdiff_t)sizeof(attribute)) {
		memcpy(&attribute, at, sizeof(attribute));
		if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > end - at)
			break;
		if (attribute.rta_type == IFLA_MASTER && attribute.rta_len == sizeof(attribute) + sizeof(master))
			memcpy(&master, at + sizeof(attribute), sizeof(master));
		at += RTA_ALIGN(attribute.rta_len);
	}
	return master;
}
