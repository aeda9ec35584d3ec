/*
 * The network of macOS: vmnet.framework. Frames are read and written by the one thread of the guard; the framework only
 * wakes it, from a queue of its own.
 *
 * The framework calls back while frames wait, again and again. So the callback wakes the guard and then parks until the
 * guard has read everything. Nothing is lost whether the framework tells by level or by edge: reading goes on until nothing
 * comes, and a parked callback holds the queue on which the next one would come.
 */
#include "port/vmnet.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { START_S = 30, STOP_S = 5, PAUSE_MS = 100, QUIET_MS = 60000, FRAME_LIMIT = 1 << 17 };

/* There is one at most, and it stays: a block that comes late must find it. */
static struct vmnet the_vmnet = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct vmnet *vmnet_of(struct port *port)
{
	return (struct vmnet *)(void *)port;
}

/* In words, for users. */
static const char *vmnet_status_text(vmnet_return_t status)
{
	switch ((uint32_t)status) {
	case VMNET_SUCCESS:
		return "success";
	case VMNET_FAILURE:
		return "refused; it wants root, or on macOS 26 the entitlement com.apple.security.virtualization; or a "
		       "VPN or an unclean end of another VM holds the network";
	case VMNET_MEM_FAILURE:
		return "out of memory";
	case VMNET_INVALID_ARGUMENT:
		return "invalid argument";
	case VMNET_SETUP_INCOMPLETE:
		return "the interface is not set up";
	case VMNET_INVALID_ACCESS:
		return "permission denied";
	case VMNET_PACKET_TOO_BIG:
		return "packet too big";
	case VMNET_BUFFER_EXHAUSTED:
		return "buffers of the system are full";
	case VMNET_TOO_MANY_PACKETS:
		return "too many packets at once";
	case 1009: /* VMNET_SHARING_SERVICE_BUSY, not in every SDK */
		return "Internet Sharing is busy with the network";
	case 1010: /* VMNET_NOT_AUTHORIZED, macOS 26 */
		return "not authorized";
	default:
		return "an unknown fault";
	}
}

/* What the user asked for: "nat", "host", "bridged=IF", or "" for what --vm-net-type says. */
struct wish {
	operating_modes_t mode;
	char interface[64]; /* VMNET_BRIDGED_MODE */
};

static bool read_wish(const char *argument, const struct port_settings *settings, struct wish *wish, struct error *error)
{
	static const char bridged[] = "bridged=";
	*wish = (struct wish){ .mode = settings->host_only ? VMNET_HOST_MODE : VMNET_SHARED_MODE };
	if (settings->side != UPLINK_SIDE)
		return usage_error(error, "vmnet is a way to the network, not to the VM");
	if (*argument == '\0' || (strcmp(argument, "nat") == 0 && !settings->host_only))
		return true;
	if (strcmp(argument, "host") == 0)
		wish->mode = VMNET_HOST_MODE;
	else if (strncmp(argument, bridged, sizeof bridged - 1) == 0 && argument[sizeof bridged - 1] != '\0' &&
		 strlen(argument) < sizeof wish->interface && !settings->host_only)
		wish->mode = VMNET_BRIDGED_MODE;
	else
		return usage_error(error, "vmnet:%.60s: expected %s", argument,
				   settings->host_only ? "host, as --vm-net-type says"
						       : "nat, host or bridged=INTERFACE");
	if (wish->mode == VMNET_BRIDGED_MODE)
		copy_text(wish->interface, sizeof wish->interface, argument + sizeof bridged - 1);
	return true;
}

/* The framework would only say "invalid argument". */
static bool check_interface(const char *name, struct error *error)
{
	xpc_object_t list = vmnet_copy_shared_interface_list();
	char names[160] = "";
	bool is_there = false;
	for (size_t i = 0; list && i < xpc_array_get_count(list); i++) {
		const char *item = xpc_array_get_string(list, i);
		size_t at = strlen(names);
		if (!item)
			continue;
		is_there |= strcmp(item, name) == 0;
		snprintf(names + at, sizeof names - at, "%s%.20s", at > 0 ? ", " : "", item);
	}
	if (list)
		xpc_release(list);
	return is_there || refuse(error, "vmnet:bridged=%.60s: no interface that can be bridged (there are: %s)", name,
				  names[0] != '\0' ? names : "none");
}

