/*
 * What the kernel knows of a frame, as its own structs have it: where their fields are is asked when the program is loaded.
 * Linux 6.2 and newer let a program look at them by loads. Before, each field costs a call.
 */
#pragma once
#include <bpf/bpf_core_read.h>
#include "ebpf/memory.h"

struct net {
	uint64_t net_cookie;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} __attribute__((preserve_access_index)) possible_net_t;

struct net_device {
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

struct sk_buff {
	struct net_device *dev;
	unsigned char *head, *data;
	uint16_t csum_start, csum_offset;
	uint8_t ip_summed : 2;
} __attribute__((preserve_access_index));

extern void *bpf_cast_to_kern_ctx(void *skb) __ksym __weak;

/* Of the network namespace that its port is in: a number that the kernel gives once. */
INLINE uint64_t namespace_of(struct __sk_buff *handle, bool may_look)
{
	const struct sk_buff *skb = may_look ? bpf_cast_to_kern_ctx(handle) : (const struct sk_buff *)handle;
	if (may_look)
		return skb->dev->nd_net.net->net_cookie;
	return BPF_CORE_READ(skb, dev, nd_net.net, net_cookie);
}
