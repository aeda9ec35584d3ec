/* The command line. One table names every option; getopt_long, --help and the errors all read it. */
#include "softnet/options/options.h"
#include <getopt.h>
#include <stddef.h>
#include <string.h>
#include "system/lease_time.h"
#include "port/port.h"
#include "softnet/options/option_values.h"
#include "system/guess.h"
#include "system/platform.h"

const struct option_line option_lines[] = {
	{ "vm-fd", "FD", 0, GIVE_ONCE, "The virtual machine", "datagram socket to the VM (Tart passes 0)", take_vm_fd },
	{ "vm-mac-address", "MAC", 0, GIVE_ONCE, NULL, "the only MAC address that the VM may have", take_vm_mac },
	{ "name", "NAME", 0, GIVE_ONCE, NULL, "what to call the VM (its MAC address)", take_name },
	{ "guest", "PORT", 0, GIVE_ONCE, NULL, "another way to the VM than --vm-fd; see PORTS", take_guest },
	{ "vm-ip", "ADDR[/LEN],...", 0, GIVE_OFTEN, NULL, "addresses that the VM may use without a lease", take_vm_ip },
	{ "shared-ip", "ADDR[/LEN],...", 0, GIVE_OFTEN, NULL, "the same, and other machines may have them, too (VRRP)",
	  take_shared_ip },
	{ "mtu", "N", 0, GIVE_ONCE, NULL, "longest packet, 576-65535 octets (1500)", take_mtu },
	{ "offload", "on|off", 0, GIVE_ONCE, NULL,
	  "between taps, or a tap and slirp: long frames, cut behind softnet (on)", take_offload },
	{ "uplink", "PORT", 0, GIVE_ONCE, "The network", "way to the network; see PORTS", take_uplink },
	{ "label", "LABEL,...", 0, GIVE_OFTEN, NULL, "more names of the VM, for rules of other VMs: vm:LABEL",
	  take_label },
	{ "segment", "auto|none|NAME", 0, GIVE_ONCE, NULL, "whose VMs share the network with this one (auto)",
	  take_segment },
	{ "vm-net-type", "nat|host", 0, GIVE_ONCE, NULL, "host: only DHCP and exposed ports (nat)", take_net_type },
	{ "expose", "[ADDR:]EXT:INT,...", 0, GIVE_OFTEN, NULL,
	  "forward this host's port EXT, or EXT-EXT, to the VM's INT; tcp/ (default) or udp/ in front", take_expose },
	{ "gateway", "ADDR,...", 0, GIVE_OFTEN, NULL,
	  "the router's addresses, the host's where it is the router (@host)", take_gateway },
	{ "gateway-mac", "MAC,...", 0, GIVE_OFTEN, NULL, "MAC addresses of the network's routers", take_gateway_mac },
	{ "dhcp-server", "ADDR,...", 0, GIVE_OFTEN, NULL, "trusted DHCP servers (the gateway); IPv6: link-local",
	  take_dhcp_server },
	{ "dns", "ADDR,...", 0, GIVE_OFTEN, NULL, "the resolvers to allow (those that lease or router name)", take_dns },
	{ "nat64", "PREFIX,...", 0, GIVE_OFTEN, NULL, "prefixes that stand for IPv4, besides 64:ff9b::/96", take_nat64 },
	{ "bootpd-lease-time", "SECONDS", 0, GIVE_ONCE, NULL,
	  "DHCP lease time of vmnet on macOS; no effect on other systems", take_lease_time },
	{ "allow", "RULE,...", 0, GIVE_OFTEN, "What may pass", "let it pass; see RULES", take_allow },
	{ "block", "RULE,...", 0, GIVE_OFTEN, NULL, "do not let it pass; see RULES", take_block },
	{ "policy", "FILE", 0, GIVE_OFTEN, NULL, "more rules, one a line after `allow` or `block`", take_policy },
	{ "inbound", "any|established|none", 0, GIVE_ONCE, NULL,
	  "who may begin a connection to the VM, if no rule decides (any)", take_inbound },
	{ "reject", NULL, 0, GIVE_ONCE, NULL, "tell the VM at once when rules refuse what it sends", take_reject },
	{ "names", "enforce|learn", 0, GIVE_ONCE, NULL,
	  "learn: refuse nothing because of names, and record what the VM asks for and reaches (enforce)", take_names },
	{ "ech", "drop|pass", 0, GIVE_ONCE, NULL, "where rules name hosts: hellos whose name may be hidden (drop)",
	  take_ech },
	{ "dns-questions", "names|any", 0, GIVE_ONCE, NULL,
	  "where rules name hosts: what the VM may ask the resolvers (names)", take_dns_questions },
	{ "isolation", "on|off|vms", 0, GIVE_ONCE, NULL,
	  "only routers as next hop, no traffic with other VMs (on, unless --allow 0.0.0.0/0)", take_isolation },
	{ "ipv6", "auto|guard|off", 0, GIVE_ONCE, NULL,
	  "auto: off where rules name prefixes of IPv4 and none of IPv6, else guard (auto)", take_ipv6 },
	{ "ipv6-iid", "any|eui64", 0, GIVE_ONCE, NULL,
	  "eui64: of self-made addresses only those made from the MAC address (any)", take_ipv6_iid },
	{ "no-dhcp", NULL, 0, GIVE_ONCE, NULL, "drop DHCP; for use with --vm-ip", take_no_dhcp },
	{ "no-resync", NULL, 0, GIVE_ONCE, NULL, "drop renewals of leases given before softnet started", take_no_resync },
	{ "anchors", "learn|strict", 0, GIVE_ONCE, NULL,
	  "learn: trust the first DHCP server and router seen where nothing names them (learn)", take_anchors },
	{ "dhcp-client-id", "any|strict", 0, GIVE_ONCE, NULL,
	  "strict: a DUID that names another MAC address is dropped (any)", take_client_id },
	{ "dhcp-hostname", "any|none|NAME,...", 0, GIVE_OFTEN, NULL,
	  "host names that the VM may give itself in DHCP (any)", take_host_names },
	{ "arp-conflicts", "drop|pass", 0, GIVE_ONCE, NULL, "other machines' claims to the VM's address (drop)",
	  take_arp_conflicts },
	{ "rate", "NAME=PERSECOND/BURST", 0, GIVE_OFTEN, NULL, "change a limit; BURST 0: none; see RATES", take_rate },
	{ "state", "FILE", 0, GIVE_ONCE, "The program", "keep leases in FILE over a restart", take_state },
	{ "leave", NULL, 0, GIVE_ONCE, NULL, "attach: end when the guard stands, with --vm-ip and --no-dhcp", take_leave },
	{ "control-fd", "FD", 0, GIVE_ONCE, NULL, "stream socket on which the rules can be read and set",
	  take_control_fd },
	{ "control", "PATH", 0, GIVE_ONCE, NULL, "listen there for live control", take_control },
	{ "user", "NAME|NUMBER", 0, GIVE_ONCE, NULL, "when started as root: user to become", take_user },
	{ "group", "NAME|NUMBER", 0, GIVE_ONCE, NULL, "when started as root: group to become", take_group },
	{ "sandbox", "on|off", 0, GIVE_ONCE, NULL,
	  "off: for debugging; processes keep all system calls (on; macOS: off)", take_sandbox },
	{ "verbose", NULL, 'v', GIVE_OFTEN, NULL, "tell about leases and drops, and sum up at the end", take_verbose },
	{ "help", NULL, 'h', GIVE_OFTEN, NULL, "print this text", take_help },
	{ "version", NULL, 'V', GIVE_OFTEN, NULL, "print the version", take_version },
	{ "events", "FILE|stderr|syslog", 0, GIVE_OFTEN, "What it tells",
	  "leases, first drops and the like as JSON lines", take_events },
	{ "pcap", "FILE", 0, GIVE_ONCE, NULL, "capture what is dropped, with the reason, as pcapng", take_pcap },
	{ "frames", "drops|all|none", 0, GIVE_ONCE, NULL, "which frames are captured (drops), or shown by replay (all)",
	  take_frames },
	{ "pcap-size", "OCTETS[K|M|G]", 0, GIVE_ONCE, NULL, "largest size of a capture file (64M)", take_pcap_size },
	{ "pcap-files", "N", 0, GIVE_ONCE, NULL, "how many of them are kept (2)", take_pcap_files },
	{ "metrics", "FILE", 0, GIVE_ONCE, NULL, "keep counters there, for Prometheus' node_exporter", take_metrics },
	{ "vm", "NAME|MAC|PID", 0, GIVE_ONCE, "Of softnet status, watch, policy and replay", "only this VM's guard",
	  take_vm },
	{ "json", NULL, 0, GIVE_ONCE, NULL, "for programs", take_json },
	{ "openmetrics", NULL, 0, GIVE_ONCE, NULL, "status: for Prometheus", take_openmetrics },
	{ "guest-pcap", "FILE", 0, GIVE_OFTEN, NULL, "capture of what the VM sent", take_guest_pcap },
	{ "uplink-pcap", "FILE", 0, GIVE_OFTEN, NULL, "capture of what the network sent", take_uplink_pcap },
	{ "diff", "FILE", 0, GIVE_ONCE, NULL, "show what a policy file would decide otherwise", take_diff },
	{ "wildcard", "*.NAME,...", 0, GIVE_OFTEN, NULL, "policy suggest: one rule for all hosts below NAME",
	  take_wildcard },
	{ "host", "MAC,ADDR,...", 0, GIVE_ONCE, NULL, "the host itself, where it is not the gateway", take_host },
	{ "site", "PREFIX/48,...", 0, GIVE_OFTEN, NULL, "the host's own IPv6 sites", take_site },
	{ "sudo-escalation-probing", NULL, 0, GIVE_OFTEN, NULL, NULL, take_probe },
	{ "sudo-escalation-done", NULL, 0, GIVE_OFTEN, NULL, NULL, take_escalated },
};

