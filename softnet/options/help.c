/* --help, of the program and of each verb, and --version. Nothing is wider than 80 columns. */
#include "softnet/options/help.h"
#include <string.h>

#ifndef SOFTNET_VERSION
#define SOFTNET_VERSION "development"
#endif

enum { WIDTH = 80, HELP_COLUMN = 34 };

#define BOLD  "\033[1m"
#define PLAIN "\033[0m"

/* One for each verb: how it is called, what it does, and a line to begin with. */
static const struct topic {
	enum wanted wanted;
	const char *usage, *what, *example;
} topics[] = {
	{ WANT_GUARD, "softnet --vm-fd FD | --guest PORT --vm-mac-address MAC [options]",
	  "Guards a VM that somebody else starts.",
	  "softnet --vm-mac-address 52:54:00:00:00:0a --guest stream:/tmp/vm.sock" },
	{ WANT_RUN, "softnet run [options] -- COMMAND ARGS...",
	  "Starts the VM, and guards it: {fd} and {mac} in ARGS become its socket and its MAC address.",
	  "softnet run --allow 10.1.0.0/16 --expose 127.0.0.1:2222:22 -- \\\n"
	  "      qemu-system-x86_64 -m 512 -drive file=vm.qcow2,if=virtio \\\n"
	  "      -netdev 'dgram,id=n0,local.type=fd,local.str={fd}' \\\n"
	  "      -device 'virtio-net-pci,netdev=n0,mac={mac}'" },
	{ WANT_ATTACH, "softnet attach IFACE --vm-mac-address MAC [options]",
	  "Guards a tap or veth that somebody else made, in the kernel: the guard outlives its process.",
	  "softnet attach vnet0 --vm-mac-address 52:54:00:00:00:0a --allow 10.1.0.0/16" },
	{ WANT_DETACH, "softnet detach IFACE", "Takes that guard away: then everything passes.", "softnet detach vnet0" },
	{ WANT_STATUS, "softnet status [--vm NAME] [--json | --openmetrics]",
	  "What running guards know and have dropped, and why.", "softnet status --vm web1" },
	{ WANT_WATCH, "softnet watch [--vm NAME]", "The same, live; q ends it.", "softnet watch --vm web1" },
	{ WANT_CHECK, "softnet policy check [options] [TUPLE...]", "Says what rules mean; touches nothing.",
	  "softnet policy check --block any --allow @global:tcp/443 1.1.1.1:tcp/443" },
	{ WANT_SHOW, "softnet policy show --vm NAME", "Prints the rules of a running guard.",
	  "softnet policy show --vm web1" },
	{ WANT_SET, "softnet policy set --vm NAME [--allow RULE] [--block RULE] [--policy FILE]",
	  "Puts these in the place of all its rules.", "softnet policy set --vm web1 --allow @dns --block any" },
	{ WANT_SUGGEST, "softnet policy suggest [options] [--wildcard *.NAME] FILE...",
	  "Makes a policy file of what --names learn has recorded, or of a capture.",
	  "softnet policy suggest web1.pcapng >web1.policy" },
	{ WANT_REPLAY, "softnet replay [options] FILE...", "Decides about captured frames again.",
	  "softnet replay --frames drops web1.pcapng" },
};
enum { TOPICS = sizeof topics / sizeof *topics };

static void print_heading(FILE *to, bool is_colored, const char *text)
{
	fprintf(to, "\n%s%s:%s\n", is_colored ? BOLD : "", text, is_colored ? PLAIN : "");
}

/* From a column on, which is where the line stands: words are not cut. */
static void print_wrapped(FILE *to, int column, const char *text)
{
	int at = column;
	while (*text != '\0') {
		int length = (int)strcspn(text, " ");
		if (at > column && at + 1 + length > WIDTH) {
			fprintf(to, "\n%*s", column, "");
			at = column;
		}
		at += fprintf(to, "%s%.*s", at > column ? " " : "", length, text);
		text += length;
		text += strspn(text, " ");
	}
	fputs("\n", to);
}

static void print_option(FILE *to, const struct option_line *line)
{
	char left[64];
	char letter[8] = "";
	if (line->letter != 0)
		snprintf(letter, sizeof letter, "-%c, ", line->letter);
	int width = snprintf(left, sizeof left, "  %s--%s%s%s", letter, line->name, line->argument ? " " : "",
			     line->argument ? line->argument : "");
	if (width >= HELP_COLUMN)
		fprintf(to, "%s\n%*s", left, HELP_COLUMN, "");
	else
		fprintf(to, "%-*s", HELP_COLUMN, left);
	print_wrapped(to, HELP_COLUMN, line->help);
}

