/*
 * Root by sudo, where the uplink wants it and somebody else has started us: Tart's way on macOS.
 *
 *     Tart ──signals──▶ softnet ──▶ sudo ──▶ softnet, root until the uplink is open
 *                          └──channel──────────┘
 *
 * sudo closes every descriptor behind 2, and who started us may not signal what root runs. So the first process stays: the
 * channel is the other one's stdin, brings the descriptors that the options name, then signals as octets; its end says stop.
 */
#pragma once
#include "softnet/options/options.h"

/*
 * Starts softnet again by sudo with the same words, and stays to hand on signals: ends the process with the status of the
 * other. Returns only where sudo would ask for a password or is not there; the cause says so.
 */
void escalate(int argc, char **argv, const struct options *, struct error *cause);

/* In the other process, first thing: puts the descriptors where the options say. Gives the channel, or -1: there is none. */
int take_over_descriptors(const struct options *);

/* When the channel has something to say: signals ourselves. False: it is closed, and that was a signal too. */
bool follow_channel(int channel);
