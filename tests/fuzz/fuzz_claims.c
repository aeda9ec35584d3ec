/*
 * Any octets as a guard's file of claims, and as what the operator gave beside it: such files are other users'. They are no page, or
 * what is read keeps to its bounds, is printable, and is written so that it reads the same. Run by `make fuzz`.
 */
#include <stdlib.h>
#include <string.h>

#include "softnet/claims/claims_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct given_page given, given_again;
static struct claims_page page, page_again;

/* Behind the end of a text nothing is written. */
static void check_text(const char *text, size_t size)
{
	const char *end = memchr(text, 0, size);
	if (!end)
		abort();
	for (; text < end; text++)
		if (*text < ' ' || *text > '~')
			abort();
}

static bool same_page(const struct claims_page *a, const struct claims_page *b)
{
	for (int i = 0; i < ITEMS_MAX; i++) {
		const struct claim *x = &a->item[i], *y = &b->item[i];
		bool is_same = x->prefix_length == y->prefix_length && x->end_s == y->end_s &&
			       same_address(x->address, y->address);
		if (x->kind != y->kind || (x->kind != CLAIM_NONE && !is_same))
			return false;
	}
	return a->pid == b->pid && strcmp(a->segment, b->segment) == 0 && strcmp(a->vm, b->vm) == 0;
}

static void check_items(const struct claims_page *p)
{
	for (int i = 0; i < ITEMS_MAX; i++) {
		const struct claim *claim = &p->item[i], *first = &p->item[0];
		if (claim->kind > CLAIM_WANTED || (claim->kind != CLAIM_NONE && claim->prefix_length > 128))
			abort();
		if (excludes(claim, first) != excludes(first, claim))
			abort();
		if (excludes(claim, claim) != (claim->kind == CLAIM_HELD))
			abort();
	}
}

static void check_page(const struct claims_page *p)
{
	static uint8_t written[PAGE_OCTETS];
	check_text(p->segment, sizeof p->segment);
	check_text(p->vm, sizeof p->vm);
	check_items(p);
	write_claims_page(p, written);
	if (!read_claims_page(written, sizeof written, &page_again) || !same_page(p, &page_again))
		abort();
}

static void check_given(void)
{
	static uint8_t written[GIVEN_OCTETS];
	check_page(&given.page);
	for (int i = 0; i < LABELS_MAX; i++)
		check_text(given.labels[i], sizeof given.labels[i]);
	write_given_page(&given, written);
	if (!read_given_page(written, sizeof written, &given_again) || !same_page(&given.page, &given_again.page))
		abort();
	for (int i = 0; i < LABELS_MAX; i++)
		if (strcmp(given.labels[i], given_again.labels[i]) != 0)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	bool is_page = read_claims_page(data, n, &page), is_given = read_given_page(data, n, &given);
	if (is_page && !is_given)
		abort(); /* as older versions wrote it */
	if (is_page)
		check_page(&page);
	if (is_given)
		check_given();
	return 0;
}
