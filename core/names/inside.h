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
/* Nothing of it passes any more; what waits is dropped. */
void reset_flow(struct names *, struct name_flow *, enum verdict reason, uint64_t now_ms);
/* The same, and gives the reason. While it is learned the flow goes on without a further look. */
enum verdict refuse_flow(struct names *, struct name_flow *, enum verdict reason, uint64_t now_ms);
/* What waits is dropped. That ends the flow, except a QUIC flow with a name: its connection goes on. */
enum verdict end_waiting(struct names *, struct name_flow *, enum verdict reason, uint64_t now_ms);
/* The frame waits with those before it, or goes on behind them: HELD, PASS, or why there is no room. */
enum verdict wait_in_flow(struct names *, struct name_flow *, const struct name_packet *, uint64_t now_ms);
enum verdict go_on_in_flow(struct names *, struct name_flow *, const struct name_packet *, uint64_t now_ms);
/* It is one of the pattern's, in this way, and keeps the entry of the book alive. */
void name_flow(struct names *, struct name_flow *, uint32_t entry, uint16_t pattern, enum naming naming);
/* No further look. */
void free_flow(struct names *, struct name_flow *, uint64_t now_ms);
void forget_copies(struct names *, struct name_flow *);

/* learn.c: names->learned is not NULL, except where it says so. */

/* No block rule closes the address that is narrower than `any`. */
bool may_learn(const struct names *, const struct name_packet *, uint64_t now_ms);
/* The pattern of a name that was asked for, or NO_PATTERN. */
uint16_t learn_question(struct names *, const struct name *, uint64_t now_ms);
/* The flow begins. */
void learn_call(struct names *, struct name_flow *, uint64_t now_ms);
/* The flow shows this name, or none; `verdict`: why rules would refuse it nevertheless. False: it goes by its address. */
bool learn_flow(struct names *, struct name_flow *, const struct name *, enum naming naming, enum verdict verdict,
		uint64_t now_ms);
/* It shows nothing that helps. */
void learn_address_of(struct names *, struct name_flow *, const struct name *shown, uint64_t now_ms);
/* It ends; or nothing is learned, and nothing happens. */
void learn_silent_flow(struct names *, struct name_flow *, uint64_t now_ms);
/* Of the state file. */
void learn_kept_address(struct names *, struct address, const struct name_pattern *, uint64_t until_ms, uint64_t now_ms);
