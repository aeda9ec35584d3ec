/* The claims in a guard.status as people read them. Pure, and for what a hostile guard may say, as words.h. */
#pragma once
#include "softnet/look/text/words.h"

/* "; 10.0.0.5 is wanted by web2 too"; "": nothing of that kind. */
struct word format_claims(const json_t *status);

/* A line for each address that two VMs want. */
void write_claims(struct sheet *, const json_t *status);

/* A line for each address that two of these guards have on one network, which should not be; one is the caller's own. */
struct stated_claims {
	const json_t *status;
	bool is_own;
};
void write_doubles(struct sheet *, const struct stated_claims *, size_t count);
