/* Frames that are to be cut: what their senders say of them is held against what stands in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <linux/virtio_net.h>
#include "port/linux/tap_card.h"
#include "world.h"

#include <cmocka.h>

static struct world w;

enum { PAYLOAD = 1000, FIRST = 14 + 20, NEEDS = VIRTIO_NET_HDR_F_NEEDS_CSUM };

static void put_tcp4(uint16_t flags_offset)
{
	put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&w, GUEST_IP, GLOBAL_IP, 6, flags_offset, 20 + PAYLOAD);
	put_number(&w, 0x30390050, 4);
	put_zeros(&w, 8);
	put_number(&w, 0x5010, 2);
	put_zeros(&w, 6 + PAYLOAD);
}

static void put_udp4(void)
{
	put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&w, GUEST_IP, GLOBAL_IP, 17, 0, 8 + PAYLOAD);
	put_udp(&w, 4000, 443, PAYLOAD);
	put_zeros(&w, PAYLOAD);
}

static struct virtio_net_hdr said(uint8_t type, uint16_t payload, uint16_t offset)
{
	return (struct virtio_net_hdr){
		.flags = NEEDS, .gso_type = type, .hdr_len = 1, .gso_size = payload, .csum_start = FIRST, .csum_offset = offset
	};
}

static bool is_taken(const struct virtio_net_hdr *header, struct frame *frame, struct cut *cut)
{
	*cut = take_card_header(header, w.frame, w.length);
	*frame = (struct frame){ .bytes = w.frame, .length = w.length };
	return cut->kind == NOT_CUT || measure_parts(frame, cut);
}

static void expect_refused(struct virtio_net_hdr header)
{
	struct frame frame;
	struct cut cut;
	assert_false(is_taken(&header, &frame, &cut));
}

static void parts_are_measured(void **state)
{
	(void)state;
	struct frame frame;
	struct cut cut;
	put_tcp4(0);
	struct virtio_net_hdr header = said(VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 300, 16);
	assert_true(is_taken(&header, &frame, &cut));
	assert_int_equal(frame.parts, 4); /* 300, 300, 300, 100 */
	assert_int_equal(frame.longest, FIRST + 20 + 300);
	assert_int_equal(octets_on_wire(&frame), FIRST + 20 + 300);
	/* What goes on is what was found, not what was said. */
	struct virtio_net_hdr made = make_card_header(&cut);
	header.hdr_len = FIRST + 20;
	assert_memory_equal(&made, &header, sizeof made);

	header = said(VIRTIO_NET_HDR_GSO_TCPV4, 60000, 16);
	assert_true(is_taken(&header, &frame, &cut));
	assert_int_equal(frame.parts, 1);
	assert_int_equal(frame.longest, w.length);

	put_udp4();
	header = said(5, 400, 6);
	assert_true(is_taken(&header, &frame, &cut));
	assert_int_equal(frame.parts, 3);
	assert_int_equal(frame.longest, FIRST + 8 + 400);
}

static void what_does_not_fit_the_frame_is_refused(void **state)
{
	(void)state;
	put_tcp4(0);
	for (uint16_t offset = 0; offset < 40; offset++)
		if (offset != 16)
			expect_refused(said(VIRTIO_NET_HDR_GSO_TCPV4, 300, offset));
	for (uint32_t start = 0; start < 1100; start++) {
		struct virtio_net_hdr header = said(VIRTIO_NET_HDR_GSO_TCPV4, 300, 16);
		header.csum_start = (uint16_t)start;
		if (start != FIRST)
			expect_refused(header);
	}
	for (unsigned type = 1; type < 256; type++)
		if ((type & 0x7f) != VIRTIO_NET_HDR_GSO_TCPV4)
			expect_refused(said((uint8_t)type, 300, 16));
	expect_refused(said(VIRTIO_NET_HDR_GSO_ECN, 300, 16));
	expect_refused(said(VIRTIO_NET_HDR_GSO_TCPV4, 0, 16));
	struct virtio_net_hdr no_checksum = said(VIRTIO_NET_HDR_GSO_TCPV4, 300, 16);
	no_checksum.flags = 0;
	expect_refused(no_checksum);

	put_tcp4(0);
	w.frame[FIRST + 12] = 0x40; /* a header of 16 octets */
	expect_refused(said(VIRTIO_NET_HDR_GSO_TCPV4, 300, 16));
	put_tcp4(0);
	w.length = FIRST + 20; /* no payload, and shorter than the packet says */
	expect_refused(said(VIRTIO_NET_HDR_GSO_TCPV4, 300, 16));
	put_tcp4(0);
	put_zeros(&w, 6); /* behind the packet: it would become a part of one */
	expect_refused(said(VIRTIO_NET_HDR_GSO_TCPV4, 300, 16));
	put_udp4();
	expect_refused(said(VIRTIO_NET_HDR_GSO_TCPV4, 300, 16));
	expect_refused(said(VIRTIO_NET_HDR_GSO_UDP, 300, 6));
	put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0806);
	put_zeros(&w, 300);
	expect_refused(said(VIRTIO_NET_HDR_GSO_TCPV4, 300, 16));
}

