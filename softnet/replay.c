/* softnet replay. */
#include "replay.h"
#include "log.h"

int replay_captures(const struct options *options, FILE *to, struct usage_error *error)
{
	(void)options;
	(void)to;
	refuse(error, "softnet replay: not available in this version");
	return EXIT_USAGE;
}
