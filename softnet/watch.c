/* softnet watch. */
#include "watch.h"
#include "log.h"

int watch_guards(const struct options *options, FILE *to, struct usage_error *error)
{
	(void)options;
	(void)to;
	refuse(error, "softnet watch: not available in this version");
	return EXIT_USAGE;
}
