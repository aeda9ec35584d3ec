/* softnet status. */
#include "status_client.h"
#include "log.h"

int show_status(const struct options *options, FILE *to, struct usage_error *error)
{
	(void)options;
	(void)to;
	refuse(error, "softnet status: not available in this version");
	return EXIT_USAGE;
}
