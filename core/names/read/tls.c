/* Reads hellos of TLS. */
#include "core/names/read/tls.h"

enum {
	RECORD_HEADER = 5,
	HANDSHAKE_HEADER = 4,
	RECORD_MAX = 16384,      /* RFC 8446 5.1 */
	ANY_HELLO_MAX = 1 << 18, /* every field at its longest: 2 + 32 + 33 + 2 + 65534 + 256 + 65537 */
	CHANGE_CIPHER_SPEC = 20,
	ALERT = 21,
	HANDSHAKE = 22,
	APPLICATION_DATA = 23,
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	SERVER_NAME = 0,
	EARLY_DATA = 42,
	ENCRYPTED_SERVER_NAME = 0xffce,
	ECH_FIRST_DRAFT = 0xfe08,
	ECH = 0xfe0d, /* drafts counted upwards to what became the RFC */
	HOST_NAME = 0
};

/* RFC 6066 3: one name of each type, and host_name is the only type. */
static bool read_server_name(struct reader *r, struct hello *hello)
{
	uint32_t list = read_be16(r);
	if (!r->ok || list != octets_left(r))
		return false;
	uint8_t type = read_u8(r);
	uint32_t octets = read_be16(r);
	if (!r->ok || type != HOST_NAME || octets == 0 || octets != octets_left(r))
		return false;
	hello->has_name = read_host_name(r, &hello->name);
	return true;
}

static bool is_encrypted_hello(uint16_t type)
{
	return (type >= ECH_FIRST_DRAFT && type <= ECH) || type == ENCRYPTED_SERVER_NAME;
}

/* RFC 8446 4.2: no type twice. */
static bool read_extensions(struct reader *r, struct hello *hello)
{
	uint16_t seen[HELLO_EXTENSIONS_MAX];
	for (uint32_t count = 0; octets_left(r) > 0; count++) {
		uint16_t type = read_be16(r);
		uint32_t octets = read_be16(r);
		if (!r->ok || count >= HELLO_EXTENSIONS_MAX || octets > octets_left(r))
			return false;
		for (uint32_t i = 0; i < count; i++)
			if (seen[i] == type)
				return false;
		seen[count] = type;
		struct reader value = read_from(r->frame, r->at, r->at + octets);
		skip_bytes(r, octets);
		if (type == SERVER_NAME && !read_server_name(&value, hello))
			return false;
		hello->has_ech |= is_encrypted_hello(type);
		hello->has_early_data |= type == EARLY_DATA;
	}
	return r->ok;
}

/* RFC 8446 4.1.2: what r covers is the message behind its header, no more and no less. */
static bool read_body(struct reader *r, struct hello *hello)
{
	uint16_t version = read_be16(r);
	skip_bytes(r, 32);
	uint32_t session = read_u8(r);
	skip_bytes(r, session);
	uint32_t suites = read_be16(r);
	skip_bytes(r, suites);
	uint32_t compressions = read_u8(r);
	skip_bytes(r, compressions);
	if (!r->ok || version >> 8 != 3 || session > 32 || suites < 2 || suites % 2 != 0 || compressions == 0)
		return false;
	if (octets_left(r) == 0)
		return true;
	uint32_t extensions = read_be16(r);
	return r->ok && extensions == octets_left(r) && read_extensions(r, hello);
}

enum reading read_hello(const struct frame *message, uint32_t at, struct hello *hello)
{
	struct reader r = read_from(message, at, message->length);
	*hello = (struct hello){ .has_name = false };
	if (octets_left(&r) == 0)
		return r.ok ? READING_NEEDS_MORE : READING_REFUSED;
	if (read_u8(&r) != CLIENT_HELLO)
		return READING_REFUSED;
	if (octets_left(&r) < HANDSHAKE_HEADER - 1)
		return READING_NEEDS_MORE;
	uint32_t octets = (uint32_t)read_u8(&r) << 16;
	octets |= read_be16(&r);
	if (octets > HELLO_MAX - HANDSHAKE_HEADER)
		return READING_REFUSED;
	if (octets > octets_left(&r))
		return READING_NEEDS_MORE;
	hello->end = at + HANDSHAKE_HEADER + octets;
	struct reader body = read_from(message, r.at, hello->end);
	return read_body(&body, hello) ? READING_WHOLE : READING_REFUSED;
}

struct record {
	uint8_t type;
	uint32_t octets;
};

