/* What the user wrote on the command line, checked but not yet acted upon. */
#pragma once
#include <stdio.h>
#include <sys/types.h>
#include "core/judge/config.h"
#include "core/judge/state.h"
#include "softnet/rules/expose_text.h"
#include "softnet/rules/rule_vms.h"

enum { STATICS6_MAX = 4, STATICS_MAX = BINDINGS4_MAX + STATICS6_MAX };

enum wanted {
	WANT_GUARD,
	WANT_RUN,
	WANT_ATTACH,
	WANT_DETACH,
	WANT_CHECK,
	WANT_SHOW,
	WANT_SET,
	WANT_SUGGEST,
	WANT_STATUS,
	WANT_WATCH,
	WANT_REPLAY,
	WANT_POLICY, /* as a topic of help alone: all verbs of it */
	WANT_HELP,
	WANT_VERSION,
	WANT_PROBE
};

/* Which frames are captured, or shown by replay. FRAMES_UNSAID: the default of the verb. */
enum frames_wanted { FRAMES_UNSAID, FRAMES_DROPS, FRAMES_ALL, FRAMES_NONE };

enum {
	POLICY_FILES_MAX = 64,
	EVENT_FILES_MAX = 4,
	CAPTURES_MAX = 16,
	WILDCARDS_MAX = 64,
	SEGMENT_NAME_MAX = 48,
	PCAP_FILES_MAX = 1000
};

/* A capture to replay. */
struct capture_name {
	const char *path;
	enum capture_side { SIDE_OF_FRAME, SIDE_GUEST, SIDE_UPLINK } side;
};

/* The words of --inbound, and the names of --rate; NULL for RATE_FREE. */
extern const char *const inbound_names[INBOUND_NONE + 1], *const rate_names[RATE_CLASSES_END];

enum ipv6_mode { IPV6_AUTO, IPV6_GUARD, IPV6_OFF };

struct static_address {
	struct address address;
	uint32_t prefix_length; /* 0..32, or 0..128 in IPv6 */
	uint32_t is_shared;     /* --shared-ip; hashed as bytes */
};

struct options {
	enum wanted wanted;
	enum wanted help_of; /* WANT_HELP: which verb; WANT_HELP: the program */
	char **command;      /* WANT_RUN: what stands behind "--" */
	char **tuples;       /* WANT_CHECK: what stands behind the options */
	const char *name;    /* of the VM, or NULL; WANT_STATUS, WANT_WATCH: of the one to show */
	int verbose;
	uint64_t vm_mac;       /* MAC_NONE: not given */
	int vm_fd;             /* -1: not given */
	const char *interface; /* WANT_ATTACH, WANT_DETACH: of the port */
	const char *guest;     /* "kind:argument"; NULL: not given */
	const char *uplink;    /* NULL: the platform's */
	char labels[LABELS_MAX][VM_NAME_MAX + 1];
	uint32_t label_count;
	const char *segment;    /* "none", or a name; NULL: the uplink knows */
	const char *state_file; /* NULL: none */
	const char *user, *group;
	bool leaves;                     /* --leave */
	bool sandbox_off, gives_sandbox; /* --sandbox */
	bool host_only;                  /* --vm-net-type host */
	bool escalated;                  /* by sudo: stdin is the channel of escalation.h */
	uint32_t lease_time_s;           /* --bootpd-lease-time */
	bool strict_anchors, dhcp_off, no_resync, arp_conflicts_pass, strict_client_id;
	bool isolation_given, isolation;
	bool hears_vms; /* --isolation vms */
	bool ipv6_eui64_only;
	enum ipv6_mode ipv6;
	struct nat64_set nat64;
	uint32_t mtu;
	struct address_set gateways, servers, resolvers; /* both families */
	struct mac_set gateway_macs;
	struct host_names host_names;
	bool host_names_given;
	uint32_t static_count, expose_count;
	struct static_address statics[STATICS_MAX];
	struct exposed exposes[EXPOSES_MAX];
	struct rate rates[RATE_CLASSES_END];
	const char *policy_files[POLICY_FILES_MAX];
	uint32_t policy_file_count;
	struct rule_list rules; /* normalized; as started, whatever live control says later */
	bool inbound_given;
	enum inbound inbound;
	bool reject;
	bool ech_passes, any_question;       /* of names: --ech, --dns-questions */
	bool no_offload;                     /* --offload off */
	bool learns_names;                   /* --names learn */
	int control_fd;                      /* -1: not given */
	const char *control_path;            /* NULL: none */
	const char *events[EVENT_FILES_MAX]; /* paths, "stderr", "syslog" */
	uint32_t event_count;
	const char *pcap; /* NULL: none */
	enum frames_wanted frames;
	uint64_t pcap_size; /* octets */
	uint32_t pcap_files;
	const char *metrics;                        /* NULL: none */
	struct capture_name captures[CAPTURES_MAX]; /* WANT_REPLAY, WANT_SUGGEST */
	uint32_t capture_count;
	const char *diff;        /* WANT_REPLAY: a policy file, or NULL */
	uint32_t wildcard_count; /* WANT_SUGGEST */
	struct name wildcards[WILDCARDS_MAX];
	struct address_set resident; /* WANT_REPLAY: the host's own, where it is no router; a live guard asks the uplink */
	uint64_t resident_mac;
	struct site_set sites; /* WANT_REPLAY: those of the host; a live guard asks the system */
	bool json, openmetrics;
	uint64_t seen; /* one bit per line of the options table */
};

