/*
 * The double of vmnet.framework. Where the real one leaves open what happens, or hangs, this one ends the program (misuse());
 * what can really go wrong is a fault of FAKE_FAULTS:
 *
 *     start=STATUS  start-null  start-never  start-late  no-gateway  packet-max=N  callback=STATUS
 *     read=STATUS@FROM-TO  write=STATUS@FROM-TO (calls)  short-write=STATUS@...: half of the frames are written
 *     edge: one callback, and no other until a read has found nothing left
 *     late-callback: one more while callbacks are being switched off, behind one that runs
 *     stop=STATUS  stop-slow  stop-never
 *
 * As long as frames wait, it calls back, again and again, on the queue that it was given.
 */
#include "vmnet.h"
#include <Block.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "fake.h"

enum { RUNT = 14, ETHERNET = 14, PACKETS_MAX = 256, LATE_US = 300000 };

const char *vmnet_operation_mode_key = "vmnet_operation_mode";
const char *vmnet_shared_interface_name_key = "vmnet_shared_interface_name";
const char *vmnet_allocate_mac_address_key = "vmnet_allocate_mac_address";
const char *vmnet_enable_isolation_key = "vmnet_enable_isolation";
const char *vmnet_max_packet_size_key = "vmnet_max_packet_size";
const char *vmnet_mtu_key = "vmnet_mtu";
const char *vmnet_start_address_key = "vmnet_start_address";

/* What is never called is still there, with all that belongs to it: so it is no leak. */
static const void *volatile unanswered;

void poke(interface_ref v)
{
	ssize_t written = write(v->poke, &(uint64_t){ 1 }, sizeof(uint64_t));
	(void)written;
}

void check_running(interface_ref v, const char *call)
{
	pthread_mutex_lock(&v->lock);
	if (v->is_stopped)
		misuse("%s of an interface that was stopped", call);
	pthread_mutex_unlock(&v->lock);
}

/* Events */

static void finish_callback(interface_ref v)
{
	pthread_mutex_lock(&v->lock);
	v->running--;
	pthread_mutex_unlock(&v->lock);
	poke(v);
}

/* With the lock held. */
static void call_back(interface_ref v)
{
	vmnet_interface_event_callback_t callback = Block_copy(v->callback);
	v->running++;
	v->callbacks++;
	v->is_spent = true;
	dispatch_async(v->queue, ^{
	  callback(VMNET_INTERFACE_PACKETS_AVAILABLE, NULL);
	  Block_release(callback);
	  finish_callback(v);
	});
}

static bool may_call_back(interface_ref v)
{
	return v->callback && v->running == 0 && !(v->is_spent && fault("edge", 0, NULL));
}

static void *watch(void *argument)
{
	interface_ref v = argument;
	bool is_over = false;
	while (!is_over) {
		pthread_mutex_lock(&v->lock);
		struct pollfd fds[] = { { v->poke, POLLIN, 0 }, { may_call_back(v) ? v->wire.fd : -1, POLLIN, 0 } };
		pthread_mutex_unlock(&v->lock);
		poll(fds, 2, -1);
		if (fds[0].revents != 0 && read(v->poke, &(uint64_t){ 0 }, sizeof(uint64_t)) < 0)
			misuse("eventfd: %s", strerror(errno));
		pthread_mutex_lock(&v->lock);
		is_over = v->is_stopped;
		if (fds[1].revents != 0 && !is_over && may_call_back(v))
			call_back(v);
		pthread_mutex_unlock(&v->lock);
	}
	return NULL;
}

vmnet_return_t vmnet_interface_set_event_callback(interface_ref v, interface_event_t event, dispatch_queue_t queue,
						  vmnet_interface_event_callback_t callback)
{
	unsigned status = VMNET_SUCCESS;
	check_running(v, "vmnet_interface_set_event_callback");
	if (event != VMNET_INTERFACE_PACKETS_AVAILABLE || (!queue) != (!callback))
		misuse("vmnet_interface_set_event_callback: event %u, a queue or a callback alone", (unsigned)event);
	if (callback && fault("callback", 0, &status))
		return status;
	pthread_mutex_lock(&v->lock);
	if (!callback && v->callback && fault("late-callback", 0, NULL))
		call_back(v);
	if (v->callback)
		Block_release(v->callback);
	v->callback = callback ? Block_copy(callback) : NULL;
	v->queue = queue;
	v->is_spent = false;
	pthread_mutex_unlock(&v->lock);
	record("callback %s", callback ? "on" : "off");
	poke(v);
	return VMNET_SUCCESS;
}

/* Start */