/* Servers ignore all of the version but its first octet. */
static enum reading read_record_header(struct reader *r, struct record *record)
{
	record->type = HANDSHAKE;
	if (octets_left(r) == 0)
		return r->ok ? READING_NEEDS_MORE : READING_REFUSED;
	record->type = read_u8(r);
	if (record->type < CHANGE_CIPHER_SPEC || record->type > APPLICATION_DATA)
		return READING_REFUSED;
	if (octets_left(r) == 0)
		return READING_NEEDS_MORE;
	if (read_u8(r) != 3)
		return READING_REFUSED;
	if (octets_left(r) < RECORD_HEADER - 2)
		return READING_NEEDS_MORE;
	skip_bytes(r, 1);
	record->octets = read_be16(r);
	return READING_WHOLE;
}

/* What has come of one record, behind what has been gathered. False: no record of a hello, or too much. */
static bool gather(struct reader *r, const struct record *record, struct hello_room *room, uint32_t *gathered)
{
	uint32_t left = octets_left(r), there = left < record->octets ? left : record->octets;
	if (record->octets == 0 || record->octets > RECORD_MAX || record->octets > HELLO_MAX - *gathered)
		return false;
	if (there > 0)
		read_bytes(r, room->octets + *gathered, there);
	*gathered += there;
	return r->ok;
}

/* RFC 8446 5.1: a message may be cut over records, none of them empty, and no other type comes between. */
enum reading read_hello_records(const struct frame *stream, uint32_t at, struct hello_room *room, struct hello *hello)
{
	struct reader r = read_from(stream, at, stream->length);
	uint32_t gathered = 0;
	for (uint32_t i = 0; i < HELLO_RECORDS_MAX; i++) {
		struct record record;
		enum reading reading = read_record_header(&r, &record);
		if (reading != READING_REFUSED && record.type != HANDSHAKE)
			return READING_REFUSED;
		if (reading != READING_WHOLE)
			return reading;
		uint32_t record_end = r.at + record.octets;
		if (!gather(&r, &record, room, &gathered))
			return READING_REFUSED;
		struct frame message = { .bytes = room->octets, .length = gathered };
		reading = read_hello(&message, 0, hello);
		if (reading == READING_WHOLE && (hello->end < gathered || r.at < record_end))
			return READING_REFUSED; /* no client goes on in the same record */
		hello->end = r.at;
		if (reading != READING_NEEDS_MORE || r.at < record_end)
			return reading;
	}
	return READING_REFUSED;
}

enum next_record read_next_record(const struct frame *stream, uint32_t at, uint32_t *end)
{
	struct reader r = read_from(stream, at, stream->length);
	struct record record = { 0, 0 };
	enum reading header = read_record_header(&r, &record);
	if (header == READING_REFUSED || !r.ok)
		return NEXT_BROKEN;
	if (header == READING_NEEDS_MORE)
		return NEXT_UNKNOWN;
	*end = r.at + record.octets;
	if (record.type == CHANGE_CIPHER_SPEC || record.type == ALERT)
		return NEXT_SKIPPED;
	if (record.type == APPLICATION_DATA)
		return NEXT_DATA;
	if (record.octets == 0)
		return NEXT_BROKEN;
	/* Encrypted, as after a resumption of TLS 1.2, the octets are random: a length that no server takes tells. */
	if (octets_left(&r) == 0)
		return NEXT_UNKNOWN;
	if (read_u8(&r) != CLIENT_HELLO)
		return NEXT_HANDSHAKE;
	if (record.octets >= HANDSHAKE_HEADER && octets_left(&r) < HANDSHAKE_HEADER - 1)
		return NEXT_UNKNOWN;
	uint32_t octets = (uint32_t)read_u8(&r) << 16;
	octets |= read_be16(&r);
	return r.ok && octets > ANY_HELLO_MAX ? NEXT_HANDSHAKE : NEXT_HELLO;
}

/* RFC 8446 4.1.3: SHA-256 of "HelloRetryRequest". */
static const uint8_t asks_again[32] = {
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
};

enum server_hello read_server_hello(const struct frame *frame, uint32_t at, uint32_t end)
{
	struct reader r = read_from(frame, at, end);
	struct record record = { 0, 0 };
	uint8_t random[32] = { 0 };
	if (read_record_header(&r, &record) != READING_WHOLE || record.type != HANDSHAKE ||
	    record.octets < SERVER_HELLO_FRONT - RECORD_HEADER || read_u8(&r) != SERVER_HELLO)
		return SERVER_UNKNOWN;
	skip_bytes(&r, 5); /* length and legacy version */
	read_bytes(&r, random, sizeof random);
	if (!r.ok)
		return SERVER_UNKNOWN;
	return same_octets(random, asks_again, sizeof random) ? SERVER_ASKS_AGAIN : SERVER_GOES_ON;
}
