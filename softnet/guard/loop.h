/* The relay: one thread that carries frames both ways, past the judge, until somebody ends it. */
#pragma once
#include "softnet/events/announce.h"
#include "softnet/hints/asking.h"
#include "softnet/capture/capture.h"
#include "softnet/claims/claims.h"
#include "softnet/launch/command.h"
#include "softnet/control/control.h"
#include "softnet/counts/counters.h"
#include "softnet/events/drop_events.h"
#include "softnet/events/name_events.h"
#include "softnet/setup/exposes.h"
#include "softnet/hints/gateway_watch.h"
#include "softnet/options/options.h"
#include "softnet/counts/metrics_file.h"
#include "softnet/own/lease_questions.h"
#include "softnet/own/questions.h"
#include "softnet/own/rejections.h"
#include "softnet/setup/sites.h"
#include "softnet/saved/state_file.h"
#include "softnet/guard/uplink.h"
#include "system/sandbox/sandbox.h"

enum relay_end {
	RELAY_GOES_ON,
	RELAY_STOPPED,     /* by a signal */
	RELAY_GUEST_GONE,  /* for good */
	RELAY_PARENT_GONE, /* Tart keeps our end of the guest's socket open, so only its own end tells */
	RELAY_UPLINK_GONE,
	RELAY_COMMAND_ENDED
};

struct kernel_guard;

/* Filled by start.c; memory is static, nothing is allocated while frames flow. */
struct relay {
	struct options *options;
	struct guard_memory *memory;         /* what methods change in it, they change as a whole: setup.h */
	const struct rule_list *rules;       /* in force, normalized */
	struct rule_list *rule_lists;        /* for next_rules(), where another process reads rules; NULL: its own */
	const struct rule_list *rules_aside; /* the one that it works on */
	struct guard guard;
	struct port *port[DIRECTIONS]; /* the source of that direction's frames */
	struct kernel_guard *kernel;   /* NULL: ports move the frames. Else they stay in the kernel: kernel_relay.h */
	struct anchors anchors;        /* as the uplink has them */
	struct uplink_watch uplink;
	struct counters counters;
	struct exposes exposes;
	struct rejections rejections;
	struct questions questions;
	struct lease_questions lease_questions;
	struct state_file *file; /* these three in memory that the process shares which writes them: files_aside.c */
	struct metrics_file *metrics;
	struct capture *capture;
	/* Whose processes write files, and read those of --policy; NULL: this one does. */
	struct deferred_queue *queue, *state_queue, *log_queue, *policy_queue;
	struct policy_reading *reading; /* of files that SIGHUP asked for; NULL: there are none */
	struct site_watch sites;
	struct control control;
	struct announcer announcer;
	struct drop_events drop_events;
	struct name_events name_events;
	struct asking asking;
	struct gateway_watch gateway;
	struct claims claims;
	bool has_claims;                      /* others may be on the uplink's network */
	struct vm_addresses vms;              /* that the rules in force name; the policy knows them */
	uint64_t vms_looked_ms, vms_until_ms; /* then the first of these ends, if its guard says nothing else before */
	struct command *command;              /* NULL: somebody else has started us */
	pid_t parent;                         /* 0: it does not matter whether it lives */
	int channel;                          /* of escalation.h; -1: none */
	struct sandbox sandbox;
	const struct sandbox *aside; /* of the process that reads rules; NULL: there is none */

	uint64_t now_ms; /* read once per turn */
	uint64_t started_ms, started_wall_ms;
	uint64_t expires_ms;                /* when the next binding does */
	uint64_t tick_ms;                   /* the last one; about one a second while anything happens: resting.h */
	uint64_t stirred_ms;                /* when it last woke for anything else than the tick */
	uint64_t away_since_ms[DIRECTIONS]; /* since when that port says that no frame can pass; 0: it says nothing */
	bool has_more[DIRECTIONS];          /* the last batch was full */
	bool has_uplink_news;
	bool has_news_of_vms;
	bool has_signal;
	bool sleeps_for_tick, has_stirred;
};

enum relay_end run_relay(struct relay *);

/* What became of a frame, as far as the guard has a say in it: one that passes is counted when it was sent. */
void account_for(struct relay *, enum direction, const struct packet *, enum verdict);

/* A frame of the guest was dropped: it may have a lease that nobody here has seen. */
void ask_for_lease(struct relay *, const struct frame *, unsigned verdict);

/* The same for a frame that has waited, when it is dropped. */
void account_for_held(struct relay *, const struct packet *, enum verdict);

/* To the port of that direction; frames that it did not take are counted. False: it is gone for good. */
bool send_passed(struct relay *, enum direction, const struct packet *, uint32_t n);

/* On what it decides. */
struct trust trust_of(const struct relay *);

/* Events that were held back, and why it ends; the files of state and metrics; and, with -v, the summary. */
void finish_relay(struct relay *, const char *why);
