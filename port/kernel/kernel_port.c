/* Ports for the relay: they send, and notice when the guarded port or its guard is gone. */
#include "port/kernel/kernel_port.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "port/io.h"
#include "port/linux/tap_segment.h"
#include "port/kernel/kernel_inject.h"

static struct kernel_port *kernel_port_of(struct port *port)
{
	return (struct kernel_port *)(void *)port;
}

static int kernel_watch(struct port *port, struct pollfd *fds)
{
	const struct kernel_port *p = kernel_port_of(port);
	fds[0] = (struct pollfd){ .fd = p->guard->socket[p->sends] }; /* an error says that the port went down, or away */
	fds[1] = (struct pollfd){ .fd = p->guard->ring, .events = POLLIN };
	return 2;
}

static bool kernel_service(struct port *port, uint64_t now_ms)
{
	const struct kernel_port *p = kernel_port_of(port);
	int error;
	socklen_t octets = sizeof error;
	(void)now_ms;
	getsockopt(p->guard->socket[p->sends], SOL_SOCKET, SO_ERROR, &error, &octets);
	if (is_port_gone(p->guard))
		return port_gone(port, "%s has vanished", p->guard->interface);
	if (!is_still_ours(p->guard))
		return port_gone(port, "%s is guarded by another process now, or by none", p->guard->interface);
	return true;
}

static uint64_t kernel_deadline(const struct port *port)
{
	const struct kernel_port *p = (const struct kernel_port *)(const void *)port;
	return next_news(p->guard) ? 0 : UINT64_MAX;
}

static bool kernel_receive(struct port *port, struct packet *packets, uint32_t max, uint32_t *got)
{
	(void)port;
	(void)packets;
	(void)max;
	*got = 0;
	return true;
}

static bool kernel_send(struct port *port, const struct packet *packets, uint32_t n, struct send_result *result)
{
	const struct kernel_port *p = kernel_port_of(port);
	*result = (struct send_result){ 0 };
	for (uint32_t i = 0; i < n; i++) {
		int error = inject_frame(p->guard, p->sends, packets[i].bytes, packets[i].length);
		result->sent += error == 0;
		result->full += error != 0 && means_full(error);
		result->failed += error != 0 && !means_full(error);
	}
	return true; /* that it is gone, service() finds */
}

static void kernel_survey(struct port *port, struct ground *ground, struct anchors *anchors)
{
	survey_ground(&kernel_port_of(port)->ground, ground, anchors);
	copy_text(port->away, sizeof port->away, ground->away);
}

static int kernel_ground_fd(const struct port *port)
{
	return ((const struct kernel_port *)(const void *)port)->ground.fd;
}

static void kernel_segment(const struct port *port, struct segment_id *segment)
{
	read_tap_segment(((const struct kernel_port *)(const void *)port)->ground.index, segment);
}

static bool kernel_is_port_of(const struct port *port, uint32_t number, const uid_t *user)
{
	return is_tap_of(((const struct kernel_port *)(const void *)port)->ground.index, number, user);
}

static void guest_close(struct port *port)
{
	close_kernel_guard(kernel_port_of(port)->guard);
}

static void uplink_close(struct port *port)
{
	close_ground(&kernel_port_of(port)->ground);
}

static const struct port_kind guest_kind = {
	.name = "attach",
	.watch = kernel_watch,
	.service = kernel_service,
	.deadline_ms = kernel_deadline,
	.receive = kernel_receive,
	.send = kernel_send,
	.close = guest_close,
};

static const struct port_kind uplink_kind = {
	.name = "attach",
	.watch = kernel_watch,
	.service = kernel_service,
	.deadline_ms = kernel_deadline,
	.receive = kernel_receive,
	.send = kernel_send,
	.survey = kernel_survey,
	.ground_fd = kernel_ground_fd,
	.segment = kernel_segment,
	.is_port_of = kernel_is_port_of,
	.close = uplink_close,
};

bool make_kernel_ports(struct kernel_guard *guard, bool isolation, struct kernel_port ports[DIRECTIONS],
		       struct error *error)
{
	struct link link, bridge;
	bool is_port = read_link(guard->index, NULL, &link) && link.is_port && read_link(link.master, NULL, &bridge);
	int failed = is_port && isolation && !link.is_isolated ? set_isolation(guard->index, true) : 0;
	if (failed != 0)
		return report_failure(error, "cannot isolate %s from other ports of %s: %s", guard->interface,
				      bridge.name, strerror(failed));
	ports[FROM_GUEST] = (struct kernel_port){ .port.kind = &guest_kind, .guard = guard, .sends = TO_GUEST };
	ports[TO_GUEST] = (struct kernel_port){ .port.kind = &uplink_kind, .guard = guard, .sends = FROM_GUEST };
	init_ground(&ports[TO_GUEST].ground, guard->interface, is_port ? bridge.name : "", is_port && isolation);
	snprintf(ports[FROM_GUEST].port.name, sizeof ports[FROM_GUEST].port.name, "attach:%s", guard->interface);
	snprintf(ports[TO_GUEST].port.name, sizeof ports[TO_GUEST].port.name, is_port ? "bridge:%s" : "host:%s",
		 is_port ? bridge.name : guard->interface);
	return true;
}
