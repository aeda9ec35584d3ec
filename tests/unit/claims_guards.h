/* Guards that claim addresses, each a process, for the tests of the registry: test_claims.c. */
#pragma once
#include <sys/types.h>
#include "softnet/claims/claims.h"

enum {
	NOW = 5000000,
	FIRST_SHARED = 90 /* what is given from here on is given as shared */
};

extern struct claims claims; /* ours */
extern const char *segment_text;

struct guard {
	pid_t pid;
	int orders, answers;
};

struct address address(uint32_t n);
struct guard start_guard(const char *vm, uint32_t given);
bool tell(const struct guard *g, char what, uint32_t n);
void kill_guard(const struct guard *g);
const char *own_folder(void);

void a_bell_rings_until_it_is_heard(void **);
void a_bell_that_nobody_hears_ends(void **);
void each_guard_has_one_bell(void **);
void a_vm_is_found_by_name_and_label(void **);
void a_guard_cannot_change_its_name(void **);
