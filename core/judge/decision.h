/* The ways a judge ends. */
#pragma once
#include "core/wire/frame.h"
#include "core/judge/rate.h"
#include "core/wire/verdict.h"

INLINE struct decision drop(uint8_t reason)
{
	return (struct decision){ reason, RATE_FREE, NO_BINDING, 0 };
}

INLINE struct decision pass(uint8_t bucket, uint32_t binding)
{
	return (struct decision){ PASS, bucket, (uint8_t)binding, 0 };
}

INLINE struct decision punt(uint8_t kind, uint8_t bucket)
{
	return (struct decision){ kind, bucket, NO_BINDING, 0 };
}

/* As a number, lowest octet first: verdict, bucket, binding, flow. A kernel function cannot return a struct. */
INLINE uint32_t number_of(struct decision d)
{
	return (uint32_t)d.verdict | (uint32_t)d.bucket << 8 | (uint32_t)d.binding << 16 | (uint32_t)d.flow << 24;
}
