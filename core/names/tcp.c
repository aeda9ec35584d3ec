/*
 * Connections. The guest's octets are read from the SYN on in the order of their numbers, and what is out of order is not let
 * through: it will be sent again. Frames wait until a host is known. What was read is kept until the server has it, and
 * may be sent again only as it was: whatever the server sees is what was judged. What it says by SYN-ACK decides where
 * the octets start, so a second SYN that it never gets moves nothing.
 */
#include "core/names/read/http.h"
#include "core/names/inside.h"

static bool is_behind(uint32_t offset, uint32_t other) /* sequence numbers wrap: RFC 9293 3.4 */
{
	return (int32_t)(offset - other) >= 0;
}

static enum verdict begin(struct names *names, const struct name_packet *p, uint32_t ways, uint64_t now_ms)
{
	bool is_odd = octets_in(p) > 0 || (p->flags & (TCP_FIN | TCP_RST | SEGMENT_URGENT)) != 0;
	if (is_odd) /* data in a SYN (RFC 7413): the client sends it again without */
		return DROP_HELLO_MALFORMED;
	struct name_flow *f = live_flow(names, &p->key, now_ms);
	if (f == 0)
		f = new_flow(names, &p->key, now_ms);
	if (f == 0)
		return DROP_FLOW_LIMIT;
	reset_flow(names, f, DROP_NAME_UNBOUND, now_ms); /* what it was before */
	f->stage = STAGE_CALLED;
	f->ways = (uint8_t)ways;
	set_name_class(&names->flows, f, NAME_ASKED, now_ms);
	return PASS;
}

enum verdict call_by_name(struct names *names, const struct name_packet *p, uint64_t now_ms)
{
	uint32_t ways = names->learned != 0
			    ? BY(NAMED_IN_TLS) | BY(NAMED_IN_HTTP)
			    : ways_of_address(names, p->key.peer, PROTOCOL_TCP, p->key.peer_port, now_ms);
	if (ways == 0)
		return DROP_NAME_UNBOUND;
	enum verdict verdict = begin(names, p, ways, now_ms);
	struct name_flow *f = verdict == PASS ? live_flow(names, &p->key, now_ms) : 0;
	if (f != 0 && names->learned != 0)
		learn_call(names, f, now_ms);
	if (f == 0 || !(ways & BY(NAMED_BY_ADDRESS)))
		return verdict;
	if (!admit_flow(names, f, 0, NAMED_BY_ADDRESS, now_ms))
		return refuse_flow(names, f, DROP_NAME_DENIED, now_ms);
	free_flow(names, f, now_ms);
	return PASS;
}

enum verdict call_resolver(struct names *names, const struct name_packet *p, uint64_t now_ms)
{
	return begin(names, p, BY(NAMED_IN_DNS), now_ms);
}

/* --- the octets --------------------------------------------------------------------------------------------------- */

/* The octets [from, to) of a stream that begins at the sequence number `start`, as far as `list` has frames of it. */
struct stretch {
	const struct held_list *list;
	uint32_t start, from, to;
};

/* Copies it to `room`. False: some of it is not there. */
static bool recall(const struct hold *hold, struct stretch s, uint8_t *room)
{
	uint32_t at = s.from;
	for (uint16_t entry = s.list->first; entry != 0 && at < s.to; entry = held_at(hold, entry)->next) {
		const struct held *held = held_at(hold, entry);
		uint32_t offset = held->sequence - s.start, end = offset + held->octets;
		if (at < offset || at >= end)
			continue;
		uint32_t octets = (end < s.to ? end : s.to) - at;
		struct frame frame = frame_of_held(hold, entry);
		if (!frame_copy(&frame, held->at + (at - offset), room + (at - s.from), octets))
			return false;
		at += octets;
	}
	return at >= s.to;
}

/* What is kept, which may be nothing, and behind it the octets of the segment that are new. */
static bool put_together(struct names *names, struct stretch kept, const struct name_packet *p, struct frame *stream)
{
	uint32_t offset = p->sequence - kept.start, end = offset + octets_in(p);
	uint32_t octets = kept.to > kept.from ? kept.to - kept.from : 0;
	*stream = (struct frame){ .bytes = names->stream, .length = end - kept.from };
	return stream->length <= NAMES_STREAM_MAX && (octets == 0 || recall(&names->hold, kept, names->stream)) &&
	       frame_copy(p->frame, p->at + (kept.from + octets - offset), names->stream + octets,
			  stream->length - octets);
}

enum sameness { SAME_OCTETS, OTHER_OCTETS, OCTETS_UNKNOWN };

