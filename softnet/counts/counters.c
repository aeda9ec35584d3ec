/* What became of every frame, and how that is told. */
#include "softnet/counts/counters.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "system/log.h"
#include "system/text.h"

const char *const origin_names[] = {
	[ORIGIN_LINK_LOCAL] = "link-local", [ORIGIN_SLAAC] = "slaac", [ORIGIN_DHCP] = "dhcp", [ORIGIN_STATIC] = "static"
};

enum { LINE_INTERVAL_MS = 1000 };

static void tell(struct counters *counters, enum direction direction, unsigned verdict, uint64_t now_ms)
{
	uint64_t count = counters->verdicts[direction][verdict];
	uint64_t fresh = count - counters->log[direction][verdict].told;
	const char *times = fresh > 1 ? " x" : "";
	char number[24] = "";
	if (fresh > 1)
		snprintf(number, sizeof number, "%" PRIu64, fresh);
	counters->log[direction][verdict].told = count;
	counters->log[direction][verdict].told_ms = now_ms;
	info("dropped %s %s%s%s: %s", side_names[direction], verdict_name(verdict), times, number,
	     verdict_meaning(verdict));
}

void count_drop(struct counters *counters, enum direction direction, unsigned verdict, uint64_t n, uint64_t now_ms)
{
	bool is_first = counters->verdicts[direction][verdict] == 0;
	counters->verdicts[direction][verdict] += n;
	if (n > 0)
		counters->last[direction][verdict].dropped_ms = now_ms;
	if (is_first && n > 0 && is_verbose())
		tell(counters, direction, verdict, now_ms);
}

/* Hints want its options. */
static bool is_about_dhcp(unsigned verdict)
{
	return verdict == DROP_DHCP4_MALFORMED || verdict == DROP_DHCP4_ROGUE_SERVER ||
	       verdict == DROP_DHCP4_BAD_LEASE || verdict == DROP_DHCP4_PORT_MISUSE || verdict == DROP_DHCP_HOSTNAME;
}

static void keep_whole(struct whole_frame *whole, unsigned verdict, const struct frame *frame, uint64_t now_ms)
{
	whole->dropped_ms = now_ms;
	whole->verdict = verdict;
	whole->length = frame->length < WHOLE_FRAME_MAX ? frame->length : WHOLE_FRAME_MAX;
	memcpy(whole->bytes, frame->bytes, whole->length);
}

void keep_specimen(struct counters *counters, enum direction direction, unsigned verdict, const struct frame *frame,
		   uint64_t now_ms)
{
	struct specimen *last = &counters->last[direction][verdict];
	last->dropped_ms = now_ms;
	last->length = frame->length;
	last->kept = frame->length < SPECIMEN_MAX ? frame->length : SPECIMEN_MAX;
	memcpy(last->bytes, frame->bytes, last->kept);
	if (is_about_dhcp(verdict))
		keep_whole(&counters->dhcp[direction], verdict, frame, now_ms);
}

struct sample sample_now(const struct counters *counters, uint64_t now_ms)
{
	struct sample now = { .taken_ms = now_ms };
	for (int direction = 0; direction < DIRECTIONS; direction++) {
		now.frames[direction] = counters->verdicts[direction][PASS];
		now.octets[direction] = counters->octets[direction];
		for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
			now.drops[direction] += counters->verdicts[direction][verdict];
	}
	return now;
}

void take_sample(struct counters *counters, uint64_t now_ms)
{
	counters->samples[counters->next_sample] = sample_now(counters, now_ms);
	counters->next_sample = (counters->next_sample + 1) % SAMPLES;
	if (counters->sample_count < SAMPLES)
		counters->sample_count++;
}

const struct sample *oldest_sample(const struct counters *counters)
{
	uint32_t at = counters->next_sample + SAMPLES - counters->sample_count;
	return counters->sample_count > 0 ? &counters->samples[at % SAMPLES] : NULL;
}

uint64_t silence_ms(const struct counters *counters, enum direction direction, uint64_t now_ms)
{
	for (uint32_t i = 1; i <= counters->sample_count; i++) {
		const struct sample *before = &counters->samples[(counters->next_sample + SAMPLES - i) % SAMPLES];
		if (before->frames[direction] != counters->verdicts[direction][PASS])
			return now_ms - before->taken_ms;
	}
	return UINT64_MAX;
}

