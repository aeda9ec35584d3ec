/* Which questions the guest may ask, and what answers teach. */
#include "core/names/address_kinds.h"
#include "core/names/inside.h"

bool is_resolver(const struct names *names, struct address a, uint64_t now_ms)
{
	return is_ipv4(a) ? is_resolver4(view_of_names(names, now_ms), a) : is_resolver6(view_of_names(names, now_ms), a);
}

/* Types that say where a host is. Others can carry anything. */
static bool is_question_of_hosts(uint16_t type)
{
	return type == DNS_A || type == DNS_AAAA || type == DNS_CNAME || type == DNS_SRV || type == DNS_SVCB ||
	       type == DNS_HTTPS;
}

/* RFC 2782, RFC 9460 2.3: a service of a host is asked for by two labels with '_' before its name, or one. */
static struct name host_of_service(const struct name *name, uint16_t type)
{
	struct name host = *name;
	bool is_service = type == DNS_SRV || type == DNS_SVCB || type == DNS_HTTPS;
	for (uint32_t label = 0; is_service && label < 2 && host.length > 0 && host.text[0] == '_'; label++) {
		uint32_t at = 0;
		while (at < host.length && host.text[at] != '.')
			at++;
		uint32_t rest = at < host.length ? host.length - at - 1 : 0;
		for (uint32_t i = 0; i < rest; i++)
			host.text[i] = host.text[at + 1 + i];
		host.length = (uint8_t)rest;
	}
	return host;
}

static uint16_t pattern_of_question(struct names *names, const struct dns_question *q, uint64_t now_ms)
{
	if (!q->is_host || q->class != DNS_CLASS_IN || !is_question_of_hosts(q->type))
		return NO_PATTERN;
	struct name host = host_of_service(&q->name, q->type);
	if (names->learned != 0)
		return learn_question(names, &host, now_ms);
	uint16_t pattern = find_pattern(names->rules, &host);
	return pattern != NO_PATTERN ? pattern : find_alias(&names->book, hash_name(&names->book, &host), now_ms);
}

static struct question question_of(const struct names *names, const struct name_packet *p, uint16_t id,
				   const struct dns_question *q)
{
	return (struct question){ .guest = p->key.guest,
				  .resolver = p->key.peer,
				  .guest_port = p->key.guest_port,
				  .protocol = p->key.protocol,
				  .id = id,
				  .type = q->type,
				  .name_hash = hash_name(&names->book, &q->name) };
}

static void tell(struct names *names, enum name_event_kind kind, const struct name *name, struct address peer,
		 uint16_t pattern, enum verdict verdict)
{
	bool is_rule = names->learned == 0; /* else it is none of the operator's */
	struct name_event event = { .kind = kind,
				    .name = name,
				    .peer = peer,
				    .pattern = is_rule ? pattern : NO_PATTERN,
				    .verdict = (uint8_t)verdict };
	if (names->event != 0)
		names->event(names->context, &event);
}

enum verdict judge_question(struct names *names, const struct name_packet *p, const struct frame *frame, uint32_t at,
			    uint32_t end, uint64_t now_ms)
{
	struct dns_query query;
	if (!parse_dns_query(frame, at, end, &query))
		return DROP_DNS_MALFORMED;
	uint16_t pattern = pattern_of_question(names, &query.question, now_ms);
	if (pattern == NO_PATTERN && !names->settings.any_question && names->learned == 0) {
		tell(names, NAME_REFUSED, query.question.is_host ? &query.question.name : 0, p->key.peer, NO_PATTERN,
		     DROP_DNS_NAME);
		return DROP_DNS_NAME;
	}
	if (pattern != NO_PATTERN) {
		struct question question = question_of(names, p, query.id, &query.question);
		question.pattern = pattern;
		remember_question(&names->book, &question, now_ms);
	}
	return PASS;
}

static uint64_t life_ms(const struct name_settings *settings, uint32_t ttl_s)
{
	uint64_t ms = 1000ULL * ttl_s;
	if (ms < settings->ttl_floor_ms)
		return settings->ttl_floor_ms;
	return ms > settings->ttl_ceiling_ms ? settings->ttl_ceiling_ms : ms;
}

/* RFC 1918 and the like by an outsider's name: the name would open what the operator has closed (rebinding). */
static bool gives_private_address(const struct names *names, const struct dns_answer *answer, uint64_t now_ms)
{
	for (uint32_t i = 0; i < answer->address_count; i++) {
		struct address a = answer->addresses[i].address;
		if (!is_nameable(names, a, now_ms) && !is_open_by_address(names, a, now_ms))
			return true;
	}
	return false;
}

/* False: there was something to bind and no room for any of it. */
static bool learn_addresses(struct names *names, const struct dns_answer *answer, uint16_t pattern, uint64_t now_ms)
{
	uint32_t refused = 0, bound = 0;
	for (uint32_t i = 0; i < answer->address_count; i++) {
		const struct dns_address *a = &answer->addresses[i];
		if (names->learned == 0 && !is_nameable(names, a->address, now_ms))
			continue;
		uint64_t until_ms = now_ms + life_ms(&names->settings, a->ttl_s);
		bool is_bound = bind_address(&names->book, a->address, pattern, until_ms, now_ms);
		tell(names, is_bound ? NAME_LEARNED : NAMES_ARE_FULL, &answer->question.name, a->address, pattern,
		     is_bound ? PASS : DROP_NAMES_FULL);
		*(is_bound ? &bound : &refused) += 1;
	}
	return refused == 0 || bound > 0;
}

enum verdict judge_answer(struct names *names, const struct name_packet *p, const struct frame *frame, uint32_t at,
			  uint32_t end, uint64_t now_ms)
{
	struct dns_answer *answer = &names->answer;
	if (!parse_dns_answer(frame, at, end, answer))
		return DROP_DNS_MALFORMED;
	if (!answer->has_question || answer->is_truncated || !answer->question.is_host ||
	    answer->question.class != DNS_CLASS_IN)
		return PASS;
	struct question question = question_of(names, p, answer->id, &answer->question);
	uint16_t pattern = find_question(&names->book, &question, now_ms);
	if (pattern == NO_PATTERN)
		return PASS;
	if (answer->has_ech && !names->settings.ech_passes && names->learned == 0)
		return DROP_DNS_ECH;
	if (names->learned == 0 && gives_private_address(names, answer, now_ms)) {
		tell(names, NAME_REFUSED, &answer->question.name, p->key.peer, pattern, DROP_DNS_REBIND);
		return DROP_DNS_REBIND;
	}
	if (!learn_addresses(names, answer, pattern, now_ms))
		return DROP_NAMES_FULL;
	for (uint32_t i = 0; i < answer->alias_count; i++)
		remember_alias(&names->book, hash_name(&names->book, &answer->aliases[i].name), pattern,
			       now_ms + life_ms(&names->settings, answer->aliases[i].ttl_s), now_ms);
	return PASS;
}
