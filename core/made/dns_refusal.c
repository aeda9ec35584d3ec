/* Answers of DNS that say no. */
#include "core/made/dns_refusal.h"
#include "core/made/refused.h"
#include "core/names/read/dns.h"

enum {
	UDP_HEADER = 8,
	FLAGS_OF_ANSWER = 0x8080, /* an answer, of one who looks further (RFC 1035 4.1.1) */
	FLAG_RECURSION = 0x0100,
	CODE_NO_ERROR = 0,
	CODE_REFUSED = 5,
	UDP_SIZE = 1232,   /* what a client may send: RFC 9715 */
	OPTION_ERROR = 15, /* RFC 8914 2 */
	ERROR_BLOCKED = 15 /* RFC 8914 4.16 */
};

static const char why[] = "softnet: no rule allows this";

/* Turned round again: the packet was an answer. */
static void turn_round(struct refused *r)
{
	struct address source = r->source;
	uint64_t mac = r->eth.source;
	r->source = r->destination;
	r->destination = source;
	r->eth.source = r->eth.destination;
	r->eth.destination = mac;
}

/* RFC 6891 6.1.2, RFC 8914 2: only for those who have sent such a record themselves. */
static void put_error_option(struct writer *w)
{
	uint32_t text = sizeof why - 1;
	put(w, 0, 1);
	put(w, DNS_OPT, 2);
	put(w, UDP_SIZE, 2);
	put(w, 0, 4);
	put(w, 4 + 2 + text, 2);
	put(w, OPTION_ERROR, 2);
	put(w, 2 + text, 2);
	put(w, ERROR_BLOCKED, 2);
	for (uint32_t i = 0; i < text; i++)
		put(w, (uint8_t)why[i], 1);
}

static void put_message(struct writer *w, const struct frame *frame, uint32_t message, const struct dns_query *q,
			uint16_t code)
{
	uint32_t question = message + DNS_HEADER;
	put(w, q->id, 2);
	put(w, (uint32_t)FLAGS_OF_ANSWER | (q->wants_recursion ? FLAG_RECURSION : 0) | code, 2);
	put(w, 1, 2);
	put(w, 0, 4);
	put(w, q->has_edns, 2);
	if (frame_copy(frame, question, w->to + w->at, q->question_end - question))
		w->at += q->question_end - question;
	if (q->has_edns)
		put_error_option(w);
}

bool is_dns_refusal(enum verdict verdict)
{
	return verdict == DROP_DNS_NAME || verdict == DROP_DNS_REBIND || verdict == DROP_DNS_ECH ||
	       verdict == DROP_NAMES_FULL;
}

uint32_t make_dns_refusal(const struct frame *frame, enum direction direction, enum verdict verdict,
			  uint8_t to[DNS_REFUSAL_MAX])
{
	struct refused refused;
	struct dns_query query;
	if (!read_refused(frame, &refused) || refused.protocol != PROTOCOL_UDP || refused.is_later_fragment)
		return 0;
	struct reader r = read_from(frame, refused.payload, refused.end);
	uint16_t source = read_be16(&r), destination = read_be16(&r);
	uint32_t message = refused.payload + UDP_HEADER, end = refused.payload + read_be16(&r);
	if (!r.ok || end > refused.end || !read_dns_question(frame, message, end, &query))
		return 0;
	bool is_answer = direction == TO_GUEST;
	if (is_answer)
		turn_round(&refused);
	/* Without the addresses in question a client asks for others (RFC 9460 3.1). */
	uint16_t code = verdict == DROP_DNS_ECH ? CODE_NO_ERROR : CODE_REFUSED;
	uint8_t text[DNS_REFUSAL_MAX];
	struct writer body = { text, 0 }, w = { to, 0 };
	put_message(&body, frame, message, &query, code);
	put_headers(&w, &refused, PROTOCOL_UDP, UDP_HEADER + body.at);
	uint32_t start = w.at;
	put(&w, is_answer ? source : destination, 2);
	put(&w, is_answer ? destination : source, 2);
	put(&w, UDP_HEADER + body.at, 2);
	put(&w, 0, 2);
	for (uint32_t i = 0; i < body.at; i++)
		put(&w, text[i], 1);
	put_transport_checksum(&w, &refused, start, start + 6, PROTOCOL_UDP);
	return w.at;
}