void tell_drops(struct counters *counters, uint64_t now_ms)
{
	if (!is_verbose())
		return;
	for (int direction = 0; direction < DIRECTIONS; direction++)
		for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
			if (counters->verdicts[direction][verdict] > counters->log[direction][verdict].told &&
			    now_ms - counters->log[direction][verdict].told_ms >= LINE_INTERVAL_MS)
				tell(counters, (enum direction)direction, verdict, now_ms);
}

enum { SPAN_TEXT = 24 };

/* The seconds that are left. */
static const char *format_left(uint64_t expires_ms, uint64_t now_ms, char text[SPAN_TEXT])
{
	if (expires_ms == NEVER_EXPIRES)
		return "forever";
	snprintf(text, SPAN_TEXT, "%" PRIu64, (expires_ms - now_ms) / 1000);
	return text;
}

static void print_lease(struct address a, struct address from, uint64_t expires_ms, uint64_t now_ms)
{
	char address[ADDRESS_TEXT], server[ADDRESS_TEXT], left[SPAN_TEXT];
	print_line("lease %s remaining %s server %s", format_address(a, address), format_left(expires_ms, now_ms, left),
		   is_unset(from) ? "-" : format_address(from, server));
}

static void print_address(const struct binding6 *b, uint64_t now_ms)
{
	char address[ADDRESS_TEXT], left[SPAN_TEXT];
	print_line("address %s remaining %s origin %s state %s", format_address(b->address, address),
		   format_left(b->expires_ms, now_ms, left), origin_names[b->origin],
		   status_of(b, now_ms) == STATUS_VALID ? "valid" : "tentative");
}

/* Prefixes and next hops of trusted routers; those of the command line are known. */
static void print_routers(const struct state6 *state, uint64_t now_ms)
{
	char address[ADDRESS_TEXT], mac[MAC_TEXT], left[SPAN_TEXT];
	for (int i = 0; i < PREFIXES_MAX; i++) {
		const struct prefix6 *p = &state->prefixes[i];
		if (!p->is_static && now_ms < p->expires_ms)
			print_line("prefix %s/%" PRIu32 " remaining %s", format_address(p->prefix, address), p->length,
				   format_left(p->expires_ms, now_ms, left));
	}
	for (int i = 0; i < ROUTERS6_MAX; i++) {
		const struct router6 *r = &state->routers[i];
		if (now_ms < r->expires_ms)
			print_line("router %s %s remaining %s", format_address(r->address, address),
				   format_mac(r->macs.item[0], mac), format_left(r->expires_ms, now_ms, left));
	}
}

static void print_bindings(const struct state *state, uint64_t now_ms)
{
	unsigned leases = 0;
	for (int i = 0; i < BINDINGS4_MAX; i++)
		leases += is_live(&state->ipv4[i], now_ms);
	for (int i = 0; i < BINDINGS6_MAX; i++)
		leases += state->ipv6.bindings[i].origin == ORIGIN_DHCP && now_ms < state->ipv6.bindings[i].expires_ms;
	print_line("leases %u", leases);
	for (int i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms))
			print_lease(state->ipv4[i].address, state->ipv4[i].server, state->ipv4[i].expires_ms, now_ms);
	for (int i = 0; i < BINDINGS6_MAX; i++) {
		const struct binding6 *b = &state->ipv6.bindings[i];
		if (now_ms >= b->expires_ms)
			continue;
		if (b->origin == ORIGIN_DHCP)
			print_lease(b->address, b->server, b->expires_ms, now_ms);
		else
			print_address(b, now_ms);
	}
}

void print_summary(const struct counters *counters, uint64_t questions, const struct state *state, uint64_t now_ms)
{
	for (int direction = 0; direction < DIRECTIONS; direction++)
		for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
			if (counters->verdicts[direction][verdict] > 0)
				print_line("drops %s %s %" PRIu64, side_names[direction], verdict_name(verdict),
					   counters->verdicts[direction][verdict]);
	for (int direction = 0; direction < DIRECTIONS; direction++)
		print_line("passed %s %" PRIu64 " %" PRIu64, side_names[direction], counters->verdicts[direction][PASS],
			   counters->octets[direction]);
	print_line("questions %" PRIu64, questions);
	print_bindings(state, now_ms);
	print_routers(&state->ipv6, now_ms);
	print_line("end");
}
