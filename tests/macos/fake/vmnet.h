/* The double of an interface of vmnet; see vmnet.c and rules.c. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <vmnet/vmnet.h>
#include "wire.h"

enum { RULES_MAX = 256 };

/* A forwarding: here, a socket that holds the port of the host. */
struct rule {
	uint8_t protocol, family;
	uint16_t port;
	int fd;
};

struct vmnet_interface {
	struct wire wire;
	uint32_t packet_max;
	atomic_bool is_reading, is_writing;
	unsigned reads, writes; /* calls so far */

	pthread_t watcher;
	int poke; /* an eventfd that makes the watcher look again */

	pthread_mutex_t lock; /* of what follows */
	bool has_watcher, is_stopped;
	unsigned callbacks; /* so far */
	unsigned running;   /* of them, now: more than one only at the end, with the fault "late-callback" */
	bool is_spent;      /* fault "edge": no other one until vmnet_read() found nothing left */
	dispatch_queue_t queue;
	vmnet_interface_event_callback_t callback;
	dispatch_queue_t answers; /* where the framework tells of rules */
	struct rule rules[RULES_MAX];
	unsigned rule_count;
};

void poke(interface_ref);
/* Ends the program when the interface was stopped before. */
void check_running(interface_ref, const char *call);
void close_rules(interface_ref);