enum { OPTION_LINES = sizeof option_lines / sizeof *option_lines };
const int option_line_count = OPTION_LINES;
_Static_assert(OPTION_LINES <= 64, "one bit each in options.seen");

/* Longs return their line's number plus this, so that they differ from letters and from '?' and ':'. */
enum { FIRST_LONG = 256 };

static void fill_getopt_tables(struct option *longs, char *letters)
{
	*letters++ = '+'; /* stop at the first word that is no option */
	*letters++ = ':'; /* report a missing value apart */
	for (int i = 0; i < OPTION_LINES; i++) {
		longs[i] = (struct option){ option_lines[i].name,
					    option_lines[i].argument ? required_argument : no_argument, NULL,
					    FIRST_LONG + i };
		if (option_lines[i].letter != 0)
			*letters++ = option_lines[i].letter;
	}
	longs[OPTION_LINES] = (struct option){ NULL, 0, NULL, 0 };
	*letters = '\0';
}

static const struct option_line *find_line(int found)
{
	if (found >= FIRST_LONG && found < FIRST_LONG + OPTION_LINES)
		return &option_lines[found - FIRST_LONG];
	for (int i = 0; i < OPTION_LINES; i++)
		if (found > 0 && found == option_lines[i].letter)
			return &option_lines[i];
	return NULL;
}

