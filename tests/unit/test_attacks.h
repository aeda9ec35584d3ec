/* The states in which the catalogue's rows are judged. */
#pragma once
#include "world6.h"

/* A word of attacks.hex.tsv. Every state is brought about by frames. False: no such state. */
bool bring_into_state(struct world *w, const char *state);

/* The guest's DHCPv6 transaction in REQ6. */
enum { TRANSACTION_ID = 0x123456 };
