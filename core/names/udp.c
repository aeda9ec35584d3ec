/*
 * Datagrams: QUIC, and protocols that a rule opens by the address alone. The octets of a hello may come in any order, in
 * several packets and datagrams; none passes until all are there. Afterwards every Initial packet is opened again, with the keys
 * of its own connection id and with those of the connection that was judged: an id that is new is a new connection.
 */
#include "core/flows/siphash.h"
#include "core/names/inside.h"

/* --- hellos on their way ------------------------------------------------------------------------------------------ */

/*
 * A server may put together what comes for one connection id from several ports. So while a hello may be on its way, its id
 * stands for these octets alone, of which `before` were known. False: it stands for others, or there is no room.
 */
static bool claim_id(struct names *names, const struct connection_id *id, uint32_t before, uint32_t octets,
		     uint64_t now_ms)
{
	const uint64_t *key = names->book.hash_key;
	uint64_t id_hash = siphash(key, id->octets, id->length), hello_hash = siphash(key, names->crypto.octets, octets);
	uint64_t hash_before = siphash(key, names->crypto.octets, before);
	struct name_id *place = 0;
	for (uint32_t i = 0; i < NAMES_IDS_MAX; i++) {
		struct name_id *known = &names->ids[i];
		bool is_known = now_ms < known->until_ms, is_same = is_known && known->id_hash == id_hash;
		if (is_same && known->hello_hash != hello_hash && (before == 0 || known->hello_hash != hash_before))
			return false;
		if (is_same || (!is_known && place == 0))
			place = known;
	}
	if (place != 0)
		*place = (struct name_id){ id_hash, hello_hash, now_ms + NAMES_ID_LIFE_MS };
	return place != 0;
}

/* The server has read it to its end. */
static void release_id(struct names *names, const struct connection_id *id)
{
	uint64_t id_hash = siphash(names->book.hash_key, id->octets, id->length);
	for (uint32_t i = 0; i < NAMES_IDS_MAX; i++)
		if (names->ids[i].id_hash == id_hash)
			names->ids[i].until_ms = 0;
}

/* --- packets ------------------------------------------------------------------------------------------------------ */

static bool open_with(struct names *names, const struct connection_id *id, const struct frame *frame,
		      const struct quic_packet *packet, struct quic_opened *opened)
{
	return packet->end - packet->at <= sizeof names->plain &&
	       names->open_initial(id, packet, frame->bytes, names->plain, opened);
}

/* Puts what is kept of the flow's connection into names->crypto. */
static void recall_crypto(struct names *names, const struct name_flow *f)
{
	clear_crypto(&names->crypto);
	for (uint16_t entry = f->held.first; entry != 0; entry = held_at(&names->hold, entry)->next) {
		const struct held *held = held_at(&names->hold, entry);
		struct frame frame = frame_of_held(&names->hold, entry);
		uint32_t at = held->at, end = held->at + held->octets;
		for (uint32_t i = 0; i < QUIC_COALESCED_MAX && at < end; i++) {
			struct quic_packet packet = parse_quic_packet(&frame, at, end);
			struct quic_opened opened;
			at = packet.end;
			if (packet.kind != QUIC_INITIAL || !open_with(names, &f->quic.first, &frame, &packet, &opened))
				continue;
			struct frame plain = { .bytes = names->plain, .length = opened.octets };
			read_initial_frames(&plain, &names->crypto);
		}
	}
}

enum owner { OWNER_UNKNOWN, OWNER_FLOW, OWNER_NEW };

/*
 * Whose connection an Initial packet is. Somebody who knows both keys, and everybody can, may make one that opens with
 * either and says two things: it is nobody's.
 */
static enum owner owner_of(struct names *names, const struct name_quic *quic, const struct frame *frame,
			   const struct quic_packet *packet)
{
	struct quic_opened opened;
	bool is_same = quic->is_known && same_connection_id(&packet->destination, &quic->first);
	bool opens = open_with(names, &packet->destination, frame, packet, &opened);
	if (!quic->is_known || is_same)
		return !opens ? OWNER_UNKNOWN : is_same ? OWNER_FLOW : OWNER_NEW;
	bool opens_in_flow = open_with(names, &quic->first, frame, packet, &opened);
	if (opens == opens_in_flow)
		return OWNER_UNKNOWN;
	return opens ? OWNER_NEW : OWNER_FLOW;
}

/* What the Initial packets of one datagram say. names->crypto has their octets, with those that are known already. */
struct contents {
	enum owner owner;        /* of all; OWNER_UNKNOWN: there was none */
	struct connection_id id; /* that their keys follow from */
	int64_t largest;         /* packet number */
	uint32_t known;          /* where the octets ended before */
};

