/*
 * Any octets as a stream: a hello of TLS or a request of HTTP. What is whole at some length was never refused with fewer
 * octets, and says the same with more behind it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/names/read/http.h"
#include "core/names/read/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct hello_room room;

static enum reading read_as(bool is_http, const uint8_t *data, uint32_t length, struct hello *hello)
{
	struct frame frame = { .bytes = data, .length = length };
	if (!is_http)
		return read_hello_records(&frame, 0, &room, hello);
	enum reading reading = read_http_host(&frame, 0, &hello->name);
	hello->has_name = reading == READING_WHOLE;
	hello->end = length;
	return reading;
}

static void check_prefixes(bool is_http, const uint8_t *data, uint32_t length, const struct hello *whole)
{
	uint32_t step = length / 64 + 1;
	for (uint32_t cut = 0; cut < (is_http ? length - 1 : whole->end); cut += step) {
		struct hello part;
		enum reading reading = read_as(is_http, data, cut, &part);
		if (reading == READING_REFUSED || (reading == READING_WHOLE && !is_http))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint32_t length = (uint32_t)n, end = 0;
	for (int is_http = 0; is_http < 2; is_http++) {
		struct hello hello, same;
		if (read_as(is_http, data, length, &hello) != READING_WHOLE)
			continue;
		if (hello.end > length || (hello.has_name && !is_host_name(&hello.name)))
			abort();
		check_prefixes(is_http, data, length, &hello);
		if (read_as(is_http, data, hello.end, &same) != READING_WHOLE || same.has_name != hello.has_name ||
		    (hello.has_name && !same_name(&hello.name, &same.name)))
			abort();
	}
	struct frame frame = { .bytes = data, .length = length };
	read_next_record(&frame, 0, &end);
	read_server_hello(&frame, 0, length);
	return 0;
}
