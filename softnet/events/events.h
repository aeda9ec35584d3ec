/* What the snooper and the ports tell, as lines. */
#pragma once
#include "core/learn/event.h"
#include "port/port.h"

void tell_event(const struct event *, uint64_t now_ms);
/* For port_report. */
void tell_port_report(const struct port *, const char *sentence);
