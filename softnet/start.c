/*
 * How a guard starts. The order is the security of the program: what was inherited is put in order; options have been
 * checked as a whole; what needs root is opened; the keeper of the command of `softnet run` is forked; privileges go, with
 * proof; only then is a file read that somebody may have written, and only then a frame. prepare() below is that order.
 */
#include "softnet/start.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "softnet/setup/anchors.h"
#include "softnet/guard/claiming.h"
#include "softnet/confining.h"
#include "system/clock.h"
#include "softnet/launch/bootpd.h"
#include "softnet/launch/command.h"
#include "softnet/methods/control_methods.h"
#include "softnet/launch/escalation.h"
#include "softnet/events/events.h"
#include "softnet/guard/keeping.h"
#include "softnet/guard/hold_relay.h"
#include "softnet/guard/kernel_relay.h"
#include "softnet/leaving.h"
#include "system/log.h"
#include "softnet/guard/loop.h"
#include "softnet/guard/rules_in_force.h"
#include "softnet/opening.h"
#include "softnet/options/options.h"
#include "system/platform.h"
#include "system/process/privileges.h"
#include "softnet/control/registry.h"
#include "softnet/launch/resolvers.h"
#include "softnet/setup/free_ports.h"
#include "softnet/setup/setup.h"
#include "system/process/signals.h"

static struct {
	int count;
	char **first;
} words; /* of the command line */
static struct options *options;
static struct identities identities;
static struct guard_memory memory;
static struct registry registry;
static struct command command;
static struct relay relay = { .memory = &memory };
static pid_t own_number;

enum { LAST_EVENTS_MS = 200 };

static void on_port_report(const struct port *port, const char *sentence)
{
	tell_port_report(port, sentence);
	announce_port(&relay.announcer, port->name, sentence, clock_ms());
}

static bool on_question(void *context, const uint8_t *frame, uint32_t length)
{
	struct relay *r = context;
	return send_question(&r->questions, frame, length);
}

static void on_expose_failure(void *context, const char *failure)
{
	struct relay *r = context;
	announce_port(&r->announcer, r->exposes.uplink->name, failure, r->now_ms);
}

static _Noreturn void die_of_port(const char *option, const struct error *error)
{
	if (error->status == EXIT_USAGE)
		die_usage("%s: %s", option, error->text);
	die("%s: %s", option, error->text);
}

/* Frames that are to be cut come and go where both ports take some, and each frame may be many. */
static unsigned cuts_for(enum port_side side)
{
	unsigned guest = port_cuts(options->guest), uplink = port_cuts(options->uplink);
	bool is_on = !options->no_offload && guest && uplink && !has_names(&options->rules) && !options->learns_names;
	return !is_on ? 0 : side == GUEST_SIDE ? uplink : guest;
}

static struct port_settings settings_for(enum port_side side)
{
	return (struct port_settings){
		.side = side,
		.max_frame = 14 + options->mtu,
		.cuts = cuts_for(side),
		.isolation = isolates_port(options),
		/* Only by name: 0.0.0.0/0 is said by people who think of the network, not of this host's own services. */
		.host_loopback = opens_host(&options->rules),
		.host_only = options->host_only,
		.ipv6 = wants_ipv6(options, NULL),
		.sandbox_off = options->sandbox_off,
		.guest_mac = options->vm_mac,
	};
}

/* In `softnet run` the command gets the other end of a socketpair, unless --guest says how it will come. */
static bool makes_pair(void)
{
	return options->vm_fd < 0 && !options->guest;
}

static struct port *open_guest(int *peer_fd)
{
	struct port_settings settings = settings_for(GUEST_SIDE);
	struct error error = { 0 };
	struct port *port;
	char text[32];
	snprintf(text, sizeof text, "fd:%d", options->vm_fd);
	if (makes_pair())
		port = port_open_pair(&settings, peer_fd, &error);
	else
		port = port_open(options->guest ? options->guest : text, &settings, &error);
	if (!port)
		die_of_port(options->vm_fd >= 0 ? "--vm-fd" : options->guest ? "--guest" : "run", &error);
	return port;
}

/* --- what is opened when --- */

enum stage {
	WITH_ROOT,     /* as we were started; an inherited descriptor is closed on exec only from then on */
	BEHIND_FORK,   /* the same, when the keeper has been forked */
	WITHOUT_RIGHTS /* as the user that the guard becomes */
};

static struct {
	enum stage control, registry, guest, uplink;
} plan;

static bool has_callers_rights(void)
{
	return getuid() == geteuid();
}

