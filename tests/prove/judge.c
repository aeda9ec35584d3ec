/*
 * What Eva walks: the judge on any octets of any length, any config and any state, however broken, in both directions and at
 * any time. Of the state it believes one thing, that core writes no prefix length above 32.
 */
#include "core/decide/judge.c"

#include <__fc_builtin.h>

enum { OCTETS_MAX = 1600 };

static struct config config;
static struct state state;
static uint8_t octets[OCTETS_MAX];

int main(void)
{
	Frama_C_make_unknown((char *)&config, sizeof config);
	Frama_C_make_unknown((char *)&state, sizeof state);
	Frama_C_make_unknown((char *)octets, sizeof octets);
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		state.ipv4[i].prefix_length = (uint32_t)Frama_C_interval(0, 32);
	struct frame frame = { .bytes = octets, .length = (uint32_t)Frama_C_interval(0, OCTETS_MAX) };
	enum direction direction = Frama_C_interval(0, 1) ? FROM_GUEST : TO_GUEST;
	judge_frame(&config, &state, direction, &frame, (uint64_t)Frama_C_unsigned_long_long_interval(0, UINT64_MAX));
	return 0;
}
