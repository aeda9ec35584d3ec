/* What every part of the program needs of descriptors. */
#pragma once
#include <stddef.h>

/* Copies text that may be too long; the result always ends in a 0. */
void copy_text(char *to, size_t size, const char *from);

/* A close-on-exec duplicate that is not one of the three standard descriptors. */
int duplicate_above_2(int fd);
/* A new descriptor in the place of one that may be 0..2: the old one is closed. -1 stays -1. */
int move_above_2(int fd);
/* Closes what could not be made ready; -1 stays -1. Gives -1 and leaves errno as it is, so that its caller can return it. */
int close_failed(int fd);
/*
 * The terminal that is open as `fd`, opened once more as `flags` say; -1: it is none, or cannot be. O_NONBLOCK belongs to the
 * description, which others share: a caller that wants it needs its own description.
 */
int open_terminal_again(int fd, int flags);
