/* Files that are kept within bounds: FILE becomes FILE.1, FILE.1 becomes FILE.2 and so on. */
#pragma once
#include <stdbool.h>

/*
 * Makes room for a new FILE; afterwards none is there. `kept` counts the new one: with 1 the old one is removed. False: the
 * old one stays in the way, and errno says why.
 */
bool rotate_files(const char *path, unsigned kept);
