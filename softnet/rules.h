/* --allow and --block: from the text of rules to what compile_policy() takes. */
#pragma once
#include "../core/policy.h"
#include "text.h"

enum rule_direction { BOTH_WAYS, INBOUND, OUTBOUND };
enum rule_target { TARGET_PREFIX, TARGET_ANY, TARGET_HOST, TARGET_GATEWAY, TARGET_DNS, TARGET_LAN, TARGET_GLOBAL };

/*
 * All that the grammar can say: [in|out] TARGET[:[PROTO/]PORT[-PORT]] or [in|out] TARGET:PROTO. This version refuses
 * what is beyond TARGET only after it was understood, so that a typing error is never reported as a missing feature.
 */
struct rule_text {
	enum rule_direction direction;
	enum rule_target target;
	struct address address;     /* of TARGET_PREFIX, without host bits */
	uint32_t prefix_length;     /* in 128 bits */
	bool has_protocol;
	uint8_t protocol;
	bool has_ports;
	uint16_t first_port, last_port;
};

bool parse_rule(const char *text, struct rule_text *, struct usage_error *);

/* Everything that --allow and --block said, in any order. */
struct rule_list {
	uint32_t count;
	bool opens_ipv4;        /* an --allow of exactly 0.0.0.0/0: no isolation unless --isolation says so */
	bool names_ipv4, names_ipv6; /* by a prefix; @host, @gateway, @dns and @global name neither */
	bool opens_host;        /* an --allow of @host */
	struct rule rule[RULES_MAX];
};

/* Appends a comma list; class is CLASS_ALLOWED or CLASS_BLOCKED. */
bool add_rules(struct rule_list *, const char *text, enum destination_class class, struct usage_error *);

/* False: too many rules. */
bool compile_rules(struct rule_list *, struct policy *);