static xpc_object_t describe_wish(const struct wish *wish, const struct port_settings *settings)
{
	enum { ETHERNET_HEADER_OCTETS = 14, USUAL_MTU = 1500 };
	xpc_object_t wanted = xpc_dictionary_create(NULL, NULL, 0);
	uint32_t mtu = settings->max_frame - ETHERNET_HEADER_OCTETS;
	xpc_dictionary_set_uint64(wanted, vmnet_operation_mode_key, wish->mode);
	xpc_dictionary_set_bool(wanted, vmnet_enable_isolation_key, settings->isolation);
	/* The VM has its own. */
	xpc_dictionary_set_bool(wanted, vmnet_allocate_mac_address_key, false);
	if (wish->mode == VMNET_BRIDGED_MODE)
		xpc_dictionary_set_string(wanted, vmnet_shared_interface_name_key, wish->interface);
	else if (mtu != USUAL_MTU)
		xpc_dictionary_set_uint64(wanted, vmnet_mtu_key, mtu);
	return wanted;
}

/* What the framework says when the interface is up; copied, since it lives as long as the block. */
struct start {
	vmnet_return_t status;
	uint64_t packet_max;
	char gateway[INET_ADDRSTRLEN];
};

/* Waits for the framework, which may ask others first; but not without end. */
static bool start_interface(struct vmnet *v, xpc_object_t wanted, struct start *answer)
{
	__block struct start start = { .status = VMNET_FAILURE };
	dispatch_semaphore_t done = dispatch_semaphore_create(0);
	v->interface = vmnet_start_interface(wanted, v->queue, ^(vmnet_return_t status, xpc_object_t parameters) {
	  start.status = status;
	  if (status == VMNET_SUCCESS && parameters) {
		  const char *gateway = xpc_dictionary_get_string(parameters, vmnet_start_address_key);
		  start.packet_max = xpc_dictionary_get_uint64(parameters, vmnet_max_packet_size_key);
		  snprintf(start.gateway, sizeof start.gateway, "%s", gateway ? gateway : "");
	  }
	  dispatch_semaphore_signal(done);
	});
	bool has_answer =
	    !v->interface ||
	    dispatch_semaphore_wait(done, dispatch_time(DISPATCH_TIME_NOW, START_S * (int64_t)NSEC_PER_SEC)) == 0;
	if (!has_answer)
		return false; /* the block may still come, and wants the semaphore */
	dispatch_release(done);
	*answer = start;
	return true;
}

static void unpark(struct vmnet *v)
{
	if (atomic_exchange(&v->is_parked, false))
		dispatch_semaphore_signal(v->drained);
}

void vmnet_wake(struct vmnet *v)
{
	ssize_t written = write(v->wake[1], "", 1);
	(void)written; /* full: it will wake anyway */
}

static vmnet_return_t listen_for_frames(struct vmnet *v)
{
	return vmnet_interface_set_event_callback(v->interface, VMNET_INTERFACE_PACKETS_AVAILABLE, v->queue,
						  ^(interface_event_t event, xpc_object_t details) {
						    (void)event;
						    (void)details;
						    atomic_store(&v->is_parked, true);
						    vmnet_wake(v);
						    if (!atomic_load(&v->is_closing))
							    dispatch_semaphore_wait(v->drained, DISPATCH_TIME_FOREVER);
						  });
}

static bool make_room(struct vmnet *v)
{
	v->octets = malloc((size_t)BATCH_MAX * v->frame_max);
	for (uint32_t i = 0; v->octets && i < BATCH_MAX; i++) {
		v->slots[i].iov_base = v->octets + (size_t)i * v->frame_max;
		v->descriptors[i].vm_pkt_iov = &v->slots[i];
		v->descriptors[i].vm_pkt_iovcnt = 1;
	}
	return v->octets != NULL;
}

