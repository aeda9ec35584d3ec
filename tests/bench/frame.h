/* The frames that benches send: UDP between the guest 192.168.64.10 and a public address, by the gateway. */
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(uint8_t *at, uint64_t value, uint32_t octets)
{
	for (uint32_t i = octets; i > 0; i--, value >>= 8)
		at[i - 1] = (uint8_t)value;
}

static inline void put_frame(uint8_t *frame, uint32_t octets)
{
	put(frame, 0x525400000001, 6);
	put(frame + 6, 0x52540000000a, 6);
	put(frame + 12, 0x0800, 2);
	put(frame + 14, 0x4500, 2);
	put(frame + 16, octets - 14, 2);
	put(frame + 22, 0x4011, 2);
	put(frame + 26, 0xc0a8400a, 4);
	put(frame + 30, 0x01010101, 4);
	put(frame + 34, 40000, 2);
	put(frame + 36, 443, 2);
	put(frame + 38, octets - 34, 2);
}

static inline void swap(uint8_t *a, uint8_t *b, uint32_t octets)
{
	for (uint32_t i = 0; i < octets; i++) {
		uint8_t kept = a[i];
		a[i] = b[i];
		b[i] = kept;
	}
}

/* The answer to such a frame. */
static inline void turn_round(uint8_t *frame)
{
	swap(frame, frame + 6, 6);
	swap(frame + 26, frame + 30, 4);
	swap(frame + 34, frame + 36, 2);
}

static inline _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}
