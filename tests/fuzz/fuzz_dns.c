/* Any octets as a message of DNS: what is read is within its bounds, and a message that was cut is none. */
#include <stdlib.h>
#include <string.h>

#include "core/names/read/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_answer(const struct dns_answer *answer)
{
	if (answer->address_count > DNS_ADDRESSES_MAX || answer->alias_count > DNS_ALIASES_MAX)
		abort();
	for (uint32_t i = 0; i < answer->alias_count; i++)
		if (!is_host_name(&answer->aliases[i].name))
			abort();
	if (answer->has_question && answer->question.is_host != is_host_name(&answer->question.name) &&
	    answer->question.is_host)
		abort();
	if (answer->is_truncated && answer->address_count + answer->alias_count > 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct dns_answer answer;
	struct dns_query query;
	uint32_t length = (uint32_t)n;
	struct frame frame = { .bytes = data, .length = length };
	if (parse_dns_query(&frame, 0, length, &query)) {
		if (query.question_end > length || (query.question.is_host && !is_host_name(&query.question.name)))
			abort();
		for (uint32_t cut = length > 16 ? length - 16 : 0; cut < length; cut++)
			if (parse_dns_query(&frame, 0, cut, &query))
				abort();
	}
	if (parse_dns_answer(&frame, 0, length, &answer)) {
		check_answer(&answer);
		for (uint32_t cut = length > 16 ? length - 16 : 0; !answer.is_truncated && cut < length; cut++)
			if (parse_dns_answer(&frame, 0, cut, &answer) && !answer.is_truncated)
				abort();
	}
	return 0;
}
