#include "port/slirp/slirp_join.h"
#include <netinet/in.h>
#include <string.h>
#include "port/checksum.h"
#include "port/slirp/slirp_octets.h"

/* libslirp makes no tags, no options of IP, and no options of TCP but in a SYN. What has some is left as it is. */
enum { ETHERNET = 14, IPV4 = 20, IPV6 = 40, TCP = 20, CHECKSUM = 16, ACK = 0x10, PUSH = 0x08 };

/* A segment of TCP, by the places of what is in it. */
struct segment {
	enum cut_kind kind;
	uint32_t tcp;       /* where its header begins */
	uint32_t addresses; /* where they begin; they end at tcp */
	uint32_t payload;   /* octets behind the header */
	const uint8_t *bytes;
};

static bool find_segment(const uint8_t *bytes, uint32_t length, struct segment *s)
{
	*s = (struct segment){ .bytes = bytes };
	if (length < ETHERNET + IPV4 + TCP)
		return false;
	if (get(bytes + 12, 3) == 0x080045 && bytes[ETHERNET + 9] == IPPROTO_TCP) {
		s->kind = CUT_TCP4;
		s->tcp = ETHERNET + IPV4;
		s->addresses = s->tcp - 8;
	} else if (get(bytes + 12, 2) == 0x86dd && bytes[ETHERNET + 6] == IPPROTO_TCP && length >= ETHERNET + IPV6 + TCP) {
		s->kind = CUT_TCP6;
		s->tcp = ETHERNET + IPV6;
		s->addresses = s->tcp - 32;
	}
	s->payload = length - s->tcp - TCP;
	return s->kind != NOT_CUT;
}

/* Addresses, and the ports behind them. */
static bool is_same_connection(const struct segment *a, const struct segment *b)
{
	return a->kind == b->kind &&
	       memcmp(a->bytes + a->addresses, b->bytes + b->addresses, a->tcp + 4 - a->addresses) == 0;
}

/* Data alone: no fragment, no options, no flag but that it is an answer, and nothing behind the packet. */
static bool may_be_joined(const struct segment *s)
{
	const uint8_t *ip = s->bytes + ETHERNET, *tcp = s->bytes + s->tcp;
	uint32_t octets = TCP + s->payload;
	bool is_whole = s->kind == CUT_TCP4 ? get(ip + 2, 2) == IPV4 + octets && (get(ip + 6, 2) & 0x3fff) == 0
					    : get(ip + 4, 2) == octets;
	return is_whole && s->payload > 0 && tcp[12] == TCP / 4 << 4 && (tcp[13] & ~PUSH) == ACK;
}

/* What differs between two of a row is their numbers, lengths, checksums and PUSH alone. */
static bool has_same_headers(const struct segment *a, const struct segment *b)
{
	const uint8_t *x = a->bytes + ETHERNET, *y = b->bytes + ETHERNET;
	bool is_same_packet = a->kind == CUT_TCP4 ? get(x, 2) == get(y, 2) && get(x + 6, 4) == get(y + 6, 4)
						  : get(x, 4) == get(y, 4) && get(x + 6, 2) == get(y + 6, 2);
	x = a->bytes + a->tcp;
	y = b->bytes + b->tcp;
	return is_same_packet && memcmp(a->bytes, b->bytes, ETHERNET) == 0 && get(x + 8, 4) == get(y + 8, 4) &&
	       get(x + 14, 2) == get(y + 14, 2) && get(x + 18, 2) == get(y + 18, 2);
}

/* The next octets of the connection, while all parts but the last are of one length. */
static bool is_next(const struct packet *before, const struct segment *b, const struct segment *next)
{
	uint32_t part = before->cut.kind == NOT_CUT ? b->payload : before->cut.payload;
	uint32_t number = (uint32_t)get(b->bytes + b->tcp + 4, 4) + b->payload;
	return number == (uint32_t)get(next->bytes + next->tcp + 4, 4) && b->payload % part == 0 &&
	       next->payload <= part && before->length + next->payload <= SLIRP_JOINED_MAX;
}

/* The checksum of TCP is left to the one who cuts: the field has that of the pseudo-header alone. */
static void write_headers(uint8_t *room, const struct segment *s, uint32_t payload)
{
	uint8_t *ip = room + ETHERNET;
	uint32_t octets = TCP + payload;
	if (s->kind == CUT_TCP4) {
		put(ip + 2, IPV4 + octets, 2);
		put(ip + 10, 0, 2);
		put(ip + 10, checksum_of(add_up(ip, IPV4, 0)), 2);
	} else
		put(ip + 4, octets, 2);
	put(room + s->tcp + CHECKSUM, add_up(room + s->addresses, s->tcp - s->addresses, IPPROTO_TCP + octets), 2);
}

enum slirp_joined slirp_join(struct packet *before, uint8_t *room, const uint8_t *frame, uint32_t length)
{
	struct segment b, next;
	if (!find_segment(frame, length, &next) || !find_segment(room, before->length, &b) ||
	    !is_same_connection(&b, &next))
		return OTHER_CONNECTION;
	if (!may_be_joined(&b) || !may_be_joined(&next) || !has_same_headers(&b, &next) || !is_next(before, &b, &next))
		return SAME_CONNECTION;
	if (before->cut.kind == NOT_CUT)
		before->cut = (struct cut){ .kind = b.kind,
					    .payload = (uint16_t)b.payload,
					    .checksum_start = (uint16_t)b.tcp,
					    .checksum_offset = CHECKSUM };
	memcpy(room + before->length, frame + length - next.payload, next.payload);
	before->length += next.payload;
	room[b.tcp + 13] |= frame[next.tcp + 13] & PUSH;
	write_headers(room, &b, b.payload + next.payload);
	return JOINED;
}
