/* SHA-256 (FIPS 180-4), by nettle. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { SHA256_TEXT = 2 * 32 + 1 };

/* In hexadecimal, as sha256sum(1) prints it. False: this program was built without the library. */
bool format_sha256(const void *bytes, size_t octets, char text[SHA256_TEXT]);
