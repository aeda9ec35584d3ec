/* Files that are kept within bounds: FILE becomes FILE.1, FILE.1 becomes FILE.2 and so on. */
#pragma once
#include <limits.h>
#include <stdbool.h>

/* FILE for 0, FILE.1 for 1 and so on. False: the name is too long. */
bool name_file(char text[PATH_MAX], const char *path, unsigned number);

/*
 * Makes room for a new FILE; afterwards none is there. `kept` counts the new one: with 1 the old one is removed. False: the
 * old one stays in the way, and errno says why.
 */
bool rotate_files(const char *path, unsigned kept);
