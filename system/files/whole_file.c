/* Read in steps, for a pipe does not say how much comes. */
#include "system/files/whole_file.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { STEP = 64 << 10 };

char *read_whole(int fd, size_t most, size_t *octets)
{
	char *text = NULL;
	size_t room = 0;
	*octets = 0;
	for (;;) {
		if (*octets == room) {
			char *more = room < most ? realloc(text, room + STEP) : NULL;
			if (!more) {
				free(text);
				return NULL;
			}
			text = more;
			room += STEP;
		}
		ssize_t n = read(fd, text + *octets, room - *octets);
		if (n == 0 || (n < 0 && errno != EINTR))
			return text;
		*octets += n > 0 ? (size_t)n : 0;
	}
}
