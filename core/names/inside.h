/* What the files of names ask of each other. */
#pragma once
#include "core/names/names.h"
#include "core/names/read/packet.h"

INLINE bool is_drop(enum verdict verdict)
{
	return (int)verdict >= (int)FIRST_DROP;
}

/* dns_rules.c: a question of the guest in [at, end), over either transport. */
enum verdict judge_question(struct names *, const struct name_packet *, const struct frame *, uint32_t at, uint32_t end,
			    uint64_t now_ms);
/* An answer to it; teaches what it says. */
enum verdict judge_answer(struct names *, const struct name_packet *, const struct frame *, uint32_t at, uint32_t end,
			  uint64_t now_ms);
bool is_resolver(const struct names *, struct address, uint64_t now_ms);

/* tcp.c: segments of a flow. */
enum verdict call_by_name(struct names *, const struct name_packet *, uint64_t now_ms);
enum verdict call_resolver(struct names *, const struct name_packet *, uint64_t now_ms);
enum verdict follow_segment(struct names *, struct name_flow *, const struct name_packet *, uint64_t now_ms);
enum verdict follow_answer(struct names *, struct name_flow *, const struct name_packet *, uint64_t now_ms);

/* udp.c: datagrams of a flow that is QUIC, or that an address's own name opens. */
enum verdict follow_datagram(struct names *, const struct name_packet *, uint64_t now_ms);
void follow_datagram_answer(struct names *, struct name_flow *, const struct name_packet *, uint64_t now_ms);

/* names.c */

/* The live flow of the packet, or NULL. */
struct name_flow *live_flow(struct names *, const struct flow_key *, uint64_t now_ms);
/* A new one; NULL: the table is full of connections that live. */
struct name_flow *new_flow(struct names *, const struct flow_key *, uint64_t now_ms);
/* The ways in which rules open a port of the address. */
uint32_t ways_of_address(const struct names *, struct address, uint8_t protocol, uint16_t port, uint64_t now_ms);
/* The flow is one of a name's that the address has, in this way. False: no rule says so. */
bool admit_flow(struct names *, struct name_flow *, const struct name *, enum naming, uint64_t now_ms);
/* What a hello says: PASS, and the flow is named, or why not. */
enum verdict judge_hello(struct names *, struct name_flow *, const struct hello *, enum naming, uint64_t now_ms);
/* Nothing of it passes any more; what waits is dropped. Gives the reason. */
enum verdict refuse_flow(struct names *, struct name_flow *, enum verdict reason, uint64_t now_ms);
/* What waits is dropped. That ends the flow, except a QUIC flow with a name: its connection goes on. */
enum verdict end_waiting(struct names *, struct name_flow *, enum verdict reason, uint64_t now_ms);
/* Keeps the frame for the flow, if need be in the place of an older one; has_left: a copy of what goes on. */
bool keep_for_flow(struct names *, struct name_flow *, const struct name_packet *, bool has_left, uint64_t now_ms);
/* The frame waits with those before it, or goes on behind them: HELD, PASS, or why there is no room. */
enum verdict wait_in_flow(struct names *, struct name_flow *, const struct name_packet *, uint64_t now_ms);
enum verdict go_on_in_flow(struct names *, struct name_flow *, const struct name_packet *, uint64_t now_ms);
/* No further look. */
void free_flow(struct names *, struct name_flow *, uint64_t now_ms);
void forget_copies(struct names *, struct name_flow *);
