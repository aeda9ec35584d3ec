/* A guard that nobody could find is worse than none, so the record comes first. */
#include "softnet/leaving.h"
#include "softnet/left/left.h"
#include "softnet/methods/control_methods.h"
#include "system/log.h"

static int record = -1;

void begin_leaving(const struct options *options)
{
	struct error error;
	if (!options->leaves)
		forget_left_of(options->interface);
	else if ((record = open_left_record(options->interface, &error)) < 0)
		die("--leave: %s", error.text);
}

/* Nobody would be there to learn it. */
static bool knows_routers(const struct config *config)
{
	return config->gateway_macs.count > 0 || config->host.count + config->host6.count == 0;
}

void note_leaving(const struct relay *r)
{
	struct error error;
	if (!knows_routers(r->guard.config))
		die_usage("--leave: the router's MAC address would have to be learned; expected --gateway-mac with it");
	if (!write_left_record(record, json_status(r), r->options->interface, &error))
		die("--leave: %s", error.text);
}
