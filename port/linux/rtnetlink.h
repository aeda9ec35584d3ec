/* What the kernel is asked about interfaces, addresses and routes: rtnetlink(7). Nobody needs privileges to ask. */
#pragma once
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rtnetlink_request {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		struct ifaddrmsg address;
		struct rtmsg route;
		struct tcmsg filter;
		struct rtgenmsg any;
	};
	char attributes[64];
};

/* Gets the messages of an answer, one by one. False: it has read enough. */
typedef bool (*rtnetlink_reader)(void *context, const struct nlmsghdr *);

/* Gives 0 or an errno. `read` may be NULL where the answer is an acknowledgment. */
int ask_kernel(struct rtnetlink_request *, rtnetlink_reader read, void *context);

/* Appends; data may be NULL with length 0: what follows is nested. */
struct rtattr *put_attribute(struct rtnetlink_request *, unsigned short type, const void *data, size_t length);

/* The attributes of a message or of an attribute. */
struct attributes {
	const char *at, *end;
};

struct attribute {
	unsigned short type;
	size_t length;
	const void *data;
};

/* `header` octets of the message's own stand in front of them. */
struct attributes attributes_of(const struct nlmsghdr *, size_t header);
struct attributes attributes_in(const struct attribute *);
bool next_attribute(struct attributes *, struct attribute *);
/* 0 where the attribute has another length. */
uint32_t number_in(const struct attribute *);
