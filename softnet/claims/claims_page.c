/*
 * The file is a page of fixed places, so that one write changes one claim, and a reader that comes in between sees the
 * old one, the new one or, for a moment, half of it. That does no harm: who claims writes first and reads then.
 */
#include "softnet/claims/claims_page.h"
#include <string.h>
#include "system/text.h"

static const char magic[] = "softnet-claims 1";

enum {
	MAGIC = sizeof magic - 1,
	AT_PID = MAGIC,
	AT_LOOKS = AT_PID + 4,
	AT_SEGMENT = AT_LOOKS + 4,
	AT_VM = AT_SEGMENT + SEGMENT_TEXT
};
_Static_assert(AT_VM + VM_NAME_MAX + 1 <= PAGE_HEADER, "the header is too short");

static void put_number(uint8_t *to, uint64_t number, size_t octets)
{
	for (size_t i = 0; i < octets; i++)
		to[i] = (uint8_t)(number >> (8 * (octets - 1 - i)));
}

void write_claim(const struct claim *claim, uint8_t octets[CLAIM_OCTETS])
{
	memset(octets, 0, CLAIM_OCTETS);
	octets[0] = claim->kind;
	octets[1] = claim->prefix_length;
	put_number(octets + 4, claim->end_s, 4); /* older versions wrote 0, and do not read it */
	put_number(octets + 8, claim->address.high, 8);
	put_number(octets + 16, claim->address.low, 8);
}

void write_claims_page(const struct claims_page *page, uint8_t octets[PAGE_OCTETS])
{
	memset(octets, 0, PAGE_HEADER);
	memcpy(octets, magic, MAGIC);
	put_number(octets + AT_PID, page->pid, 4);
	put_number(octets + AT_LOOKS, page->looks, 4);
	memcpy(octets + AT_SEGMENT, page->segment, strnlen(page->segment, SEGMENT_TEXT - 1));
	memcpy(octets + AT_VM, page->vm, strnlen(page->vm, VM_NAME_MAX));
	for (int i = 0; i < ITEMS_MAX; i++)
		write_claim(&page->item[i], octets + PAGE_HEADER + i * CLAIM_OCTETS);
}

static uint64_t read_be64(struct reader *r)
{
	uint64_t high = read_be32(r);
	return high << 32 | read_be32(r);
}

/* Who writes it may be a stranger, and it is shown to people. */
static void read_text(struct reader *r, char *text, uint32_t size)
{
	read_bytes(r, (uint8_t *)text, size);
	text[size - 1] = '\0';
	make_printable(text);
}

static void read_claim(struct reader *r, struct claim *claim)
{
	claim->kind = read_u8(r);
	if (claim->kind == CLAIM_NONE) { /* most are */
		skip_bytes(r, CLAIM_OCTETS - 1);
		return;
	}
	claim->prefix_length = read_u8(r);
	skip_bytes(r, 2);
	claim->end_s = read_be32(r);
	claim->address.high = read_be64(r);
	claim->address.low = read_be64(r);
	if (claim->kind > CLAIM_WANTED || claim->prefix_length > 128)
		claim->kind = CLAIM_NONE;
}

bool read_claims_page(const uint8_t *octets, size_t length, struct claims_page *page)
{
	struct frame file = { .bytes = octets, .length = (uint32_t)length };
	memset(page, 0, sizeof *page);
	if (length != PAGE_OCTETS || memcmp(octets, magic, MAGIC) != 0)
		return false;
	struct reader r = read_from(&file, AT_PID, PAGE_HEADER);
	page->pid = read_be32(&r);
	page->looks = read_be32(&r);
	read_text(&r, page->segment, SEGMENT_TEXT);
	read_text(&r, page->vm, VM_NAME_MAX + 1);
	struct reader items = read_from(&file, PAGE_HEADER, PAGE_OCTETS);
	for (int i = 0; i < ITEMS_MAX; i++)
		read_claim(&items, &page->item[i]);
	return r.ok && items.ok;
}

void write_given_page(const struct given_page *given, uint8_t octets[GIVEN_OCTETS])
{
	uint8_t *to = octets + PAGE_OCTETS;
	write_claims_page(&given->page, octets);
	memset(to, 0, GIVEN_OCTETS - PAGE_OCTETS);
	for (int i = 0; i < LABELS_MAX; i++)
		memcpy(to + i * (VM_NAME_MAX + 1), given->labels[i], strnlen(given->labels[i], VM_NAME_MAX));
}

bool read_given_page(const uint8_t *octets, size_t length, struct given_page *given)
{
	struct frame file = { .bytes = octets, .length = (uint32_t)length };
	memset(given, 0, sizeof *given);
	if (length < PAGE_OCTETS || !read_claims_page(octets, PAGE_OCTETS, &given->page))
		return false;
	if (length < GIVEN_OCTETS)
		return length == PAGE_OCTETS;
	struct reader r = read_from(&file, PAGE_OCTETS, GIVEN_OCTETS);
	for (int i = 0; i < LABELS_MAX; i++)
		read_text(&r, given->labels[i], VM_NAME_MAX + 1);
	return r.ok;
}

bool excludes(const struct claim *a, const struct claim *b)
{
	uint32_t shorter = a->prefix_length < b->prefix_length ? a->prefix_length : b->prefix_length;
	bool is_held = a->kind == CLAIM_HELD || b->kind == CLAIM_HELD;
	return is_held && (a->kind == CLAIM_HELD || a->kind == CLAIM_SHARED) &&
	       (b->kind == CLAIM_HELD || b->kind == CLAIM_SHARED) &&
	       same_address(mask_address(a->address, shorter), mask_address(b->address, shorter));
}
