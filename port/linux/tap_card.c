/* How a tap says that a frame will be cut, and that a checksum is still to be made. */
#include "port/linux/tap_card.h"
#include <errno.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include "port/checksum.h"

/* Newer than some headers: Linux 6.2. */
enum { OFFLOAD_UDP4 = 0x20, OFFLOAD_UDP6 = 0x40, UDP_PARTS = 5 };

static enum cut_kind kind_of(uint8_t type)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return CUT_TCP4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return CUT_TCP6;
	case UDP_PARTS:
		return CUT_UDP;
	default:
		return CUT_UNKNOWN;
	}
}

struct cut take_card_header(const struct virtio_net_hdr *header, uint8_t *bytes, uint32_t length)
{
	bool wants_checksum = (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
	bool marks_congestion = (header->gso_type & VIRTIO_NET_HDR_GSO_ECN) != 0;
	uint8_t type = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		bool is_whole = !wants_checksum ||
				fill_in_checksum(bytes, length, header->csum_start, header->csum_offset);
		return (struct cut){ .kind = is_whole ? NOT_CUT : CUT_UNKNOWN };
	}
	return (struct cut){ .kind = wants_checksum ? kind_of(type) : CUT_UNKNOWN,
			     .marks_congestion = marks_congestion,
			     .payload = header->gso_size,
			     .checksum_start = header->csum_start,
			     .checksum_offset = header->csum_offset };
}

struct virtio_net_hdr make_card_header(const struct cut *cut)
{
	static const uint8_t types[] = {
		[NOT_CUT] = VIRTIO_NET_HDR_GSO_NONE, [CUT_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4, [CUT_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6, [CUT_UDP] = UDP_PARTS
	};
	if (cut->kind == NOT_CUT || cut->kind == CUT_UNKNOWN)
		return (struct virtio_net_hdr){ 0 };
	bool is_marked = cut->marks_congestion && cut->kind != CUT_UDP;
	return (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
					.gso_type = types[cut->kind] | (is_marked ? VIRTIO_NET_HDR_GSO_ECN : 0),
					.hdr_len = cut->headers,
					.gso_size = cut->payload,
					.csum_start = cut->checksum_start,
					.csum_offset = cut->checksum_offset };
}

bool set_card_offload(int fd, unsigned cuts)
{
	unsigned long tcp = (cuts ? TUN_F_CSUM | TUN_F_TSO_ECN : 0) | (cuts & CUTS_TCP4 ? TUN_F_TSO4 : 0) |
			    (cuts & CUTS_TCP6 ? TUN_F_TSO6 : 0);
	if ((cuts & CUTS_UDP) && ioctl(fd, TUNSETOFFLOAD, tcp | OFFLOAD_UDP4 | OFFLOAD_UDP6) == 0)
		return true;
	return ioctl(fd, TUNSETOFFLOAD, tcp) == 0;
}
