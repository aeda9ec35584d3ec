/* The registry of claims: which addresses the VM of a name has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "claims_guards.h"

#include <cmocka.h>

static const char *wanted_vm;
static uint32_t found_count;
static struct address found_last;

static bool wants_vm(void *context, const char *vm)
{
	(void)context;
	return strcmp(vm, wanted_vm) == 0;
}

static void note_vm(void *context, const char *vm, struct address a, uint64_t until_ms)
{
	assert_true(until_ms > NOW);
	(void)context;
	assert_string_equal(vm, wanted_vm);
	found_count++;
	found_last = a;
}

static uint32_t addresses_of(const char *vm)
{
	const struct vm_search search = { wants_vm, note_vm, NULL };
	wanted_vm = vm;
	found_count = 0;
	find_vms(&claims, &search, NOW);
	return found_count;
}

void a_vm_is_found_by_name_and_label(void **unused)
{
	(void)unused;
	assert_true(claim_address(&claims, address(1), NOW)); /* our own VM is no other */
	assert_int_equal(addresses_of("here"), 0);
	struct guard there = start_guard("there", 0), other = start_guard("other", FIRST_SHARED);
	assert_int_equal(addresses_of("there"), 0);
	assert_true(tell(&there, 'c', 5) && tell(&there, 'c', 6) && tell(&other, 'c', 7));
	assert_int_equal(addresses_of("there"), 2);
	assert_int_equal(addresses_of("other"), 1); /* and not the one that it shares */
	assert_true(same_address(found_last, address(7)));
	assert_int_equal(addresses_of("guest"), 3);
	assert_int_equal(addresses_of("ther"), 0);
	tell(&there, 'r', 6);
	assert_int_equal(addresses_of("there"), 1);
	kill_guard(&there);
	assert_int_equal(addresses_of("there"), 0);
	segment_text = "bridge 1:8";
	move_claims(&claims, NOW);
	assert_int_equal(addresses_of("other"), 0);
	segment_text = "bridge 1:7";
	kill_guard(&other);
}

/* Its file is its own, but the name that counts stands in the operator's. */
void a_guard_cannot_change_its_name(void **unused)
{
	(void)unused;
	struct guard evil = start_guard("evil", 0);
	assert_true(tell(&evil, 'c', 5));
	char path[600], name[] = "victim";
	snprintf(path, sizeof path,
		 "f=$(ls %s | grep '^%x-' | grep -v given) && printf %s | dd of=%s/$f bs=1 seek=%d conv=notrunc "
		 "2>/dev/null",
		 own_folder(), (unsigned)evil.pid, name, own_folder(), 16 + 8 + SEGMENT_TEXT);
	assert_int_equal(system(path), 0);
	assert_int_equal(addresses_of("victim"), 0);
	assert_int_equal(addresses_of("evil"), 1);
	kill_guard(&evil);
}
