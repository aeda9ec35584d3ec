/* The first words of the command line, and which options go with them. */
#include <string.h>
#include "softnet/options/option_values.h"
#include "system/guess.h"

/* Options, with blanks around each. */
#define OF_RULES \
	" vm-mac-address vm-ip shared-ip mtu gateway gateway-mac dhcp-server dns nat64 allow block policy inbound " \
	"reject names ech dns-questions isolation ipv6 ipv6-iid no-dhcp no-resync anchors dhcp-client-id " \
	"dhcp-hostname " \
	"arp-conflicts rate "
#define OF_DECISION OF_RULES "expose "
#define OF_SEEN     " host site " /* what a live guard sees by itself */
#define OF_PROGRAM \
	" name label segment state control-fd control events pcap frames pcap-size pcap-files metrics user group " \
	"sandbox " \
	"verbose "
#define OF_CLIENTS " vm json openmetrics guest-pcap uplink-pcap diff wildcard host site "

struct verb {
	enum wanted wanted;
	const char *first, *second; /* second: NULL: the verb has one word */
	const char *takes;          /* NULL: whatever is not of clients alone */
};

static const struct verb verbs[] = {
	{ WANT_GUARD, "", NULL, NULL },
	{ WANT_RUN, "run", NULL, NULL },
	{ WANT_ATTACH, "attach", NULL, OF_RULES OF_PROGRAM "leave " },
	{ WANT_DETACH, "detach", NULL, " verbose " },
	{ WANT_CHECK, "policy", "check", NULL },
	{ WANT_SHOW, "policy", "show", " vm control " },
	{ WANT_SET, "policy", "set", " vm control allow block policy " },
	{ WANT_SUGGEST, "policy", "suggest", OF_DECISION " vm guest-pcap uplink-pcap wildcard host site " },
	{ WANT_STATUS, "status", NULL, " vm control json openmetrics " },
	{ WANT_WATCH, "watch", NULL, " vm control " },
	{ WANT_REPLAY, "replay", NULL,
	  OF_DECISION " verbose bootpd-lease-time frames json guest-pcap uplink-pcap diff host site " },
};

enum { VERBS = sizeof verbs / sizeof *verbs };

static const struct verb *find_verb(enum wanted wanted)
{
	for (int i = 0; i < VERBS; i++)
		if (verbs[i].wanted == wanted)
			return &verbs[i];
	return &verbs[0];
}

/* A name may be foreign, of a capture. */
static bool is_listed(const char *list, const char *name)
{
	size_t length = strcspn(name, " ");
	bool is_word = length > 0 && name[length] == '\0';
	for (const char *at = is_word ? strstr(list, name) : NULL; at; at = strstr(at + 1, name))
		if (at[-1] == ' ' && at[length] == ' ')
			return true;
	return false;
}

static bool was_given(const struct options *options, const char *name)
{
	for (int line = 0; line < option_line_count; line++)
		if (strcmp(option_lines[line].name, name) == 0)
			return (options->seen >> line & 1) != 0;
	return false;
}

bool decides_something(const struct options *options)
{
	for (int line = 0; line < option_line_count; line++)
		if ((options->seen >> line & 1) != 0 && is_listed(OF_DECISION, option_lines[line].name))
			return true;
	return false;
}

/* Not a policy file: the author of the capture could have any file opened. */
bool may_stand_in_capture(const char *option_name)
{
	bool is_policy = strcmp(option_name, "policy") == 0;
	return !is_policy && (is_listed(OF_DECISION, option_name) || is_listed(OF_SEEN, option_name));
}

static const char *name_of_verb(size_t i)
{
	static const char help[] = "help";
	return i == 0 ? help : i < VERBS ? verbs[i].first : NULL;
}

static bool refuse_verb(const char *word, struct error *error)
{
	const char *guess = guess_word(word, strlen(word), name_of_verb);
	if (guess)
		return refuse(error, "\"%.60s\": no such verb; did you mean `softnet %s`?", word, guess);
	return refuse_value(
	    error, word,
	    "an option, or `run`, `attach`, `detach`, `policy`, `status`, `watch` or `replay` as the first word");
}

int take_verb(int argc, char **argv, struct options *options, struct error *error)
{
	if (argc <= 1)
		return 0;
	for (int i = 1; i < VERBS; i++) {
		const struct verb *verb = &verbs[i];
		if (strcmp(argv[1], verb->first) != 0 ||
		    (verb->second && (argc <= 2 || strcmp(argv[2], verb->second) != 0)))
			continue;
		options->wanted = verb->wanted;
		return verb->second ? 2 : 1;
	}
	if (strcmp(argv[1], "policy") == 0)
		refuse_value(error, argc > 2 ? argv[2] : "policy",
			     "softnet policy check, show, set or suggest, and options");
	else if (argv[1][0] == '-' || argv[1][0] == '\0')
		return 0;
	else
		refuse_verb(argv[1], error);
	return -1;
}

int take_attached(int argc, char **argv, struct options *options, struct error *error)
{
	options->interface = argc > 2 && argv[2][0] != '-' ? argv[2] : NULL;
	if (options->interface)
		return 2;
	refuse(error, "%s: expected an interface: softnet %s IFACE [options]", argv[1], argv[1]);
	return -1;
}

