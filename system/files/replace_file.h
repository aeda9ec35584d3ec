/* A small file that others may read at any time: it is always whole. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Nothing but a file or a link is replaced. The temporary lies beside it, and is called PATH, the process number and "new".
 * kept: gets the descriptor of the new file, open for writing; NULL: nobody wants it. False: errno says why.
 */
bool replace_file(const char *path, const char *text, size_t length, mode_t mode, int *kept);

/* False: errno says why; some of it may be written. */
bool write_all(int fd, const char *text, size_t length);

/* What processes have left beside the file that were killed while they replaced it. For a start: it reads the folder. */
void remove_torn(const char *path);
