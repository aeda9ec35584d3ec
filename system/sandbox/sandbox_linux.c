/* Linux: not dumpable, files by Landlock, and system calls by seccomp(2). */
#include <stdio.h>
#include <sys/prctl.h>
#include "system/sandbox/landlock.h"
#include "system/sandbox/namespaces.h"
#include "system/sandbox/sandbox.h"
#include "system/sandbox/seccomp.h"

/* Other processes of the user cannot read its memory, nor its descriptors in /proc. */
static void hide_memory(void)
{
#if !defined __SANITIZE_ADDRESS__ /* which looks into it at the end */
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

#if !defined __SANITIZE_ADDRESS__
static void say_what_is_missing(struct sandbox *sandbox, const char *what, const char *cause)
{
	if (cause && cause[0] != '\0' && sandbox->missing[0] == '\0')
		snprintf(sandbox->missing, sizeof sandbox->missing, "%s: %s", what, cause);
}

/* A worker of slirp begins with its keeper's namespaces and files. */
static void leave_what_is_of_others(enum sandbox_purpose purpose, const struct sandbox_wish *wish, struct sandbox *sandbox)
{
	const char *cause;
	if (purpose == FOR_SLIRP_WORKER)
		return;
	if (purpose != FOR_GUARD && purpose != FOR_FILES) {
		cause = leave_host(purpose, wish);
		sandbox->has_namespaces = !cause;
		say_what_is_missing(sandbox, "no namespaces of its own", cause);
	}
	sandbox->landlock = close_files(purpose, wish, &cause);
	say_what_is_missing(sandbox, "files are not closed", cause);
}
#else
/* A sanitizer reads /proc at the end. */
static void leave_what_is_of_others(enum sandbox_purpose purpose, const struct sandbox_wish *wish, struct sandbox *sandbox)
{
	(void)purpose;
	(void)wish;
	(void)sandbox;
}
#endif

void enter_sandbox(enum sandbox_purpose purpose, const struct sandbox_wish *wish, struct sandbox *sandbox)
{
	*sandbox = (struct sandbox){ .is_on = true };
	hide_memory();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	leave_what_is_of_others(purpose, wish, sandbox);
	const char *cause = filter_calls(purpose, wish);
	sandbox->has_calls = !cause;
	if (cause)
		snprintf(sandbox->missing, sizeof sandbox->missing, "system calls are not filtered: %s", cause);
}
