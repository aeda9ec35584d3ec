/* IPv6 for the comparison of the two builds: worlds with every kind of state, and frames for every part of the judge. */
#pragma once
#include "world6.h"

enum { WORLDS6 = 7 };

/*
 * 0: nothing known; 1: a lease; 2: SLAAC, addresses old and young; 3: with rules and sites; 4: with translators; 5: locks are
 * over, and no DHCP; 6: a DHCPv6 exchange.
 */
void start_numbered_world6(struct world *w, int number);

/* Builds one frame after the other in w->frame, and shows each. */
typedef void show_frame(struct world *w, enum direction direction);
void show_all_frames6(struct world *w, show_frame *show);