/*
 * --help and --version win over everything else on the line, errors included. False: the error says what is wrong, in
 * one line. Strings in options point into argv.
 */
bool parse_options(int argc, char **argv, struct options *, struct error *);

/* The rules of --allow and --block, and those that the files of --policy hold now. False: the error names file and line. */
bool reread_rules(const struct options *, struct rule_list *, struct error *);

/* Names need frames that wait, and octets that are put together: the guard in the kernel has neither. */
#define NAMES_WITH_ATTACH \
	"rules that name hosts do not go together with `softnet attach`; `softnet --guest` and `softnet run` take " \
	"them"
#define LEARNING_WITH_ATTACH \
	"\"learn\": not together with `softnet attach`; `softnet --guest`, `softnet run` and captures can be learned " \
	"from"

/* Isolation as --isolation says, or as the rules imply. */
bool wants_isolation(const struct options *);
/* And its port of the bridge. A port that is isolated neither hears nor reaches others that are, so no rule could open a VM. */
bool isolates_port(const struct options *);

/* --vm-ip or --shared-ip, without its dashes. */
const char *option_of_static(const struct static_address *);

/* Rules without a direction speak of both: docs/policy.md, Directions. */
bool speaks_both_ways(const struct options *, const struct rule_list *);

/*
 * IPv6 as --ipv6 says. auto: rules written for IPv4 alone must not leave a second family open, so with those it is off.
 * *why, unless NULL, is what decided.
 */
bool wants_ipv6(const struct options *, const char **why);
/* The same with other rules than those of the start. */
bool wants_ipv6_with(const struct options *, const struct rule_list *, const char **why);

/* verbs.c: the first words, and what each verb takes. take_verb() gives how many words there are, or -1. */
int take_verb(int argc, char **argv, struct options *, struct error *);
/* The same with the interface that comes behind `attach` and `detach`. */
int take_attached(int argc, char **argv, struct options *, struct error *);
/* The verb that help is asked for: WANT_HELP where none is named. False: a word that is none. */
bool find_topic(int argc, char **argv, enum wanted *, struct error *);
bool verb_takes(enum wanted, const char *option_name);
/* What stands behind the options: `words`, which may be none. */
bool take_operands(char **words, bool has_separator, struct options *, struct error *);
/* False: an option that the verb does not take. */
bool check_verb(const struct options *, struct error *);
/* True when an option was given that has a say in a verdict. */
bool decides_something(const struct options *);
/* Options that replay takes from the comment of a capture. */
bool may_stand_in_capture(const char *option_name);

/* One option of the table; help.c prints it, options.c takes it. */
struct option_line {
	const char *name, *argument; /* argument: NULL where the option has none */
	char letter;                 /* 0: none */
	enum { GIVE_ONCE, GIVE_OFTEN } times;
	const char *section; /* of --help, that starts with this option */
	const char *help;    /* NULL: hidden */
	bool (*take)(struct options *, const char *value, struct error *);
};

extern const struct option_line option_lines[];
extern const int option_line_count;