static void begin_contents(struct names *names, const struct name_flow *f, enum owner owner,
			   const struct quic_packet *packet, struct contents *c)
{
	bool is_new = owner == OWNER_NEW;
	*c = (struct contents){ owner, is_new ? packet->destination : f->quic.first, is_new ? -1 : f->quic.largest, 0 };
	if (is_new)
		clear_crypto(&names->crypto);
	else
		recall_crypto(names, f);
	c->known = names->crypto.end;
}

static enum verdict read_initial(struct names *names, const struct name_flow *f, const struct frame *frame,
				 const struct quic_packet *packet, struct contents *c)
{
	struct quic_opened opened;
	enum owner owner = owner_of(names, &f->quic, frame, packet);
	if (owner != OWNER_UNKNOWN && c->owner == OWNER_UNKNOWN)
		begin_contents(names, f, owner, packet, c);
	if (owner == OWNER_UNKNOWN || owner != c->owner || !open_with(names, &c->id, frame, packet, &opened) ||
	    !is_whole_number(&opened, c->largest))
		return DROP_QUIC_INITIAL;
	if (opened.packet_number > c->largest)
		c->largest = opened.packet_number;
	struct frame plain = { .bytes = names->plain, .length = opened.octets };
	switch (read_initial_frames(&plain, &names->crypto)) {
	case CRYPTO_CONFLICT:
		return DROP_HELLO_CONFLICT;
	case CRYPTO_REFUSED:
		return DROP_QUIC_INITIAL;
	case CRYPTO_TAKEN:
		break;
	}
	return PASS;
}

static enum verdict read_packets(struct names *names, const struct name_flow *f, const struct name_packet *p,
				 struct contents *c)
{
	uint32_t at = p->at;
	for (uint32_t i = 0; i < QUIC_COALESCED_MAX && at < p->end; i++) {
		struct quic_packet packet = parse_quic_packet(p->frame, at, p->end);
		enum verdict verdict = PASS;
		switch (packet.kind) {
		case QUIC_INITIAL:
			verdict = read_initial(names, f, p->frame, &packet, c);
			break;
		case QUIC_SHORT:
		case QUIC_ZERO_RTT:
		case QUIC_HANDSHAKE:
			break;
		case QUIC_OTHER_VERSION:
			verdict = DROP_QUIC_VERSION;
			break;
		case QUIC_RETRY:
		case QUIC_BROKEN:
			verdict = DROP_QUIC_INITIAL;
			break;
		}
		if (verdict != PASS)
			return verdict;
		at = packet.end;
	}
	return at < p->end ? DROP_QUIC_INITIAL : PASS;
}

/* --- hellos ------------------------------------------------------------------------------------------------------- */

/* Hellos in names->crypto from `read` on. PASS: all that is there is read and may pass. HELD: something is missing. */
static enum verdict read_hellos(struct names *names, struct name_flow *f, uint32_t *read, uint64_t now_ms)
{
	struct frame message = { .bytes = names->crypto.octets, .length = names->crypto.prefix };
	for (uint32_t i = 0; i < NAMES_HELLOS_MAX && *read < names->crypto.end; i++) {
		struct hello hello;
		switch (read_hello(&message, *read, &hello)) {
		case READING_NEEDS_MORE:
			return HELD;
		case READING_REFUSED:
			return DROP_HELLO_MALFORMED;
		case READING_WHOLE:
			break;
		}
		enum verdict verdict = judge_hello(names, f, &hello, NAMED_IN_QUIC, now_ms);
		if (verdict != PASS)
			return verdict;
		*read = hello.end;
	}
	return *read < names->crypto.end ? DROP_HELLO_MALFORMED : PASS;
}

/* --- datagrams of the guest --------------------------------------------------------------------------------------- */

/* Something new of a hello, or the first of it. */
static enum verdict take_hello(struct names *names, struct name_flow *f, const struct name_packet *p,
			       const struct contents *c, uint64_t now_ms)
{
	uint32_t read = f->quic.read;
	enum verdict verdict = read_hellos(names, f, &read, now_ms);
	if (is_drop(verdict))
		return end_waiting(names, f, verdict, now_ms);
	if (verdict == HELD && f->held.count >= NAMES_DATAGRAMS_MAX)
		return end_waiting(names, f, DROP_HELLO_LIMIT, now_ms);
	if (verdict == HELD) {
		f->quic.largest = c->largest;
		return wait_in_flow(names, f, p, now_ms);
	}
	if (read == 0) /* not one octet of a hello */
		return DROP_QUIC_INITIAL;
	if (!claim_id(names, &f->quic.first, f->quic.read, read, now_ms))
		return end_waiting(names, f, DROP_HELLO_CONFLICT, now_ms);
	f->quic.largest = c->largest;
	f->quic.read = read;
	return go_on_in_flow(names, f, p, now_ms);
}

