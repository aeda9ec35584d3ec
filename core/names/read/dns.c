/* Reads DNS messages whole: every section is walked to the message's last octet. */
#include "core/names/read/dns.h"

enum {
	LABELS_MAX = 128,    /* RFC 1035 3.1: 255 octets of labels of two octets, and the root */
	PARAMETERS_MAX = 64, /* of a service; seven are registered */
	PARAMETER_IPV4HINT = 4,
	PARAMETER_ECH = 5,
	PARAMETER_IPV6HINT = 6, /* RFC 9460 14.3.2 */
	FLAG_RESPONSE = 0x8000,
	FLAG_TRUNCATED = 0x0200,
	FLAG_RECURSION = 0x0100,
	OPCODE = 0x7800
};

struct header {
	uint16_t id, flags;
	uint32_t questions, answers, authorities, additional;
};

static struct header read_header(struct reader *r)
{
	struct header h;
	h.id = read_be16(r);
	h.flags = read_be16(r);
	h.questions = read_be16(r);
	h.answers = read_be16(r);
	h.authorities = read_be16(r);
	h.additional = read_be16(r);
	return h;
}

/* A domain name; is_host: its octets are those of a host name, so that the text tells it whole. */
struct domain {
	struct name name;
	bool is_host;
};

/* Adds one label behind what is there. An octet that no host name has must not pass for one, a dot above all. */
static void read_label(struct reader *r, uint32_t octets, struct domain *d)
{
	if (d->name.length > 0)
		d->is_host &= add_to_name(&d->name, '.');
	for (uint32_t i = 0; i < octets; i++) {
		uint8_t octet = read_u8(r);
		d->is_host &= is_label_octet(to_lower_case(octet)) && add_to_name(&d->name, octet);
	}
}

/*
 * RFC 1035 4.1.4: a pointer leads to a prior name in the message, so to an octet before the name, or the piece of it, that
 * it ends. False: longer than a name may be, or a pointer that leads forward or, where may_point is not, anywhere.
 */
static bool read_domain(struct reader *r, uint32_t message, bool may_point, struct domain *d)
{
	struct reader place = *r;
	uint32_t piece = r->at, octets = 1; /* that it has on the wire without pointers, with the root */
	bool has_pointed = false;
	d->name.length = 0;
	d->is_host = true;
	for (uint32_t i = 0; i < LABELS_MAX + LABELS_MAX && place.ok; i++) {
		uint8_t length = read_u8(&place);
		if (length >= 0xc0) {
			uint32_t to = message + ((length & 0x3fu) << 8 | read_u8(&place));
			if (!has_pointed)
				*r = place;
			if (!may_point || !place.ok || to >= piece || to < message + DNS_HEADER)
				break;
			has_pointed = true;
			piece = to;
			place = read_from(r->frame, to, r->end);
			continue;
		}
		if (length > LABEL_MAX_OCTETS) /* RFC 6891 5: other kinds of labels are history */
			break;
		if (length == 0) {
			if (!has_pointed)
				*r = place;
			d->is_host = d->is_host && is_host_name(&d->name);
			return place.ok && r->ok;
		}
		octets += 1u + length;
		if (octets > NAME_MAX_OCTETS + 2)
			break;
		read_label(&place, length, d);
	}
	r->ok = false;
	return false;
}

static bool read_question(struct reader *r, uint32_t message, struct dns_question *q)
{
	struct domain domain;
	if (!read_domain(r, message, false, &domain))
		return false;
	q->name = domain.name;
	q->is_host = domain.is_host;
	q->type = read_be16(r);
	q->class = read_be16(r);
	return r->ok;
}

/* A resource record: data covers its RDATA and nothing else. Only names may point back. */
struct record {
	struct domain owner;
	uint16_t type, class;
	uint32_t ttl_s;
	uint32_t data, end;
};

static bool read_record(struct reader *r, uint32_t message, struct record *record)
{
	if (!read_domain(r, message, true, &record->owner))
		return false;
	record->type = read_be16(r);
	record->class = read_be16(r);
	record->ttl_s = read_be32(r);
	if (record->ttl_s >> 31) /* RFC 2181 8 */
		record->ttl_s = 0;
	uint32_t octets = read_be16(r);
	record->data = r->at;
	record->end = r->at + octets;
	skip_bytes(r, octets);
	return r->ok;
}

