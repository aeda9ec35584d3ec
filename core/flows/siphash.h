/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash, so that a guest cannot aim at a collision of client
 * identifiers.
 */
#pragma once
#include <stdint.h>

static inline uint64_t rotate_left(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate_left(v[1], 13) ^ v[0];
	v[0] = rotate_left(v[0], 32);
	v[2] += v[3];
	v[3] = rotate_left(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate_left(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate_left(v[1], 17) ^ v[2];
	v[2] = rotate_left(v[2], 32);
}

static inline void sip_absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

struct siphash {
	uint64_t v[4];
};

static inline struct siphash sip_start(const uint64_t key[2])
{
	return (struct siphash){ { key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL,
				   key[0] ^ 0x6c7967656e657261ULL, key[1] ^ 0x7465646279746573ULL } };
}

/* The last word has what is left of the message and, in the highest octet, the length of the message in octets. */
static inline uint64_t sip_end(struct siphash *s, uint64_t last)
{
	sip_absorb(s->v, last);
	s->v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(s->v);
	return s->v[0] ^ s->v[1] ^ s->v[2] ^ s->v[3];
}

static inline uint64_t siphash(const uint64_t key[2], const uint8_t *bytes, uint32_t n)
{
	struct siphash s = sip_start(key);
	uint64_t word = 0;
	for (uint32_t i = 0; i < n; i++) {
		word |= (uint64_t)bytes[i] << 8 * (i % 8);
		if (i % 8 == 7) {
			sip_absorb(s.v, word);
			word = 0;
		}
	}
	return sip_end(&s, word | (uint64_t)n << 56);
}

static inline uint64_t siphash_words(const uint64_t key[2], const uint64_t *words, uint32_t n)
{
	struct siphash s = sip_start(key);
	for (uint32_t i = 0; i < n; i++)
		sip_absorb(s.v, words[i]);
	return sip_end(&s, (uint64_t)(8 * n) << 56);
}
