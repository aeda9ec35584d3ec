/* What became of every frame, and how that is told. */
#include "counters.h"
#include <inttypes.h>
#include <stdio.h>
#include "log.h"
#include "text.h"

static const char *const direction_names[DIRECTIONS] = { "guest", "uplink" };

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
	info("dropped %s %s%s%s: %s", direction_names[direction], verdict_name(verdict), times, number,
	     verdict_meaning(verdict));
}

void count_drop(struct counters *counters, enum direction direction, unsigned verdict, uint64_t n, uint64_t now_ms)
{
	bool is_first = counters->verdicts[direction][verdict] == 0;
	counters->verdicts[direction][verdict] += n;
	if (is_first && n > 0 && is_verbose())
		tell(counters, direction, verdict, now_ms);
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

static void print_lease(const struct binding *binding, uint64_t now_ms)
{
	char address[ADDRESS_TEXT], server[ADDRESS_TEXT], remaining[24] = "forever";
	if (binding->expires_ms != NEVER_EXPIRES)
		snprintf(remaining, sizeof remaining, "%" PRIu64, (binding->expires_ms - now_ms) / 1000);
	print_line("lease %s remaining %s server %s", format_address(binding->address, address), remaining,
		   is_unset(binding->server) ? "-" : format_address(binding->server, server));
}

void print_summary(const struct counters *counters, const struct state *state, uint64_t now_ms)
{
	unsigned leases = 0;
	for (int direction = 0; direction < DIRECTIONS; direction++)
		for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
			if (counters->verdicts[direction][verdict] > 0)
				print_line("drops %s %s %" PRIu64, direction_names[direction], verdict_name(verdict),
					   counters->verdicts[direction][verdict]);
	for (int direction = 0; direction < DIRECTIONS; direction++)
		print_line("passed %s %" PRIu64 " %" PRIu64, direction_names[direction],
			   counters->verdicts[direction][PASS], counters->octets[direction]);
	for (int i = 0; i < BINDINGS4_MAX; i++)
		leases += is_live(&state->ipv4[i], now_ms);
	print_line("leases %u", leases);
	for (int i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms))
			print_lease(&state->ipv4[i], now_ms);
	print_line("end");
}
