/* The grammar of rules that name VMs, and which VMs they name. */
#include "softnet/rules/rule_vms.h"
#include <string.h>

enum { SHOWN = 60 };

static const char sign[] = "vm:";
enum { SIGN = sizeof sign - 1 };

/* It becomes part of lines, labels and file names of others. */
static const char name_set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

bool is_vm_name(const char *text, size_t length)
{
	return length > 0 && length <= VM_NAME_MAX && strspn(text, name_set) >= length;
}

void make_vm_name(char *name)
{
	for (char *at = name; *(at += strspn(at, name_set)) != '\0';)
		*at = '_';
}

bool split_vm(char *text, struct rule_text *rule, char **qualifier)
{
	char *name = text + SIGN;
	size_t length;
	if (strncmp(text, sign, SIGN) != 0)
		return false;
	length = strcspn(name, ":");
	if (!is_vm_name(name, length))
		return false;
	*qualifier = name[length] == ':' ? name + length + 1 : NULL;
	rule->target = TARGET_VM;
	rule->name.length = (uint8_t)length;
	memcpy(rule->name.text, name, length);
	return true;
}

bool refuse_block_of_vm(const char *text, struct error *error)
{
	return refuse(
	    error,
	    "\"%.*s\": a VM can be allowed, and not blocked: nobody knows what it has while its guard does not run",
	    SHOWN, text);
}

bool vm_of_rule(const struct rule_text *rule, char name[VM_NAME_MAX + 1])
{
	if (rule->target != TARGET_VM)
		return false;
	memcpy(name, rule->name.text, rule->name.length);
	name[rule->name.length] = '\0';
	return true;
}

bool is_about_vm(const struct rule_text *rule, const char *vm)
{
	return rule->target == TARGET_VM && strlen(vm) == rule->name.length &&
	       memcmp(rule->name.text, vm, rule->name.length) == 0;
}

bool has_vms(const struct rule_list *list)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->rule[i].text.target == TARGET_VM)
			return true;
	return false;
}

bool names_vm(const struct rule_list *list, const char *vm)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (is_about_vm(&list->rule[i].text, vm))
			return true;
	return false;
}
