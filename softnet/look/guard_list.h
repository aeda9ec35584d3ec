/* All running guards that the caller may ask, and what they say about themselves. */
#pragma once
#include "softnet/look/guard_client.h"
#include "softnet/options/options.h"

struct guard_view {
	json_t *status; /* an object; else nothing about it can be relied on */
	uid_t user;     /* whose guard it is */
	const char *path;
};

struct guard_list {
	struct guard_call *calls; /* those that were asked */
	size_t call_count;
	json_t *left;             /* root's guards without a process */
	struct guard_view *views; /* those that answered and are meant, by name */
	size_t count;
	bool is_whole;  /* nothing came in between */
	bool is_cut;    /* there are more than anybody has */
	bool has_users; /* not all of one user */
};

/*
 * Asks the guard at --control, or all; --vm leaves those of that name, MAC address or process number. Takes timeout_ms at
 * most, and less when one of `until` can be read (call_guards()). False: the error says what is wrong with the options.
 */
bool ask_guards(const struct options *, struct guard_list *, int timeout_ms, const int *until, struct error *);
void forget_guards(struct guard_list *);

/* Why there is no view of a call that is worth a line; NULL: there is one, or nobody listens at that entry any more. */
const char *why_silent(const struct guard_list *, size_t call);
/* The name of the user; static. */
const char *user_name(uid_t);
/* Says on standard error which guards did not answer. */
void tell_silent(const struct guard_list *);
/* Says that none was found, and where there may be some. */
void tell_nothing(const struct options *);
/* Where nothing is found: true when root has guards, which the caller may not ask. */
bool root_has_guards(void);
