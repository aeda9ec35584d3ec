"""What `make prove` must find: faults of the kind that reads outside of a frame or of a table, or writes."""

import collections

Fault = collections.namedtuple("Fault", "what file was now")

FRAME, JUDGE = "core/wire/frame.h", "core/judge/judge.h"
FAULTS = [
    Fault("a read that begins behind the frame", FRAME, """uint8_t *to, uint32_t n)
{
	if (at > frame->length || n > frame->length - at)""", """uint8_t *to, uint32_t n)
{
	if (n > frame->length - at)"""),
    Fault("a sum that wraps", FRAME, """uint64_t *number)
{
	if (at > frame->length || n > frame->length - at)""", """uint64_t *number)
{
	if (at + n > frame->length)"""),
    Fault("an octet too many", FRAME, "*number = *number << 8 | frame->bytes[at + i];", "*number = *number << 8 | frame->bytes[at + i + 1];"),
    Fault("a copy from elsewhere", FRAME, "to[i] = frame->bytes[at + i];", "to[i] = frame->bytes[i];"),
    Fault("a reader that ends behind the frame", FRAME, "at <= end && end <= frame->length };", "at <= end };"),
    Fault("a skip that is not checked", FRAME, """INLINE void skip_bytes(struct reader *r, uint32_t n)
{
	r->ok = r->ok && r->at <= r->end && n <= r->end - r->at;""", """INLINE void skip_bytes(struct reader *r, uint32_t n)
{
	r->ok = r->ok && r->at <= r->end;"""),
    Fault("a reader that reads past its end", FRAME, "r->ok = r->ok && r->at <= r->end && n <= r->end - r->at && frame_number(",
          "r->ok = r->ok && frame_number("),
    Fault("octets that a failed reader has left", FRAME, "return r->ok ? r->end - r->at : 0;", "return r->end - r->at;"),
    Fault("a mask of no bits by a shift of 32", "core/wire/address.h", "prefix_length == 0 ? 0", "prefix_length == 33 ? 0"),
    Fault("one binding too many", "core/judge/state.h", """		for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
			if (is_live(&state->ipv4[i], now_ms) && state->ipv4[i].address.low""", """		for (uint32_t i = 0; i <= BINDINGS4_MAX; i++)
			if (is_live(&state->ipv4[i], now_ms) && state->ipv4[i].address.low"""),
    Fault("a set whose count is believed", "core/judge/trust.h", "i < ADDRESS_SET_MAX && i < config->host.count", "i < config->host.count"),
    Fault("an interval that is none", "core/policy/policy.h", "if (i >= INTERVALS_MAX)", "if (i > INTERVALS_MAX)"),
    Fault("a search by halves without a bound", "core/policy/policy.h", "if (middle >= SEGMENTS_MAX)", "if (middle > SEGMENTS_MAX)"),
    Fault("a judge that writes", JUDGE, "INLINE bool is_dhcp_port(uint16_t port)\n{\n", """static uint32_t asked;
INLINE bool is_dhcp_port(uint16_t port)
{
	asked++;
"""),
]