bool find_topic(int argc, char **argv, enum wanted *topic, struct error *error)
{
	struct options found = { .wanted = WANT_HELP };
	bool is_verb = argc > 1 && strcmp(argv[1], "help") == 0;
	argc -= is_verb;
	argv += is_verb;
	*topic = WANT_HELP;
	if (argc <= 1 || argv[1][0] == '-')
		return true;
	if (strcmp(argv[1], "policy") == 0 && (argc <= 2 || argv[2][0] == '-')) {
		*topic = WANT_POLICY;
		return true;
	}
	bool is_found = take_verb(argc, argv, &found, error) > 0;
	*topic = found.wanted;
	return is_found || !is_verb; /* of a line that is wrong, --help has the whole */
}

static bool take_captures(char **words, struct options *options, struct error *error)
{
	struct error cause;
	bool suggests = options->wanted == WANT_SUGGEST;
	for (; *words; words++)
		if (!add_capture(options, *words, SIDE_OF_FRAME, &cause))
			return refuse(error, "%s: %s", suggests ? "policy suggest" : "replay", cause.text);
	if (options->capture_count > 0)
		return true;
	return suggests ? refuse(error, "policy suggest: expected captures, or files of events: softnet policy suggest "
					"[options] FILE...")
			: refuse(error, "replay: expected a capture: softnet replay [options] FILE...");
}

bool take_operands(char **words, bool has_separator, struct options *options, struct error *error)
{
	switch (options->wanted) {
	case WANT_RUN:
		if (*words && !has_separator)
			return refuse_value(error, *words, "\"--\" before the command of `softnet run`");
		if (!*words)
			return refuse(error, "run: expected a command: softnet run [options] -- COMMAND ARGS...");
		options->command = words;
		return true;
	case WANT_CHECK:
		options->tuples = words;
		return true;
	case WANT_REPLAY:
	case WANT_SUGGEST:
		return take_captures(words, options, error);
	case WANT_ATTACH:
	case WANT_DETACH:
	case WANT_SHOW:
	case WANT_SET:
	case WANT_STATUS:
	case WANT_WATCH:
		return !*words || refuse_value(error, *words, "nothing behind the options");
	case WANT_GUARD:
	case WANT_POLICY:
	case WANT_HELP:
	case WANT_VERSION:
	case WANT_PROBE:
		break;
	}
	return !*words ||
	       refuse_value(
		   error,
		   *words, "an option, or `run`, `attach`, `detach`, `policy`, `status`, `watch` or `replay` as the first word");
}

/* `softnet policy show` and `set` speak to a guard that has options of its own. */
static bool check_policy_client(const struct options *options, struct error *error)
{
	const char *verb = options->wanted == WANT_SET ? "set" : "show";
	if (!options->control_path && !options->name)
		return refuse(error,
			      "policy %s: expected --vm NAME, or --control and the PATH that the guard was given", verb);
	if (options->control_path && options->name)
		return refuse(error, "--vm: not together with --control");
	bool says_nothing = (options->seen & (options->seen - 1)) == 0; /* but which guard */
	return options->wanted == WANT_SHOW || !says_nothing ||
	       refuse(error,
		      "policy set: expected --allow, --block or --policy with it; an empty FILE takes all rules away");
}

/* Two that write into one file would tear each other's lines. */
static bool check_files(const struct options *options, struct error *error)
{
	const char *files[EVENT_FILES_MAX + 3] = { options->pcap, options->metrics, options->state_file };
	size_t count = 3;
	for (uint32_t i = 0; i < options->event_count; i++)
		files[count++] = options->events[i];
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; files[i] && j < i; j++)
			if (files[j] && strcmp(files[i], files[j]) == 0)
				return refuse(
				    error,
				    "\"%s\": expected another file for each of --events, --pcap, --metrics and "
				    "--state",
				    files[i]);
	return true;
}

/* Options that are nothing without another one. */
static bool check_needed(const struct options *options, struct error *error)
{
	static const char *const of_pcap[] = { "frames", "pcap-size", "pcap-files" };
	bool has_pcap = options->pcap || options->wanted == WANT_REPLAY;
	for (size_t i = 0; !has_pcap && i < sizeof of_pcap / sizeof *of_pcap; i++)
		if (was_given(options, of_pcap[i]))
			return refuse(error, "--%s: expected --pcap with it", of_pcap[i]);
	if (options->frames == FRAMES_NONE && options->wanted != WANT_REPLAY)
		return refuse(error, "--frames: \"none\": expected drops or all");
	if (options->json && options->openmetrics)
		return refuse(error, "--openmetrics: not together with --json");
	bool has_frames = options->wanted == WANT_REPLAY || options->wanted == WANT_SUGGEST;
	if (has_frames && decides_something(options) && options->vm_mac == MAC_NONE)
		return refuse(error, "--vm-mac-address: missing; whose frames are the VM's?");
	return true;
}

bool verb_takes(enum wanted wanted, const char *name)
{
	const struct verb *verb = find_verb(wanted);
	return verb->takes ? is_listed(verb->takes, name) : !is_listed(OF_CLIENTS, name);
}

bool check_verb(const struct options *options, struct error *error)
{
	const struct verb *verb = find_verb(options->wanted);
	for (int line = 0; line < option_line_count; line++) {
		const char *name = option_lines[line].name;
		if ((options->seen >> line & 1) == 0 || verb_takes(options->wanted, name))
			continue;
		if (!verb->takes)
			return refuse(error, "--%s: only with `softnet status`, `watch` or `replay`", name);
		return refuse(error, "--%s: not with `softnet %s%s%s`", name, verb->first, verb->second ? " " : "",
			      verb->second ? verb->second : "");
	}
	if (options->wanted == WANT_SHOW || options->wanted == WANT_SET)
		return check_policy_client(options, error);
	return check_needed(options, error) && check_files(options, error);
}
