/* softnet: lets through only what a virtual machine has the right to send and to receive. Here are its verbs. */
#include <unistd.h>
#include "softnet/guard/kernel_relay.h"
#include "softnet/look/status_client.h"
#include "softnet/look/watch.h"
#include "softnet/options/help.h"
#include "softnet/options/options.h"
#include "softnet/policy/policy_check.h"
#include "softnet/policy/policy_client.h"
#include "softnet/replay/replay.h"
#include "softnet/replay/suggest.h"
#include "softnet/setup/setup.h"
#include "softnet/start.h"
#include "system/log.h"
#include "system/process/process.h"
#include "system/process/terminal.h"

static struct options options;

/* The verbs that look at guards or captures. */
static int look(struct error *error)
{
	int status = options.wanted == WANT_STATUS    ? show_status(&options, stdout, error)
		     : options.wanted == WANT_WATCH   ? watch_guards(&options, error)
		     : options.wanted == WANT_SUGGEST ? suggest_rules(&options, stdout, error)
						      : replay_captures(&options, stdout, error);
	if (status == EXIT_USAGE)
		die_usage("%s", error->text);
	return status;
}

int main(int argc, char **argv)
{
	struct error error;
	sanitize_process();
	if (!parse_options(argc, argv, &options, &error))
		die_usage("%s", error.text);
	if (options.wanted == WANT_HELP)
		print_help(stdout, options.help_of, has_colors(STDOUT_FILENO));
	if (options.wanted == WANT_VERSION)
		print_version(stdout);
	if (options.wanted == WANT_CHECK)
		warn_of_rules(&options);
	struct check_manner how = { isatty(STDOUT_FILENO) != 0, has_colors(STDOUT_FILENO) };
	if (options.wanted == WANT_CHECK && !check_policy(&options, stdout, how, &error))
		die_usage("%s", error.text);
	if ((options.wanted == WANT_SHOW || options.wanted == WANT_SET) && !ask_for_policy(&options, stdout, &error))
		die("%s", error.text);
	if (options.wanted == WANT_STATUS || options.wanted == WANT_WATCH || options.wanted == WANT_REPLAY ||
	    options.wanted == WANT_SUGGEST)
		return look(&error);
	if (options.wanted == WANT_DETACH)
		return detach_guard(options.interface);
	if (options.wanted != WANT_GUARD && options.wanted != WANT_RUN && options.wanted != WANT_ATTACH)
		return EXIT_OK;
	return run_guard(&options, argc, argv);
}
