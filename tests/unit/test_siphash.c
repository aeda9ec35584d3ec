/* SipHash-2-4 against the vectors of its authors: key and message are the octets 0, 1, 2 ... */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "core/flows/siphash.h"

#include <cmocka.h>

static const uint64_t key[2] = { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL };

static void vectors(void **state)
{
	static const struct {
		uint32_t octets;
		uint64_t hash;
	} known[] = {
		{ 0, 0x726fdb47dd0e0e31ULL },
		{ 8, 0x93f5f5799a932462ULL },
		{ 15, 0xa129ca6149be45e5ULL }, /* the one of the paper, appendix A */
	};
	uint8_t message[15];
	(void)state;
	for (uint8_t i = 0; i < sizeof message; i++)
		message[i] = i;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		assert_true(siphash(key, message, known[i].octets) == known[i].hash);
}

/* Words are hashed as their octets in little-endian order. */
static void words_and_octets(void **state)
{
	const uint64_t words[3] = { 0x0706050403020100ULL, 0x1122334455667788ULL, 0x99aabbccddeeff00ULL };
	uint8_t octets[24];
	(void)state;
	for (uint32_t i = 0; i < 24; i++)
		octets[i] = (uint8_t)(words[i / 8] >> 8 * (i % 8));
	for (uint32_t n = 0; n <= 3; n++)
		assert_true(siphash_words(key, words, n) == siphash(key, octets, 8 * n));
	assert_true(siphash_words(key, words, 1) == 0x93f5f5799a932462ULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(vectors), cmocka_unit_test(words_and_octets) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
