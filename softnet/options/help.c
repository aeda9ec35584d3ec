/* --help and --version. */
#include "softnet/options/options.h"

#ifndef SOFTNET_VERSION
#define SOFTNET_VERSION "development"
#endif

enum { HELP_COLUMN = 34 };

static void print_option(FILE *to, const struct option_line *line)
{
	char left[64];
	char letter[8] = "";
	if (line->letter != 0)
		snprintf(letter, sizeof letter, "-%c, ", line->letter);
	int width = snprintf(left, sizeof left, "  %s--%s%s%s", letter, line->name, line->argument != NULL ? " " : "",
			     line->argument != NULL ? line->argument : "");
	if (width >= HELP_COLUMN)
		fprintf(to, "%s\n%*s%s\n", left, HELP_COLUMN, "", line->help);
	else
		fprintf(to, "%-*s%s\n", HELP_COLUMN, left, line->help);
}

static void print_rates(FILE *to)
{
	static const struct {
		const char *name;
		double per_second;
		unsigned burst;
	} rates[] = {
#define X(class, text, refill, most, reason) { text, refill / 1000.0, most },
		RATE_CLASSES(X)
#undef X
	};
	fputs("\nRATES (per second / burst):", to);
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
		fprintf(to, "%s %s=%g/%u", i % 5 == 0 ? "\n " : "", rates[i].name, rates[i].per_second, rates[i].burst);
	fputs("\n", to);
}

void print_help(FILE *to)
{
	fputs("softnet lets through only what a virtual machine has the right to send and to receive.\n\n"
	      "softnet --vm-fd FD --vm-mac-address MAC [options]   guard the VM behind a socket\n"
	      "softnet run [options] -- COMMAND ARGS...            start the VM, and guard it: {fd} and {mac}\n"
	      "                                                    in ARGS become its socket and its MAC address\n"
	      "softnet policy check [options] [TUPLE...]           say what rules mean; touches nothing\n"
	      "softnet policy show|set --control PATH [rules]      the rules of a running guard\n"
	      "softnet status [--vm NAME] [--json]                 what running guards know and have dropped\n"
	      "softnet watch [--vm NAME]                           the same, live\n"
	      "softnet replay [options] FILE...                    decide about captured frames again\n",
	      to);
	for (int i = 0; i < option_line_count; i++) {
		if (option_lines[i].help == NULL)
			continue;
		if (option_lines[i].section != NULL)
			fprintf(to, "\n%s:\n", option_lines[i].section);
		print_option(to, &option_lines[i]);
	}
	fputs("\nPORTS:\n", to);
	for (const struct port_kind *const *kind = port_kinds(); *kind != NULL; kind++)
		fprintf(to, "  %s\n", (*kind)->form);
	fputs("\nRULES: [in|out] TARGET[:QUALIFIER], separated by commas.\n"
	      "  TARGET     a CIDR, an address, any, @host, @gateway, @dns, @lan (private networks) or @global\n"
	      "  QUALIFIER  PORT, LOW-HIGH, PROTO, PROTO/PORT or PROTO/LOW-HIGH; PROTO: tcp, udp, sctp, icmp, esp or "
	      "gre\n"
	      "The longest prefix decides, then the narrower qualifier, then block before allow. Without rules the VM\n"
	      "reaches global addresses, @host, and @dns for UDP and TCP port 53.\n"
	      "TUPLE: [in|out] ADDRESS[:PROTO[/PORT]]\n",
	      to);
	print_rates(to);
	fputs(
	    "\nSIGUSR1 prints counters and addresses to stderr. Exit status: 0 stopped or the VM is gone, 1 failure,\n"
	    "2 wrong usage; `softnet run`: that of COMMAND, 127 not found, 126 cannot be started.\n",
	    to);
}

void print_version(FILE *to)
{
	fputs("softnet " SOFTNET_VERSION "\n", to);
}