/* The error of an option's value gets the option's name in front. */
static bool name_option(const struct option_line *line, struct error *error)
{
	struct error cause = *error;
	return refuse(error, "--%s: %s", line->name, cause.text);
}

static bool take_option(struct options *options, const struct option_line *line, const char *value, struct error *error)
{
	uint64_t bit = 1ULL << (line - option_lines);
	if (line->times == GIVE_ONCE && (options->seen & bit) != 0)
		return refuse(error, "--%s: given twice", line->name);
	options->seen |= bit;
	return line->take(options, value, error) || name_option(line, error);
}

/* getopt_long takes abbreviations; a script that uses one would change its meaning with the next version. */
static bool is_spelled_out(const char *word, const struct option_line *line)
{
	size_t length = strlen(line->name);
	return strncmp(word, "--", 2) != 0 ||
	       (strncmp(word + 2, line->name, length) == 0 && (word[2 + length] == '\0' || word[2 + length] == '='));
}

static const char *name_of_option(size_t i)
{
	return i >= OPTION_LINES ? NULL : option_lines[i].help ? option_lines[i].name : "";
}

static bool refuse_word(const char *word, struct error *error)
{
	size_t dashes = strspn(word, "-"), length = strcspn(word, "="); /* the name is at fault, not its value */
	const char *guess = guess_word(word + dashes, length - dashes, name_of_option);
	if (guess)
		return refuse(error, "%.*s: unknown option; did you mean --%s?", length > 60 ? 60 : (int)length, word,
			      guess);
	return refuse(error, "%.*s: unknown option; softnet --help lists them", length > 60 ? 60 : (int)length, word);
}

