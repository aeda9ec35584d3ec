/* Between the snooper, the registry of claims, and those who are told. */
#include "softnet/guard/claiming.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/judge/trust.h"
#include "softnet/guard/rules_in_force.h"
#include "softnet/setup/setup.h"
#include "system/descriptors.h"
#include "system/log.h"

enum { WARN_MS = 60000, LOOK_MS = 10000 };

static bool claim(void *context, struct address a)
{
	struct relay *r = context;
	return claim_address(&r->claims, a, r->now_ms);
}

static void release(void *context, struct address a)
{
	struct relay *r = context;
	release_address(&r->claims, a);
}

static void lose(void *context, struct address a, const char *why)
{
	struct relay *r = context;
	take_away(&r->guard, a, why, r->now_ms);
}

/* A guest can want one address after the other: one line a minute is shown without -v. */
static void tell(void *context, const struct claim_conflict *conflict)
{
	static uint64_t warned_ms;
	struct relay *r = context;
	char text[ADDRESS_TEXT], line[200];
	format_address(conflict->address, text);
	snprintf(line, sizeof line,
		 conflict->is_ours ? "%s, which this VM has, is wanted by VM %s too (guard %u)"
				   : "%s is not for this VM: VM %s has it (guard %u)",
		 text, conflict->vm, (unsigned)conflict->pid);
	if (warned_ms == 0 || r->now_ms - warned_ms >= WARN_MS) {
		warning("%s", line);
		warned_ms = r->now_ms;
	} else
		info("%s", line);
	announce_claim(&r->announcer, conflict, r->now_ms);
}

/* Others have a network of their own, or one that nobody can name. The uplink may not be open yet. */
static bool may_be_shared(const struct port *uplink, const char *text)
{
	const struct port_kind *kind = uplink ? uplink->kind : port_kind_of(text);
	return kind && kind->segment;
}

void prepare_claims(struct relay *r, const struct options *options, const struct port *uplink)
{
	struct claim given[STATICS_MAX];
	char mac[MAC_TEXT];
	const char *named = options->segment;
	bool is_none = named ? strcmp(named, "none") == 0 : !may_be_shared(uplink, uplink_text(options));
	if (r->has_claims || is_none || (!uplink && geteuid() != 0))
		return;
	for (uint32_t i = 0; i < options->static_count; i++)
		given[i] = (struct claim){ options->statics[i].address,
					   options->statics[i].is_shared ? CLAIM_SHARED : CLAIM_HELD, 128, 0 };
	r->has_claims = true;
	const char *vm = options->name ? options->name : format_mac(options->vm_mac, mac);
	const struct operators_word word = { vm, options->labels, options->label_count, given, options->static_count };
	const char *why = open_claims(&r->claims, &word, uplink, named);
	if (!why && has_vms(&options->rules))
		watch_others(&r->claims);
	if (why)
		info("other guards do not see which addresses this VM has: %s", why);
	else if (!r->claims.folder.is_for_all)
		info(
		    "guards of other users do not see which addresses this VM has: root has made no folder for user %u "
		    "in softnet/claims",
		    (unsigned)getuid());
}

void join_claims(struct relay *r)
{
	char text[ADDRESS_TEXT];
	if (!r->has_claims)
		return;
	r->claims.tell = tell;
	r->claims.lose = lose;
	r->claims.context = r;
	r->guard.claim = claim;
	r->guard.release = release;
	const struct claim_conflict *given =
	    enter_claims(&r->claims, r->guard.config, r->guard.state, r->port[TO_GUEST], r->now_ms);
	if (!given)
		return;
	die("--%s: %s was given to VM %s as well, whose guard (process %u) runs on this network: give another address, "
	    "stop that guard, or let both share it by --shared-ip",
	    is_shared(r->guard.config, given->address) ? "shared-ip" : "vm-ip", format_address(given->address, text),
	    given->vm, (unsigned)given->pid);
}

/* --- other VMs that rules name --- */

/*
 * A rule that names a VM stands for its addresses of now. When these change, the rules are compiled anew, and all flows are
 * forgotten: no answer passes to whom has the address next.
 */
static bool is_wanted(void *context, const char *vm)
{
	const struct relay *r = context;
	return names_vm(r->rules, vm);
}

