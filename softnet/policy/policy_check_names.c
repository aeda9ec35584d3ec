/* Asks core/names, as the guard does when it has read a hello. */
#include "softnet/policy/policy_check_names.h"
#include <netinet/in.h>
#include "core/wire/verdict.h"
#include "softnet/rules/rule_names.h"

static struct answer answer_for_way(const struct name_rules *rules, uint16_t pattern, enum naming naming,
				    uint8_t protocol, uint16_t port)
{
	const struct name_use *use = find_name_use(rules, pattern, (uint8_t)naming, protocol, port);
	if (!use) /* what is open by the address is open in every way */
		use = find_name_use(rules, pattern, NAMED_BY_ADDRESS, protocol, port);
	if (!use)
		return (struct answer){ DROP_NAME_DENIED, BY_DEFAULT, 0 };
	return (struct answer){ PASS, BY_RULE_OF_LIST, use->origin };
}

struct answer answer_for_name(const struct rule_list *list, const struct rule_text *tuple)
{
	static struct name_rules rules;
	compile_names(list, &rules);
	uint16_t pattern = find_pattern(&rules, &tuple->name);
	if (pattern == NO_PATTERN)
		return (struct answer){ DROP_DNS_NAME, BY_DEFAULT, 0 };
	if (tuple->has_protocol)
		return answer_for_way(&rules, pattern, NAMED_BY_ADDRESS, tuple->protocol, tuple->first_port);
	enum naming naming = tuple->has_naming ? tuple->naming : NAMED_IN_TLS;
	uint8_t protocol = naming == NAMED_IN_QUIC ? IPPROTO_UDP : IPPROTO_TCP;
	struct answer answer = answer_for_way(&rules, pattern, naming, protocol, ports_of_naming(tuple, naming).first);
	if (tuple->has_naming)
		return answer;
	struct answer other =
	    answer_for_way(&rules, pattern, NAMED_IN_QUIC, IPPROTO_UDP, ports_of_naming(tuple, NAMED_IN_QUIC).first);
	if (other.verdict != answer.verdict)
		return (struct answer){ DROP_PORTS_UNKNOWN, BY_SEVERAL, 0 };
	if (other.origin != answer.origin)
		answer.decided_by = BY_SEVERAL;
	return answer;
}