static void fragments_are_not_cut(void **state)
{
	(void)state;
	static const uint16_t fields[] = { 0x2000, 0x2003, 3 };
	for (int i = 0; i < 3; i++) {
		put_tcp4(fields[i]);
		expect_refused(said(VIRTIO_NET_HDR_GSO_TCPV4, 300, 16));
	}
}

/* Before anybody judges, so it does not matter where. */
static void checksums_are_filled_in(void **state)
{
	(void)state;
	struct frame frame;
	struct cut cut;
	struct virtio_net_hdr header = { .flags = NEEDS, .csum_start = FIRST, .csum_offset = 6 };
	put_udp4();
	w.length -= PAYLOAD - 3; /* an odd number of octets */
	memcpy(w.frame + FIRST, "\x0f\xa0\x01\xbb\x00\x0b\x12\x34\xab\xcd\xef", 11);
	assert_true(is_taken(&header, &frame, &cut) && frame.parts == 0);
	/* ~(0fa0 + 01bb + 000b + 1234 + abcd + ef00) */
	assert_int_equal(w.frame[FIRST + 6] << 8 | w.frame[FIRST + 7],
			 0xffff & ~(0xfa0 + 0x1bb + 0xb + 0x1234 + 0xabcd + 0xef00 - 0x10000 + 1));
	header = (struct virtio_net_hdr){ .flags = NEEDS, .csum_start = 14, .csum_offset = 12 };
	assert_true(is_taken(&header, &frame, &cut));

	header.csum_start = (uint16_t)w.length;
	expect_refused(header);
	header.csum_start = (uint16_t)(w.length - 13);
	expect_refused(header);
	header.csum_start = (uint16_t)(w.length - 14);
	assert_true(is_taken(&header, &frame, &cut));
	header.csum_start = header.csum_offset = 0xffff;
	expect_refused(header);

	/* A sum of 0 says that there is no checksum, so it is written as its other form. */
	put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_number(&w, 0xffff0000, 4);
	header = (struct virtio_net_hdr){ .flags = NEEDS, .csum_start = 14, .csum_offset = 2 };
	assert_true(is_taken(&header, &frame, &cut));
	assert_int_equal(w.frame[16] << 8 | w.frame[17], 0xffff);
}

/* As many tokens as parts; a message that is read is not made many. */
static void parts_are_paid_for(void **state)
{
	(void)state;
	start_world(&w, true);
	struct frame frame;
	put_ethernet(&w, 0x01005e0000fbULL, GUEST_MAC, 0x0800);
	put_ipv4(&w, GUEST_IP, 0xe00000fb, 17, 0, 8 + PAYLOAD);
	put_udp(&w, 5353, 5353, PAYLOAD);
	put_zeros(&w, PAYLOAD);
	assert_true(add_static_binding(&w.state, address_of_ipv4(GUEST_IP), 24, w.now_ms));
	frame = (struct frame){ .bytes = w.frame, .length = w.length, .longest = w.length, .parts = 150 };
	assert_int_equal(decide(&w.guard, FROM_GUEST, &frame, w.now_ms), PASS);
	assert_int_equal(decide(&w.guard, FROM_GUEST, &frame, w.now_ms), DROP_RATE_MULTICAST);
	frame.parts = 0;
	assert_int_equal(decide(&w.guard, FROM_GUEST, &frame, w.now_ms), DROP_RATE_MULTICAST);
	assert_int_equal(decide(&w.guard, FROM_GUEST, &frame, w.now_ms + 20), PASS);
	frame.parts = 151;
	assert_int_equal(decide(&w.guard, FROM_GUEST, &frame, w.now_ms + 1000000), DROP_RATE_MULTICAST);

	put_client_message(&w, &(struct dhcp_spec){ .op = 1, .type = 1 });
	frame = (struct frame){ .bytes = w.frame, .length = w.length, .longest = w.length, .parts = 1 };
	assert_int_equal(decide(&w.guard, FROM_GUEST, &frame, w.now_ms), DROP_L4_MALFORMED);
	frame.parts = 0;
	assert_int_equal(decide(&w.guard, FROM_GUEST, &frame, w.now_ms), PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_measured),    cmocka_unit_test(what_does_not_fit_the_frame_is_refused),
		cmocka_unit_test(fragments_are_not_cut), cmocka_unit_test(checksums_are_filled_in),
		cmocka_unit_test(parts_are_paid_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