/* Root opens a path only where no user is known who could own it. */
static enum stage stage_of_paths(void)
{
	return has_callers_rights() && !identities.command.change ? WITH_ROOT : WITHOUT_RIGHTS;
}

/* Under set-user-id a stranger's paths and interfaces are tried with the stranger's rights. */
static enum stage stage_of_port(const char *text)
{
	const struct port_kind *kind = port_kind_of(text);
	switch (kind ? kind->opens : OPENS_WITHOUT_RIGHTS) {
	case OPENS_AT_ONCE:
		return WITH_ROOT;
	case OPENS_AS_INTERFACE: /* by root, or with capabilities that somebody gave on purpose */
		return has_callers_rights() ? WITH_ROOT : WITHOUT_RIGHTS;
	case OPENS_AS_PATH:
		return stage_of_paths();
	case OPENS_BEHIND_FORK:
		return BEHIND_FORK;
	case OPENS_UNSAID:
	case OPENS_WITHOUT_RIGHTS:
		break;
	}
	return WITHOUT_RIGHTS;
}

/*
 * Root's guards are listed in root's folder, and those that become nobody too: as nobody anybody could take their place. Not
 * those whose --control is opened later, as nobody: that is no socket of root's.
 */
static enum stage stage_of_registry(void)
{
	bool is_roots = geteuid() == 0 && getuid() == 0 &&
			(!identities.command.change || is_nobody(identities.guard.uid));
	return is_roots && (!options->control_path || plan.control == WITH_ROOT) ? WITH_ROOT : WITHOUT_RIGHTS;
}

static void make_plan(void)
{
	plan.control = stage_of_paths();
	plan.registry = stage_of_registry();
	plan.guest = options->guest ? stage_of_port(options->guest) : WITH_ROOT;
	plan.uplink = stage_of_port(uplink_text(options));
}

/* --- how each is opened --- */

/* The uplink of `softnet attach` has no kind that can be named. */
static const struct port_kind *uplink_kind(void)
{
	static const struct port_kind none;
	const struct port_kind *kind = port_kind_of(uplink_text(options));
	return kind ? kind : &none;
}

static bool is_leased_by_bootpd(void)
{
	const struct port_kind *kind = uplink_kind();
	return kind->is_leased_by_bootpd && kind->is_leased_by_bootpd(port_argument_of(uplink_text(options)));
}

static void prepare_bootpd(void)
{
	if (is_leased_by_bootpd())
		set_or_ask_for_bootpd(options->lease_time_s);
}

/* Where nobody has given us root, and the uplink wants it, or has just shown that it does. Returns where that cannot be. */
static void ask_for_root(const char *why)
{
	struct error cause;
	if (geteuid() == 0 || options->escalated || !uplink_kind()->wants_root)
		return;
	if (options->control_fd >= 0 && relay.control.inherited.fd > 2)
		dup2(relay.control.inherited.fd, options->control_fd); /* it was taken, and is wanted there again */
	escalate(words.count, words.first, options, &cause);
	die("--uplink: %s: %s", why, cause.text);
}

static struct port *open_uplink(void)
{
	struct port_settings settings = settings_for(UPLINK_SIDE);
	struct error error = { 0 };
	char taken[TAKEN_TEXT];
	if (uplink_kind()->listens_here && find_taken(options->exposes, options->expose_count, taken))
		die("--expose: %s", taken);
	if (geteuid() == 0)
		prepare_bootpd();
	struct port *port = port_open(uplink_text(options), &settings, &error);
	if (!port && error.status != EXIT_USAGE && options->wanted == WANT_GUARD)
		ask_for_root(error.text);
	if (!port)
		die_of_port("--uplink", &error);
	if (geteuid() != 0)
		prepare_bootpd(); /* not before it is known that this user can have the network */
	if (options->expose_count > 0 && !port->kind->expose)
		die_usage("--expose: the uplink \"%s\" cannot forward ports", port->name);
	return port;
}

/* Before anything else is opened: what is printed from here on must not reach the other end. */
static bool open_control_fd(struct error *error)
{
	prepare_control(&relay.control, live_methods, &relay);
	return options->control_fd < 0 || take_control_descriptor(&relay.control, options->control_fd, error);
}

static void open_control_path(void)
{
	struct error error;
	if (options->control_path && !listen_control(&relay.control, options->control_path, &error))
		die("%s", error.text);
}