static bool take_words(int argc, char **argv, struct options *options, struct error *error)
{
	struct option longs[OPTION_LINES + 1];
	char letters[OPTION_LINES + 3];
	fill_getopt_tables(longs, letters);
	opterr = 0;
	for (;;) {
		int next = optind > 0 ? optind : 1; /* 0: getopt_long has not begun */
		const char *word = next < argc ? argv[next] : "";
		int found = getopt_long(argc, argv, letters, longs, NULL);
		const struct option_line *line = find_line(found);
		if (found == -1)
			return true;
		if (found == ':' && find_line(optopt) && is_spelled_out(word, find_line(optopt)))
			return refuse(error, "--%s: expected a value: %s", find_line(optopt)->name,
				      find_line(optopt)->argument);
		if (found == '?' && optopt >= FIRST_LONG && is_spelled_out(word, find_line(optopt)))
			return refuse(error, "--%s: takes no value", find_line(optopt)->name);
		if (!line || !is_spelled_out(word, line))
			return refuse_word(word, error);
		/* A forgotten value must not swallow the option behind it; --name=--value still can. */
		if (optarg && optarg == argv[optind - 1] && strncmp(optarg, "--", 2) == 0)
			return refuse(error, "--%s: expected a value: %s", line->name, line->argument);
		if (!take_option(options, line, optarg, error))
			return false;
	}
}

/* --help, help, -h, -vh ...: asked for wherever it stands, but not in the command of `softnet run`. */
static enum wanted find_question(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "help") == 0)
		return WANT_HELP;
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *word = argv[i];
		bool is_cluster = word[0] == '-' && word[1] != '\0' && word[1 + strspn(word + 1, "vhV")] == '\0';
		if (strcmp(word, "--help") == 0 || (is_cluster && strchr(word, 'h')))
			return WANT_HELP;
		if (strcmp(word, "--version") == 0 || (is_cluster && strchr(word, 'V')))
			return WANT_VERSION;
		if (strcmp(word, "--sudo-escalation-probing") == 0)
			return WANT_PROBE;
	}
	return WANT_GUARD;
}

/* An address that could never be used is a mistake in the command. */
static bool check_static_ipv6(const struct options *options, struct error *error)
{
	char text[ADDRESS_TEXT];
	for (uint32_t i = 0; i < options->static_count; i++)
		if (!is_ipv4(options->statics[i].address) && !wants_ipv6(options, NULL))
			return refuse(error, "--%s: \"%s\": expected --ipv6 guard with it: IPv6 is off by %s",
				      option_of_static(&options->statics[i]),
				      format_address(options->statics[i].address, text),
				      options->ipv6 == IPV6_OFF ? "--ipv6" : "the rules, which are all of IPv4");
	return true;
}

static bool check_exposes(const struct options *options, struct error *error)
{
	for (uint32_t i = 0; i < options->expose_count; i++)
		if (!is_ipv4(options->exposes[i].expose.external) && !wants_ipv6(options, NULL))
			return refuse(error, "--expose: \"%s\": expected --ipv6 guard with it: IPv6 is off by %s",
				      options->exposes[i].text,
				      options->ipv6 == IPV6_OFF ? "--ipv6" : "the rules, which are all of IPv4");
	return true;
}

/* --inbound none says that nobody opens, so an option that opens something contradicts it. */
static bool check_inbound(const struct options *options, struct error *error)
{
	char text[RULE_TEXT];
	const struct written_rule *opening = find_inbound_allow(&options->rules);
	if (options->inbound != INBOUND_NONE)
		return true;
	if (opening)
		return refuse(error, "--inbound: \"none\": expected no allow rule such as \"%s\" with it",
			      format_rule(&opening->text, text));
	return options->expose_count == 0 || refuse(error, "--inbound: \"none\": expected no --expose with it");
}

