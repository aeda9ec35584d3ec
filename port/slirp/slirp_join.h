/*
 * Segments of TCP that come one behind the other, joined to one long frame that the guest's kernel takes as a whole: it is
 * cheaper to take than many. Only what the kernel would make of such a frame by cutting it is joined (RFC 9293 3.1).
 */
#pragma once
#include "port/port.h"

enum slirp_joined {
	JOINED,           /* the frame is in the one before, and that is one that is to be cut */
	OTHER_CONNECTION, /* it may stand behind this one, or be joined to an earlier one */
	SAME_CONNECTION   /* it must stay behind this one */
};

/* `before->bytes` is `room`, which holds SLIRP_JOINED_MAX octets. */
enum { SLIRP_JOINED_MAX = 14 + 65535 };
enum slirp_joined slirp_join(struct packet *before, uint8_t *room, const uint8_t *frame, uint32_t length);