/* A MAC address for the VM where the command can be told it: locally administered, unicast, random. */
static void choose_mac(void)
{
	uint64_t random;
	if (options->vm_mac != MAC_NONE)
		return;
	if (!command_uses(options->command, "{mac}"))
		die_usage("--vm-mac-address: missing; give it, or write {mac} in the command to have one made up");
	if (!platform_random(&random, sizeof random))
		die("no random numbers can be had from the system");
	options->vm_mac = (random & 0xfcffffffffffULL) | 0x020000000000ULL;
	char text[MAC_TEXT];
	info("the VM's MAC address is %s", format_mac(options->vm_mac, text));
}

static void prepare_command(void)
{
	choose_mac();
	bool has_fd = command_uses(options->command, "{fd}");
	if (has_fd && options->guest)
		die_usage("run: {fd}: not together with --guest, which has no descriptor to hand over");
	if (!has_fd && !options->guest)
		warning("run: no {fd} in the command: it cannot know its network socket");
}

/* A user who types this as root may not expect that another user writes. */
__attribute__((format(printf, 1, 2))) static _Noreturn void die_of_file(const char *format, ...)
{
	char line[400], who[64] = "";
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (identities.guard.change)
		snprintf(who, sizeof who, " (as user %u; see --user)", (unsigned)identities.guard.uid);
	die("%s%s", line, who);
}

/* Files are opened with the rights that are left. */
static void prepare_events(void)
{
	struct error error;
	if (!start_announcer(&relay.announcer, &relay.control, options, clock_ms(), &error))
		die_of_file("%s", error.text);
}

static void prepare_relay(void)
{
	struct port *uplink = relay.port[TO_GUEST];
	relay.guard.ask = on_question;
	relay.guard.event = follow_event;
	relay.guard.names->event = follow_name;
	relay.guard.names->context = &relay;
	relay.guard.context = &relay;
	relay.questions.uplink = uplink;
	start_rejections(&relay.rejections, options->reject, clock_ms());
	relay.exposes = (struct exposes){ .count = options->expose_count,
					  .uplink = uplink,
					  .ipv6_off = memory.config.ipv6_off,
					  .tell = on_expose_failure,
					  .context = &relay };
	memcpy(relay.exposes.items, options->exposes, sizeof options->exposes);
	prepare_reading(&relay);
	relay.command = options->wanted == WANT_RUN ? &command : NULL;
	relay.now_ms = relay.started_ms = clock_ms();
	relay.started_wall_ms = wall_clock_ms();
}

static void open_files(void)
{
	const char *cause = prepare_capture(&relay);
	if (cause)
		die_of_file("--pcap: %s: cannot write: %s", options->pcap, cause);
	cause = prepare_metrics(&relay);
	if (cause)
		die_of_file("--metrics: %s: cannot write: %s", options->metrics, cause);
}

/* --- the order --- */

static int peer_fd = -1; /* the command's end of its network */

static void open_all(enum stage stage)
{
	if (stage == plan.control)
		open_control_path();
	if (stage == WITH_ROOT && options->wanted == WANT_RUN)
		prepare_command(); /* the ports want to know its MAC address */
	if (stage == WITH_ROOT && options->wanted == WANT_ATTACH) {
		open_kernel_relay(&relay, options, &relay.port[FROM_GUEST], &relay.port[TO_GUEST]);
		begin_leaving(options);
	}
	if (stage == plan.guest && !relay.kernel)
		relay.port[FROM_GUEST] = open_guest(&peer_fd);
	if (stage == plan.uplink && !relay.kernel)
		relay.port[TO_GUEST] = open_uplink();
	if (stage == plan.registry &&
	    !options->leaves) /* behind the ports of this stage: who sees the guard listed may start the VM */
		enter_registry(&registry, &relay.control);
}

/* With the rights that are left. */
static bool prepare_guard(struct error *error)
{
	struct port *uplink = relay.port[TO_GUEST];
	start_uplink(&relay.uplink, uplink, &relay.anchors, clock_ms());
	if (uplink->kind->anchors)
		uplink->kind->anchors(uplink, &relay.anchors);
	if (!make_guard(&relay.guard, &memory, options, &relay.anchors, clock_ms(), error))
		return false;
	warn_of_rules(options);
	if (uplink_kind()->names_resolvers && !options->host_only)
		tell_of_resolvers(wants_ipv6(options, NULL));
	tell_anchors(options, &relay.anchors, &memory.config);
	if (wants_ipv6(options, NULL) && !start_sites(&relay.sites, &memory.config.sites))
		die("cannot read this host's addresses: %s", strerror(errno));
	return true;
}

