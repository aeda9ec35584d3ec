/* Which network a tap is on, by what the kernel says. Asked anew each time: others may move it. */
#pragma once
#include "port/port.h"

void read_tap_segment(unsigned index, struct segment_id *);

/*
 * Whether another interface is on the same segment, and a tap that this user may open (ip tuntap add ... user NAME);
 * NULL: any user.
 */
bool is_tap_of(unsigned own_index, unsigned index, const uid_t *user);