/* What the segment says of [from, to), against what was read. */
static enum sameness compare(struct names *names, const struct name_flow *f, const struct name_packet *p, uint32_t from,
			     uint32_t to)
{
	uint32_t offset = p->sequence - f->tcp.start;
	struct reader r = read_from(p->frame, p->at + (from - offset), p->end);
	if (!recall(&names->hold, (struct stretch){ &f->held, f->tcp.start, from, to }, names->stream))
		return OCTETS_UNKNOWN;
	for (uint32_t i = 0; i < to - from; i++)
		if (read_u8(&r) != names->stream[i])
			return OTHER_OCTETS;
	return r.ok ? SAME_OCTETS : OCTETS_UNKNOWN;
}

/* --- what they say ------------------------------------------------------------------------------------------------ */

/* PASS: nothing is missing. HELD: something is. Else a drop. */
static enum verdict read_hello_of_tls(struct names *names, struct name_flow *f, const struct frame *stream,
				      uint64_t now_ms)
{
	struct hello hello;
	switch (read_hello_records(stream, 0, &names->hello_room, &hello)) {
	case READING_NEEDS_MORE:
		return HELD;
	case READING_REFUSED:
		return DROP_HELLO_MALFORMED;
	case READING_WHOLE:
		break;
	}
	enum verdict verdict = judge_hello(names, f, &hello, NAMED_IN_TLS, now_ms);
	if (verdict != PASS)
		return verdict;
	f->tcp.read += hello.end;
	f->tcp.has_early_data |= hello.has_early_data;
	f->tcp.asks_again = 0;
	if (++f->tcp.hellos >= NAMES_HELLOS_MAX)
		f->tcp.fence = f->tcp.read;
	return PASS;
}

/*
 * Records behind a hello. Another hello may come if the server asks for it; it is judged like the first. That the handshake
 * goes on, or data without an offer of early data, shows that none will come.
 */
static enum verdict read_records(struct names *names, struct name_flow *f, const struct frame *stream, uint64_t now_ms)
{
	uint32_t base = f->tcp.read;
	while (f->tcp.fence == NO_FENCE && f->tcp.read - base < stream->length) {
		struct frame rest = { .bytes = stream->bytes + (f->tcp.read - base),
				      .length = stream->length - (f->tcp.read - base) };
		uint32_t end = 0;
		enum next_record next = read_next_record(&rest, 0, &end);
		if (next == NEXT_UNKNOWN)
			return PASS; /* without its rest it is no hello */
		if (next == NEXT_BROKEN || (next == NEXT_HANDSHAKE && f->tcp.asks_again))
			return DROP_HELLO_MALFORMED;
		if (next == NEXT_HELLO) {
			enum verdict verdict = read_hello_of_tls(names, f, &rest, now_ms);
			if (verdict != PASS)
				return verdict;
			continue;
		}
		if (next == NEXT_HANDSHAKE || (next == NEXT_DATA && !f->tcp.has_early_data))
			f->tcp.fence = f->tcp.read + 6 < base + stream->length ? f->tcp.read + 6 : base + stream->length;
		f->tcp.read += end;
	}
	return PASS;
}

static enum verdict read_request(struct names *names, struct name_flow *f, const struct frame *stream, uint64_t now_ms)
{
	struct name name;
	switch (read_http_host(stream, 0, &name)) {
	case READING_NEEDS_MORE:
		return HELD;
	case READING_REFUSED:
		return DROP_HELLO_MALFORMED;
	case READING_WHOLE:
		break;
	}
	if (!admit_flow(names, f, &name, NAMED_IN_HTTP, now_ms))
		return DROP_NAME_DENIED;
	f->tcp.read += stream->length;
	f->tcp.fence = f->tcp.read;
	return PASS;
}

/* RFC 1035 4.2.2: a length in front of each message. */
static enum verdict read_questions(struct names *names, struct name_flow *f, const struct name_packet *p,
				   const struct frame *stream, uint64_t now_ms)
{
	struct reader r = read_from(stream, 0, stream->length);
	while (octets_left(&r) >= 2) {
		uint32_t octets = read_be16(&r);
		if (octets > DNS_MESSAGE_MAX)
			return DROP_DNS_MALFORMED;
		if (octets > octets_left(&r))
			return HELD;
		enum verdict verdict = judge_question(names, p, stream, r.at, r.at + octets, now_ms);
		if (verdict != PASS)
			return verdict;
		skip_bytes(&r, octets);
		f->tcp.read += 2 + octets;
	}
	return octets_left(&r) > 0 ? HELD : PASS;
}