/* However it ends, so a start that fails leaves no socket and no tap. Not in a child: they are its parent's. */
static void leave(void)
{
	if (getpid() != own_number)
		return;
	for (int side = 0; side < DIRECTIONS; side++)
		if (relay.port[side])
			relay.port[side]->kind->close(relay.port[side]);
	leave_registry(&registry);
	await_deferred(relay.queue, LAST_EVENTS_MS);
	close_announcer(&relay.announcer);
	close_control(&relay.control);
}

/* Everything up to the first frame. EXIT_OK, or the status to end with. */
static int prepare(struct error *error)
{
	pid_t parent = getppid();
	if (platform_uplink_wants_root())
		ask_for_root("vmnet wants root");
	if (!open_control_fd(error) || !choose_identities(options->user, options->group, &identities, error))
		return EXIT_USAGE;
	own_number = getpid();
	atexit(leave);
	make_plan();
	open_all(WITH_ROOT);
	if (options->wanted == WANT_RUN)
		fork_keeper(&command, options->command, &(struct keeper_wish){ &identities, options->sandbox_off },
			    peer_fd, options->vm_mac);
	open_all(BEHIND_FORK);
	prepare_claims(&relay, options, relay.port[TO_GUEST]);
	drop_privileges(&identities);
	open_sites(&relay.sites, wants_ipv6(options, NULL)); /* on macOS root's own socket could always change routes */
	open_all(WITHOUT_RIGHTS);
	prepare_claims(&relay, options, relay.port[TO_GUEST]);
	if (!prepare_guard(error))
		return EXIT_USAGE;
	prepare_events();
	start_keeping(&relay, options, &memory.config, &memory.state);
	if (relay.kernel)
		take_kernel_state(&relay, &memory.state, hash_setup(options, &memory.config));
	prepare_relay();
	join_claims(&relay);
	join_other_vms(&relay);
	open_files();
	if (options->leaves)
		note_leaving(&relay);
	if (relay.kernel)
		start_kernel_relay(&relay);
	if (options->leaves)
		return EXIT_OK; /* there will be no frame here */
	if (options->wanted != WANT_RUN && options->vm_fd == 0)
		relay.parent = parent; /* Tart's form */
	confine_guard(&relay, registry.entry);
	return options->wanted == WANT_RUN ? start_command(&command) : EXIT_OK;
}

/* For the last event. */
static const char *why_it_ends(enum relay_end end)
{
	switch (end) {
	case RELAY_GUEST_GONE:
		return relay.port[FROM_GUEST]->gone;
	case RELAY_UPLINK_GONE:
		return relay.port[TO_GUEST]->gone;
	case RELAY_PARENT_GONE:
		return "the process that started softnet has ended";
	case RELAY_COMMAND_ENDED:
		return "the command has ended";
	case RELAY_STOPPED:
	case RELAY_GOES_ON:
		break;
	}
	return "stopped by a signal";
}

static int finish(enum relay_end end)
{
	const struct port *guest = relay.port[FROM_GUEST], *uplink = relay.port[TO_GUEST];
	bool is_run = options->wanted == WANT_RUN;
	if (end == RELAY_UPLINK_GONE)
		warning("the network is gone: %s: %s", uplink->name, uplink->gone);
	else if (end == RELAY_GUEST_GONE)
		info("guest is gone: %s", guest->gone);
	else if (end == RELAY_PARENT_GONE)
		info("guest is gone: the process that started softnet has ended");
	finish_relay(&relay, why_it_ends(end));
	if (is_run && end == RELAY_UPLINK_GONE)
		end_command(&command);
	else if (is_run && end == RELAY_GUEST_GONE)
		await_command(&command);
	return end == RELAY_UPLINK_GONE ? EXIT_RUNTIME : is_run ? command.status : EXIT_OK;
}

int run_guard(struct options *from, int word_count, char **first_word)
{
	struct error error;
	options = from;
	words.count = word_count;
	words.first = first_word;
	relay.options = options;
	relay.rules = &options->rules;
	/* First, while nothing of ours can have one of the numbers. */
	relay.channel = options->escalated ? take_over_descriptors(options) : -1;
	open_log();
	set_verbosity(options->verbose);
	port_report = on_port_report;
	claim_signals();
	int status = prepare(&error);
	if (status == EXIT_USAGE)
		die_usage("%s", error.text);
	if (status == EXIT_OK && !options->leaves)
		status = finish(run_relay(&relay));
	return status;
}
