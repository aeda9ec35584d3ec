/* What the plug-ins before this one have made: prevResult. */
#pragma once
#include "core/wire/address.h"
#include "softnet/cni/call.h"

enum { IPS_MAX = 16 };

struct cni_address {
	struct address address, gateway; /* of the interface; gateway: unset where there is none */
	uint32_t prefix_length;          /* 0..32, or 0..128 in IPv6 */
};

/* The interface of the call, in the container. */
struct cni_result {
	const json_t *whole;
	char mac[18]; /* as written, or "" */
	uint32_t count;
	struct cni_address ips[IPS_MAX];
};

/* False: the fault says what is wrong with it. */
bool read_result(const struct cni_call *, struct cni_result *, struct fault *);
/* An array of texts, for the record and to be compared. */
json_t *list_addresses(const struct cni_result *);