static bool open_wake(struct vmnet *v)
{
	return pipe(v->wake) == 0 && make_quiet(v->wake[0]) && make_quiet(v->wake[1]);
}

static bool begin(struct vmnet *v, const struct start *start, operating_modes_t mode, struct error *error)
{
	if (!v->interface || start->status != VMNET_SUCCESS)
		return resource_error(error, "vmnet: the interface does not start: %s",
				      vmnet_status_text(!v->interface ? VMNET_FAILURE : start->status));
	if (start->packet_max < 64 || start->packet_max > FRAME_LIMIT)
		return resource_error(error, "vmnet: packets of %llu octets are not possible",
				      (unsigned long long)start->packet_max);
	v->frame_max = (uint32_t)start->packet_max;
	v->has_gateway = inet_pton(AF_INET, start->gateway, &v->gateway) == 1;
	if (mode != VMNET_BRIDGED_MODE && !v->has_gateway)
		return resource_error(error, "vmnet: the framework does not say which address the host has");
	if (!make_room(v))
		return resource_error(error, "vmnet: out of memory");
	vmnet_return_t status = listen_for_frames(v);
	return status == VMNET_SUCCESS || report_failure(error, "vmnet: no events: %s", vmnet_status_text(status));
}

/* The framework has one network of each kind for all that ask. */
static void name_segment(struct vmnet *v, const struct wish *wish)
{
	const char *kind = wish->mode == VMNET_SHARED_MODE ? "shared"
			   : wish->mode == VMNET_HOST_MODE ? "host"
							   : "bridged ";
	snprintf(v->segment, sizeof v->segment, "vmnet %s%s", kind, wish->interface);
}

static void vmnet_segment(const struct port *port, struct segment_id *segment)
{
	*segment = (struct segment_id){ .port = (uint32_t)getpid() };
	copy_text(segment->text, sizeof segment->text, ((const struct vmnet *)(const void *)port)->segment);
}

/* Everybody who may start softnet with vmnet may be there; the kernel does not say who is. */
static bool vmnet_is_port_of(const struct port *port, uint32_t number, const uid_t *user)
{
	(void)port;
	(void)number;
	(void)user;
	return true;
}

static void vmnet_close(struct port *port);

static struct port *vmnet_open(const char *argument, const struct port_settings *settings, struct error *error)
{
	struct vmnet *v = &the_vmnet;
	struct wish wish;
	struct start start;
	if (v->port.kind)
		return resource_error(error, "vmnet: only once");
	if (!read_wish(argument, settings, &wish, error) ||
	    (wish.mode == VMNET_BRIDGED_MODE && !check_interface(wish.interface, error)))
		return NULL;
	if (!open_wake(v))
		return resource_error(error, "vmnet: no pipe: %s", strerror(errno));
	v->port.kind = &vmnet_port;
	v->limit = settings->max_frame;
	name_segment(v, &wish);
	v->queue = dispatch_queue_create("softnet.vmnet", DISPATCH_QUEUE_SERIAL);
	v->stopping = dispatch_queue_create("softnet.vmnet.stop", DISPATCH_QUEUE_SERIAL);
	v->drained = dispatch_semaphore_create(0);
	xpc_object_t wanted = describe_wish(&wish, settings);
	bool has_answer = start_interface(v, wanted, &start);
	xpc_release(wanted);
	if (!has_answer)
		return resource_error(error, "vmnet: the interface does not start: no answer within %d seconds", START_S);
	if (begin(v, &start, wish.mode, error))
		return &v->port;
	if (start.status != VMNET_SUCCESS)
		v->interface = NULL; /* it never was */
	vmnet_close(&v->port);
	return NULL;
}

static void vmnet_anchors(const struct port *port, struct anchors *anchors)
{
	const struct vmnet *v = (const struct vmnet *)(const void *)port;
	if (v->has_gateway)
		set_add(&anchors->host, address_of_ipv4(ntohl(v->gateway.s_addr)));
}