/* A descriptor that is already somebody's network. */
static bool check_control_fd(const struct options *options, struct error *error)
{
	char text[32];
	snprintf(text, sizeof text, "fd:%d", options->control_fd);
	const char *owner = NULL;
	if (options->control_fd == options->vm_fd)
		owner = "--vm-fd";
	else if (options->guest && strcmp(options->guest, text) == 0)
		owner = "--guest";
	else if (options->uplink && strcmp(options->uplink, text) == 0)
		owner = "--uplink";
	if (options->control_fd < 0 || !owner)
		return true;
	return refuse(error, "--control-fd: \"%d\": expected another descriptor than that of %s", options->control_fd,
		      owner);
}

/* How the VM is reached. */
static bool check_guest(const struct options *options, struct error *error)
{
	if (options->wanted == WANT_RUN && options->vm_fd >= 0)
		return refuse(error, "--vm-fd: not with `softnet run`, which makes the socket itself");
	if (options->vm_fd >= 0 && options->guest)
		return refuse(error, "--guest: not together with --vm-fd");
	if (options->wanted == WANT_GUARD && options->vm_fd < 0 && !options->guest)
		return refuse(error, "--vm-fd: missing; give --vm-fd or --guest, or see softnet --help");
	return true;
}

/* Asked last: a user who starts from nothing hears first what is there and wrong. */
static bool check_mac(const struct options *options, struct error *error)
{
	bool is_guard = options->wanted == WANT_GUARD || options->wanted == WANT_ATTACH;
	return !is_guard || options->vm_mac != MAC_NONE ||
	       refuse(error, "--vm-mac-address: missing; it is the one that the hypervisor gives to the VM");
}

static int count_shared4(const struct options *options)
{
	int count = 0;
	for (uint32_t i = 0; i < options->static_count; i++)
		count += options->statics[i].is_shared && is_ipv4(options->statics[i].address);
	return count;
}

/* Live control and SIGHUP are told the same: rules_in_force.c. */
static bool check_attached_names(const struct options *options, struct error *error)
{
	if (options->wanted != WANT_ATTACH)
		return true;
	if (options->learns_names)
		return refuse(error, "--names: " LEARNING_WITH_ATTACH);
	return !has_names(&options->rules) || refuse(error, "--allow, --policy: " NAMES_WITH_ATTACH);
}

/* A guard without a process: the programs decide alone, and nobody tells. */
static bool check_leave(const struct options *options, struct error *error)
{
	const struct {
		const char *name;
		bool is_given;
	} of_process[] = { { "reject", options->reject },          { "state", options->state_file },
			   { "control", options->control_path },   { "control-fd", options->control_fd >= 0 },
			   { "events", options->event_count > 0 }, { "pcap", options->pcap },
			   { "metrics", options->metrics } };
	if (!options->leaves)
		return true;
	if (options->wanted != WANT_ATTACH)
		return refuse(error, "--leave: only with `softnet attach`");
	for (size_t i = 0; i < sizeof of_process / sizeof *of_process; i++)
		if (of_process[i].is_given)
			return refuse(error, "--%s: not together with --leave, which leaves no process that could do it",
				      of_process[i].name);
	if (has_vms(&options->rules))
		return refuse(error,
			      "--allow, --policy: vm: not together with --leave: nobody will be there to follow a VM");
	return (options->dhcp_off && options->static_count > 0) ||
	       refuse(error, "--leave: expected --vm-ip and --no-dhcp with it: nobody will be there to read DHCP");
}

/* What no option can tell by itself. */
static bool check_together(const struct options *options, struct error *error)
{
	if (!check_verb(options, error) || !check_guest(options, error))
		return false;
	const struct port_kind *uplink = options->uplink ? port_kind_of(options->uplink) : NULL;
	if (options->host_only && uplink && !uplink->can_be_host_only)
		return refuse(error, "--vm-net-type: \"host\": expected --uplink %s with it", platform_uplink);
	if (options->dhcp_off && options->static_count == 0)
		return refuse(error, "--no-dhcp: expected --vm-ip with it, or the VM could never send anything");
	if (!options->dhcp_off && count_shared4(options) == BINDINGS4_MAX)
		return refuse(error,
			      "--shared-ip: more than %d IPv4 addresses leave no place for a lease; "
			      "expected --no-dhcp with it",
			      BINDINGS4_MAX - 1);
	return check_attached_names(options, error) && check_leave(options, error) &&
	       check_control_fd(options, error) && check_inbound(options, error) && check_static_ipv6(options, error) &&
	       check_exposes(options, error) && check_mac(options, error);
}

