/* What a guest may make servers lease, whatever it asks and whatever becomes of the answers: docs/filter-ipv6.md, Leases. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/learn6/lease6.h"
#include "amount.h"
#include "test_dhcp6.h"

#include <cmocka.h>

#define A(i) ADDRESS6(LOCAL_PREFIX, 0x100 + (i))

static uint32_t next_id = 100;

static enum verdict request(uint32_t iaid)
{
	return ask6(&w, (struct dhcp6_spec){ .type = REQUEST, .id = next_id++, .ia = { { .iaid = iaid } } });
}

/* An IA more than there are places: the oldest gives its own when it is a minute old, one at once, then every 8 minutes. */
void identities_are_limited(void **state)
{
	(void)state;
	begin(true);
	w.config.rates[RATE_OF_NEW_LEASE6].burst = 0;
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(request(i), i <= 4 ? PASS : DROP_DHCP6_IDENTITY_LIMIT);
	for (uint32_t i = 1; i <= 4; i++) {
		assert_int_equal(request(i), PASS); /* known ones as often as they like */
		w.now_ms++;
	}
	w.now_ms += 60000;
	assert_int_equal(request(1), PASS);
	assert_int_equal(request(5), PASS); /* in the place of the second */
	assert_int_equal(request(6), DROP_DHCP6_IDENTITY_LIMIT);
	assert_int_equal(request(1), PASS);
	assert_int_equal(request(2), DROP_DHCP6_IDENTITY_LIMIT);
	w.now_ms += 499000;
	assert_int_equal(request(2), DROP_DHCP6_IDENTITY_LIMIT);
	w.now_ms += 1000;
	assert_int_equal(request(2), PASS);
	w.now_ms += 3600 * 1000; /* nothing was leased, as far as the guard can see: the places are free */
	for (uint32_t i = 11; i <= 14; i++)
		assert_int_equal(request(i), PASS);
}

