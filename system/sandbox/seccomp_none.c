/* Without libseccomp. */
#include "system/sandbox/seccomp.h"

const char *filter_calls(enum sandbox_purpose purpose, const struct sandbox_wish *wish)
{
	(void)purpose;
	(void)wish;
	return "this softnet was built without libseccomp";
}