/* Those that the verb takes; WANT_HELP: all. A section is named before its first one. */
static void print_options(FILE *to, enum wanted verb, bool is_colored)
{
	const char *section = NULL;
	for (int i = 0; i < option_line_count; i++) {
		const struct option_line *line = &option_lines[i];
		if (line->section)
			section = line->section;
		if (!line->help || (verb != WANT_HELP && !verb_takes(verb, line->name)))
			continue;
		if (section)
			print_heading(to, is_colored, section);
		section = NULL;
		print_option(to, line);
	}
}

static void print_ports(FILE *to, bool is_colored)
{
	print_heading(to, is_colored, "PORTS");
	for (const struct port_kind *const *kind = port_kinds(); *kind; kind++)
		fprintf(to, "  %s\n", (*kind)->form);
}

static void print_rules(FILE *to, bool is_colored)
{
	print_heading(to, is_colored, "RULES");
	fputs("  [in|out] TARGET[:QUALIFIER], separated by commas.\n"
	      "  TARGET     a prefix, an address, any, @host, @gateway, @dns,\n"
	      "             @lan (private networks) or @global; in --allow also a host's name,\n"
	      "             or *.NAME for all below it\n"
	      "  QUALIFIER  PORT, LOW-HIGH, PROTO, PROTO/PORT or PROTO/LOW-HIGH;\n"
	      "             PROTO: tcp, udp, sctp, icmp, esp or gre. Of a name: tls, quic,\n"
	      "             http, tcp/PORT or udp/PORT; without one: tls and quic\n"
	      "  The longest prefix decides, then the narrower qualifier, then block before\n"
	      "  allow. Without rules the VM reaches global addresses, @host, and @dns for UDP\n"
	      "  and TCP port 53.\n"
	      "  TUPLE: [in|out] ADDRESS[:PROTO[/PORT]]\n",
	      to);
}

static void print_rates(FILE *to, bool is_colored)
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
	char one[64];
	int at = WIDTH;
	print_heading(to, is_colored, "RATES (per second / burst)");
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		int length = snprintf(one, sizeof one, " %s=%g/%u", rates[i].name, rates[i].per_second, rates[i].burst);
		if (at + length > WIDTH)
			at = fprintf(to, "%s ", i > 0 ? "\n" : "") - (i > 0);
		at += fprintf(to, "%s", one);
	}
	fputs("\n", to);
}

static void print_summary_of(FILE *to, const struct topic *topic)
{
	fprintf(to, "%s\n    ", topic->usage);
	print_wrapped(to, 4, topic->what);
}

static void print_everything(FILE *to, bool is_colored)
{
	fputs("softnet lets through only what a virtual machine has the right to send and to\nreceive.\n\n", to);
	for (int i = 0; i < TOPICS; i++)
		print_summary_of(to, &topics[i]);
	fputs("\n`softnet help VERB` has an example of each, and the options that it takes.\n", to);
	print_options(to, WANT_HELP, is_colored);
	print_ports(to, is_colored);
	print_rules(to, is_colored);
	print_rates(to, is_colored);
	fputs("\nSIGUSR1 prints counters and addresses to stderr. Exit status: 0 stopped or the\n"
	      "VM is gone, 1 failure, 2 wrong usage; `softnet run`: that of COMMAND, 127 not\n"
	      "found, 126 cannot be started.\n",
	      to);
}

static bool is_about(const struct topic *topic, enum wanted verb)
{
	static const char policy[] = "softnet policy ";
	return topic->wanted == verb || (verb == WANT_POLICY && strncmp(topic->usage, policy, strlen(policy)) == 0);
}

void print_help(FILE *to, enum wanted verb, bool is_colored)
{
	if (verb == WANT_HELP) {
		print_everything(to, is_colored);
		return;
	}
	for (int i = 0; i < TOPICS; i++) {
		if (!is_about(&topics[i], verb))
			continue;
		print_summary_of(to, &topics[i]);
		print_heading(to, is_colored, "Example");
		fprintf(to, "  %s\n", topics[i].example);
	}
	if (verb == WANT_POLICY) {
		fputs("\n`softnet help policy check` has its options; so of the others.\n", to);
		return;
	}
	print_options(to, verb, is_colored);
	bool is_guards = verb == WANT_GUARD || verb == WANT_RUN;
	if (is_guards)
		print_ports(to, is_colored);
	if (verb_takes(verb, "allow"))
		print_rules(to, is_colored);
	if (verb_takes(verb, "rate"))
		print_rates(to, is_colored);
}

void print_version(FILE *to)
{
	fputs("softnet " SOFTNET_VERSION "\n", to);
}
