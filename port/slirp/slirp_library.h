/*
 * libslirp, and glib with it, are in the processes that need them, and not in the guard: a megabyte less for each guard
 * with another uplink.
 */
#pragma once
#if __has_include(<libslirp.h>)
#include <libslirp.h>
#else
#include <slirp/libslirp.h>
#endif

#define SLIRP_CALLS(X) \
	X(slirp_new) \
	X(slirp_input) \
	X(slirp_pollfds_fill) \
	X(slirp_pollfds_poll) \
	X(slirp_add_hostxfwd) \
	X(slirp_remove_hostxfwd)

struct slirp_library {
#define X(name) __typeof__(name) *name;
	SLIRP_CALLS(X)
#undef X
};

/* Once, before the sandbox closes all files. NULL: it is there; else why not. */
const char *load_slirp(void);
extern struct slirp_library libslirp;