static int vmnet_watch(struct port *port, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = vmnet_of(port)->wake[0], .events = POLLIN };
	return 1;
}

/* After a fault the callback stays parked, or it would come again at once; then reading is tried anew. */
static bool vmnet_service(struct port *port, uint64_t now_ms)
{
	struct vmnet *v = vmnet_of(port);
	v->now_ms = now_ms;
	if (!v->is_failing)
		return true;
	if (v->resume_ms == 0)
		v->resume_ms = now_ms + PAUSE_MS;
	if (now_ms < v->resume_ms)
		return true;
	v->is_failing = false;
	vmnet_wake(v);
	return true;
}

static uint64_t vmnet_deadline_ms(const struct port *port)
{
	const struct vmnet *v = (const struct vmnet *)(const void *)port;
	return v->is_failing ? v->resume_ms : UINT64_MAX;
}

/* At times only: which frames the framework refuses may be the guest's choice. The counters have them all. */
static void tell_fault(const struct vmnet *v, const char *what, uint64_t *told_ms, vmnet_return_t status)
{
	if (*told_ms != 0 && v->now_ms - *told_ms < QUIET_MS)
		return;
	*told_ms = v->now_ms;
	port_tell(&v->port, "%s: %s (%u)", what, vmnet_status_text(status), (unsigned)status);
}

/* vmnet_read() leaves in them what it has read, so they are set each time. Gives how many came, 0 on a fault. */
static uint32_t read_some(struct vmnet *v, uint32_t from, uint32_t room)
{
	int count = (int)room;
	for (uint32_t i = from; i < from + room; i++) {
		v->descriptors[i].vm_pkt_size = v->frame_max;
		v->descriptors[i].vm_flags = 0;
		v->slots[i].iov_len = v->frame_max;
	}
	vmnet_return_t status = vmnet_read(v->interface, v->descriptors + from, &count);
	v->is_failing = status != VMNET_SUCCESS;
	if (v->is_failing) {
		v->resume_ms = 0;
		tell_fault(v, "frames cannot be read", &v->told_read_ms, status);
	}
	return v->is_failing || count < 0 ? 0 : (uint32_t)count < room ? (uint32_t)count : room;
}

static struct packet packet_at(const struct vmnet *v, uint32_t i)
{
	size_t octets = v->descriptors[i].vm_pkt_size < v->frame_max ? v->descriptors[i].vm_pkt_size : v->frame_max;
	bool is_long = octets > v->limit;
	return (struct packet){ .bytes = v->slots[i].iov_base,
				.length = is_long ? v->limit + 1 : (uint32_t)octets,
				.truncated = is_long };
}

static bool vmnet_receive(struct port *port, struct packet *packets, uint32_t max, uint32_t *got)
{
	struct vmnet *v = vmnet_of(port);
	char octets[64];
	uint32_t room = max < BATCH_MAX ? max : BATCH_MAX, came = 1;
	*got = 0;
	while (read(v->wake[0], octets, sizeof octets) == (ssize_t)sizeof octets)
		;
	while (!v->is_failing && *got < room && came > 0) {
		came = read_some(v, *got, room - *got);
		for (uint32_t i = 0; i < came; i++, (*got)++)
			packets[*got] = packet_at(v, *got);
	}
	if (!v->is_failing && *got < room)
		unpark(v);
	return true;
}

/* What the framework would refuse a whole batch for is left out before. Gives how many are left. */
static uint32_t fill_descriptors(const struct vmnet *v, const struct packet *packets, uint32_t n, struct iovec *slots,
				 struct vmpktdesc *descriptors)
{
	enum { RUNT = 14 };
	uint32_t filled = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (packets[i].length < RUNT || packets[i].length > v->frame_max)
			continue;
		slots[filled] = (struct iovec){ (void *)(uintptr_t)packets[i].bytes, packets[i].length };
		descriptors[filled] = (struct vmpktdesc){ .vm_pkt_size = packets[i].length,
							  .vm_pkt_iov = &slots[filled],
							  .vm_pkt_iovcnt = 1 };
		filled++;
	}
	return filled;
}

