/* The state that outlives a restart, as text: one item per line, a checksum at the end. No input or output here. */
#pragma once
#include <stddef.h>
#include "core/judge/config.h"
#include "core/judge/state.h"
#include "softnet/saved/state_words.h"

struct names;

/* What a file must have been written for. */
struct state_owner {
	uint64_t vm_mac;
	uint64_t config_hash;
	const char *boot_id;
	struct names *names; /* which are kept beside the state; NULL: none */
};

/* State, and as many names as there can be, each of the longest. */
enum { STATE_TEXT_MAX = 64 * 1024 + 4096 * 384 };

/* FNV-1a: finds damage, not an attacker. Start with hash 0. */
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t octets);

/* Gives the length, 0 if it does not fit. A zero follows. Transactions and --vm-ip addresses are left out. */
size_t write_state_text(const struct state *, const struct state_owner *, struct moment, char *text, size_t size);

/*
 * Adds what the text holds and is still valid. NULL, or why nothing was taken over; the state is unchanged then.
 * The text is cut up.
 */
const char *read_state_text(char *text, size_t length, const struct state_owner *, const struct config *,
			    struct state *, struct moment);