static void set_defaults(struct options *options)
{
	static const struct rate rates[RATE_CLASSES_END] = {
#define X(class, text, refill_per_1000_s, most, reason) [RATE_OF_##class] = { refill_per_1000_s, most },
		RATE_CLASSES(X)
#undef X
	};
	size_t behind = offsetof(struct options, rules) + sizeof options->rules;
	memset(options, 0, offsetof(struct options, rules));
	memset((char *)options + behind, 0, sizeof *options - behind);
	options->rules.count = 0; /* and no page of the thousands that there may be is touched */
	options->vm_fd = -1;
	options->control_fd = -1;
	options->mtu = 1500;
	options->sandbox_off = !platform_has_sandbox;
	options->lease_time_s = LEASE_TIME_S;
	options->pcap_size = 64 << 20;
	options->pcap_files = 2;
	memcpy(options->rates, rates, sizeof rates);
}

bool parse_options(int argc, char **argv, struct options *options, struct error *error)
{
	set_defaults(options);
	options->wanted = find_question(argc, argv);
	if (options->wanted == WANT_HELP)
		return find_topic(argc, argv, &options->help_of, error);
	if (options->wanted != WANT_GUARD)
		return true;
	int verbs = take_verb(argc, argv, options, error);
	if (verbs > 0 && (options->wanted == WANT_ATTACH || options->wanted == WANT_DETACH))
		verbs = take_attached(argc, argv, options, error);
	if (verbs < 0)
		return false;
	argc -= verbs;
	argv += verbs;
	platform_restart_getopt();
	if (!take_words(argc, argv, options, error))
		return false;
	normalize_rules(&options->rules);
	bool has_separator = strcmp(argv[optind - 1], "--") == 0;
	return take_operands(argv + optind, has_separator, options, error) && check_together(options, error);
}

bool wants_isolation(const struct options *options)
{
	return options->isolation_given ? options->isolation : !opens_ipv4(&options->rules);
}

bool isolates_port(const struct options *options)
{
	return wants_isolation(options) && !options->hears_vms && !has_vms(&options->rules);
}

const char *option_of_static(const struct static_address *a)
{
	return a->is_shared ? "shared-ip" : "vm-ip";
}

bool speaks_both_ways(const struct options *options, const struct rule_list *rules)
{
	return !options->inbound_given && has_directional_rules(rules);
}

/*
 * A direction that is open where no rule decides must not have rules for IPv4 alone; and rules that are all of IPv4
 * were written without IPv6 in mind, whatever their direction.
 */
bool wants_ipv6_with(const struct options *options, const struct rule_list *rules, const char **why)
{
	struct named_families named = find_named_families(rules, speaks_both_ways(options, rules));
	uint8_t open = options->inbound == INBOUND_ANY ? OUTWARD | INWARD : OUTWARD;
	bool is_all_ipv4 = named.ipv4 != 0 && named.ipv6 == 0, is_lopsided = (named.ipv4 & ~named.ipv6 & open) != 0;
	const char *reason = is_all_ipv4       ? "auto: rules name prefixes of IPv4 and none of IPv6"
			     : is_lopsided     ? "auto: rules of one direction name prefixes of IPv4 and none of IPv6"
			     : named.ipv6 != 0 ? "auto: a rule names a prefix of IPv6"
					       : "auto: no rule names a prefix of IPv4";
	if (options->ipv6 != IPV6_AUTO)
		reason = "--ipv6";
	if (why)
		*why = reason;
	return options->ipv6 == IPV6_AUTO ? !is_all_ipv4 && !is_lopsided : options->ipv6 == IPV6_GUARD;
}

bool wants_ipv6(const struct options *options, const char **why)
{
	return wants_ipv6_with(options, &options->rules, why);
}
