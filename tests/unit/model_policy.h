/* docs/policy.md, Rules, read as plainly as can be: every rule is tried bit by bit, and the strongest one decides. */
#pragma once
#include "core/policy/policy.h"
#include "protocols.h"

/* How strong the deciding rule is; the one that decides has the highest place, then the lowest breadth. */
struct model_ruling {
	uint8_t class;    /* CLASS_NONE, CLASS_ALLOWED or CLASS_BLOCKED */
	uint32_t place;   /* twice the length of the prefix in 128 bits; @global is odd */
	uint32_t breadth; /* (protocol, port) pairs */
};

uint8_t model_special(struct address a);

/* Whether the rule is about this contact, of which the port is known. aliases: as for find_ruling(). */
bool model_holds(const struct rule *rule, const struct contact *c, uint32_t aliases);
struct model_ruling model_of(const struct rule *rule, uint32_t count, const struct contact *c, uint32_t aliases);

/* Ports at which the answer may change: both ends of every rule, and their neighbors. Gives how many. */
enum { MODEL_PORTS_MAX = 4 * 64 + 2 };
uint32_t model_ports(const struct rule *rule, uint32_t count, uint16_t port[MODEL_PORTS_MAX]);

/* What the rules say over all ports of a protocol, as bits 1 << class. */
uint32_t model_classes(const struct rule *rule, uint32_t count, const struct contact *c, uint32_t aliases);

/* A rule that often meets others: few bits of its prefix vary, and ports are near each other. */
struct rule random_rule(void);
struct address random_peer(const struct rule *rule, uint32_t count);
uint8_t random_protocol(void);
bool model_has_ports(uint8_t protocol);
