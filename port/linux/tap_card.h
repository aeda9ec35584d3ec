/* The header that stands in front of each frame of a tap with offloads: that of a virtual card, in the host's byte order. */
#pragma once
#include <linux/virtio_net.h>
#include "port/port.h"

/*
 * What it says of a frame of `length` octets. A checksum that the card was to fill in is filled in here, before anybody judges the
 * frame; only where it will be cut that is left to the card. What makes no sense is CUT_UNKNOWN.
 */
struct cut take_card_header(const struct virtio_net_hdr *, uint8_t *bytes, uint32_t length);
/* For a frame that was judged; nothing in it is what a sender said. */
struct virtio_net_hdr make_card_header(const struct cut *);
/* Asks a tap for frames that are to be cut, of as many of these kinds as this kernel has; 0: for none. False with errno. */
bool set_card_offload(int fd, unsigned cuts);