/* Every way to ask counts, and each address that an IA names: some servers lease all of them. */
void every_way_to_ask_counts(void **state)
{
	static const uint8_t link_layer[] = { 0, 138, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t other[] = { 0, 2, 0, 0, 0, 1, 7 };
	static const uint8_t types[] = { REQUEST, RENEW, REBIND, SOLICIT };
	(void)state;
	for (size_t i = 0; i < sizeof types; i++) {
		bool rapid = types[i] == SOLICIT;
		begin(true);
		announce(&w, LOCAL_PREFIX);
		for (uint32_t k = 1; k <= 3; k++)
			claim_address(&w, A(k)); /* else it may not rebind them */
		ASKS(PASS, .type = types[i], .rapid_commit = rapid, .id = 1,
		     .ia = { { .iaid = 1, .lease = { { .address = A(1) }, { .address = A(2) } } },
			     { .iaid = 2, .temporary = true },
			     { .iaid = 2 } });
		struct state before = w.state;
		ASKS(DROP_DHCP6_IDENTITY_LIMIT, .type = types[i], .rapid_commit = rapid, .id = 2,
		     .ia = { { .iaid = 3 } });
		ASKS(DROP_DHCP6_IDENTITY_LIMIT, .type = types[i], .rapid_commit = rapid, .id = 2,
		     .ia = { { .iaid = 1, .lease = { { .address = A(3) } } } });
		ASKS(DROP_DHCP6_IDENTITY_LIMIT, .type = types[i], .rapid_commit = rapid, .id = 2,
		     .ia = { { .iaid = 1, .temporary = true } });
		ASKS(DROP_DHCP6_IDENTITY_LIMIT, .type = types[i], .rapid_commit = rapid, .id = 2, .duid = other,
		     .duid_octets = sizeof other, .ia = { { .iaid = 2 } });
		ASKS(DROP_DHCP6_IDENTITY_LIMIT, .type = types[i], .rapid_commit = rapid, .id = 2, .no_ia = true,
		     .extra = link_layer, .extra_octets = sizeof link_layer);
		assert_memory_equal(&before, &w.state, sizeof before); /* nothing left, so nothing is awaited */
		ASKS(PASS, .type = types[i], .rapid_commit = rapid, .id = 3,
		     .ia = { { .iaid = 1, .lease = { { .address = A(2) } } }, { .iaid = 2 } });
	}
	/* What leases nothing. */
	ASKS(PASS, .type = SOLICIT, .id = 5, .ia = { { .iaid = 3 }, { .iaid = 4, .lease = { { .address = A(9) } } } });
	ASKS(PASS, .type = CONFIRM, .id = 6, .ia = { { .iaid = 3, .lease = { { .address = A(9) } } } });
	ASKS(PASS, .type = INFORMATION_REQUEST, .id = 7);
}

static const uint8_t *pd(uint8_t iaid, uint8_t prefix)
{
	static uint8_t option[45];
	static const uint8_t form[45] = { 0, 25, 0, 41, 0, 0, 0, 0, 0,    0,    0,  0,    0,    0, 0, 0, 0, 26,
					  0, 25, 0, 1,  0, 0, 0, 1, 0x51, 0x80, 56, 0xfd, 0x64, 0, 0, 0, 1 };
	memcpy(option, form, sizeof option);
	option[7] = iaid;
	option[35] = prefix;
	return option;
}

static enum verdict request_prefix(uint8_t type, uint8_t iaid, uint8_t prefix)
{
	return ask6(&w,
		    (struct dhcp6_spec){
			.type = type, .id = next_id++, .no_ia = true, .extra = pd(iaid, prefix), .extra_octets = 45 });
}

void prefixes_are_limited(void **state)
{
	(void)state;
	begin(true);
	w.config.rates[RATE_OF_NEW_LEASE6].burst = 0;
	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(request_prefix(REQUEST, i, 0), i <= 2 ? PASS : DROP_DHCP6_IDENTITY_LIMIT);
	assert_int_equal(request_prefix(REQUEST, 1, 7), DROP_DHCP6_IDENTITY_LIMIT);
	for (uint32_t i = 1; i <= 4; i++) /* addresses have their own places */
		assert_int_equal(request(i), PASS);
	w.now_ms += 599999;
	assert_int_equal(request_prefix(REQUEST, 3, 0), DROP_DHCP6_IDENTITY_LIMIT);
	w.now_ms++;
	assert_int_equal(request_prefix(REQUEST, 3, 0), PASS);
	assert_int_equal(request_prefix(REQUEST, 4, 0), DROP_DHCP6_IDENTITY_LIMIT);
}

/* A RELEASE names what is the guest's own, each in its own IA: a server takes back what the copied DUID names. */
void prefixes_of_others_are_not_released(void **state)
{
	static const uint8_t other[] = { 0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, 0x0b };
	(void)state;
	begin(true);
	lease6(&w, GUEST_LEASED, 600, 7);
	for (int own = 0; own < 2; own++) { /* beside an own address, and alone */
		ASKS(DROP_DHCP6_NOT_OWNER, .type = RELEASE, .id = 8, .no_ia = !own, .address = GUEST_LEASED,
		     .extra = pd(1, 1), .extra_octets = 45);
		assert_non_null(binding_of(GUEST_LEASED));
	}
	assert_int_equal(request_prefix(REQUEST, 1, 1), PASS);
	assert_int_equal(request_prefix(RELEASE, 1, 1), DROP_DHCP6_NOT_OWNER); /* asked for, not given */
	ANSWERS(PASS, .type = REPLY, .id = next_id - 2, .no_ia = true, .extra = pd(1, 1), .extra_octets = 45);
	assert_int_equal(request_prefix(RELEASE, 2, 1), DROP_DHCP6_NOT_OWNER);
	assert_int_equal(request_prefix(RELEASE, 1, 2), DROP_DHCP6_NOT_OWNER);
	assert_int_equal(request_prefix(DECLINE, 1, 1), DROP_DHCP6_NOT_OWNER);
	ASKS(DROP_DHCP6_NOT_OWNER, .type = RELEASE, .no_ia = true, .duid = other, .duid_octets = sizeof other,
	     .extra = pd(1, 1), .extra_octets = 45);
	ASKS(DROP_DHCP6_NOT_OWNER, .type = RELEASE, .duid = other, .duid_octets = sizeof other, .address = GUEST_LEASED);
	ASKS(DROP_DHCP6_NOT_OWNER, .type = RELEASE, .ia = { { .iaid = 9, .lease = { { .address = GUEST_LEASED } } } });
	ASKS(DROP_DHCP6_NOT_OWNER, .type = RELEASE,
	     .ia = { { .iaid = IAID, .temporary = true, .lease = { { .address = GUEST_LEASED } } } });
	ASKS(DROP_DHCP6_NOT_OWNER, .type = RELEASE,
	     .ia = { { .iaid = IAID, .lease = { { .address = GUEST_LEASED } } }, { .iaid = 9 } });
	assert_int_equal(request_prefix(RELEASE, 1, 1), PASS);
	uint32_t id = next_id - 1;
	assert_int_equal(request_prefix(RELEASE, 1, 1), DROP_DHCP6_NOT_OWNER);
	next_id = id;
	assert_int_equal(request_prefix(RELEASE, 1, 1), PASS); /* repeated under its id */
	ANSWERS(PASS, .type = REPLY, .id = id, .no_ia = true);
	assert_int_equal(request_prefix(REQUEST, 2, 2), PASS); /* the place is free again */
	assert_int_equal(request_prefix(REQUEST, 3, 3), PASS);
}

/* An honest guest that goes round: each time the server says that it has the old lease back, or never gave one. */
void places_come_back(void **state)
{
	(void)state;
	begin(true);
	w.config.rates[RATE_OF_NEW_LEASE6].burst = 0;
	for (uint32_t i = 1; i <= 9; i++) {
		lease6(&w, A(i), 600, i);
		ASKS(PASS, .type = RELEASE, .id = 0x100 + i, .address = A(i));
		ANSWERS(PASS, .type = REPLY, .id = 0x100 + i, .no_ia = true);
	}
	for (uint32_t i = 1; i <= 9; i++) { /* no prefixes here, says the server; or no addresses */
		assert_int_equal(request_prefix(REQUEST, (uint8_t)i, 0), PASS);
		ANSWERS(PASS, .type = REPLY, .id = next_id - 1, .no_ia = true);
		assert_int_equal(request(0x20 + i), PASS);
		ANSWERS(PASS, .type = REPLY, .id = next_id - 1, .status = NO_ADDRS_AVAILABLE, .no_ia = true);
		ASKS(PASS, .type = SOLICIT, .rapid_commit = true, .id = 0x200 + i, .ia = { { .iaid = 0x40 + i } });
		ANSWERS(PASS, .type = ADVERTISE, .id = 0x200 + i,
			.ia = { { .iaid = 0x40 + i, .lease = { { .address = A(i), .valid_s = 600 } } } });
	}
	/* A refusal is no proof where another message may have been granted. */
	for (uint32_t i = 1; i <= 4; i++) {
		assert_int_equal(request(i), PASS);
		ASKS(PASS, .type = RENEW, .id = 0x300 + i, .ia = { { .iaid = i } });
		ANSWERS(PASS, .type = REPLY, .id = 0x300 + i, .ia = { { .iaid = i, .status = NO_BINDING6 } });
	}
	assert_int_equal(request(5), DROP_DHCP6_IDENTITY_LIMIT);
	/* Nor is a RELEASE that the server knows no lease for. */
	begin(true);
	for (uint32_t i = 1; i <= 4; i++) {
		lease6(&w, A(i), 600, i);
		ASKS(PASS, .type = RELEASE, .id = 0x100 + i, .address = A(i));
		ANSWERS(PASS, .type = REPLY, .id = 0x100 + i, .ia = { { .iaid = IAID, .status = NO_BINDING6 } });
	}
	assert_int_equal(request(5), DROP_DHCP6_IDENTITY_LIMIT);
}

static bool is_wanted(struct address a)
{
	for (uint32_t i = 0; i < WANTED6_MAX; i++)
		if (w.now_ms < w.state.ipv6.wanted[i].until_ms && same_address(w.state.ipv6.wanted[i].address, a))
			return true;
	return false;
}

/* The place goes that was used least recently, and a frame from the address is a use. */
void places_in_use_stay(void **state)
{
	(void)state;
	begin(true);
	w.config.rates[RATE_OF_NEW_LEASE6].burst = 0;
	for (uint32_t i = 1; i <= 4; i++) {
		lease6(&w, A(i), 6000, i);
		w.now_ms += 1000;
	}
	w.now_ms += 60000;
	put_udp6(&w, A(1), GLOBAL_IP6, 4000, 443, 4);
	assert_int_equal(from_guest(&w), PASS);
	assert_int_equal(request(5), PASS);
	assert_true(is_wanted(A(1)) && !is_wanted(A(2)));
}

/* Two messages of one id: the one answer may be to either, so no place is free by it. The id is the first that was ever used. */
void an_answer_to_one_of_two_frees_nothing(void **state)
{
	(void)state;
	begin(true);
	w.config.rates[RATE_OF_NEW_LEASE6].burst = 0;
	memset(w.state.ipv6.request_ids, 0, sizeof w.state.ipv6.request_ids);
	ASKS(PASS, .type = REQUEST, .id = 1, .ia = { { .iaid = 1 } });
	ASKS(PASS, .type = RENEW, .id = 1, .ia = { { .iaid = 2 } });
	ANSWERS(PASS, .type = REPLY, .id = 1, .no_ia = true);
	for (uint32_t i = 3; i <= 5; i++)
		assert_int_equal(request(i), i < 5 ? PASS : DROP_DHCP6_IDENTITY_LIMIT);
}

/* Questions themselves cost a token of their own, for what no table can know. */
void new_leases_are_limited(void **state)
{
	(void)state;
	begin(true);
	for (uint32_t i = 1; i <= 9; i++) {
		lease6(&w, A(i), 600, i);
		ASKS(PASS, .type = RELEASE, .id = 0x100 + i, .address = A(i));
		ANSWERS(PASS, .type = REPLY, .id = 0x100 + i, .no_ia = true);
		if (i == 8)
			break;
	}
	ASKS(DROP_BINDING_CHURN, .type = REQUEST, .id = 10, .address = A(10));
	w.now_ms += 59000;
	ASKS(PASS, .type = REQUEST, .id = 10, .address = A(10));
}

/* dnsmasq gives a rebinding client whatever address it names, also one that another client holds. */
void nobody_rebinds_what_is_anothers(void **state)
{
	(void)state;
	begin(true);
	lease6(&w, GUEST_LEASED, 600, 7);
	ASKS(PASS, .type = REBIND, .id = 8, .address = GUEST_LEASED);
	ASKS(DROP_DHCP6_NOT_OWNER, .type = REBIND, .id = 9, .address = VICTIM_LEASED);
	ASKS(DROP_DHCP6_NOT_OWNER, .type = REBIND, .id = 9,
	     .ia = { { .iaid = IAID, .lease = { { .address = GUEST_LEASED }, { .address = VICTIM_LEASED } } } });
	assert_false(awaits_answer6(&w.state.ipv6, 9, w.now_ms));
	ASKS(PASS, .type = REBIND, .id = 9, .ia = { { .iaid = 9 } });
	assert_int_equal(request_prefix(REBIND, 1, 1), PASS); /* of prefixes that is not known */
	w.now_ms += 600 * 1000;
	ASKS(DROP_DHCP6_NOT_OWNER, .type = REBIND, .id = 10, .address = GUEST_LEASED);
	ASKS(PASS, .type = RENEW, .id = 10, .address = GUEST_LEASED);
}

/* --- the worst that a guest can do ----------------------------------------------------------------------------------- */

/* A server in the manner of dnsmasq, which leases every address that an IA names, or of Kea: one lease for each IA. */
enum { POOL = 200, POOL_PD = 64, TEN_MINUTES_MS = 600000 };

struct lease_of_model {
	uint32_t identity; /* number of DUID, type and IAID; 0: free */
};

struct model {
	bool names_count;
	struct lease_of_model address[POOL], prefix[POOL_PD];
	uint32_t most, most_prefixes, declined;
};

/* What the hostile guest's message and its answer are about. */
struct model_ia {
	uint32_t identity; /* DUID << 16 | type << 8 | IAID */
	uint32_t named[3]; /* of the pool, 1..; 0: none */
	bool granted;
	uint32_t got[3];
};

static void count_leases(struct model *server)
{
	uint32_t now = server->declined, prefixes = 0;
	for (uint32_t i = 0; i < POOL; i++)
		now += server->address[i].identity != 0;
	for (uint32_t i = 0; i < POOL_PD; i++)
		prefixes += server->prefix[i].identity != 0;
	server->most = now > server->most ? now : server->most;
	server->most_prefixes = prefixes > server->most_prefixes ? prefixes : server->most_prefixes;
}

static uint32_t find_lease_of(const struct lease_of_model *pool, uint32_t size, uint32_t identity)
{
	for (uint32_t i = 0; i < size; i++)
		if (pool[i].identity == identity)
			return i + 1;
	return 0;
}

static void serve_ia(struct model *server, uint8_t type, struct model_ia *ia)
{
	bool is_prefix = (ia->identity >> 8 & 0xff) == 25;
	struct lease_of_model *pool = is_prefix ? server->prefix : server->address;
	uint32_t size = is_prefix ? POOL_PD : POOL, got = 0;
	if (type == RELEASE || type == DECLINE) {
		for (uint32_t i = 0; i < 3; i++)
			if (ia->named[i] > 0 && ia->named[i] <= size && pool[ia->named[i] - 1].identity == ia->identity) {
				pool[ia->named[i] - 1].identity = type == DECLINE ? UINT32_MAX : 0;
				ia->granted = true;
			}
		return;
	}
	for (uint32_t i = 0; server->names_count && !is_prefix && i < 3; i++) {
		uint32_t n = ia->named[i];
		if (n > 0 && n <= size &&
		    (pool[n - 1].identity == ia->identity || (type != RENEW && pool[n - 1].identity == 0))) {
			pool[n - 1].identity = ia->identity;
			ia->got[got++] = n;
		}
	}
	if (server->names_count && !is_prefix && (ia->named[0] != 0 || type == RENEW))
		return;
	if (server->names_count && is_prefix)
		return;
	uint32_t have = find_lease_of(pool, size, ia->identity);
	if (have == 0)
		have = ia->named[0] > 0 && ia->named[0] <= size && pool[ia->named[0] - 1].identity == 0
			   ? ia->named[0]
			   : find_lease_of(pool, size, 0);
	if (have != 0) {
		pool[have - 1].identity = ia->identity;
		ia->got[0] = have;
	}
}

static struct address address_of_number(bool is_prefix, uint32_t number)
{
	return is_prefix ? ADDRESS6(LOCAL_PREFIX | (uint64_t)number << 8, 0) : ADDRESS6(LOCAL_PREFIX, 0x1000 + number);
}

static uint32_t put_pd_options(uint8_t *to, const struct model_ia *ia, bool answer)
{
	uint32_t n = 0;
	uint8_t option[45];
	const uint32_t *numbers = answer ? ia->got : ia->named;
	memcpy(option, pd((uint8_t)ia->identity, 0), sizeof option);
	bool named = numbers[0] != 0;
	if (!named)
		option[3] = 12;
	for (uint32_t k = 0; k < 8; k++)
		option[29 + k] = (uint8_t)(address_of_number(true, numbers[0]).high >> (56 - 8 * k));
	n = named ? 45 : 16;
	memcpy(to, option, n);
	return n;
}

static struct dhcp6_spec spec_of(uint8_t type, uint32_t id, const struct model_ia *ias, uint32_t count, bool answer,
				 uint8_t *extra)
{
	static uint8_t duid[] = { 0, 2, 0, 0, 0, 1, 0 };
	struct dhcp6_spec spec = { .type = type,
				   .id = id,
				   .no_ia = true,
				   .extra = extra,
				   .rapid_commit = false,
				   .duid = duid,
				   .duid_octets = sizeof duid };
	uint32_t places = 0;
	duid[6] = (uint8_t)(ias[0].identity >> 16);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t type_of_ia = ias[i].identity >> 8 & 0xff;
		if (type_of_ia == 25) {
			spec.extra_octets += put_pd_options(extra + spec.extra_octets, &ias[i], answer);
			continue;
		}
		struct ia_spec *to = &spec.ia[places++];
		*to = (struct ia_spec){ .iaid = ias[i].identity & 0xff, .temporary = type_of_ia == 4 };
		uint32_t leases = 0;
		for (uint32_t k = 0; k < 3; k++) {
			uint32_t n = answer ? ias[i].got[k] : ias[i].named[k];
			if (n != 0)
				to->lease[leases++] = (struct lease6_spec){ address_of_number(false, n), 86400, 0, 0 };
		}
		if (answer && leases == 0 && !ias[i].granted)
			to->status = NO_BINDING6;
	}
	return spec;
}

