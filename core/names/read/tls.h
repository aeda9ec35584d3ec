/*
 * The first flight of TLS (RFC 8446, RFC 5246): which host a ClientHello names, and whether the server asks for another
 * one. A hello that two readers could read differently is refused.
 */
#pragma once
#include "core/names/read/name.h"

enum {
	HELLO_MAX = 16384, /* octets: of the handshake message, and of the stream up to its end */
	HELLO_RECORDS_MAX = 16,
	HELLO_EXTENSIONS_MAX = 64
};

enum reading {
	READING_WHOLE,
	READING_NEEDS_MORE, /* nothing wrong so far */
	READING_REFUSED     /* broken, ambiguous, or something else */
};

struct hello {
	struct name name;    /* in lower case */
	bool has_name;       /* exactly one, and a host's */
	bool has_ech;        /* the name may be another one (RFC 9849), or so it looks */
	bool has_early_data; /* what follows may be encrypted before the server has answered */
	uint32_t end;        /* where the hello ends: offset in what was read */
};

/* A handshake message of its own, as QUIC carries it, from `at` on. What is behind it is not read. */
enum reading read_hello(const struct frame *message, uint32_t at, struct hello *);

/* Room to put a message together in that comes in several records. */
struct hello_room {
	uint8_t octets[HELLO_MAX];
};

/* Records of a stream from `at` on; the hello must end where a record does. */
enum reading read_hello_records(const struct frame *stream, uint32_t at, struct hello_room *, struct hello *);

/* What a client's record behind its hello says. */
enum next_record {
	NEXT_UNKNOWN,   /* not enough of it is there */
	NEXT_SKIPPED,   /* says nothing: change cipher spec, or an alert */
	NEXT_HELLO,     /* another hello */
	NEXT_DATA,      /* encrypted data: early, or the end of hellos */
	NEXT_HANDSHAKE, /* the handshake goes on: no hello can come any more */
	NEXT_BROKEN
};

/* `end`: where the record ends, if there is one. */
enum next_record read_next_record(const struct frame *stream, uint32_t at, uint32_t *end);

enum server_hello { SERVER_UNKNOWN, SERVER_ASKS_AGAIN, SERVER_GOES_ON };

enum { SERVER_HELLO_FRONT = 5 + 4 + 2 + 32 }; /* octets of the stream that tell */

/* The first octets that a server sends, in [at, end). */
enum server_hello read_server_hello(const struct frame *frame, uint32_t at, uint32_t end);
