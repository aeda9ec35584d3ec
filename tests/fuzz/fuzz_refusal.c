/*
 * Any octets as a frame whose question or answer was refused: what the guest is told fits, says no more than the question
 * did, and can be read. The first octet chooses direction and reason.
 */
#include <stdlib.h>
#include <string.h>

#include "core/made/dns_refusal.h"
#include "core/names/read/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { HEADERS4 = 14 + 20 + 8, HEADERS6 = 14 + 40 + 8 };

static void check_refusal(const uint8_t *room, uint32_t length)
{
	struct frame frame = { .bytes = room, .length = length };
	struct dns_query query;
	uint32_t headers = room[12] == 0x08 ? HEADERS4 : HEADERS6;
	if (length > DNS_REFUSAL_MAX || length <= headers + DNS_HEADER ||
	    !read_dns_question(&frame, headers, length, &query) || query.question_end > length)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum verdict reasons[] = { DROP_DNS_NAME, DROP_DNS_REBIND, DROP_DNS_ECH, DROP_NAMES_FULL };
	if (n < 1)
		return 0;
	struct frame frame = { .bytes = data + 1, .length = (uint32_t)n - 1 };
	struct dns_query query;
	if (read_dns_question(&frame, 0, frame.length, &query) &&
	    (query.question_end > frame.length || (query.question.is_host && !is_host_name(&query.question.name))))
		abort();
	uint8_t *room = malloc(DNS_REFUSAL_MAX); /* so that the sanitizer sees a write behind the end */
	uint32_t length = make_dns_refusal(&frame, data[0] & 1 ? TO_GUEST : FROM_GUEST, reasons[data[0] >> 1 & 3], room);
	if (length > 0)
		check_refusal(room, length);
	free(room);
	return 0;
}