static struct vm_addresses found;

static void note(void *context, const char *vm, struct address a, uint64_t until_ms)
{
	struct relay *r = context;
	if (until_ms < r->vms_until_ms)
		r->vms_until_ms = until_ms;
	found.is_full |= found.count == VM_ADDRESSES_MAX;
	if (found.is_full)
		return;
	struct vm_address *item = &found.item[found.count++];
	copy_text(item->vm, sizeof item->vm, vm);
	item->address = a;
}

static int compare(const void *left, const void *right)
{
	const struct vm_address *a = left, *b = right;
	int order = strcmp(a->vm, b->vm);
	if (order != 0)
		return order;
	return memcmp(&a->address, &b->address, sizeof a->address);
}

static bool is_listed(const struct vm_addresses *list, const struct vm_address *one)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (compare(&list->item[i], one) == 0)
			return true;
	return false;
}

/* With isolation a neighbor is reached on a subnet of the VM's, and --vm-ip without a length has none. */
static bool is_off_subnet(const struct options *options, struct address a)
{
	bool has_subnet = false;
	for (uint32_t i = 0; i < options->static_count && is_ipv4(a); i++) {
		const struct static_address *own = &options->statics[i];
		uint32_t length = 96 + own->prefix_length;
		if (!is_ipv4(own->address))
			continue;
		has_subnet = true;
		if (same_address(mask_address(own->address, length), mask_address(a, length)))
			return false;
	}
	return has_subnet && wants_isolation(options);
}

static void tell_new(const struct options *options, const struct vm_address *one)
{
	char text[ADDRESS_TEXT];
	format_address(one->address, text);
	if (is_off_subnet(options, one->address))
		warning("vm:%s is %s, which is on no subnet of this VM and cannot be reached: give --vm-ip the length "
			"of the "
			"subnet, as in ADDRESS/24",
			one->vm, text);
	else
		info("vm:%s is %s", one->vm, text);
}

static void tell_difference(const struct options *options, const struct vm_addresses *before,
			    const struct vm_addresses *now)
{
	char text[ADDRESS_TEXT];
	for (uint32_t i = 0; i < before->count; i++)
		if (!is_listed(now, &before->item[i]))
			info("vm:%s is %s no more", before->item[i].vm, format_address(before->item[i].address, text));
	for (uint32_t i = 0; i < now->count; i++)
		if (!is_listed(before, &now->item[i]))
			tell_new(options, &now->item[i]);
	if (now->is_full && !before->is_full)
		warning("the VMs that rules name have more than %d addresses: the others are not opened",
			VM_ADDRESSES_MAX);
}

static bool is_same(const struct vm_addresses *a, const struct vm_addresses *b)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (i >= b->count || compare(&a->item[i], &b->item[i]) != 0)
			return false;
	return a->count == b->count;
}

/* False: they are what they were. */
static bool look_for_vms(struct relay *r)
{
	found.count = 0;
	found.is_full = false;
	r->vms_looked_ms = r->now_ms;
	r->vms_until_ms = UINT64_MAX;
	if (r->has_claims && has_vms(r->rules))
		find_vms(&r->claims, &(struct vm_search){ is_wanted, note, r }, r->now_ms);
	qsort(found.item, found.count, sizeof *found.item, compare);
	if (is_same(&r->vms, &found))
		return false;
	tell_difference(r->options, &r->vms, &found);
	r->vms = found;
	return true;
}

void follow_other_vms(struct relay *r)
{
	r->has_news_of_vms = false;
	if (look_for_vms(r))
		put_vms_in_force(r);
}

void join_other_vms(struct relay *r)
{
	if (has_vms(r->rules) && (!r->has_claims || r->claims.page.segment[0] == '\0'))
		warning("vm: in the rules opens nothing here: this VM has a network of its own (--segment names one)");
	if (look_for_vms(r))
		compile_vms(r);
}

void tick_other_vms(struct relay *r)
{
	if (has_vms(r->rules) && (!r->claims.watches_others || r->now_ms - r->vms_looked_ms >= LOOK_MS))
		follow_other_vms(r);
}

bool other_vms_may_rest(const struct relay *r)
{
	return !has_vms(r->rules) || !r->has_claims || r->claims.watches_others;
}
