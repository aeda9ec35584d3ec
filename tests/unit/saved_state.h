/* A state with something of everything in it, saved to a file, and ways to load it again. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/learn6/lease6.h"
#include "softnet/saved/state_file.h"

#include <cmocka.h>

enum { GUEST = 0xc0a8400a, SECOND = 0xc0a8400b, GATEWAY = 0xc0a84001 };

static const struct moment start = { 1000000, 1700000000000 };

static char directory[] = "/tmp/softnet-state-XXXXXX";
static char path[256];
static struct config config;
static struct state state, loaded;
static struct state_file file;

#define PREFIX     0x20010db800010000ULL
#define ROUTER_MAC 0x525400000001

static const struct address router6 = { LINK_LOCAL_PREFIX, 1 }, server6 = { LINK_LOCAL_PREFIX, 2 };
static const struct address slaac6 = { PREFIX, 0x1234 }, link6 = { LINK_LOCAL_PREFIX, 0x1234 };
static const struct address leased6 = { PREFIX, 0x77 }, resolver6 = { 0xfd00000000000000ULL, 0x53 };

static inline struct binding6 binding6(struct address a, enum origin6 origin, uint64_t since_ms, uint64_t expires_ms)
{
	bool leased = origin == ORIGIN_DHCP;
	return (struct binding6){ .address = a,
				  .since_ms = since_ms,
				  .expires_ms = expires_ms,
				  .used_ms = start.now_ms,
				  .valid_ms = since_ms + (leased ? 0 : DAD_MS),
				  .origin = origin,
				  .conflict_ms = since_ms + (leased ? LEASED_CONFLICT_MS : DAD_CONFLICT_MS) };
}

static inline void fill_ipv6(struct state6 *s)
{
	s->routers[0] = (struct router6){
		.address = router6, .macs = { { ROUTER_MAC }, .count = 1 }, .expires_ms = 1800000, .locked_ms = 4000000
	};
	s->routers[1] = (struct router6){ .address = server6,
					  .macs = { { ROUTER_MAC + 1 }, .count = 1 },
					  .locked_ms = 1500000 }; /* no next hop, but locked */
	s->server = (struct learned_server6){ .address = server6, .mac = ROUTER_MAC + 1, .until_ms = 1700000 };
	s->resolvers[0] = (struct resolver6){ resolver6, 1300000 };
	s->translators[0] = (struct translator){ { { PREFIX + 1, 0 }, 96, 0 }, 1250000 };
	s->prefixes[0] = (struct prefix6){
		.prefix = { PREFIX, 0 }, .length = 64, .expires_ms = 1600000, .autonomous = 1, .on_link = 1
	};
	s->prefixes[1] =
	    (struct prefix6){ .prefix = { PREFIX, 1ULL << 63 }, .length = 65, .on_link = 1, .expires_ms = NEVER_EXPIRES };
	s->bindings[0] = binding6(link6, ORIGIN_LINK_LOCAL, 900000, NEVER_EXPIRES);
	s->bindings[1] = binding6(slaac6, ORIGIN_SLAAC, 900000, 1600000);
	s->bindings[2] = binding6(leased6, ORIGIN_DHCP, 999999, 1700000);
	s->bindings[2].client_id = 0xdef;
	s->bindings[2].server = server6;
	s->bindings[2].identity = 0xfedcba98;
	s->client_ids[0] = (struct client_id){ 0xdef, 5000000 };
	settle_bindings6(s);
}