static enum verdict understand(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	struct frame stream;
	struct stretch kept = { &f->held, f->tcp.start, f->tcp.read, f->tcp.next };
	bool is_inside_record = f->tcp.hellos > 0 &&
				!is_behind(p->sequence - f->tcp.start + octets_in(p), f->tcp.read + 1);
	if (is_inside_record)
		return PASS;
	if (!put_together(names, kept, p, &stream))
		return DROP_HELLO_LIMIT;
	if (f->ways & BY(NAMED_IN_DNS))
		return read_questions(names, f, p, &stream, now_ms);
	if (f->tcp.hellos > 0)
		return read_records(names, f, &stream, now_ms);
	bool may_be_tls = (f->ways & BY(NAMED_IN_TLS)) != 0, may_be_http = (f->ways & BY(NAMED_IN_HTTP)) != 0;
	if (may_be_http && (!may_be_tls || stream.bytes[0] != 22))
		return read_request(names, f, &stream, now_ms);
	enum verdict verdict = read_hello_of_tls(names, f, &stream, now_ms);
	if (verdict != PASS)
		return verdict;
	struct frame rest = { .bytes = stream.bytes + f->tcp.read, .length = stream.length - f->tcp.read };
	return read_records(names, f, &rest, now_ms);
}

/* --- segments of the guest ---------------------------------------------------------------------------------------- */

/* Octets that come in order. Those of a flow that is named already may come again when there is room. */
static enum verdict take_octets(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	uint32_t end = p->sequence - f->tcp.start + octets_in(p);
	bool has_room = f->tcp.next - f->tcp.acked <= HELLO_MAX && f->held.count < NAMES_HELD_MAX;
	if (!has_room)
		return f->is_named ? DROP_HELLO_ORDER : refuse_flow(names, f, DROP_HELLO_LIMIT, now_ms);
	if (f->is_named && end > NAMES_EARLY_MAX)
		return refuse_flow(names, f, DROP_HELLO_LIMIT, now_ms);
	enum verdict verdict = understand(names, f, p, now_ms);
	if (is_drop(verdict))
		return refuse_flow(names, f, verdict, now_ms);
	f->tcp.next = end;
	return verdict == HELD ? wait_in_flow(names, f, p, now_ms) : go_on_in_flow(names, f, p, now_ms);
}

/* RFC 9293 3.10.7.4: some octets were sent before. They may go on again if they are the same, and new ones behind them. */
static enum verdict repeat_octets(struct names *names, struct name_flow *f, const struct name_packet *p, uint32_t known,
				  uint64_t now_ms)
{
	uint32_t offset = p->sequence - f->tcp.start, end = offset + octets_in(p);
	uint32_t from = is_behind(offset, f->tcp.acked) ? offset : f->tcp.acked;
	bool has_more = !is_behind(known, end);
	if (is_behind(from, end)) /* the server has all of it */
		return PASS;
	switch (compare(names, f, p, from, has_more ? known : end)) {
	case OTHER_OCTETS:
		return refuse_flow(names, f, DROP_HELLO_CONFLICT, now_ms);
	case OCTETS_UNKNOWN:
		return DROP_HELLO_ORDER;
	case SAME_OCTETS:
		break;
	}
	if (has_more && f->tcp.fence == NO_FENCE)
		return take_octets(names, f, p, now_ms);
	return f->class == NAME_HOLDING ? DROP_HELLO_ORDER : PASS;
}

static enum verdict follow_octets(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	bool has_fence = f->tcp.fence != NO_FENCE;
	uint32_t offset = p->sequence - f->tcp.start, known = has_fence ? f->tcp.fence : f->tcp.next;
	if (!is_behind(offset, known))
		return repeat_octets(names, f, p, known, now_ms);
	if (has_fence)
		return PASS;
	return offset == known ? take_octets(names, f, p, now_ms) : DROP_HELLO_ORDER;
}

/* It is no more worth than what is closed: the guest has said its last word, or the server will hear no more. */
static void follow_end(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	bool has_ended = (p->flags & TCP_RST) || (!p->to_guest && (p->flags & TCP_FIN));
	if (f->stage == STAGE_FREE && has_ended && f->class != NAME_ENDED)
		set_name_class(&names->flows, f, NAME_ENDED, now_ms);
}

enum verdict follow_segment(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	follow_end(names, f, p, now_ms);
	switch ((enum name_stage)f->stage) {
	case STAGE_REFUSED:
		return (enum verdict)f->reason;
	case STAGE_FREE:
		if (f->is_named)
			names->octets[f->pattern] += p->frame->length;
		use_name_flow(&names->flows, f, now_ms);
		return PASS;
	case STAGE_CALLED:
		return p->flags & TCP_RST ? PASS : DROP_NAME_UNBOUND;
	case STAGE_ANSWERED:
		break;
	}
	if (p->flags & (SEGMENT_URGENT | TCP_SYN)) /* urgent octets: some servers take them out of the stream */
		return octets_in(p) > 0 ? refuse_flow(names, f, DROP_HELLO_MALFORMED, now_ms) : DROP_HELLO_MALFORMED;
	if (f->class != NAME_HOLDING)
		use_name_flow(&names->flows, f, now_ms);
	return octets_in(p) == 0 ? PASS : follow_octets(names, f, p, now_ms);
}

