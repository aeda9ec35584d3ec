/* The catalogue of attacks (attacks.hex.tsv): every row is brought into its state by real frames, then judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/judge/own6.h"
#include "test_attacks.h"

#include <cmocka.h>

/* Rows where the guard is right to differ from the catalogue's verdict. */
static const struct {
	const char *id, *verdict, *why;
	const char *state; /* where the row holds in several; NULL: in all */
} exceptions[] = {
	{ "ARP-06", "drop",
	  "a probe for an address that nobody offered can make another host give it up (RFC 5227 2.1.1)", NULL },
	{ "TUN-01", "pass",
	  "a tunnel from the guest's own address to an allowed host; what it carries is the host's affair", NULL },
	{ "TUN-04", "pass", "as TUN-01", NULL },
	{ "TUN-05", "pass", "as TUN-01", NULL },
	{ "TUN-06", "pass", "as TUN-01", NULL },
	{ "TUN-17", "pass", "as TUN-01", NULL },
	{ "FRG-12", "pass",
	  "its datagram was short enough for one fragment: a plain DISCOVER (test_judge.c cuts one in two)", NULL },
	{ "D4-31", "pass", "a renewal after a restart of the guard; it binds nothing by itself (filter.md, RESYNC)",
	  "INIT" },
	{ "IP6-32", "drop", "ESP or not, of the groups of the link only mDNS is open", NULL },
	{ "MLD-04", "pass",
	  "a Done makes the querier ask, and members answer (RFC 2710 4); hosts leave their groups with it", NULL },
	{ "S4-06", "drop", "an answer for another machine is none of the guest's business", NULL },
};

static const char *exception_for(const char *id, const char *state)
{
	for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
		if (strcmp(exceptions[i].id, id) == 0 && (!exceptions[i].state || strcmp(exceptions[i].state, state) == 0))
			return exceptions[i].verdict;
	return NULL;
}

static uint32_t parse_hex(const char *hex, uint8_t *to, uint32_t room)
{
	uint32_t n = 0;
	unsigned octet;
	for (; sscanf(hex, "%2x", &octet) == 1 && n < room; hex += 2)
		to[n++] = (uint8_t)octet;
	return n;
}

struct row {
	char id[16], direction[8], state[16], verdict[40];
	int frame_no;
	uint8_t frame[20000];
	uint32_t length;
};

static bool read_row(FILE *file, struct row *row)
{
	static char line[50000], hex[40001];
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "%15s %d %7s %15s %39s %40000s", row->id, &row->frame_no, row->direction, row->state,
			   row->verdict, hex) == 6) {
			row->length = parse_hex(hex, row->frame, sizeof row->frame);
			return true;
		}
	return false;
}

static bool is_ipv6_row(const char *id)
{
	static const char *const groups[] = { "IP6-", "ND-", "RA-", "MLD-", "D6-" };
	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
		if (strncmp(id, groups[i], strlen(groups[i])) == 0)
			return true;
	return false;
}

static enum verdict play(struct world *w, const struct row *row)
{
	struct frame frame = { .bytes = row->frame, .length = row->length };
	return decide(&w->guard, strcmp(row->direction, "g2n") == 0 ? FROM_GUEST : TO_GUEST, &frame, w->now_ms);
}

static bool holds(const struct world *w, struct address a, uint64_t later_ms)
{
	return is_ipv4(a) ? owns_address4(&w->state, a, w->now_ms + later_ms)
			  : is_held6(view_of(&w->guard, w->now_ms + later_ms), a);
}

static void check_lease_of_600_s(const struct world *w, struct address a)
{
	assert_true(holds(w, a, 599 * 1000));
	assert_false(holds(w, a, 600 * 1000));
}

