/* A set-user-id program of macOS must not load code at run time, so it is linked. */
#include "port/slirp/slirp_library.h"
#include <stddef.h>

struct slirp_library libslirp = {
#define X(name) .name = name,
	SLIRP_CALLS(X)
#undef X
};

const char *load_slirp(void)
{
	return NULL;
}