/* --- segments of the server --------------------------------------------------------------------------------------- */

/* The front of what the server sends tells whether it wants another hello. */
static void read_server(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	if (f->tcp.hellos == 0 || f->tcp.fence != NO_FENCE || p->sequence != f->tcp.server_start)
		return;
	switch (read_server_hello(p->frame, p->at, p->end)) {
	case SERVER_UNKNOWN:
		return;
	case SERVER_ASKS_AGAIN:
		f->tcp.asks_again = f->tcp.hellos == 1;
		return;
	case SERVER_GOES_ON:
		free_flow(names, f, now_ms);
		return;
	}
}

/* Copies of what has arrived, and is understood, are needed no more. */
static void follow_acknowledgment(struct names *names, struct name_flow *f, uint32_t acknowledged, uint64_t now_ms)
{
	uint32_t offset = acknowledged - f->tcp.start;
	if (f->class == NAME_HOLDING || !is_behind(offset, f->tcp.acked) || !is_behind(f->tcp.next, offset))
		return;
	f->tcp.acked = offset;
	uint32_t done = is_behind(offset, f->tcp.read) ? f->tcp.read : offset;
	for (uint16_t first = f->held.first; first != 0; first = f->held.first) {
		const struct held *held = held_at(&names->hold, first);
		if (!is_behind(done, held->sequence - f->tcp.start + held->octets))
			break;
		forget_first(&names->hold, &f->held);
	}
	if (f->tcp.fence != NO_FENCE && is_behind(offset, f->tcp.fence))
		free_flow(names, f, now_ms);
}

/* Whole messages are judged before the segment that ends them goes on. */
static enum verdict read_answers(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	struct frame stream;
	struct stretch kept = { &f->answers, f->tcp.server_start, f->tcp.server_read, f->tcp.server_next };
	if (!put_together(names, kept, p, &stream))
		return DROP_HELLO_ORDER;
	struct reader r = read_from(&stream, 0, stream.length);
	while (octets_left(&r) >= 2) {
		uint32_t octets = read_be16(&r);
		if (octets > DNS_MESSAGE_MAX)
			return DROP_DNS_MALFORMED;
		if (octets > octets_left(&r))
			return PASS;
		enum verdict verdict = judge_answer(names, p, &stream, r.at, r.at + octets, now_ms);
		if (verdict != PASS)
			return verdict;
		skip_bytes(&r, octets);
		f->tcp.server_read += 2 + octets;
	}
	return PASS;
}

static enum verdict follow_resolver(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	uint32_t offset = p->sequence - f->tcp.server_start, end = offset + octets_in(p);
	if (is_behind(f->tcp.server_next, end)) /* nothing new */
		return PASS;
	if (!is_behind(f->tcp.server_next, offset))
		return DROP_HELLO_ORDER;
	enum verdict verdict = read_answers(names, f, p, now_ms);
	if (verdict != PASS)
		return verdict == DROP_HELLO_ORDER ? verdict : refuse_flow(names, f, verdict, now_ms);
	if (f->tcp.server_read >= end) {
		drop_list(&names->hold, &f->answers, PASS);
	} else {
		struct payload payload = { p->at, octets_in(p), p->sequence };
		if (f->answers.count >= NAMES_HELD_MAX || !keep_frame(&names->hold, &f->answers, p->frame, payload, true))
			return DROP_HELLO_ORDER;
	}
	f->tcp.server_next = end;
	return PASS;
}

enum verdict follow_answer(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	bool is_answer = (p->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
	follow_end(names, f, p, now_ms);
	if (f->stage == STAGE_CALLED && is_answer) {
		f->tcp =
		    (struct name_stream){ .start = p->acknowledged, .server_start = p->sequence + 1, .fence = NO_FENCE };
		f->stage = STAGE_ANSWERED;
		return PASS;
	}
	if (f->stage != STAGE_ANSWERED || !(p->flags & TCP_ACK) || (p->flags & TCP_SYN))
		return PASS;
	follow_acknowledgment(names, f, p->acknowledged, now_ms);
	if (f->stage != STAGE_ANSWERED || octets_in(p) == 0)
		return PASS;
	if (f->ways & BY(NAMED_IN_DNS))
		return follow_resolver(names, f, p, now_ms);
	read_server(names, f, p, now_ms);
	return PASS;
}
