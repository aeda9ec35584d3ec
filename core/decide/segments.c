/*
 * Long frames that will be cut into those of the wire. Each part gets the headers of the whole, so the whole is judged once, for
 * all of them; and its length is that of its longest part.
 */
#include "core/guard.h"
#include "core/judge/flow_facts.h"

/* Where each kind has its checksum, and how long the header of its upper layer is; 0: it is not that kind. */
static uint32_t header_of_kind(const struct frame *frame, const struct packet_place *packet, enum cut_kind kind)
{
	bool is_tcp = packet->protocol == PROTOCOL_TCP, is_udp = packet->protocol == PROTOCOL_UDP;
	if (kind == CUT_UDP)
		return is_udp ? 8 : 0;
	struct reader r = read_from(frame, packet->at, packet->end);
	skip_bytes(&r, 12);
	uint32_t octets = (read_u8(&r) >> 4) * 4u;
	bool is_family = is_ipv4(packet->source) == (kind == CUT_TCP4);
	return r.ok && is_tcp && is_family && octets >= 20 ? octets : 0;
}

bool measure_parts(struct frame *frame, struct cut *cut)
{
	struct packet_place packet;
	if (cut->kind == CUT_UNKNOWN || !find_packet(frame, &packet) || packet.is_fragment || packet.end != frame->length)
		return false;
	uint32_t header = header_of_kind(frame, &packet, cut->kind), behind = packet.at + header;
	uint32_t checksum_offset = cut->kind == CUT_UDP ? 6 : 16;
	if (header == 0 || behind >= frame->length || cut->payload == 0 || cut->checksum_start != packet.at ||
	    cut->checksum_offset != checksum_offset)
		return false;
	uint32_t payload = frame->length - behind;
	cut->headers = (uint16_t)behind;
	frame->parts = (payload + cut->payload - 1) / cut->payload;
	frame->longest = behind + (payload < cut->payload ? payload : cut->payload);
	return true;
}