/* Another connection begins in the flow. What it sends next is judged as the first one's; data goes on meanwhile. */
static enum verdict begin_connection(struct names *names, struct name_flow *f, const struct name_packet *p,
				     const struct contents *c, uint64_t now_ms)
{
	bool is_second = f->quic.is_known && !f->is_named; /* before the first is known */
	if (is_second || octets_in(p) < QUIC_DATAGRAM_MIN)
		return DROP_QUIC_INITIAL;
	struct name_quic before = f->quic;
	drop_list(&names->hold, &f->held, DROP_QUIC_INITIAL);
	f->quic = (struct name_quic){ .first = c->id, .largest = -1, .is_known = true };
	enum verdict verdict = take_hello(names, f, p, c, now_ms);
	if (is_drop(verdict) && before.is_known) { /* the one before goes on; there is nothing to compare its hello with */
		f->quic = before;
		f->quic.is_answered = true;
	}
	return verdict;
}

static enum verdict follow_quic(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	struct contents c = { .owner = OWNER_UNKNOWN };
	if (names->open_initial == 0)
		return DROP_QUIC_INITIAL;
	enum verdict verdict = read_packets(names, f, p, &c);
	if (verdict != PASS)
		return verdict;
	if (c.owner == OWNER_UNKNOWN)
		return f->is_named ? PASS : DROP_QUIC_INITIAL;
	if (c.owner == OWNER_NEW)
		return begin_connection(names, f, p, &c, now_ms);
	if (f->quic.is_answered && names->crypto.end > 0) /* there is nothing to compare it with, and the server has it */
		return DROP_QUIC_INITIAL;
	if (names->crypto.end > c.known || f->class == NAME_HOLDING)
		return take_hello(names, f, p, &c, now_ms);
	f->quic.largest = c.largest;
	return PASS;
}

static void use_flow(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	if (f->is_named)
		names->octets[f->pattern] += p->frame->length;
	if (f->class != NAME_HOLDING && f->stage != STAGE_REFUSED)
		use_name_flow(&names->flows, f, now_ms);
}

enum verdict follow_datagram(struct names *names, const struct name_packet *p, uint64_t now_ms)
{
	struct name_flow *f = live_flow(names, &p->key, now_ms);
	if (f != 0 && f->stage != STAGE_REFUSED) {
		use_flow(names, f, p, now_ms);
		return f->stage == STAGE_FREE ? PASS : follow_quic(names, f, p, now_ms);
	}
	uint32_t ways = names->learned != 0
			    ? BY(NAMED_IN_QUIC)
			    : ways_of_address(names, p->key.peer, PROTOCOL_UDP, p->key.peer_port, now_ms);
	if (ways == 0)
		return DROP_NAME_UNBOUND;
	if (f == 0)
		f = new_flow(names, &p->key, now_ms);
	if (f == 0)
		return DROP_FLOW_LIMIT;
	f->ways = (uint8_t)ways;
	f->quic = (struct name_quic){ .is_known = false };
	f->stage = STAGE_ANSWERED;
	set_name_class(&names->flows, f, NAME_ASKED, now_ms);
	if (names->learned != 0)
		learn_call(names, f, now_ms);
	if (!(ways & BY(NAMED_BY_ADDRESS)))
		return follow_quic(names, f, p, now_ms);
	if (!admit_flow(names, f, 0, NAMED_BY_ADDRESS, now_ms))
		return refuse_flow(names, f, DROP_NAME_DENIED, now_ms);
	free_flow(names, f, now_ms);
	return PASS;
}

/* --- datagrams of the server -------------------------------------------------------------------------------------- */

void follow_datagram_answer(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	if (names->learned != 0 && f->class == NAME_ASKED)
		learn_address_of(names, f, 0, now_ms);
	bool is_waited_for = f->stage == STAGE_ANSWERED && f->class == NAME_FOLLOWED && !f->quic.is_answered;
	if (!is_waited_for || !has_handshake_packet(p->frame, p->at, p->end))
		return;
	release_id(names, &f->quic.first);
	forget_copies(names, f);
	f->quic.is_answered = true;
	set_name_class(&names->flows, f, NAME_OPEN_UDP, now_ms);
}
