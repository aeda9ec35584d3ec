/* The catalogue of attacks (attacks.hex.tsv): every row is brought into its state by real frames, then judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#include <cmocka.h>

/* Rows where the guard is right to differ from the catalogue's verdict. */
static const struct {
	const char *id, *verdict, *why;
	const char *state; /* where the row holds in several; NULL: in all */
} exceptions[] = {
	{ "ARP-06", "drop", "a probe for an address that nobody offered can make another host give it up (RFC 5227 2.1.1)", NULL },
	{ "TUN-01", "pass", "a tunnel from the guest's own address to an allowed host; what it carries is the host's affair", NULL },
	{ "TUN-04", "pass", "as TUN-01", NULL },
	{ "TUN-05", "pass", "as TUN-01", NULL },
	{ "TUN-06", "pass", "as TUN-01", NULL },
	{ "TUN-17", "pass", "as TUN-01", NULL },
	{ "FRG-12", "pass", "its datagram was short enough for one fragment: a plain DISCOVER (test_judge.c cuts one in two)", NULL },
	{ "D4-31", "pass", "a renewal after a restart of the guard; it binds nothing by itself (filter.md, RESYNC)", "INIT" },
	{ "S4-06", "drop", "an answer for another machine is none of the guest's business", NULL },
};

static const char *exception_for(const char *id, const char *state)
{
	for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
		if (strcmp(exceptions[i].id, id) == 0 &&
		    (!exceptions[i].state || strcmp(exceptions[i].state, state) == 0))
			return exceptions[i].verdict;
	return NULL;
}

static void request(struct world *w, uint32_t xid)
{
	put_client_message(w, &(struct dhcp_spec){ .type = 1, .xid = xid });
	assert_int_equal(from_guest(w), PASS);
	put_client_message(w, &(struct dhcp_spec){ .type = 3, .xid = xid, .requested = GUEST_IP, .server = GATEWAY_IP });
	assert_int_equal(from_guest(w), PASS);
}

/* attacks.md section 0 tells what each word means. */
static bool bring_into_state(struct world *w, const char *state)
{
	start_world(w, true);
	if (strcmp(state, "INIT") == 0)
		return true;
	if (strcmp(state, "REQ") == 0 || strcmp(state, "REQ2") == 0 || strcmp(state, "REQOLD") == 0) {
		request(w, XID);
		if (strcmp(state, "REQ2") == 0) {
			put_client_message(w, &(struct dhcp_spec){ .type = 1, .xid = 0x55667788 });
			assert_int_equal(from_guest(w), PASS);
		}
		w->now_ms += strcmp(state, "REQOLD") == 0 ? 3600 * 1000 : 0;
		return true;
	}
	lease(w, GUEST_IP, 600);
	w->now_ms += 20000; /* behind the conflict window, and the exchange is over */
	if (strcmp(state, "BOUND4") == 0)
		return true;
	if (strcmp(state, "INFORM") == 0) {
		put_client_message(w, &(struct dhcp_spec){ .type = 8, .ip_from = GUEST_IP, .ciaddr = GUEST_IP });
		return from_guest(w) == PASS;
	}
	if (strcmp(state, "EXPIRED4") == 0) {
		w->now_ms += 600 * 1000;
		return true;
	}
	return false;
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
	struct frame frame = { row->frame, row->length };
	return decide(&w->snoop, strcmp(row->direction, "g2n") == 0 ? FROM_GUEST : TO_GUEST, &frame, w->now_ms);
}

/* "pass;bind(ME,600)" and the like: what the row says of the state. */
static void check_effect(const struct world *w, const struct state *before, const struct row *row)
{
	const char *effect = strchr(row->verdict, ';');
	struct address me = address_of_ipv4(GUEST_IP);
	if (!effect)
		return;
	if (strcmp(effect, ";bind(ME,600)") == 0)
		assert_true(owns_address4(&w->state, me, w->now_ms + 599 * 1000) &&
			    !owns_address4(&w->state, me, w->now_ms + 600 * 1000));
	else if (strcmp(effect, ";unbind") == 0)
		assert_false(has_lease4(&w->state, w->now_ms));
	else if (strcmp(effect, ";state-unchanged") == 0)
		assert_memory_equal(before->ipv4, w->state.ipv4, sizeof before->ipv4);
	else
		assert_non_null(strstr(effect, "pending"));
}

static void check_row(struct world *w, const struct row *row, const char *state, bool *dropped)
{
	bool known = bring_into_state(w, state) || is_ipv6_row(row->id) || strcmp(row->id, "MAC-14") == 0 ||
		     strcmp(row->id, "LLC-05") == 0;
	if (!known)
		fail_msg("%s: no such state: %s", row->id, state);
	w->claim_refused = strcmp(row->id, "S4-20") == 0; /* the victim's guard holds that address */
	struct state before = w->state;
	enum verdict got = play(w, row);
	const char *expected = exception_for(row->id, state);
	if (!expected)
		expected = is_ipv6_row(row->id) ? "drop" : row->verdict;
	if (strncmp(expected, "policy(", 7) == 0)
		expected += 7;
	bool pass = strncmp(expected, "pass", 4) == 0 || strncmp(expected, "rate", 4) == 0;
	*dropped = *dropped || got != PASS;
	if (pass ? got != PASS : !*dropped)
		fail_msg("%s in %s: expected %s, got %s", row->id, state, expected, verdict_name(got));
	if (!exception_for(row->id, state) && !is_ipv6_row(row->id))
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
			check_row(&world, &row, any ? "INIT" : row.state, &dropped);
			if (any)
				check_row(&world, &row, "BOUND4", &dropped_bound);
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