static inline struct state full_state(void)
{
	struct state s;
	memset(&s, 0, sizeof s);
	fill_ipv6(&s.ipv6);
	s.hash_key[0] = 0x1111;
	s.hash_key[1] = 0xffffffffffffffff;
	s.ipv4[0] = (struct binding){ .address = address_of_ipv4(GUEST),
				      .since_ms = 900000,
				      .expires_ms = 1600000,
				      .used_ms = start.now_ms,
				      .client_id = 0xabc,
				      .server_mac = 0x525400000001,
				      .server = address_of_ipv4(GATEWAY),
				      .state = BINDING_BOUND,
				      .prefix_length = 24,
				      .server_port = 1067,
				      .public_id = 0x11223344,
				      .has_public_id = 1 };
	set_add(&s.ipv4[0].routers, address_of_ipv4(GATEWAY));
	set_add(&s.ipv4[0].resolvers, address_of_ipv4(0x08080808));
	set_add(&s.ipv4[0].resolvers, address_of_ipv4(0x08080404));
	s.ipv4[1] = (struct binding){ .address = address_of_ipv4(SECOND),
				      .since_ms = 999000,
				      .expires_ms = NEVER_EXPIRES,
				      .used_ms = start.now_ms,
				      .state = BINDING_GRACE,
				      .prefix_length = 32 };
	s.client_ids[0] = (struct client_id){ 0xabc, 4000000 };
	s.past = (struct past){ .ran_out = address_of_ipv4(SECOND + 1), .had_lease = 1 };
	struct locked both = { .address = address_of_ipv4(GATEWAY), .until_ms = 1600000 };
	mac_set_add(&both.macs, 0x525400000001);
	s.learned.servers[0] = both;
	mac_set_add(&both.macs, 0x525400000002);
	s.learned.routers[0].lock = both;
	s.learned.hears_no_unicast = 1;
	s.learned.routers[1].lock =
	    (struct locked){ .address = address_of_ipv4(SECOND), .macs = both.macs, .until_ms = NEVER_EXPIRES };
	return s;
}

static inline void open_file(void)
{
	file = (struct state_file){ .path = path, .fd = -1, .owner = { 0x52540000000a, 42, "boot-1", NULL } };
}

static inline int set_up(void **unused)
{
	(void)unused;
	unlink(path);
	state = full_state();
	memset(&config, 0, sizeof config);
	memset(&loaded, 0, sizeof loaded);
	open_file();
	save_state_file(&file, &state, start, true);
	return 0;
}

static inline const char *load_at(uint64_t now_ms, uint64_t wall_ms)
{
	memset(&loaded, 0, sizeof loaded);
	return load_state_file(&file, &config, &loaded, (struct moment){ now_ms, wall_ms });
}

static inline const char *load(void)
{
	return load_at(start.now_ms, start.wall_ms);
}

static inline bool is_empty(void)
{
	static const struct state empty;
	return memcmp(&loaded, &empty, sizeof empty) == 0;
}

#define NOT_BELIEVED(cause) \
	do { \
		assert_string_equal(load(), cause); \
		assert_true(is_empty()); \
	} while (0)

static inline size_t read_all(char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t got = read(fd, text, size);
	close(fd);
	assert_true(got > 0);
	return (size_t)got;
}

static inline void write_over(const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, length), length);
	close(fd);
}

/* Without the file, which takes its time. */
static inline const char *load_text(const char *text, size_t length)
{
	static char copy[STATE_TEXT_MAX + 1];
	memcpy(copy, text, length);
	copy[length] = '\0';
	memset(&loaded, 0, sizeof loaded);
	return read_state_text(copy, length, &file.owner, &config, &loaded, start);
}

/* Seals the text and loads it. */
static inline const char *load_sealed(const char *body)
{
	char text[2048];
	int length = snprintf(text, sizeof text, "softnet-state 2\n%s", body);
	length += snprintf(text + length, sizeof text - (size_t)length, "sum %016llx\n",
			   (unsigned long long)hash_bytes(0, text, (size_t)length));
	write_over(text, (size_t)length);
	return load();
}

#define OPENING "mac 52:54:00:00:00:0a\nboot boot-1\nconfig 000000000000002a\nkey 1 2\n"

static inline void make_directory(void)
{
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/state", directory);
}

static inline void remove_directory(void)
{
	unlink(path);
	rmdir(directory);
}