bool parse_dns_query(const struct frame *frame, uint32_t at, uint32_t end, struct dns_query *query)
{
	struct reader r = read_from(frame, at, end);
	struct header h = read_header(&r);
	query->id = h.id;
	query->wants_recursion = (h.flags & FLAG_RECURSION) != 0;
	query->has_edns = h.additional == 1;
	if (!r.ok || h.flags & (FLAG_RESPONSE | OPCODE | FLAG_TRUNCATED) || h.questions != 1 || h.answers != 0 ||
	    h.authorities != 0 || h.additional > 1)
		return false;
	if (!read_question(&r, at, &query->question))
		return false;
	query->question_end = r.at;
	struct record option;
	if (query->has_edns && (!read_record(&r, at, &option) || option.type != DNS_OPT || option.owner.name.length != 0))
		return false;
	return r.ok && r.at == end;
}

bool read_dns_question(const struct frame *frame, uint32_t at, uint32_t end, struct dns_query *query)
{
	struct reader r = read_from(frame, at, end);
	struct header h = read_header(&r);
	*query = (struct dns_query){ .id = h.id, .wants_recursion = (h.flags & FLAG_RECURSION) != 0 };
	if (h.questions != 1 || !read_question(&r, at, &query->question))
		return false;
	query->question_end = r.at;
	uint32_t records = h.answers + h.authorities + h.additional;
	struct record record;
	for (uint32_t i = 0; i < records && i < DNS_RECORDS_MAX && read_record(&r, at, &record); i++)
		query->has_edns |= record.type == DNS_OPT;
	return true;
}

/* Where the answers are, and how many. */
struct section {
	const struct frame *frame;
	uint32_t message, at, end, records;
};

