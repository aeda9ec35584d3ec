/* The parser of DHCPv6: what is read, and that nothing is read past its end or twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/wire/dhcp6.h"
#include "test_dhcp6.h"

#include <cmocka.h>

static struct dhcp6 m;

static bool parses(void)
{
	struct frame frame = { .bytes = w.frame, .length = w.length };
	return parse_dhcp6(&frame, DHCP6_AT, w.length, &m);
}

/* A message of which the options are still to come. */
static void begin_message(uint8_t type)
{
	w.length = DHCP6_AT;
	put_number(&w, type, 1);
	put_number(&w, ID6, 3);
}

static void put_header(uint16_t code, uint32_t octets)
{
	put_number(&w, code, 2);
	put_number(&w, octets, 2);
}

static void put_blank(uint16_t code, uint32_t octets)
{
	put_header(code, octets);
	put_zeros(&w, octets);
}

/* Cut at any octet a message is malformed, unless the cut is where an option ends or up to 3 octets behind. */
void every_message_cut_everywhere(void **state)
{
	(void)state;
	begin(true);
	put_server_message6(
	    &w,
	    &(struct dhcp6_spec){
		.type = REPLY,
		.rapid_commit = true,
		.refresh_s = 700,
		.resolver = GLOBAL_IP6,
		.ia = {
		    { .iaid = 1, .lease = { { .address = GUEST_LEASED, .valid_s = 9, .status = 1 } } },
		    { .iaid = 2, .temporary = true, .status = 4, .lease = { { .address = GLOBAL_IP6, .valid_s = 8 } } } } });
	assert_true(parses());
	assert_true(m.type == REPLY && m.id == ID6 && m.rapid_commit && m.has_server_id && m.client_id_length == 10);
	assert_true(m.refresh_s == 700 && m.resolvers.count == 1 && same_address(m.resolvers.item[0], GLOBAL_IP6));
	assert_true(m.association_count == 2 && m.address_count == 2 && m.associations[1].type == IA_TA);
	assert_true(m.associations[0].identity == 1 && m.associations[1].identity == 2);
	assert_true(m.associations[0].status == 0 && m.associations[1].status == 4);
	assert_true(same_address(m.addresses[0].address, GUEST_LEASED) && m.addresses[0].status == 1);
	assert_true(m.addresses[1].association == 1 && m.addresses[1].valid_s == 8 && m.addresses[1].preferred_s == 4);

	uint32_t whole = w.length, good = 0;
	for (w.length = DHCP6_AT; w.length < whole; w.length++)
		good += parses();
	assert_int_equal(good, 8 * 4); /* behind the header, and behind each of the 8 options but the last */
}

