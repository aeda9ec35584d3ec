/* Rules that name hosts: their part of the grammar, docs/names.md. */
#pragma once
#include "softnet/rules/rules.h"

/* PORT or LOW-HIGH, of any rule. */
bool parse_ports(const char *text, struct rule_text *);

/* NAME or *.NAME. False: it is neither. */
bool parse_rule_name(const char *text, struct rule_text *);

/* What stands behind the colon of a name, or NULL. `text` is the rule. */
bool qualify_name(const char *text, const char *qualifier, struct rule_text *, struct error *);

/* Always false. */
bool refuse_block_by_name(const char *text, struct error *);
/* The same, of a target that looks like a name and is none; true: it does not look like one. */
bool check_likeness_to_name(const char *text, const char *target, struct error *);

const char *word_of_naming(enum naming);

/* Which ports a rule opens in this way. */
struct port_span {
	uint16_t first, last;
};
struct port_span ports_of_naming(const struct rule_text *, enum naming);
