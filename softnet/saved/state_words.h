/* The words of which a line of the state file consists: written and read one kind at a time. */
#pragma once
#include <stddef.h>
#include "system/text.h"

/* Both clocks: a right ends when the first of them says so. */
struct moment {
	uint64_t now_ms;  /* of this boot, counts suspend */
	uint64_t wall_ms; /* since 1970 */
};

struct writer {
	char *text;
	size_t size, length;
	bool full;
};

__attribute__((format(printf, 2, 3))) void put(struct writer *, const char *format, ...);
/* With a blank before it; "-" where it is unset or empty. */
void put_address(struct writer *, struct address);
void put_addresses(struct writer *, const struct address_set *);
void put_mac(struct writer *, const char *before, uint64_t mac);
/* Two words, with blanks before them. wall_ms 0: without the wall clock; so texts of two moments can be compared. */
void put_end(struct writer *, uint64_t end_ms, struct moment);

bool take_address(const char *word, struct address *);
bool take_addresses(const char *word, struct address_set *);
bool take_macs(const char *word, struct mac_set *);
/* One of two words. */
bool take_choice(const char *word, const char *yes, const char *no, bool *chosen);
/* Two words. 0 in *end_ms: it has passed. */
bool take_end(char *const *words, struct moment, uint64_t *end_ms);
