/* What is learned of the machines of the network: the only writer of struct learned. User space only. */
#pragma once
#include "core/guard.h"

/* ARP of the guest for a router, or in a router's name: questions, signs of life, MACs. PASS or a DROP. */
enum verdict snoop_router_arp(struct guard *guard, const struct frame *frame, uint64_t now_ms);

/* This MAC is the router's, beside those that it has had. */
void learn_router4(struct guard *guard, struct address router, uint64_t mac, uint64_t now_ms);

/* This MAC is the server's, beside those that it has had; the lock holds until then at least. */
void learn_server4(struct guard *guard, struct address server, uint64_t mac, uint64_t until_ms, uint64_t now_ms);

/* Takes back what learn_router4() and learn_server4() said of this MAC. */
void unlearn_mac4(struct guard *guard, struct address machine, uint64_t mac);

/* A lease was given or renewed: the locks of its routers, and of all servers, hold as long. */
void extend_locks4(struct guard *guard, uint64_t until_ms, uint64_t now_ms);

/* A message of the guest that the servers should answer, and an answer of theirs. */
void note_dhcp_question(struct state *state, enum transaction_kind kind, bool broadcast, uint64_t now_ms);
void note_dhcp_answer(struct state *state, bool to_broadcast);

/* Under this client identifier the guest has had a lease: a server that is there offers one again. */
bool is_served_client4(const struct state *state, uint64_t client_id);
void remember_served_client4(struct state *state, uint64_t client_id);

void forget_anchors4(struct state *state);

/* Something of the guest's may not have reached the network: what stayed unanswered so far proves nothing. */
void forget_silence4(struct state *state);

/*
 * The guard asks for routers by itself (snoop_ask4.c). Somebody claims a router's address: is the router there? The guest
 * speaks to a MAC that no router is known to have: which has it?
 */
void suspect_router4(struct guard *guard, struct router4 *r, uint64_t now_ms);
void seek_routers4(struct guard *guard, uint64_t now_ms);

/* In a question for each server on the link: which MAC has the guest's address? */
void tell_servers4(struct guard *guard, const struct binding *b, uint64_t now_ms);

/* Goes on asking. Gives the time of the next question, or NEVER_EXPIRES. */
uint64_t ask_routers4(struct guard *guard, uint64_t now_ms);

/* snoop_anchors4.c, for snoop_ask4.c. */
struct router4 *entry_of_router4(struct state *state, struct address router, uint64_t now_ms);
bool reaches_router4(const struct binding *b, struct address router, uint64_t now_ms);
void note_router_question(struct router4 *r, uint64_t now_ms);
