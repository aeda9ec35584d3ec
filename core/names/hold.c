/* Held frames. */
#include "core/names/hold.h"

void start_hold(struct hold *hold, uint32_t max_frame)
{
	uint32_t slots = HOLD_OCTETS / max_frame;
	hold->slot_octets = max_frame;
	hold->slots = slots < HELD_MAX ? slots : HELD_MAX;
}

static struct held *entry_of(struct hold *hold, uint16_t entry)
{
	return &hold->held[entry - 1];
}

static uint16_t take_slot(struct hold *hold)
{
	uint16_t entry = hold->free;
	if (entry != 0) {
		hold->free = entry_of(hold, entry)->next;
		return entry;
	}
	return hold->used < hold->slots ? (uint16_t)++hold->used : 0;
}

static void free_if_unused(struct hold *hold, uint16_t entry)
{
	struct held *held = entry_of(hold, entry);
	if (held->is_listed || held->is_queued)
		return;
	held->next = hold->free;
	hold->free = entry;
}

static void append(struct hold *hold, struct held_list *list, uint16_t entry)
{
	entry_of(hold, entry)->next = 0;
	if (list->last != 0)
		entry_of(hold, list->last)->next = entry;
	else
		list->first = entry;
	list->last = entry;
	list->count++;
}

bool keep_frame(struct hold *hold, struct held_list *list, const struct frame *frame, struct payload payload,
		bool has_left)
{
	uint16_t entry = frame->length <= hold->slot_octets ? take_slot(hold) : 0;
	if (entry == 0)
		return false;
	*entry_of(hold, entry) = (struct held){ .is_listed = 1,
						.has_left = has_left,
						.length = frame->length,
						.number = hold->number,
						.at = payload.at,
						.octets = payload.octets,
						.sequence = payload.sequence };
	frame_copy(frame, 0, hold->bytes + (uint32_t)(entry - 1) * hold->slot_octets, frame->length);
	append(hold, list, entry);
	return true;
}

static void queue(struct hold *hold, uint16_t entry, enum verdict verdict)
{
	struct held *held = entry_of(hold, entry);
	held->is_queued = held->has_left = 1;
	held->verdict = (uint8_t)verdict;
	hold->queue[(hold->queue_first + hold->queue_count++) % HELD_MAX] = entry;
}

void release_list(struct hold *hold, struct held_list *list)
{
	for (uint16_t entry = list->first; entry != 0; entry = entry_of(hold, entry)->next)
		if (!entry_of(hold, entry)->has_left)
			queue(hold, entry, PASS);
}

void forget_first(struct hold *hold, struct held_list *list)
{
	uint16_t entry = list->first;
	struct held *held = entry_of(hold, entry);
	list->first = held->next;
	if (list->first == 0)
		list->last = 0;
	list->count--;
	held->next = 0;
	held->is_listed = 0;
	free_if_unused(hold, entry);
}

void drop_list(struct hold *hold, struct held_list *list, enum verdict verdict)
{
	while (list->first != 0) {
		if (!entry_of(hold, list->first)->has_left)
			queue(hold, list->first, verdict);
		forget_first(hold, list);
	}
}

void drop_waiting(struct hold *hold, struct held_list *list, enum verdict verdict)
{
	uint16_t next = 0, entry = list->first;
	*list = (struct held_list){ 0, 0, 0 };
	for (; entry != 0; entry = next) {
		struct held *held = entry_of(hold, entry);
		next = held->next;
		if (held->has_left) {
			append(hold, list, entry);
			continue;
		}
		held->is_listed = 0;
		queue(hold, entry, verdict);
	}
}

bool take_queued(struct hold *hold, struct frame *frame, enum verdict *verdict)
{
	if (hold->queue_count == 0)
		return false;
	uint16_t entry = hold->queue[hold->queue_first];
	hold->queue_first = (uint16_t)((hold->queue_first + 1) % HELD_MAX);
	hold->queue_count--;
	struct held *held = entry_of(hold, entry);
	*frame = frame_of_held(hold, entry);
	*verdict = (enum verdict)held->verdict;
	hold->number_left = held->number;
	held->is_queued = 0;
	free_if_unused(hold, entry);
	return true;
}
