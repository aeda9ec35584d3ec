/* Rules about other VMs of this host, vm:NAME: docs/policy.md. What such a rule stands for changes while the guard runs. */
#pragma once
#include "softnet/rules/rules.h"

enum { VM_NAME_MAX = 63, VM_ADDRESSES_MAX = 256, LABELS_MAX = 8 };

/* 1 to VM_NAME_MAX letters, digits, dots, dashes and underscores: of --name, of --label, and behind "vm:". */
bool is_vm_name(const char *text, size_t length);
#define EXPECTED_VM_NAME "1 to 63 letters, digits, dots, dashes and underscores"

struct vm_address {
	char vm[VM_NAME_MAX + 1]; /* or the label that a rule names */
	struct address address;
};

/* Which addresses the VMs have that rules name, as far as is known. */
struct vm_addresses {
	uint32_t count;
	bool is_full; /* there were more */
	struct vm_address item[VM_ADDRESSES_MAX];
};

/* What could not stand in such a name becomes _. */
void make_vm_name(char *name);

/* "vm:NAME" or "vm:NAME:QUALIFIER", cut in two, in place; the qualifier is NULL where there is none. False: no such thing. */
bool split_vm(char *text, struct rule_text *, char **qualifier);

/* Always false: a VM can be allowed, and not blocked. */
bool refuse_block_of_vm(const char *text, struct error *);

bool has_vms(const struct rule_list *);
/* Some rule names this VM. */
bool names_vm(const struct rule_list *, const char *vm);
/* The name behind vm:, as text. False: the rule names no VM. */
bool vm_of_rule(const struct rule_text *, char name[VM_NAME_MAX + 1]);
/* The rule is about this VM. */
bool is_about_vm(const struct rule_text *, const char *vm);