enum { PENDING = 4, IAS = 4 };

struct pending {
	struct dhcp6_spec spec;
	uint8_t extra[256];
	bool there;
};

static struct model_ia random_ia(uint32_t duid, bool old)
{
	static const uint8_t types[] = { 3, 3, 4, 25 };
	uint32_t range = old ? 4 : 200;
	struct model_ia ia = { .identity = duid << 16 | (uint32_t)types[next_random() % 4] << 8 |
					   (1 + next_random() % range) };
	bool is_prefix = (ia.identity >> 8 & 0xff) == 25;
	uint32_t names = next_random() % 4;
	for (uint32_t i = 0; i < names && i < (is_prefix ? 1 : 3); i++)
		ia.named[i] = i * 60 + 1 + next_random() % (old ? 8 : 60);
	return ia;
}

/* One message of the guest; the answer comes at some time, or never. */
static void attack(struct model *server, struct pending queue[PENDING], uint32_t old_of_8)
{
	static const uint8_t types[] = { REQUEST, REQUEST, RENEW, REBIND, SOLICIT, SOLICIT, RELEASE, DECLINE };
	static uint8_t extra[256];
	struct model_ia ias[IAS];
	bool old = next_random() % 8 < old_of_8, rapid = next_random() % 2;
	uint8_t type = types[next_random() % 8];
	uint32_t count = 1 + next_random() % (next_random() % 2 ? 1 : IAS), duid = next_random() % 5,
		 id = 1 + next_random() % (old ? 6 : 4000);
	for (uint32_t i = 0; i < count; i++)
		ias[i] = random_ia(duid, old);
	struct dhcp6_spec spec = spec_of(type, id, ias, count, false, extra);
	spec.rapid_commit = type == SOLICIT && rapid;
	if (ask6(&w, spec) != PASS || (type == SOLICIT && !rapid))
		return;
	for (uint32_t i = 0; i < count; i++)
		serve_ia(server, type, &ias[i]);
	count_leases(server);
	struct pending *p = &queue[next_random() % PENDING];
	p->spec = spec_of(REPLY, id, ias, count, true, p->extra);
	p->spec.duid = NULL;
	p->spec.rapid_commit = spec.rapid_commit;
	p->spec.refresh_s = duid;
	p->there = next_random() % 4 != 0;
}

