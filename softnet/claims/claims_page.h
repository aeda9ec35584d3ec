/*
 * What a guard's file of claims holds: who it is, on which network, and which addresses it has. Others' files are
 * strangers' octets. Pure: octets to a struct, and back.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/wire/address.h"
#include "port/port.h"
#include "softnet/options/options.h"

enum {
	CLAIMS_MAX = 40, /* more than a guest can have addresses */
	NOTES_MAX = 8,   /* of addresses that it wanted; full: the oldest goes */
	ITEMS_MAX = CLAIMS_MAX + NOTES_MAX,
	PAGE_HEADER = 192,
	CLAIM_OCTETS = 24,
	PAGE_OCTETS = PAGE_HEADER + ITEMS_MAX * CLAIM_OCTETS
};

enum claim_kind {
	CLAIM_NONE,
	CLAIM_HELD,
	CLAIM_SHARED, /* --shared-ip: with all that share it, and nobody else */
	CLAIM_WANTED  /* a note for the guard that holds it */
};

struct claim {
	struct address address;
	uint8_t kind;          /* enum claim_kind */
	uint8_t prefix_length; /* of 128 bits; a single address has 128 */
	uint32_t end_s; /* of the right to it, in seconds of the clock that counts suspend; 0: not known, or none */
};

struct claims_page {
	uint32_t pid;
	uint32_t looks; /* at what others have, because somebody rang: so many were begun; older versions wrote 0 */
	char segment[SEGMENT_TEXT];
	char vm[VM_NAME_MAX + 1];     /* printable */
	struct claim item[ITEMS_MAX]; /* the notes stand behind the claims */
};

/* What the operator gave: a page, and behind it labels. Older versions of softnet wrote, and read, the page alone. */
struct given_page {
	struct claims_page page;
	char labels[LABELS_MAX][VM_NAME_MAX + 1]; /* printable; "": none */
};
enum { GIVEN_OCTETS = PAGE_OCTETS + LABELS_MAX * (VM_NAME_MAX + 1) };

void write_claims_page(const struct claims_page *, uint8_t octets[PAGE_OCTETS]);
void write_claim(const struct claim *, uint8_t octets[CLAIM_OCTETS]);
/* False: it is no such page. */
bool read_claims_page(const uint8_t *octets, size_t length, struct claims_page *);

void write_given_page(const struct given_page *, uint8_t octets[GIVEN_OCTETS]);
bool read_given_page(const uint8_t *octets, size_t length, struct given_page *);

/* Two guards cannot have both. */
bool excludes(const struct claim *, const struct claim *);