/* Every length that an option of the top level may have, all others refused. */
void every_option_at_every_length(void **state)
{
	static const struct {
		uint16_t code;
		uint32_t least, most, multiple;
	} options[] = {
		{ 1, 3, 130, 1 }, { 2, 3, 130, 1 },  { 14, 0, 0, 1 },  { 23, 0, 144, 16 },
		{ 32, 4, 4, 1 },  { 12, 16, 16, 1 }, { 9, 0, 144, 1 }, { 65535, 0, 144, 1 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		for (uint32_t octets = 0; octets <= 144; octets++) {
			begin_message(REPLY);
			put_blank(options[i].code, octets);
			assert_true(parses() == (octets >= options[i].least && octets <= options[i].most &&
						 octets % options[i].multiple == 0));
			w.length--;
			assert_false(octets > 0 && parses());
		}
	/* Those with options inside: their fixed part, and then headers; what is too short for one is none. */
	for (uint32_t octets = 0; octets <= 64; octets++) {
		begin_message(REPLY);
		put_blank(3, octets);
		assert_true(parses() == (octets >= 12));
		begin_message(REPLY);
		put_blank(25, octets);
		assert_true(parses() == (octets >= 12));
		begin_message(REPLY);
		put_blank(4, octets);
		assert_true(parses() == (octets >= 4));
		begin_message(REPLY);
		put_header(4, 4 + 4 + octets);
		put_number(&w, 1, 4);
		put_blank(5, octets);
		assert_true(parses() == (octets >= 24));
		begin_message(REPLY);
		put_header(25, 12 + 4 + octets);
		put_zeros(&w, 12);
		put_blank(26, octets);
		assert_true(parses() == (octets >= 25));
		begin_message(REPLY);
		put_blank(13, octets);
		assert_true(parses() == (octets >= 2));
	}
}

/* An option inside another that claims more than that has. */
void nested_options_stay_inside(void **state)
{
	(void)state;
	for (uint32_t claim = 0; claim < 64; claim++) {
		begin_message(REPLY);
		put_header(3, 12 + 4 + 24 + 4 + 6);
		put_number(&w, 1, 4);
		put_zeros(&w, 8);
		put_header(5, 24 + 4 + 6);
		put_address6(&w, GUEST_LEASED);
		put_number(&w, 1, 4);
		put_number(&w, 2, 4);
		put_header(13, claim);
		put_zeros(&w, 6);
		put_blank(0x77, 60);                                 /* what the outer levels do not reach */
		assert_true(parses() == (claim >= 2 && claim <= 6)); /* 2 leaves four: an option without a value */

		begin_message(REPLY);
		put_header(3, 12 + 4 + 24);
		put_zeros(&w, 12);
		put_header(5, claim);
		put_zeros(&w, 24);
		put_blank(0x77, 60);
		assert_true(parses() == (claim == 24));
	}
}

void options_are_counted(void **state)
{
	(void)state;
	for (uint32_t count = 62; count <= 66; count++) {
		begin_message(SOLICIT);
		for (uint32_t i = 0; i < count; i++)
			put_blank(0x77, 0);
		assert_true(parses() == (count <= 64));
		begin_message(SOLICIT);
		put_header(3, 12 + 4 * (count - 1)); /* the same: all except the first inside an IA */
		put_zeros(&w, 12);
		for (uint32_t i = 1; i < count; i++)
			put_blank(0x77, 0);
		assert_true(parses() == (count <= 64));
	}
}

/*
 * Two of what decides something: the guest and the guard might each believe another one, unless they are the same to the
 * last octet.
 */
void what_decides_stands_once(void **state)
{
	static const struct {
		uint16_t code;
		uint32_t octets;
		bool may_differ;
	} options[] = { { 1, 10, false }, { 2, 10, false }, { 3, 12, false },  { 4, 4, true },
			{ 13, 2, false }, { 5, 24, false }, { 12, 16, false }, { 32, 4, false },
			{ 14, 0, true },  { 23, 16, true }, { 25, 12, false }, { 8, 2, true } };
	(void)state;
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		begin_message(REPLY);
		put_blank(options[i].code, options[i].octets);
		w.frame[w.length - 1] |= options[i].octets > 0;
		assert_true(parses());
		uint32_t begin = w.length - options[i].octets - 4;
		for (int copies = 0; copies < 3; copies++)
			put_bytes(&w, w.frame + begin, options[i].octets + 4);
		assert_true(parses());
		w.frame[w.length - 1] ^= options[i].octets > 0 ? 2 : 0;
		assert_true(parses() == options[i].may_differ);
	}
	begin_message(REPLY); /* an IA_NA, an IA_TA and an IA_PD may have the same IAID: RFC 8415 12.1 */
	put_blank(3, 12);
	put_blank(4, 4);
	put_blank(25, 12);
	assert_true(parses() && m.association_count == 3);
	begin_message(REPLY); /* another one behind the copy is not taken for it */
	put_blank(3, 12);
	put_blank(3, 12);
	put_header(3, 12);
	put_number(&w, 9, 4);
	put_zeros(&w, 8);
	assert_true(parses() && m.association_count == 2 && m.associations[1].identity == 9);
	for (uint8_t second = 0; second < 2; second++) {
		begin_message(REPLY);
		put_header(3, 12 + 6 + 6);
		put_zeros(&w, 12);
		put_blank(13, 2);
		put_header(13, 2);
		put_number(&w, second, 2);
		assert_true(parses() == (second == 0));
	}
	begin(true);
	put_server_message6(
	    &w, &(struct dhcp6_spec){ .type = REPLY,
				      .ia = { { .iaid = 1, .lease = { { .address = GUEST_LEASED, .valid_s = 9 } } },
					      { .iaid = 2, .lease = { { .address = GUEST_LEASED, .valid_s = 8 } } } } });
	assert_false(parses());
}

/* RFC 3646 3: of fifteen resolvers eight are kept, and none is read past the option. */
void many_resolvers_are_read(void **state)
{
	(void)state;
	for (uint32_t octets = 15 * 16; octets <= 15 * 16 + 1; octets++) {
		begin_message(REPLY);
		put_header(23, octets);
		for (uint32_t i = 0; i < 15; i++)
			put_address6(&w, ADDRESS6(LOCAL_PREFIX, 1 + i));
		put_zeros(&w, octets % 16);
		assert_int_equal(parses(), octets % 16 == 0);
		assert_int_equal(m.resolvers.count, ADDRESS_SET_MAX);
	}
}

/* RFC 8415 21.22: lifetimes, length, prefix. */
void prefixes_are_read(void **state)
{
	(void)state;
	for (uint32_t length = 0; length < 256; length++) {
		begin_message(REPLY);
		put_header(25, 12 + 4 + 25);
		put_number(&w, 7, 4);
		put_zeros(&w, 8);
		put_header(26, 25);
		put_number(&w, 100, 4);
		put_number(&w, 200, 4);
		put_number(&w, length, 1);
		put_address6(&w, GUEST_LEASED);
		assert_true(parses() == (length <= 128));
		assert_true(length > 128 ||
			    (m.address_count == 1 && m.addresses[0].length == length &&
			     m.addresses[0].preferred_s == 100 && m.addresses[0].valid_s == 200 &&
			     same_address(m.addresses[0].address, GUEST_LEASED) && m.associations[0].type == IA_PD));
	}
}

/* Fewer octets than an option's header hold no option. */
void octets_behind_the_last_option(void **state)
{
	(void)state;
	for (uint32_t octets = 0; octets < 8; octets++) {
		begin_message(REPLY);
		put_blank(2, 10);
		put_zeros(&w, octets);
		w.frame[w.length - 1] |= octets == 4; /* else it is an option without a value */
		assert_true(parses() == (octets != 4));
	}
}

void sizes_of_datagrams(void **state)
{
	(void)state;
	for (uint32_t octets = 0; octets <= 4; octets++) {
		w.length = DHCP6_AT;
		put_zeros(&w, octets);
		assert_true(parses() == (octets == 4));
	}
	for (uint32_t octets = 1450; octets <= 1454; octets++) {
		begin_message(SOLICIT);
		put_blank(0x77, octets - 8);
		assert_true(parses() == (octets <= 1452));
	}
	/* Of a relay's message only the type is read: its options are elsewhere. */
	w.length = DHCP6_AT;
	put_number(&w, RELAY_REPLY, 1);
	memset(w.frame + w.length, 0xff, 33);
	w.length += 33;
	assert_true(parses() && m.type == RELAY_REPLY);

	/* The UDP length decides, not what stands behind it; nor may it claim more than there is. */
	begin(true);
	put_client_message6(&w, &(struct dhcp6_spec){ .type = SOLICIT });
	put_number(&w, 0xff, 1);
	assert_int_equal(from_guest(&w), PASS);
	w.frame[DHCP6_AT - 3]--;
	assert_int_equal(from_guest(&w), DROP_DHCP6_MALFORMED);
	ASKS(PASS, .type = REQUEST);
	put_server_message6(&w, &(struct dhcp6_spec){ .type = REPLY, .address = GUEST_LEASED, .valid_s = 9 });
	put_zeros(&w, 4);
	w.frame[DHCP6_AT - 3] += 4; /* padding of the Ethernet frame is no option */
	assert_int_equal(to_guest(&w), DROP_DHCP6_MALFORMED);
	w.frame[DHCP6_AT - 3] = 7;
	assert_int_equal(to_guest(&w), DROP_DHCP6_MALFORMED);
}

void more_ias_than_there_is_room_for(void **state)
{
	(void)state;
	for (uint32_t count = 1; count <= 10; count++) {
		begin_message(REQUEST);
		for (uint32_t i = 0; i < count; i++) {
			put_header(4, 4);
			put_number(&w, i, 4);
		}
		assert_true(parses() == (count <= 8));
	}
	for (uint32_t count = 1; count <= 10; count++) {
		begin_message(REQUEST);
		put_header(4, 4 + 28 * count);
		put_number(&w, 1, 4);
		for (uint32_t i = 0; i < count; i++) {
			put_header(5, 24);
			put_address6(&w, ADDRESS6(LOCAL_PREFIX, i + 1));
			put_zeros(&w, 8);
		}
		assert_true(parses() == (count <= 8));
	}
	/* More resolvers than fit are left out. */
	begin_message(REPLY);
	put_header(23, 160);
	for (uint32_t i = 0; i < 10; i++)
		put_address6(&w, ADDRESS6(LOCAL_PREFIX, i + 1));
	assert_true(parses() && m.resolvers.count == ADDRESS_SET_MAX);
}

static void put_random_message(uint64_t random)
{
	struct dhcp6_spec s = { .type = (uint8_t)(random % 14),
				.id = (uint32_t)(random >> 4) % 5 + 1,
				.rapid_commit = random >> 8 & 1,
				.address = random >> 9 & 1 ? GUEST_LEASED : VICTIM_LEASED,
				.valid_s = (uint32_t)(random >> 10) % 3 * 300,
				.resolver = GLOBAL_IP6 };
	if (random & 0x10000)
		put_server_message6(&w, &s);
	else
		put_client_message6(&w, &s);
	for (uint32_t k = 0; k < (random >> 20) % 4; k++)
		w.frame[DHCP6_AT + (random >> (24 + 8 * k)) % (w.length - DHCP6_AT)] = (uint8_t)(random >> (8 + k));
}

/* A Solicit whose checksum is right counts as a question to the server, of even length or odd; another does not. */
void checksums_of_questions6(void **state)
{
	static const uint8_t extra[] = { 0xfd, 0xe8, 0, 2, 'a', 'b' }, odd_extra[] = { 0xfd, 0xe8, 0, 3, 'a', 'b', 0xfe };
	(void)state;
	for (uint32_t odd = 0; odd < 2; odd++)
		for (uint32_t error = 0; error < 3; error++) {
			begin(false);
			lease6(&w, GUEST_LEASED, 600, 7);
			w.now_ms += 20000;
			struct dhcp6_spec spec = {
				.type = SOLICIT, .id = 9, .extra = odd ? odd_extra : extra, .extra_octets = 6 + odd
			};
			put_client_message6(&w, &spec);
			uint32_t sum = 17 + (w.length - 54);
			for (uint32_t i = 22; i < w.length; i++)
				sum += (uint32_t)w.frame[i] << (i % 2 ? 0 : 8);
			while (sum >> 16)
				sum = (sum & 0xffff) + (sum >> 16);
			w.frame[60] = (uint8_t)((~sum >> 8) ^ (error == 1));
			w.frame[61] = (uint8_t)(~sum ^ (error == 2));
			assert_int_equal(from_guest(&w), PASS);
			assert_int_equal(w.state.ipv6.server.questions, error == 0);
		}
}

/*
 * Whatever octets arrive in whatever order: no table leaves its bounds, no frame of the guest gives it an address, and
 * where no server was ever trusted it has none.
 */
void random_messages(void **state)
{
	uint64_t random = 88172645463325252ULL;
	(void)state;
	for (int trusted = 0; trusted < 2; trusted++) {
		begin(trusted);
		w.config.strict_anchors = 1;
		for (uint32_t i = 0; i < RATE_CLASSES_END; i++)
			w.config.rates[i].burst = 0;
		int passed = 0, held = 0;
		for (int i = 0; i < 100000; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			put_random_message(random);
			int before = held;
			enum verdict verdict = random & 0x10000 ? to_guest(&w) : from_guest(&w);
			held = (binding_of(GUEST_LEASED) != NULL) + (binding_of(VICTIM_LEASED) != NULL);
			assert_true(held <= before || ((random & 0x10000) && verdict == PASS && trusted));
			passed += verdict == PASS && held > before;
			w.now_ms += random % 50;
		}
		assert_true((passed > 0) == trusted);
	}
}
