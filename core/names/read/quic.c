/* Reads packets of QUIC, and the frames of Initial packets. */
#include "core/names/read/quic.h"

enum {
	LONG_HEADER = 0x80,
	FRAME_PADDING = 0,
	FRAME_PING = 1,
	FRAME_ACK = 2,
	FRAME_ACK_ECN = 3,
	FRAME_CRYPTO = 6,
	FRAME_CLOSE = 0x1c
};

/* RFC 9000 16: the first two bits tell the length. */
static uint64_t read_varint(struct reader *r)
{
	uint8_t first = read_u8(r);
	uint64_t value = first & 0x3f;
	uint32_t more = (1u << (first >> 6)) - 1;
	for (uint32_t i = 0; i < more; i++)
		value = value << 8 | read_u8(r);
	return value;
}

static void read_connection_id(struct reader *r, struct connection_id *id)
{
	uint8_t length = read_u8(r);
	if (length > CONNECTION_ID_MAX)
		r->ok = false;
	id->length = r->ok ? length : 0;
	if (id->length > 0)
		read_bytes(r, id->octets, id->length);
}

/* RFC 9000 17.2, RFC 9369 3.2: two bits, counted from another start in version 2. */
static enum quic_kind kind_of(uint8_t first, uint32_t version)
{
	static const uint8_t kinds[4] = { QUIC_INITIAL, QUIC_ZERO_RTT, QUIC_HANDSHAKE, QUIC_RETRY };
	uint8_t type = first >> 4 & 3;
	return (enum quic_kind)kinds[version == QUIC_VERSION_2 ? (type + 3) & 3 : type];
}

/* What follows the connection ids of a packet that has a length. */
static void read_length(struct reader *r, struct quic_packet *p)
{
	if (p->kind == QUIC_INITIAL) {
		uint64_t token = read_varint(r);
		if (token > octets_left(r))
			r->ok = false;
		skip_bytes(r, (uint32_t)token);
	}
	uint64_t length = read_varint(r);
	if (length > octets_left(r))
		r->ok = false;
	p->packet_number_at = r->at;
	p->end = r->at + (uint32_t)length;
}

struct quic_packet parse_quic_packet(const struct frame *frame, uint32_t at, uint32_t end)
{
	struct reader r = read_from(frame, at, end);
	struct quic_packet p = { .kind = QUIC_SHORT, .at = at, .end = end };
	uint8_t first = read_u8(&r);
	if (!r.ok)
		p.kind = QUIC_BROKEN;
	if (!r.ok || !(first & LONG_HEADER))
		return p;
	p.version = read_be32(&r);
	if (r.ok && p.version != QUIC_VERSION_1 && p.version != QUIC_VERSION_2) {
		p.kind = QUIC_OTHER_VERSION;
		return p;
	}
	read_connection_id(&r, &p.destination);
	read_connection_id(&r, &p.source);
	p.kind = kind_of(first, p.version);
	if (p.kind != QUIC_RETRY)
		read_length(&r, &p);
	if (!r.ok) /* the fixed bit may be anything between those who agree on it (RFC 9287) */
		p = (struct quic_packet){ .kind = QUIC_BROKEN, .at = at, .end = end };
	return p;
}

bool is_whole_number(const struct quic_opened *opened, int64_t largest)
{
	int64_t expected = largest + 1, half = (int64_t)1 << (8 * opened->packet_number_octets - 1);
	return expected < opened->packet_number + half;
}

void clear_crypto(struct crypto_stream *crypto)
{
	crypto->prefix = crypto->end = 0;
	for (uint32_t i = 0; i < sizeof crypto->filled; i++)
		crypto->filled[i] = 0;
}

/* False: other octets stand there already. */
static bool put_octet(struct crypto_stream *crypto, uint32_t at, uint8_t octet)
{
	uint8_t bit = (uint8_t)(1u << at % 8);
	if (crypto->filled[at / 8] & bit)
		return crypto->octets[at] == octet;
	crypto->filled[at / 8] |= bit;
	crypto->octets[at] = octet;
	return true;
}

static void lengthen_prefix(struct crypto_stream *crypto)
{
	while (crypto->prefix < CRYPTO_MAX && crypto->filled[crypto->prefix / 8] >> crypto->prefix % 8 & 1)
		crypto->prefix++;
}

/* RFC 9000 19.6. */
static enum crypto_reading read_crypto(struct reader *r, struct crypto_stream *crypto)
{
	uint64_t offset = read_varint(r), octets = read_varint(r);
	if (!r->ok || octets > octets_left(r) || offset > CRYPTO_MAX || octets > CRYPTO_MAX - offset)
		return CRYPTO_REFUSED;
	uint32_t end = (uint32_t)(offset + octets);
	for (uint32_t at = (uint32_t)offset; at < end; at++)
		if (!put_octet(crypto, at, read_u8(r)))
			return CRYPTO_CONFLICT;
	if (end > crypto->end)
		crypto->end = end;
	return CRYPTO_TAKEN;
}

/* RFC 9000 19.3: as many ranges as it says. */
static void skip_ack(struct reader *r, bool has_ecn)
{
	read_varint(r);
	read_varint(r);
	uint64_t ranges = read_varint(r);
	uint64_t numbers = 1 + (ranges > octets_left(r) ? octets_left(r) : ranges) * 2 + (has_ecn ? 3 : 0);
	for (uint64_t i = 0; i < numbers && r->ok; i++)
		read_varint(r);
}

/* RFC 9000 19.19. */
static void skip_close(struct reader *r)
{
	read_varint(r);
	read_varint(r);
	uint64_t reason = read_varint(r);
	if (reason > octets_left(r))
		r->ok = false;
	skip_bytes(r, (uint32_t)reason);
}

/* RFC 9000 12.4: which frames have a place in an Initial packet. A type in more octets than it needs is refused there. */
enum crypto_reading read_initial_frames(const struct frame *plain, struct crypto_stream *crypto)
{
	struct reader r = read_from(plain, 0, plain->length);
	enum crypto_reading reading = plain->length > 0 ? CRYPTO_TAKEN : CRYPTO_REFUSED;
	while (octets_left(&r) > 0 && reading == CRYPTO_TAKEN) {
		uint8_t type = read_u8(&r);
		if (type == FRAME_ACK || type == FRAME_ACK_ECN)
			skip_ack(&r, type == FRAME_ACK_ECN);
		else if (type == FRAME_CRYPTO)
			reading = read_crypto(&r, crypto);
		else if (type == FRAME_CLOSE)
			skip_close(&r);
		else if (type != FRAME_PADDING && type != FRAME_PING)
			reading = CRYPTO_REFUSED;
	}
	lengthen_prefix(crypto);
	return r.ok ? reading : CRYPTO_REFUSED;
}

bool has_handshake_packet(const struct frame *frame, uint32_t at, uint32_t end)
{
	for (uint32_t i = 0; i < QUIC_COALESCED_MAX && at < end; i++) {
		struct quic_packet p = parse_quic_packet(frame, at, end);
		if (p.kind == QUIC_HANDSHAKE)
			return true;
		at = p.end;
	}
	return false;
}
