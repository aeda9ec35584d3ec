/*
 * Any lines in a state file that is otherwise right, its sum included: they are refused as a whole, and nothing has changed; or
 * the state keeps to its bounds, and is written so that it can be read again. Run by `make fuzz`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/learn6/lease6.h"
#include "softnet/saved/state_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { SUM_LINE = 4 + 16 + 1, HEAD_MAX = 1024, LINES_MAX = 1 << 15 };

static const struct moment now = { 1000000, 1700000000000 };
static const struct state_owner owner = { 0x52540000000aULL, 7, "boot", NULL };
static struct config config;
static char text[HEAD_MAX + LINES_MAX + SUM_LINE + 1], written[STATE_TEXT_MAX];

/* The lines that every file begins with, then these, then the sum. */
static size_t make_file(const uint8_t *data, size_t n)
{
	struct state nothing = { .hash_key = { 1, 2 } };
	size_t head = write_state_text(&nothing, &owner, now, text, HEAD_MAX) - SUM_LINE;
	memcpy(text + head, data, n);
	uint64_t sum = hash_bytes(0, text, head + n);
	snprintf(text + head + n, SUM_LINE + 1, "sum %016llx\n", (unsigned long long)sum);
	return head + n + SUM_LINE;
}

static void check_bounds(const struct state *state)
{
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		if (state->ipv4[i].prefix_length > 32 || state->ipv4[i].state > BINDING_STATIC)
			abort();
	for (uint32_t i = 0; i < PREFIXES_MAX; i++)
		if (state->ipv6.prefixes[i].length > 128)
			abort();
	if (state->ipv6.bindings_end > BINDINGS6_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct state state = { .hash_key = { 1, 2 } }, before = state, again = state;
	config.vm_mac = owner.vm_mac;
	if (n > LINES_MAX || memchr(data, '\0', n))
		return 0;
	if (read_state_text(text, make_file(data, n), &owner, &config, &state, now)) {
		if (memcmp(&state, &before, sizeof state) != 0)
			abort();
		return 0;
	}
	check_bounds(&state);
	size_t octets = write_state_text(&state, &owner, now, written, sizeof written);
	if (octets == 0 || read_state_text(written, octets, &owner, &config, &again, now))
		abort();
	return 0;
}