static void deliver(struct pending *p)
{
	uint8_t duid[] = { 0, 2, 0, 0, 0, 1, (uint8_t)p->spec.refresh_s };
	struct dhcp6_spec spec = p->spec;
	spec.refresh_s = 0;
	spec.duid = duid;
	spec.duid_octets = sizeof duid;
	if (p->there)
		answer6(&w, spec);
	p->there = false;
}

/* Ten minutes at full rate, of whatever messages, with answers that come late, in another order, or not at all. */
void ten_minutes_of_a_hostile_guest(void **state)
{
	const int rounds = (int)amount(300);
	static struct model server;
	static struct pending queue[PENDING];
	int reached = 0;
	(void)state;
	for (int round = 0; round < rounds; round++) {
		memset(&server, 0, sizeof server);
		memset(queue, 0, sizeof queue);
		start_world6(&w, true); /* with its limits */
		server.names_count = round % 2;
		uint64_t end_ms = w.now_ms + TEN_MINUTES_MS;
		while (w.now_ms < end_ms) {
			attack(&server, queue, 1 + (uint32_t)round % 7);
			if (next_random() % 3)
				deliver(&queue[next_random() % PENDING]);
			w.now_ms += next_random() % 500;
		}
		assert_in_range(server.most, 0, LEASES6_MAX + 2 + 3); /* two gave way, three were declined */
		assert_in_range(server.most_prefixes, 0, DELEGATIONS_MAX);
		reached += server.most >= LEASES6_MAX && (server.names_count || server.most_prefixes == DELEGATIONS_MAX);
	}
	assert_true(reached > rounds / 2); /* else it would have been no attack */
}