/*
 * Full buffers are transient, and so may be any other fault be: frames are counted, and the guard goes on. After a fault the
 * count says how many were taken, where the framework has changed it.
 */
static void send_batch(struct vmnet *v, const struct packet *packets, uint32_t n, struct send_result *result)
{
	struct iovec slots[BATCH_MAX];
	struct vmpktdesc descriptors[BATCH_MAX];
	uint32_t filled = fill_descriptors(v, packets, n, slots, descriptors);
	int count = (int)filled;
	result->failed += n - filled;
	if (filled == 0)
		return;
	vmnet_return_t status = vmnet_write(v->interface, descriptors, &count);
	bool is_known = count >= 0 &&
			((uint32_t)count < filled || (status == VMNET_SUCCESS && (uint32_t)count == filled));
	uint32_t sent = is_known ? (uint32_t)count : 0;
	result->sent += sent;
	if (status == VMNET_SUCCESS || status == VMNET_BUFFER_EXHAUSTED) {
		result->full += filled - sent;
		return;
	}
	result->failed += filled - sent;
	tell_fault(v, "frames cannot be sent", &v->told_write_ms, status);
}

static bool vmnet_send(struct port *port, const struct packet *packets, uint32_t n, struct send_result *result)
{
	for (uint32_t at = 0; at < n; at += BATCH_MAX)
		send_batch(vmnet_of(port), packets + at, n - at < BATCH_MAX ? n - at : BATCH_MAX, result);
	return true;
}

/* First no new callback, then none that waits, then the end; each in its time, or the framework waits for us, and we for it. */
static bool stop_interface(struct vmnet *v)
{
	dispatch_semaphore_t done = dispatch_semaphore_create(0);
	atomic_store(&v->is_closing, true);
	vmnet_interface_set_event_callback(v->interface, VMNET_INTERFACE_PACKETS_AVAILABLE, NULL, NULL);
	dispatch_semaphore_signal(v->drained);
	vmnet_return_t status = vmnet_stop_interface(v->interface, v->stopping, ^(vmnet_return_t end) {
	  (void)end;
	  dispatch_semaphore_signal(done);
	});
	bool is_late =
	    status == VMNET_SUCCESS &&
	    dispatch_semaphore_wait(done, dispatch_time(DISPATCH_TIME_NOW, STOP_S * (int64_t)NSEC_PER_SEC)) != 0;
	if (!is_late) /* else the block may still come, and wants the semaphore */
		dispatch_release(done);
	return status == VMNET_SUCCESS && !is_late;
}

/* The framework takes its rules along. What does not end in time is left to the end of the process. */
static void vmnet_close(struct port *port)
{
	struct vmnet *v = vmnet_of(port);
	pthread_mutex_lock(&v->lock);
	v->is_closed = true;
	pthread_mutex_unlock(&v->lock);
	if (v->interface && !stop_interface(v)) {
		port_tell(&v->port, "the interface did not stop within %d seconds", STOP_S);
		return;
	}
	close(v->wake[0]);
	close(v->wake[1]);
	free(v->octets);
	v->octets = NULL;
}

/* vmnet's own networks are; one that is bridged gets its leases from others. */
static bool vmnet_is_leased_by_bootpd(const char *argument)
{
	return !strstr(argument, "bridged=");
}

const struct port_kind vmnet_port = {
	.name = "vmnet",
	.opens = OPENS_BEHIND_FORK,
	.can_be_host_only = true,
	.wants_root = true,
	.is_leased_by_bootpd = vmnet_is_leased_by_bootpd,
	.form = "vmnet[:nat|host|bridged=INTERFACE]",
	.open = vmnet_open,
	.watch = vmnet_watch,
	.service = vmnet_service,
	.deadline_ms = vmnet_deadline_ms,
	.receive = vmnet_receive,
	.send = vmnet_send,
	.anchors = vmnet_anchors,
	.segment = vmnet_segment,
	.is_port_of = vmnet_is_port_of,
	.expose = vmnet_expose,
	.exposed = vmnet_exposed,
	.close = vmnet_close,
};
