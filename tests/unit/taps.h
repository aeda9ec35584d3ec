/* Taps in a network of their own, made and asked by ip. */
#pragma once
#include "own_network.h"
#include "ports.h"

static const struct port_settings guest = { .side = GUEST_SIDE, .max_frame = 1514 };
static const struct port_settings uplink = { .side = UPLINK_SIDE, .max_frame = 1514, .isolation = true };

static inline void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("cannot run: %s", command);
}

static inline bool shell_says(const char *command)
{
	return system(command) == 0;
}

static inline bool can_make_taps(void)
{
	if (enter_own_network() && access("/dev/net/tun", R_OK | W_OK) == 0 && system("ip link show lo >/dev/null") == 0)
		return true;
	fprintf(stderr, "no network namespace, no right to /dev/net/tun or no ip command: not tested\n");
	return false;
}
