/* Which addresses the VMs of other guards have. */
#include <string.h>
#include "softnet/claims/claims.h"

struct vm_look {
	struct claims *c;
	const struct vm_search *search;
	uint64_t now_ms;
};

static void tell_addresses(const struct vm_look *look, const char *name, const struct claims_page *page)
{
	const struct vm_search *s = look->search;
	if (name[0] == '\0' || !s->wants(s->context, name))
		return;
	for (int i = 0; i < CLAIMS_MAX; i++) {
		const struct claim *claim = &page->item[i];
		uint64_t until_ms = claim->end_s != 0 ? claim->end_s * 1000ULL : UINT64_MAX;
		if (claim->kind == CLAIM_HELD && claim->prefix_length == 128 && look->now_ms < until_ms)
			s->found(s->context, name, claim->address, until_ms);
	}
}

/* A guard that was taken over could change the name in its own file, but not in that of the operator's word. */
static bool look_for_vm(void *context, const struct other_guard *other)
{
	const struct vm_look *look = context;
	struct given_page given;
	if (strcmp(other->page.segment, look->c->page.segment) != 0 ||
	    !read_given_file(&look->c->folder, other, &given) || !is_alive(other) || !is_there(look->c, other))
		return true;
	tell_addresses(look, given.page.vm, &other->page);
	for (int i = 0; i < LABELS_MAX; i++)
		tell_addresses(look, given.labels[i], &other->page);
	return true;
}

void find_vms(struct claims *c, const struct vm_search *search, uint64_t now_ms)
{
	struct vm_look look = { c, search, now_ms };
	if (c->uplink && c->page.segment[0] != '\0')
		visit_claims(&c->folder, look_for_vm, &look);
}
