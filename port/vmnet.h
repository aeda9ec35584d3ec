/* What the files of the vmnet port share: its one interface, and the forwardings of ports. */
#pragma once
#include <dispatch/dispatch.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <vmnet/vmnet.h>
#include "port/io.h"

struct vmnet_forwarding {
	bool used, has_news;
	uint32_t number;  /* what the framework says late about an earlier one is not for this one */
	uint32_t waiting; /* ports of which the framework has not told yet */
	struct expose_result result;
};

struct vmnet {
	struct port port;
	interface_ref interface;
	dispatch_queue_t queue;    /* serial: of the callback */
	dispatch_queue_t stopping; /* of the last word: `queue` may still hold a callback that waits */
	dispatch_semaphore_t drained;
	_Atomic bool is_parked, is_closing;
	int wake[2];                          /* the callback writes to [1], poll(2) watches [0] */
	bool is_failing;                      /* reading: tried again at resume_ms */
	uint64_t resume_ms;                   /* 0: not yet set */
	uint64_t now_ms;                      /* of the last service() */
	uint64_t told_read_ms, told_write_ms; /* when a fault was told last; 0: never */

	uint32_t frame_max; /* octets that the framework gives and takes at most */
	uint32_t limit;     /* of the settings */
	char segment[SEGMENT_TEXT];
	bool has_gateway;
	struct in_addr gateway;
	struct vmpktdesc descriptors[BATCH_MAX];
	struct iovec slots[BATCH_MAX];
	uint8_t *octets; /* BATCH_MAX times frame_max */

	pthread_mutex_t lock; /* of what stands below: the framework tells on its own threads */
	uint32_t last_number;
	bool is_closed;
	struct vmnet_forwarding forwardings[FORWARDINGS_MAX];
};

/* Makes poll(2) return. Any thread. */
void vmnet_wake(struct vmnet *);

/* vmnet_forward.c: the members of struct port_kind. */
void vmnet_expose(struct port *, const struct expose *, struct address guest, bool add);
bool vmnet_exposed(struct port *, struct expose_result *);