static uint32_t smaller_of(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool add_address(struct dns_answer *answer, struct address address, uint32_t ttl_s)
{
	if (answer->address_count >= DNS_ADDRESSES_MAX)
		return false;
	answer->addresses[answer->address_count++] = (struct dns_address){ address, ttl_s };
	return true;
}

static void add_alias(struct dns_answer *answer, const struct domain *target, uint32_t ttl_s)
{
	if (target->is_host && answer->alias_count < DNS_ALIASES_MAX)
		answer->aliases[answer->alias_count++] = (struct dns_alias){ target->name, ttl_s };
}

static struct address read_ipv6(struct reader *r)
{
	struct address a;
	a.high = (uint64_t)read_be32(r) << 32;
	a.high |= read_be32(r);
	a.low = (uint64_t)read_be32(r) << 32;
	a.low |= read_be32(r);
	return a;
}

static bool read_hints(struct reader *r, bool is_ipv6, uint32_t ttl_s, struct dns_answer *answer)
{
	if (octets_left(r) == 0)
		return false;
	for (uint32_t i = 0; i <= DNS_ADDRESSES_MAX && octets_left(r) > 0; i++) {
		struct address a = is_ipv6 ? read_ipv6(r) : address_of_ipv4(read_be32(r));
		if (!r->ok || !add_address(answer, a, ttl_s))
			return false;
	}
	return r->ok;
}

/* RFC 9460 2.2: keys in rising order, none twice. */
static bool read_parameters(struct reader *r, uint32_t ttl_s, struct dns_answer *answer)
{
	uint32_t next_key = 0;
	for (uint32_t i = 0; i < PARAMETERS_MAX && octets_left(r) > 0; i++) {
		uint32_t key = read_be16(r), octets = read_be16(r);
		if (!r->ok || key < next_key || octets > octets_left(r))
			return false;
		struct reader value = read_from(r->frame, r->at, r->at + octets);
		skip_bytes(r, octets);
		next_key = key + 1;
		answer->has_ech |= key == PARAMETER_ECH;
		if ((key == PARAMETER_IPV4HINT || key == PARAMETER_IPV6HINT) &&
		    !read_hints(&value, key == PARAMETER_IPV6HINT, ttl_s, answer))
			return false;
	}
	return r->ok && octets_left(r) == 0;
}

/* RFC 9460 2.2: priority, the name of the host, parameters. The root stands for the owner. */
static bool read_service(struct reader *r, uint32_t message, uint32_t ttl_s, struct dns_answer *answer)
{
	struct domain target;
	skip_bytes(r, 2);
	if (!read_domain(r, message, false, &target))
		return false;
	add_alias(answer, &target, ttl_s);
	return read_parameters(r, ttl_s, answer);
}

/* RFC 2782: priority, weight, port, the name of the host. Old servers compress it. */
static bool read_server(struct reader *r, uint32_t message, uint32_t ttl_s, struct dns_answer *answer)
{
	struct domain target;
	skip_bytes(r, 6);
	if (!read_domain(r, message, true, &target))
		return false;
	add_alias(answer, &target, ttl_s);
	return octets_left(r) == 0;
}

/* One record that the end of the chain owns. Types that nobody asked for say nothing. */
static bool take_record(const struct section *s, const struct record *record, uint32_t ttl_s, struct dns_answer *answer)
{
	struct reader r = read_from(s->frame, record->data, record->end);
	ttl_s = smaller_of(ttl_s, record->ttl_s);
	if (record->type == DNS_A)
		return add_address(answer, address_of_ipv4(read_be32(&r)), ttl_s) && r.ok && octets_left(&r) == 0;
	if (record->type == DNS_AAAA)
		return add_address(answer, read_ipv6(&r), ttl_s) && r.ok && octets_left(&r) == 0;
	if (record->type == DNS_SRV)
		return read_server(&r, s->message, ttl_s, answer);
	if (record->type == DNS_HTTPS || record->type == DNS_SVCB)
		return read_service(&r, s->message, ttl_s, answer);
	return true;
}

/* The CNAME that `name` owns, in `to` what it stands for. A name has one at most (RFC 2181 10.1). */
enum chain_step { STEP_ALIAS, STEP_END, STEP_BROKEN };

static enum chain_step find_alias(const struct section *s, const struct name *name, struct domain *to, uint32_t *ttl_s)
{
	struct reader r = read_from(s->frame, s->at, s->end);
	enum chain_step step = STEP_END;
	for (uint32_t i = 0; i < DNS_RECORDS_MAX && i < s->records; i++) {
		struct record record;
		if (!read_record(&r, s->message, &record))
			return STEP_BROKEN;
		if (record.type != DNS_CNAME || record.class != DNS_CLASS_IN || !record.owner.is_host ||
		    !same_name(&record.owner.name, name))
			continue;
		struct reader data = read_from(s->frame, record.data, record.end);
		if (step == STEP_ALIAS || !read_domain(&data, s->message, true, to) || octets_left(&data) != 0)
			return STEP_BROKEN;
		step = STEP_ALIAS;
		*ttl_s = smaller_of(*ttl_s, record.ttl_s);
	}
	return step;
}

static bool take_records_of(const struct section *s, const struct name *name, uint32_t ttl_s, struct dns_answer *answer)
{
	struct reader r = read_from(s->frame, s->at, s->end);
	for (uint32_t i = 0; i < DNS_RECORDS_MAX && i < s->records; i++) {
		struct record record;
		if (!read_record(&r, s->message, &record))
			return false;
		if (record.class == DNS_CLASS_IN && record.owner.is_host && same_name(&record.owner.name, name) &&
		    !take_record(s, &record, ttl_s, answer))
			return false;
	}
	return true;
}

/*
 * Follows the chain of CNAMEs from the question's name and takes what its end owns. A DNAME brings a CNAME with it
 * (RFC 6672 5.3.1). A name that no host has ends the chain: nothing more is learned.
 */
static bool follow_chain(const struct section *s, struct dns_answer *answer)
{
	struct domain at = { answer->question.name, answer->question.is_host }, next;
	uint32_t ttl_s = UINT32_MAX;
	for (uint32_t i = 0; i <= DNS_CHAIN_MAX && at.is_host; i++) {
		switch (find_alias(s, &at.name, &next, &ttl_s)) {
		case STEP_END:
			return take_records_of(s, &at.name, ttl_s, answer);
		case STEP_ALIAS:
			add_alias(answer, &next, ttl_s);
			at = next;
			break;
		case STEP_BROKEN:
			return false;
		}
	}
	return !at.is_host;
}

bool parse_dns_answer(const struct frame *frame, uint32_t at, uint32_t end, struct dns_answer *answer)
{
	struct reader r = read_from(frame, at, end);
	struct header h = read_header(&r);
	answer->id = h.id;
	answer->is_truncated = (h.flags & FLAG_TRUNCATED) != 0;
	answer->has_question = h.questions == 1;
	answer->has_ech = false;
	answer->address_count = answer->alias_count = 0;
	if (!r.ok || !(h.flags & FLAG_RESPONSE) || h.flags & OPCODE || h.questions > 1)
		return false;
	if (answer->has_question && !read_question(&r, at, &answer->question))
		return false;
	if (answer->is_truncated)
		return true;
	uint32_t records = h.answers + h.authorities + h.additional;
	struct section answers = { frame, at, r.at, end, h.answers };
	if (records > DNS_RECORDS_MAX)
		return false;
	for (uint32_t i = 0; i < DNS_RECORDS_MAX && i < records; i++) {
		struct record record;
		if (!read_record(&r, at, &record))
			return false;
	}
	if (r.at != end)
		return false;
	return !answer->has_question || answer->question.class != DNS_CLASS_IN || follow_chain(&answers, answer);
}
