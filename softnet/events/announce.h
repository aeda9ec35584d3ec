/*
 * Events: what operators' programs are told, as JSON objects, to --events and to those who subscribed by live control.
 * docs/observability.md has the kinds. What nobody hears is not made: ask is_heard() first.
 */
#pragma once
#include "core/learn/event.h"
#include "softnet/claims/claims.h"
#include "softnet/control/control.h"
#include "softnet/events/event_sinks.h"
#include "softnet/options/options.h"
#include "softnet/saved/state_file.h"

struct announcer {
	char vm[VM_NAME_MAX + 1]; /* its name, or its MAC address */
	struct event_sink *sinks; /* as many as options name, in memory of share_memory() */
	uint32_t sink_count;
	struct control *control; /* whose clients may subscribe; NULL: none */
	struct bucket bucket, port_bucket, name_bucket;
	uint64_t told, withheld;
	uint64_t untold; /* those withheld that no event has told of */
};

/* What the guest, or the network, can cause again and again shares a bucket; what is rare in itself does not wait for it. */
enum announced { IF_THERE_IS_ROOM, ALWAYS };

/* False: one of the --events cannot be written. */
bool start_announcer(struct announcer *, struct control *, const struct options *, uint64_t now_ms, struct error *);
void close_announcer(struct announcer *);

bool is_heard(const struct announcer *);

/* Takes the reference to `keys`, the object of the further ones; NULL: no memory. False: it is withheld. */
bool announce(struct announcer *, const char *event, json_t *keys, enum announced, uint64_t now_ms);

/* Each does nothing where nobody listens. */
void announce_learned(struct announcer *, const struct event *, uint64_t now_ms);
void announce_start(struct announcer *, uint64_t vm_mac, const char *guest, const char *uplink, uint64_t now_ms);
void announce_stop(struct announcer *, const char *why, uint64_t now_ms);
void announce_policy(struct announcer *, int allowing, int blocking, uint64_t now_ms);
void announce_no_answer(struct announcer *, uint64_t seconds, const char *hint, uint64_t now_ms);
/* hint: who answers in its name, and is refused; NULL: it is heard again. */
void announce_gateway(struct announcer *, struct address router, const char *hint, uint64_t now_ms);
void announce_answer(struct announcer *, uint64_t seconds, uint64_t now_ms);
void announce_state_file(struct announcer *, const struct state_file *, uint64_t now_ms);
void announce_claim(struct announcer *, const struct claim_conflict *, uint64_t now_ms);
void announce_port(struct announcer *, const char *port, const char *what, uint64_t now_ms);
/* Takes the reference to `keys`. The guest can cause these at will, so they have a part of the room only. */
void announce_name(struct announcer *, const char *event, json_t *keys, uint64_t now_ms);

/* Lines that sinks did not take. */
uint64_t lost_events(const struct announcer *);
json_t *json_events(const struct announcer *);
