/* A guest that only names let out: a world with rules that name hosts, a resolver, and what servers would see. */
#pragma once
#include "core/names/names.h"
#include "core/names/read/packet.h"
#include "hello.h"
#include "world_flow.h"

enum { RESOLVER_IP = 0x09090909, CDN_IP = 0x17171717, OTHER_CDN_IP = 0x18181818, GUEST_PORT = 40000 };

struct named_rule {
	const char *name; /* "*." in front: what is below */
	uint8_t naming, protocol;
	uint16_t port;
};

/* What has left for the network in the order of leaving, and what was dropped after it had waited. */
struct sent {
	uint32_t count, dropped;
	enum verdict why;
	struct octets frames[64];
};

struct names_world {
	struct world w;
	struct names *names;
	struct sent sent;
	struct name_event last_event;
	int events;
};

/* Everything is blocked but what the rules name, up to the first without a name. Both families have addresses. */
void start_names_world(struct names_world *, const struct named_rule *rules);
/* The same names, other rules: as a live change does. */
void change_rules(struct names_world *, const struct named_rule *rules);

/* Sends what is in w.frame. Frames that leave the hold are in `sent`, and so is this one if it passes at once. */
enum verdict send_frame(struct names_world *);
enum verdict receive_frame(struct names_world *);

/* Questions have the id 0x77 and come from GUEST_PORT. */
void put_question(struct octets *, const char *name, uint16_t type);
enum verdict ask(struct names_world *, const char *name, uint16_t type);
enum verdict answer(struct names_world *, const char *name, uint32_t ttl_s, const uint32_t *addresses, uint32_t count);
enum verdict answer_with(struct names_world *, const struct octets *message);
/* Both, and both must pass. */
void resolve(struct names_world *, const char *name, uint32_t address);

/* One segment. sequence counts from the guest's first octet behind the SYN, or from the server's. */
struct tcp_segment {
	bool to_guest;
	uint8_t flags;       /* 0: ACK */
	uint32_t peer;       /* 0: CDN_IP */
	uint16_t port;       /* 0: 443 */
	uint16_t guest_port; /* 0: GUEST_PORT */
	uint32_t sequence, acknowledged;
	const void *data;
	uint32_t octets;
};
enum verdict move_segment(struct names_world *, const struct tcp_segment *);
/* Of the guest's first connection to CDN_IP: its octets, the server's ACK, and the front of what that sends. */
enum verdict send_at(struct names_world *, uint32_t sequence, const void *data, uint32_t octets);
enum verdict acknowledge(struct names_world *, uint32_t octets);
enum verdict serve(struct names_world *, const struct octets *, uint32_t acknowledged);
/* SYN, SYN-ACK and ACK. */
void connect_to(struct names_world *, uint32_t peer, uint16_t port);

enum verdict send_datagram(struct names_world *, const void *data, uint32_t octets);
enum verdict receive_datagram(struct names_world *, const void *data, uint32_t octets);

/* A hello in one record. */
void put_tls(struct octets *, const char *name);
