/* Linux: not dumpable, files by Landlock, and system calls by seccomp(2). */
#include <stdio.h>
#include <sys/prctl.h>
#include "system/sandbox/landlock.h"
#include "system/sandbox/sandbox.h"
#include "system/sandbox/seccomp.h"

/* Other processes of the user cannot read its memory, nor its descriptors in /proc. */
static void hide_memory(void)
{
#if !defined __SANITIZE_ADDRESS__ /* which looks into it at the end */
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

void enter_sandbox(enum sandbox_purpose purpose, const struct sandbox_wish *wish, struct sandbox *sandbox)
{
	*sandbox = (struct sandbox){ .is_on = true };
	hide_memory();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	const char *open_because = "";
#if !defined __SANITIZE_ADDRESS__        /* which reads /proc at the end */
	if (purpose != FOR_SLIRP_WORKER) /* its keeper's holds for it */
		sandbox->landlock = close_files(purpose, wish, &open_because);
#endif
	const char *cause = filter_calls(purpose, wish);
	sandbox->has_calls = !cause;
	if (cause)
		snprintf(sandbox->missing, sizeof sandbox->missing, "system calls are not filtered: %s", cause);
	else if (open_because[0] != '\0')
		snprintf(sandbox->missing, sizeof sandbox->missing, "files are not closed: %s", open_because);
}
