/*
 * --allow, --block, --policy and live control: rules as they are written, in their normal form, and as
 * compile_policy() takes them.
 */
#pragma once
#include "core/names/rules.h"
#include "core/policy/policy.h"
#include "system/text.h"

enum rule_direction { WITHOUT_DIRECTION, INBOUND, OUTBOUND };
enum rule_target {
	TARGET_PREFIX,
	TARGET_ANY,
	TARGET_HOST,
	TARGET_GATEWAY,
	TARGET_DNS,
	TARGET_LAN,
	TARGET_GLOBAL,
	TARGET_NAME,
	TARGET_VM
};

/* All that the grammar can say: [in|out] TARGET[:QUALIFIER], docs/policy.md and docs/names.md. */
struct rule_text {
	enum rule_direction direction;
	enum rule_target target;
	struct address address; /* of TARGET_PREFIX, without host bits */
	uint32_t prefix_length; /* in 128 bits */
	struct name name;       /* of TARGET_NAME, in lower case; of TARGET_VM, as it was written */
	bool is_zone;           /* of TARGET_NAME: what is below the name, and not the name */
	bool has_naming;        /* a qualifier of names alone; without any, TLS and QUIC */
	enum naming naming;
	bool has_protocol;
	uint8_t protocol;
	bool has_ports;
	uint16_t first_port, last_port;
};

bool parse_rule(const char *text, struct rule_text *, struct error *);
bool is_qualified(const struct rule_text *);

/* The longest: "out *.NAME:quic/10000-65535". */
enum { RULE_TEXT = NAME_MAX_OCTETS + 32 };

/*
 * The normal form: prefixes always with their length and without host bits, "in " or "out " in front, IPv6 in brackets
 * where a qualifier follows, names in lower case without a final dot; the rest as it was written. A client that sets a policy compares what it gets back.
 */
const char *format_rule(const struct rule_text *, char text[RULE_TEXT]);
/* The same where there is room; gives the place behind it, where it leaves a zero. */
char *append_rule(char *to, const struct rule_text *);

/* What @lan stands for. */
enum { LAN_PREFIXES = 7 };
extern const char *const lan_prefixes[LAN_PREFIXES];

struct written_rule {
	struct rule_text text;
	enum destination_class class; /* CLASS_ALLOWED or CLASS_BLOCKED */
	bool is_from_file;            /* of --policy, and not of an option as well */
};

/* As written; large, so never on the stack. */
struct rule_list {
	uint32_t count;
	struct written_rule rule[RULES_MAX];
};

/* Appends a comma list, or exactly one rule. */
bool add_rules(struct rule_list *, const char *text, enum destination_class class, struct error *);
bool add_rule(struct rule_list *, const char *text, enum destination_class class, struct error *);

/* Sorts by class and text, allow first, and removes repetitions. */
void normalize_rules(struct rule_list *);
/* Of two lists that were normalized. */
bool same_rules(const struct rule_list *, const struct rule_list *);

int count_allowing(const struct rule_list *);
bool has_directional_rules(const struct rule_list *);
bool has_bare_rules(const struct rule_list *);
/* An `in` rule that allows something; NULL: none. */
const struct written_rule *find_inbound_allow(const struct rule_list *);

/*
 * An allow of exactly 0.0.0.0/0 or any, without a direction and not for some ports only: no isolation unless --isolation
 * says so.
 */
bool opens_ipv4(const struct rule_list *);

/*
 * The host by name, and nothing of it by mistake: a rule for some of its ports counts where `block @host` closes the
 * others.
 */
bool opens_host(const struct rule_list *);

/*
 * Directions, as bits, in which rules name a prefix of the family. Neither @host, @gateway, @dns and @global nor `any` and
 * @lan with a qualifier name one: they say nothing, or the same of both families. both_ways: rules without direction
 * speak of both.
 */
struct named_families {
	uint8_t ipv4, ipv6;
};
struct named_families find_named_families(const struct rule_list *, bool both_ways);

/*
 * The origin of each rule in the policy is its index in the list. Rules that name hosts are left out; those that name VMs
 * stand for the addresses of now (rule_vms.h; NULL: no VM has any).
 */
struct vm_addresses;
bool compile_rules(const struct rule_list *, bool both_ways, const struct vm_addresses *, struct policy *,
		   struct error *);

bool has_names(const struct rule_list *);
/* What makes rules with names worth nothing; NULL: nothing does. */
const char *doubtful_names(const struct rule_list *);
/* One that opens something for QUIC, to those who have no way to read it; NULL: none. */
const struct written_rule *find_quic_rule(const struct rule_list *);
/* Those that name hosts; the origin is the index, as above. */
void compile_names(const struct rule_list *, struct name_rules *);
