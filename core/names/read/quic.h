/*
 * QUIC version 1 and 2 (RFC 9000, RFC 9369), as far as the hello of a client goes: packet headers, and the frames of opened
 * Initial packets. The caller brings the cryptography to open them: there is none in core.
 */
#pragma once
#include "core/names/read/tls.h"

#define QUIC_VERSION_1 0x00000001u
#define QUIC_VERSION_2 0x6b3343cfu

enum {
	CONNECTION_ID_MAX = 20,   /* RFC 9000 17.2 */
	QUIC_DATAGRAM_MIN = 1200, /* RFC 9000 14.1: of a client's datagram with an Initial packet */
	QUIC_COALESCED_MAX = 4,   /* packets in a datagram: one of each kind (RFC 9000 12.2) */
	CRYPTO_MAX = 8192         /* octets of hellos in a connection */
};

struct connection_id {
	uint8_t length;
	uint8_t octets[CONNECTION_ID_MAX];
};

enum quic_kind {
	QUIC_INITIAL,
	QUIC_ZERO_RTT,
	QUIC_HANDSHAKE,
	QUIC_RETRY,
	QUIC_SHORT,         /* short header: data of an open connection */
	QUIC_OTHER_VERSION, /* long header of a version that is not read here, version negotiation included */
	QUIC_BROKEN
};

struct quic_packet {
	enum quic_kind kind;
	uint32_t version;
	struct connection_id destination, source;
	uint32_t at, end;          /* offsets in the frame; what can not be told goes to the end of the datagram */
	uint32_t packet_number_at; /* of INITIAL, ZERO_RTT and HANDSHAKE: behind the length */
};

/* The packet that starts at `at` of a datagram that ends at `end`. */
struct quic_packet parse_quic_packet(const struct frame *frame, uint32_t at, uint32_t end);

INLINE bool same_connection_id(const struct connection_id *a, const struct connection_id *b)
{
	return a->length == b->length && same_octets(a->octets, b->octets, a->length);
}

/* An Initial packet of a client, decrypted. */
struct quic_opened {
	uint32_t octets;        /* of frames */
	uint32_t packet_number; /* as it stands there: its lowest octets */
	uint32_t packet_number_octets;
};

/*
 * Opens the client's Initial packet with the keys that follow from version and id; plain has room for as many octets as the
 * packet has. False: it was not made with these keys.
 */
typedef bool quic_opener(const struct connection_id *id, const struct quic_packet *packet, const uint8_t *bytes,
			 uint8_t *plain, struct quic_opened *opened);

/*
 * A packet number is cut, and the receiver adds what is missing from the largest that it knows (RFC 9000 A.3). True when any
 * receiver takes it as it stands, whatever it knows of the numbers up to `largest`; none: -1.
 */
bool is_whole_number(const struct quic_opened *opened, int64_t largest);

/* The octets that CRYPTO frames have brought, and from the first on how many without a gap. */
struct crypto_stream {
	uint32_t prefix, end;
	uint8_t octets[CRYPTO_MAX];
	uint8_t filled[CRYPTO_MAX / 8];
};

void clear_crypto(struct crypto_stream *);

enum crypto_reading {
	CRYPTO_TAKEN,
	CRYPTO_CONFLICT, /* other octets in a place that is taken */
	CRYPTO_REFUSED   /* a frame that has no place in an Initial packet, broken, or beyond the room */
};

/* Adds what the frames of an opened Initial packet bring. */
enum crypto_reading read_initial_frames(const struct frame *plain, struct crypto_stream *);

/* A datagram of the server in which a Handshake packet stands: it has read the hello to its end. */
bool has_handshake_packet(const struct frame *frame, uint32_t at, uint32_t end);
