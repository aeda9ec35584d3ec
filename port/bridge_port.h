/* An interface as a port of a Linux bridge. */
#pragma once
#include <stdbool.h>

/* The bridge that the interface is a port of, 0 for none. */
unsigned master_of(const char *interface);

/* No frames between isolated ports. 0 or an errno. */
int set_isolation(unsigned port_index, bool isolated);
