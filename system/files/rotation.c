/* Files that are kept within bounds. */
#include "system/files/rotation.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

bool name_file(char text[PATH_MAX], const char *path, unsigned number)
{
	int needed = number == 0 ? snprintf(text, PATH_MAX, "%s", path) : snprintf(text, PATH_MAX, "%s.%u", path, number);
	if (needed > 0 && needed < PATH_MAX)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

/* Where a name is free there is nothing to move. */
bool rotate_files(const char *path, unsigned kept)
{
	char from[PATH_MAX], to[PATH_MAX];
	if (kept < 2)
		return unlink(path) == 0 || errno == ENOENT;
	for (unsigned number = kept - 1; number > 0; number--)
		if (!name_file(from, path, number - 1) || !name_file(to, path, number) ||
		    (rename(from, to) < 0 && errno != ENOENT))
			return false;
	return true;
}
