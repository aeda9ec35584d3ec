/* Any octets as a datagram of QUIC, and as the frames of an Initial packet. */
#include <stdlib.h>
#include <string.h>

#include "softnet/names/quic_crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_packets(const struct frame *frame)
{
	static uint8_t plain[65536];
	for (uint32_t at = 0, i = 0; at < frame->length && i < QUIC_COALESCED_MAX; i++) {
		struct quic_opened opened;
		struct quic_packet p = parse_quic_packet(frame, at, frame->length);
		if (p.end > frame->length || p.end <= at)
			abort();
		if (p.kind == QUIC_INITIAL && client_initial_opener()(&p.destination, &p, frame->bytes, plain, &opened) &&
		    (opened.octets >= p.end - p.at || opened.packet_number_octets < 1 || opened.packet_number_octets > 4))
			abort();
		at = p.end;
	}
	has_handshake_packet(frame, 0, frame->length);
}

/* In two halves, as two packets would bring them, and in the other order: the same stream. */
static void read_frames(const uint8_t *data, uint32_t length)
{
	static struct crypto_stream crypto, turned;
	uint32_t half = length / 2;
	struct frame first = { .bytes = data, .length = half },
		     second = { .bytes = data + half, .length = length - half };
	clear_crypto(&crypto);
	clear_crypto(&turned);
	if (read_initial_frames(&first, &crypto) != CRYPTO_TAKEN || read_initial_frames(&second, &crypto) != CRYPTO_TAKEN)
		return;
	if (read_initial_frames(&second, &turned) != CRYPTO_TAKEN ||
	    read_initial_frames(&first, &turned) != CRYPTO_TAKEN || crypto.prefix != turned.prefix ||
	    crypto.end != turned.end || crypto.prefix > crypto.end ||
	    memcmp(crypto.filled, turned.filled, sizeof crypto.filled) != 0 ||
	    memcmp(crypto.octets, turned.octets, crypto.prefix) != 0)
		abort();
	struct hello hello;
	struct frame message = { .bytes = crypto.octets, .length = crypto.prefix };
	if (read_hello(&message, 0, &hello) == READING_WHOLE && hello.end > crypto.prefix)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct frame frame = { .bytes = data, .length = (uint32_t)n };
	read_packets(&frame);
	read_frames(data, (uint32_t)n);
	return 0;
}
