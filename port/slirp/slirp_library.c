/* On Linux libslirp is loaded when a process wants it. */
#include "port/slirp/slirp_library.h"
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slirp_library libslirp;

/* ISO C knows no way from a pointer to data to one to a function; POSIX says that this one works. */
static bool find(void *library, const char *name, void *to)
{
	void *found = dlsym(library, name);
	memcpy(to, &found, sizeof found);
	return found != NULL;
}

const char *load_slirp(void)
{
	void *library = dlopen("libslirp.so.0", RTLD_NOW | RTLD_LOCAL);
#define X(name) &&find(library, #name, &libslirp.name)
	bool is_there = library != NULL SLIRP_CALLS(X);
#undef X
	return is_there ? NULL : dlerror();
}
