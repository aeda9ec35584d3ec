/* What is wrong with a rule, for the person who wrote it. */
#pragma once
#include "system/text.h"

#define EXPECTED_TARGET "a CIDR, an address, a host name, vm:NAME, any, @host, @gateway, @dns, @lan or @global"
#define EXPECTED_QUALIFIER \
	"a port, a range LOW-HIGH, tcp/PORT, udp/PORT or a protocol (tcp, udp, sctp, icmp, esp, gre) behind the colon"

/* Always false. `text` is the rule; `target` what stands in it behind the direction. */
bool refuse_target(const char *text, const char *target, struct error *);
bool refuse_qualifier(const char *text, const char *qualifier, struct error *);

/*
 * fd00::1:22 is an address. A user who meant port 22 of fd00::1 has forgotten the brackets. NULL, or (static) what to write
 * for the port, and what to be sure of the address.
 */
const char *doubtful_port(const char *rule);