/* "pass;bind(ME,600)" and the like: what the row says of the state. */
static void check_effect(const struct world *w, const struct state *before, const struct row *row)
{
	const char *effect = strchr(row->verdict, ';');
	if (!effect)
		return;
	if (strcmp(effect, ";bind(ME,600)") == 0)
		check_lease_of_600_s(w, address_of_ipv4(GUEST_IP));
	else if (strcmp(effect, ";bind(G6,600)") == 0)
		check_lease_of_600_s(w, GUEST_LEASED);
	else if (strcmp(effect, ";unbind") == 0)
		assert_false(has_lease4(&w->state, w->now_ms));
	else if (strcmp(effect, ";state-unchanged") == 0)
		assert_true(memcmp(before->ipv4, w->state.ipv4, sizeof before->ipv4) == 0 &&
			    memcmp(&before->ipv6, &w->state.ipv6, sizeof before->ipv6) == 0);
	else if (strcmp(effect, ";tentative(L)") == 0)
		assert_true(holds(w, GUEST_LL, 0)); /* at once: it is made from the MAC */
	else if (strcmp(effect, ";prefix-learn") == 0)
		assert_true(holds(w, ADDRESS6(0x20010db80bad0000ULL, GUEST_ID), 0));
	else if (strcmp(effect, ";no-learn") == 0)
		assert_memory_equal(before->ipv6.prefixes, w->state.ipv6.prefixes, sizeof before->ipv6.prefixes);
	else if (strcmp(effect, ";no-bind") == 0)
		assert_memory_equal(before->ipv6.bindings, w->state.ipv6.bindings, sizeof before->ipv6.bindings);
	else if (strcmp(effect, ";pending(trid)") == 0)
		assert_true(awaits_answer6(&w->state.ipv6, TRANSACTION_ID, w->now_ms));
	else
		assert_string_equal(effect, ";pending(xid)"); /* what it is worth is in test_snoop.c */
}

static void check_row(struct world *w, const struct row *row, const char *state, bool *dropped)
{
	if (!bring_into_state(w, state))
		fail_msg("%s: no such state: %s", row->id, state);
	w->claim_refused = strcmp(row->id, "S4-20") == 0; /* the victim's guard holds that address */
	struct state before = w->state;
	enum verdict got = play(w, row);
	const char *expected = exception_for(row->id, state);
	if (!expected)
		expected = row->verdict;
	if (strncmp(expected, "policy(", 7) == 0)
		expected += 7;
	bool pass = strncmp(expected, "pass", 4) == 0 || strncmp(expected, "rate", 4) == 0;
	*dropped = *dropped || got != PASS;
	if (pass ? got != PASS : !*dropped)
		fail_msg("%s in %s: expected %s, got %s", row->id, state, expected, verdict_name(got));
	if (!exception_for(row->id, state))
		check_effect(w, &before, row);
}

/* A row with two frames is one datagram: to drop it is to drop either. */
static void every_row_has_its_verdict(void **state)
{
	(void)state;
	static struct row row, next;
	static struct world world;
	FILE *file = fopen(getenv("ATTACKS") ? getenv("ATTACKS") : "tests/unit/attacks.hex.tsv", "r");
	assert_non_null(file);
	int rows = 0;
	bool more = read_row(file, &row);
	while (more) {
		more = read_row(file, &next);
		bool two = more && next.frame_no == 1;
		bool any = strcmp(row.state, "ANY") == 0, dropped = false, dropped_bound = false;
		if (two && strncmp(row.verdict, "drop", 4) == 0) {
			bring_into_state(&world, row.state);
			dropped = play(&world, &row) != PASS;
		} else {
			bool ipv6 = is_ipv6_row(row.id);
			check_row(&world, &row, !any ? row.state : ipv6 ? "INIT6" : "INIT", &dropped);
			if (any)
				check_row(&world, &row, ipv6 ? "BOUND6" : "BOUND4", &dropped_bound);
		}
		if (two) {
			check_row(&world, &next, next.state, &dropped);
			more = read_row(file, &next);
		}
		row = next;
		rows++;
	}
	fclose(file);
	assert_int_equal(rows, 240); /* a row that was not read is a row that was not tested */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_row_has_its_verdict) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
