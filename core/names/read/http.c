/*
 * Reads the head of a request. Servers are lenient in many ways, each in its own: what is not plain is refused. Lines end
 * in CR LF, a field's name stands at the line's start and directly before the colon, and there is one Host.
 */
#include "core/names/read/http.h"

/* A line without its CR LF: [at, end). */
struct line {
	uint32_t at, end;
};

/* Control characters belong nowhere (RFC 9110 5.5); a tab is blank space. */
static enum reading read_line(struct reader *r, struct line *line)
{
	line->at = r->at;
	while (octets_left(r) > 0) {
		uint8_t octet = read_u8(r);
		if (octet == '\r') {
			line->end = r->at - 1;
			if (octets_left(r) == 0)
				return READING_NEEDS_MORE;
			return read_u8(r) == '\n' ? READING_WHOLE : READING_REFUSED;
		}
		if ((octet < ' ' && octet != '\t') || octet == 0x7f)
			return READING_REFUSED;
	}
	return READING_NEEDS_MORE;
}

/* Moves behind the word if it stands there, in any case. */
static bool skip_word(struct reader *r, const char *lower_case)
{
	struct reader rest = *r;
	for (; *lower_case != '\0'; lower_case++)
		if (to_lower_case(read_u8(&rest)) != (uint8_t)*lower_case || !rest.ok)
			return false;
	*r = rest;
	return true;
}

static bool is_token_octet(uint8_t octet) /* RFC 9110 5.6.2, as far as methods and fields use it */
{
	return is_label_octet(to_lower_case(octet)) || octet == '.' || octet == '!' || octet == '+' || octet == '~';
}

/* RFC 9110 7.2: a host and perhaps a port, up to `stop`, which is left. The octets in r end it as well. */
static bool read_authority(struct reader *r, uint8_t stop, struct name *name)
{
	bool in_port = false;
	uint32_t digits = 0;
	name->length = 0;
	while (octets_left(r) > 0) {
		struct reader before = *r;
		uint8_t octet = read_u8(r);
		if (octet == stop) {
			*r = before;
			break;
		}
		if (in_port && (!is_digit(octet) || ++digits > 5))
			return false;
		if (!in_port && octet == ':')
			in_port = true;
		else if (!in_port && !add_to_name(name, octet))
			return false;
	}
	return is_host_name(name);
}

/*
 * RFC 9112 3: METHOD SP TARGET SP HTTP/1.x. The target is a path or '*'; a whole URI comes before Host, so its host is
 * taken for one more Host. Anything else, CONNECT above all, is no request of this host.
 */
static bool read_request_line(const struct frame *stream, struct line line, struct name *in_target)
{
	struct reader r = read_from(stream, line.at, line.end);
	uint32_t method = 0;
	uint8_t octet = 0;
	in_target->length = 0;
	while (octets_left(&r) > 0 && (octet = read_u8(&r)) != ' ' && is_token_octet(octet))
		method++;
	if (octet != ' ' || method == 0)
		return false;
	struct reader target = r;
	if (skip_word(&target, "http://")) {
		struct reader authority = target;
		uint8_t stop = '/';
		if (!read_authority(&authority, stop, in_target) || octets_left(&authority) == 0)
			return false;
	} else if (!skip_word(&target, "/") && !skip_word(&target, "* ")) {
		return false;
	}
	while (octets_left(&r) > 0 && (octet = read_u8(&r)) != ' ')
		if (octet == '\t' || octet >= 0x7f)
			return false;
	struct reader version = r;
	return (skip_word(&version, "http/1.1") || skip_word(&version, "http/1.0")) && octets_left(&version) == 0;
}

static bool is_blank(uint8_t octet)
{
	return octet == ' ' || octet == '\t';
}

/* The value behind the colon, without the blanks around it. */
static struct reader value_of(const struct frame *stream, uint32_t at, uint32_t end)
{
	for (; at < end; at++) {
		struct reader first = read_from(stream, at, end);
		if (!is_blank(read_u8(&first)))
			break;
	}
	for (; end > at; end--) {
		struct reader last = read_from(stream, end - 1, end);
		if (!is_blank(read_u8(&last)))
			break;
	}
	return read_from(stream, at, end);
}

/* NAME:VALUE; counts and reads Host. False: not of that form, or not a host. */
static bool read_field(const struct frame *stream, struct line line, uint32_t *hosts, struct name *name)
{
	struct reader r = read_from(stream, line.at, line.end), host = r;
	uint32_t octets = 0;
	uint8_t octet = 0;
	while (octets_left(&r) > 0 && (octet = read_u8(&r)) != ':' && is_token_octet(octet))
		octets++;
	if (octet != ':' || octets == 0)
		return false;
	if (!skip_word(&host, "host:"))
		return true;
	++*hosts;
	struct reader value = value_of(stream, r.at, line.end);
	return read_authority(&value, '\0', name) && octets_left(&value) == 0;
}

enum reading read_http_host(const struct frame *stream, uint32_t at, struct name *name)
{
	struct reader r = read_from(stream, at, stream->length);
	struct name in_target = { .length = 0 };
	struct line line = { 0, 0 };
	uint32_t hosts = 0;
	enum reading reading = read_line(&r, &line);
	if (reading == READING_WHOLE && !read_request_line(stream, line, &in_target))
		return READING_REFUSED;
	for (uint32_t i = 0; i < HTTP_FIELDS_MAX && reading == READING_WHOLE; i++) {
		reading = read_line(&r, &line);
		if (reading != READING_WHOLE)
			break;
		if (line.at == line.end) {
			bool agrees = in_target.length == 0 || same_name(&in_target, name);
			return hosts == 1 && agrees ? READING_WHOLE : READING_REFUSED;
		}
		if (!read_field(stream, line, &hosts, name) || hosts > 1)
			return READING_REFUSED;
	}
	bool is_too_long = stream->length - at >= HTTP_REQUEST_MAX;
	return reading == READING_NEEDS_MORE && !is_too_long ? READING_NEEDS_MORE : READING_REFUSED;
}