xpc_object_t vmnet_copy_shared_interface_list(void)
{
	xpc_object_t list = xpc_array_create(NULL, 0);
	char *names = strdup(fake_interfaces), *rest = names, *name;
	while ((name = strsep(&rest, ",")))
		if (name[0] != '\0')
			xpc_array_append_string(list, name);
	free(names);
	return list;
}

static bool can_be_bridged(const char *name)
{
	xpc_object_t list = vmnet_copy_shared_interface_list();
	bool is_there = false;
	for (size_t i = 0; i < xpc_array_get_count(list); i++)
		is_there |= name && strcmp(name, xpc_array_get_string(list, i)) == 0;
	xpc_release(list);
	return is_there;
}

static unsigned judge_wish(xpc_object_t wish, uint64_t mode, const char *shared)
{
	bool is_known = mode == VMNET_HOST_MODE || mode == VMNET_SHARED_MODE || mode == VMNET_BRIDGED_MODE;
	bool is_bridged = mode == VMNET_BRIDGED_MODE;
	if (!is_known || is_bridged != (shared != NULL) || (is_bridged && !can_be_bridged(shared)) ||
	    (is_bridged && xpc_dictionary_get_uint64(wish, vmnet_mtu_key) != 0))
		return VMNET_INVALID_ARGUMENT;
	return geteuid() == 0 || fake_macos >= 26 ? VMNET_SUCCESS : VMNET_FAILURE;
}

static unsigned bring_up(interface_ref v, xpc_object_t wish)
{
	uint64_t mode = xpc_dictionary_get_uint64(wish, vmnet_operation_mode_key);
	uint64_t mtu = xpc_dictionary_get_uint64(wish, vmnet_mtu_key);
	const char *shared = xpc_dictionary_get_string(wish, vmnet_shared_interface_name_key);
	bool is_isolated = xpc_dictionary_get_bool(wish, vmnet_enable_isolation_key);
	unsigned status = judge_wish(wish, mode, shared);
	v->packet_max = (uint32_t)(mtu != 0 ? mtu : 1500) + ETHERNET;
	fault("start", 0, &status);
	record("start mode=%u isolation=%d interface=%s mtu=%u user=%u status=%u", (unsigned)mode, is_isolated,
	       shared ? shared : "-", v->packet_max - ETHERNET, (unsigned)geteuid(), status);
	if (status == VMNET_SUCCESS && !open_wire(&v->wire, v->packet_max, is_isolated))
		status = VMNET_FAILURE;
	return status;
}

static void start_watcher(interface_ref v)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	v->has_watcher = pthread_create(&v->watcher, NULL, watch, v) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static xpc_object_t describe(interface_ref v, bool has_gateway)
{
	xpc_object_t parameters = xpc_dictionary_create(NULL, NULL, 0);
	fault("packet-max", 0, &v->packet_max);
	xpc_dictionary_set_uint64(parameters, vmnet_mtu_key, v->packet_max - ETHERNET);
	xpc_dictionary_set_uint64(parameters, vmnet_max_packet_size_key, v->packet_max);
	if (has_gateway && !fault("no-gateway", 0, NULL))
		xpc_dictionary_set_string(parameters, vmnet_start_address_key, fake_gateway);
	return parameters;
}

interface_ref vmnet_start_interface(xpc_object_t wish, dispatch_queue_t queue,
				    vmnet_start_interface_completion_handler_t handler)
{
	bool is_bridged = xpc_dictionary_get_uint64(wish, vmnet_operation_mode_key) == VMNET_BRIDGED_MODE;
	if (!queue || !handler)
		misuse("vmnet_start_interface: no queue, or no handler");
	if (fault("start-null", 0, NULL))
		return NULL;
	static struct vmnet_interface the_only; /* it stays: what is called after its end shall be told, not crash */
	interface_ref v = &the_only;
	pthread_mutex_init(&v->lock, NULL);
	v->poke = eventfd(0, EFD_CLOEXEC);
	v->answers = dispatch_queue_create("rules", DISPATCH_QUEUE_SERIAL);
	unsigned status = bring_up(v, wish);
	if (status == VMNET_SUCCESS)
		start_watcher(v);
	dispatch_async(queue, ^{
	  xpc_object_t parameters = status == VMNET_SUCCESS ? describe(v, !is_bridged) : NULL;
	  if (fault("start-late", 0, NULL))
		  usleep(LATE_US);
	  if (fault("start-never", 0, NULL))
		  unanswered = Block_copy(handler);
	  else
		  handler(status, parameters);
	  if (parameters)
		  xpc_release(parameters);
	});
	return v;
}

/* Frames */

