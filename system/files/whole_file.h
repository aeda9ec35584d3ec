/* All that a descriptor gives. */
#pragma once
#include <stddef.h>

/* malloc'd. NULL: it is longer than `most`, or there is no memory; with no octets: nothing came. */
char *read_whole(int fd, size_t most, size_t *octets);
