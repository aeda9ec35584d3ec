/*
 * DNS messages (RFC 1035), as far as names need them: a question, and what an answer says about it. What leaves a doubt is
 * refused, so that the guest never reads an answer otherwise than the guard did.
 */
#pragma once
#include "core/wire/address.h"
#include "core/names/read/name.h"

enum { DNS_HEADER = 12, DNS_RECORDS_MAX = 256, DNS_ADDRESSES_MAX = 128, DNS_CHAIN_MAX = 8, DNS_ALIASES_MAX = 16 };

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28, DNS_SRV = 33, DNS_OPT = 41, DNS_SVCB = 64, DNS_HTTPS = 65 };
enum { DNS_CLASS_IN = 1 };

struct dns_question {
	struct name name; /* in lower case */
	bool is_host;     /* it has the form of a host name */
	uint16_t type, class;
};

struct dns_query {
	uint16_t id;
	bool wants_recursion, has_edns;
	struct dns_question question;
	uint32_t question_end; /* offset in the frame */
};

/* A whole message in [at, end): one question, nothing else but OPT. */
bool parse_dns_query(const struct frame *frame, uint32_t at, uint32_t end, struct dns_query *);

/* The one question of a message of any kind, as far as the records behind it can be walked: has_edns counts there. */
bool read_dns_question(const struct frame *frame, uint32_t at, uint32_t end, struct dns_query *);

struct dns_address {
	struct address address;
	uint32_t ttl_s; /* the least of the records that lead to it */
};

struct dns_answer {
	uint16_t id;
	bool has_question, is_truncated;
	struct dns_question question;
	bool has_ech; /* an HTTPS or SVCB record brings keys to hide the name with (RFC 9848) */
	uint32_t address_count;
	struct dns_address addresses[DNS_ADDRESSES_MAX];
	/* Names that the question's name stands for: targets of CNAME, and of SRV, HTTPS and SVCB as many as there is room for. */
	uint32_t alias_count;
	struct dns_alias {
		struct name name;
		uint32_t ttl_s;
	} aliases[DNS_ALIASES_MAX];
};

/*
 * A whole message in [at, end). False: it is malformed, or has more than there is room for. One that is truncated
 * (TC) says nothing but its question.
 */
bool parse_dns_answer(const struct frame *frame, uint32_t at, uint32_t end, struct dns_answer *);
