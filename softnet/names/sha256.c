/* Nothing is kept from one call to the next. */
#include "softnet/names/sha256.h"
#include <nettle/sha2.h>
#include <stdint.h>
#include <stdio.h>

bool format_sha256(const void *bytes, size_t octets, char text[SHA256_TEXT])
{
	struct sha256_ctx sum;
	uint8_t digest[SHA256_DIGEST_SIZE];
	sha256_init(&sum);
	sha256_update(&sum, octets, bytes);
	sha256_digest(&sum, sizeof digest, digest);
	for (int i = 0; i < SHA256_DIGEST_SIZE; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return true;
}
