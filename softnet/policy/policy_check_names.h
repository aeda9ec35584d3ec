/* What rules that name hosts say of a host. */
#pragma once
#include "softnet/rules/rules.h"

/* What is printed behind a tuple. */
struct answer {
	uint8_t verdict;
	enum { BY_DEFAULT, BY_RULE_OF_LIST, BY_SEVERAL, BY_IPV6_MODE } decided_by;
	uint16_t origin;
};

/* Of the rules that name hosts alone; a connection as well needs an address that DNS has given for the name. */
struct answer answer_for_name(const struct rule_list *, const struct rule_text *tuple);
