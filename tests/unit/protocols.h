/* IANA's numbers of the protocols that tests speak. */
#pragma once

enum { ICMP4 = 1, IGMP = 2, TCP = 6, UDP = 17, GRE = 47, ESP = 50, ICMP6 = 58, SCTP = 132 };
