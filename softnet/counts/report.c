/* Sums in sentences. Programs ask by SIGUSR1, whose lines are another interface: counters.c. */
#include "softnet/counts/report.h"
#include <inttypes.h>
#include <stdio.h>
#include "system/log.h"
#include "system/text.h"

static void report_drops(const struct counters *counters)
{
	static const char *const whose[DIRECTIONS] = { [FROM_GUEST] = "from the VM", [TO_GUEST] = "to the VM" };
	for (int direction = 0; direction < DIRECTIONS; direction++)
		for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
			if (counters->verdicts[direction][verdict] > 0)
				info("dropped in all %" PRIu64 " %s, %s: %s", counters->verdicts[direction][verdict],
				     whose[direction], verdict_name(verdict), verdict_meaning(verdict));
}

static void report_address(struct address a, const char *origin, uint64_t expires_ms, uint64_t now_ms)
{
	char address[ADDRESS_TEXT], left[40] = "";
	if (expires_ms != NEVER_EXPIRES)
		snprintf(left, sizeof left, ", for another %" PRIu64 " s", (expires_ms - now_ms) / 1000);
	info("the VM had %s: %s%s", format_address(a, address), origin, left);
}

void print_report(const struct counters *counters, const struct state *state, uint64_t now_ms)
{
	info("passed %" PRIu64 " frames from the VM and %" PRIu64 " to it", counters->verdicts[FROM_GUEST][PASS],
	     counters->verdicts[TO_GUEST][PASS]);
	report_drops(counters);
	for (int i = 0; i < BINDINGS4_MAX; i++) {
		const struct binding *b = &state->ipv4[i];
		if (is_live(b, now_ms))
			report_address(b->address, b->state == BINDING_STATIC ? "static" : "dhcp", b->expires_ms, now_ms);
	}
	for (int i = 0; i < BINDINGS6_MAX; i++) {
		const struct binding6 *b = &state->ipv6.bindings[i];
		if (now_ms < b->expires_ms)
			report_address(b->address, origin_names[b->origin], b->expires_ms, now_ms);
	}
}