static void check_descriptor(interface_ref v, const struct vmpktdesc *d, const char *call, bool is_read)
{
	size_t octets = d->vm_pkt_iovcnt == 1 ? d->vm_pkt_iov->iov_len : 0;
	bool fits = is_read ? d->vm_pkt_size >= v->packet_max && octets >= d->vm_pkt_size
			    : octets == d->vm_pkt_size && octets >= RUNT && octets <= v->packet_max;
	if (!fits || d->vm_flags != 0)
		misuse("%s: size %zu, %u buffers, the first of %zu, flags %u", call, d->vm_pkt_size, d->vm_pkt_iovcnt,
		       d->vm_pkt_iov->iov_len, d->vm_flags);
}

static void begin_call(interface_ref v, atomic_bool *is_busy, const char *call, int count)
{
	check_running(v, call);
	if (atomic_exchange(is_busy, true))
		misuse("%s by two threads at once", call);
	if (count <= 0 || count > PACKETS_MAX)
		misuse("%s: %d packets", call, count);
}

/* After it, a descriptor is good for nothing but what it says of the frame. */
static bool read_one(interface_ref v, struct vmpktdesc *d)
{
	check_descriptor(v, d, "vmnet_read", true);
	ssize_t got = read_wire(&v->wire, d->vm_pkt_iov->iov_base, v->packet_max);
	if (got <= 0)
		return false;
	d->vm_pkt_size = d->vm_pkt_iov->iov_len = (size_t)got;
	d->vm_flags = 1;
	return true;
}

vmnet_return_t vmnet_read(interface_ref v, struct vmpktdesc *packets, int *count)
{
	unsigned status = VMNET_SUCCESS;
	int n = 0;
	begin_call(v, &v->is_reading, "vmnet_read", *count);
	if (!fault("read", ++v->reads, &status)) {
		while (n < *count && read_one(v, &packets[n]))
			n++;
		pthread_mutex_lock(&v->lock);
		v->is_spent = v->is_spent && n > 0;
		pthread_mutex_unlock(&v->lock);
		poke(v);
		*count = n;
	}
	atomic_store(&v->is_reading, false);
	return status;
}

static unsigned write_some(interface_ref v, struct vmpktdesc *packets, int *count, int limit)
{
	for (int i = 0; i < *count; i++)
		check_descriptor(v, &packets[i], "vmnet_write", false);
	for (int i = 0; i < limit; i++)
		if (write_wire(&v->wire, packets[i].vm_pkt_iov->iov_base, (uint32_t)packets[i].vm_pkt_size) < 0) {
			*count = i;
			return errno == EAGAIN || errno == ENOBUFS ? VMNET_BUFFER_EXHAUSTED : VMNET_FAILURE;
		}
	*count = limit;
	return VMNET_SUCCESS;
}

vmnet_return_t vmnet_write(interface_ref v, struct vmpktdesc *packets, int *count)
{
	unsigned status = VMNET_SUCCESS, faulty;
	begin_call(v, &v->is_writing, "vmnet_write", *count);
	v->writes++;
	if (fault("short-write", v->writes, &faulty)) {
		write_some(v, packets, count, *count / 2);
		status = faulty;
	} else if (!fault("write", v->writes, &status)) { /* that one leaves the count as it is */
		status = write_some(v, packets, count, *count);
	}
	atomic_store(&v->is_writing, false);
	return status;
}

/* Stop */

static bool is_busy(interface_ref v)
{
	pthread_mutex_lock(&v->lock);
	bool is_running = v->running > 0;
	pthread_mutex_unlock(&v->lock);
	return is_running;
}

/* Not before the last callback has returned. */
static void tear_down(interface_ref v)
{
	if (v->has_watcher)
		pthread_join(v->watcher, NULL);
	if (fault("stop-slow", 0, NULL))
		usleep(LATE_US);
	while (is_busy(v))
		usleep(1000);
	close_rules(v);
	if (v->has_watcher)
		close_wire(&v->wire);
	record("stopped callbacks=%u reads=%u writes=%u", v->callbacks, v->reads, v->writes);
}

vmnet_return_t vmnet_stop_interface(interface_ref v, dispatch_queue_t queue, vmnet_interface_completion_handler_t handler)
{
	unsigned status = VMNET_SUCCESS;
	check_running(v, "vmnet_stop_interface");
	if (!queue || !handler)
		misuse("vmnet_stop_interface: no queue, or no handler");
	if (fault("stop", 0, &status))
		return status;
	pthread_mutex_lock(&v->lock);
	if (v->callback)
		misuse("vmnet_stop_interface while callbacks are on");
	v->is_stopped = true;
	pthread_mutex_unlock(&v->lock);
	poke(v);
	dispatch_async(queue, ^{
	  tear_down(v);
	  if (fault("stop-never", 0, NULL))
		  unanswered = Block_copy(handler);
	  else
		  handler(VMNET_SUCCESS);
	});
	return VMNET_SUCCESS;
}
