/* A Linux tap interface: created or attached to, set up, and on request made a port of a bridge. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "port/linux/ground.h"
#include "port/io.h"
#include "port/linux/tap_card.h"
#include "port/linux/tap_segment.h"

struct tap {
	struct port port;
	int fd;
	bool has_headers; /* in front of each frame stands one of tap_card.h */
	uint8_t *room;    /* of a batch, one frame behind the other */
	uint32_t room_octets, longest;
	struct ground_watch ground;
	int counter;   /* of what the kernel lost in front of it, or -1 */
	uint64_t lost; /* so far */
};

/* What the argument says, and the socket through which interfaces are set up. */
struct tap_setup {
	char name[IFNAMSIZ], bridge[IFNAMSIZ]; /* bridge: "" for none */
	const struct port_settings *settings;
	int control;
	bool created;
	struct error *error;
};

static struct tap *tap_of(struct port *port)
{
	return (struct tap *)(void *)port;
}

/* Frames */

/* Whole cache lines; one octet more than a frame, so that a longer one shows. */
static uint32_t room_for(uint32_t length)
{
	return (length + 1 + 63) / 64 * 64;
}

/* Gives 0, or an errno. */
static int read_frame(const struct tap *t, uint8_t *to, struct packet *packet)
{
	struct virtio_net_hdr header = { 0 };
	struct iovec parts[] = { { &header, sizeof header }, { to, t->longest + 1 } };
	ssize_t octets;
	do
		octets = t->has_headers ? readv(t->fd, parts, 2) : read(t->fd, to, t->longest + 1);
	while (octets < 0 && errno == EINTR);
	if (octets < 0)
		return errno;
	uint32_t in_front = t->has_headers ? sizeof header : 0;
	uint32_t length = octets > (ssize_t)in_front ? (uint32_t)octets - in_front : 0;
	*packet = (struct packet){ .bytes = to, .length = length, .truncated = length > t->longest };
	if (t->has_headers)
		packet->cut = take_card_header(&header, to, length);
	return 0;
}

static bool tap_receive(struct port *port, struct packet *packets, uint32_t max, uint32_t *got)
{
	struct tap *t = tap_of(port);
	uint32_t n = 0, at = 0;
	int error = 0;

	if (max > BATCH_MAX)
		max = BATCH_MAX;
	while (n < max && at + room_for(t->longest) <= t->room_octets) {
		error = read_frame(t, t->room + at, &packets[n]);
		if (error != 0)
			break;
		at += room_for(packets[n++].length);
	}
	*got = n;
	if (n > 0 || means_full(error))
		error = 0;
	/* EBADFD: the interface was deleted. One that is down, or on its way to another namespace, says EAGAIN. */
	if (error == EBADFD)
		return port_gone(port, "the tap was deleted: %s", strerror(error));
	return is_borne(&port->errors, error) || port_gone(port, "cannot receive: %s", strerror(error));
}

static ssize_t write_frame(const struct tap *t, const struct packet *packet)
{
	struct virtio_net_hdr header = make_card_header(&packet->cut);
	struct iovec parts[] = { { &header, sizeof header }, { (void *)(uintptr_t)packet->bytes, packet->length } };
	return t->has_headers ? writev(t->fd, parts, 2) : write(t->fd, packet->bytes, packet->length);
}

static bool tap_send(struct port *port, const struct packet *packets, uint32_t n, struct send_result *result)
{
	*result = (struct send_result){ 0 };
	for (uint32_t i = 0; i < n; i++) {
		ssize_t written;
		do
			written = write_frame(tap_of(port), &packets[i]);
		while (written < 0 && errno == EINTR);
		if (written >= 0)
			result->sent++;
		else if (means_full(errno))
			result->full++;
		else if (errno != EBADFD)
			result->failed++; /* EIO: the interface is down */
		else {
			result->failed += n - i;
			return port_gone(port, "the tap was deleted: %s", strerror(errno));
		}
	}
	return true;
}

/*
 * A file of the interface's, or -1. Not rtnetlink: its answer waits while any interface of the host is changed. /sys may
 * show another network namespace, with another interface of this name.
 */
static int open_counter(const char *name)
{
	char path[80], text[16] = "";
	snprintf(path, sizeof path, "/sys/class/net/%s/ifindex", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_it = fd >= 0 && read(fd, text, sizeof text - 1) > 0 && strtoul(text, NULL, 10) == if_nametoindex(name);
	if (fd >= 0)
		close(fd);
	snprintf(path, sizeof path, "/sys/class/net/%s/statistics/tx_dropped", name);
	return is_it ? move_above_2(open(path, O_RDONLY | O_CLOEXEC)) : -1;
}

static uint64_t tap_lost(struct port *port)
{
	struct tap *t = tap_of(port);
	char text[24] = "";
	if (t->counter < 0 || pread(t->counter, text, sizeof text - 1, 0) <= 0)
		return 0;
	uint64_t lost = strtoull(text, NULL, 10), more = lost > t->lost ? lost - t->lost : 0;
	t->lost = lost;
	return more;
}

/* Setting up */

static bool setup_error(struct tap_setup *s, const char *what, const char *on)
{
	int error = errno;
	char bridge[2 * IFNAMSIZ] = "", then[96] = "";
	if (s->bridge[0])
		snprintf(bridge, sizeof bridge, "master %s ", s->bridge);
	if (s->bridge[0])
		snprintf(then, sizeof then, "%s%s%s; then use tap:%s",
			 s->settings->isolation ? " && bridge link set dev " : "",
			 s->settings->isolation ? s->name : "", s->settings->isolation ? " isolated on" : "", s->name);
	if (error == EPERM || error == EACCES)
		report_failure(s->error,
			       "cannot %s %s: %s (run as root or with CAP_NET_ADMIN; or, once, as root: "
			       "ip tuntap add dev %s mode tap user $USER && ip link set %s %sup%s)",
			       what, on, strerror(error), s->name, s->name, bridge, then);
	else
		report_failure(s->error, "cannot %s %s: %s", what, on, strerror(error));
	return false;
}

static struct ifreq request_for(const char *interface)
{
	struct ifreq request = { 0 };
	copy_text(request.ifr_name, sizeof request.ifr_name, interface);
	return request;
}

static int attach_tap(struct tap_setup *s)
{
	int fd = move_above_2(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	if (fd < 0) {
		setup_error(s, "open", "/dev/net/tun");
		return -1;
	}
	struct ifreq request = request_for(s->name);
	request.ifr_flags = IFF_TAP | IFF_NO_PI | (s->settings->cuts ? IFF_VNET_HDR : 0);
	s->created = if_nametoindex(s->name) == 0;
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		int error = errno;
		close(fd);
		errno = error;
		if (error == EINVAL && !s->created)
			report_failure(s->error, "cannot open %s: it is an interface, but no tap", s->name);
		else
			setup_error(s, error == EBUSY ? "open (another process has it)" : "open", s->name);
		return -1;
	}
	/* A hypervisor that had this tap before may have left offloads on, and a header of another length. */
	int header = sizeof(struct virtio_net_hdr);
	if ((s->settings->cuts && ioctl(fd, TUNSETVNETHDRSZ, &header) < 0) || !set_card_offload(fd, s->settings->cuts)) {
		setup_error(s, "set the offloads of", s->name);
		close(fd);
		return -1;
	}
	return fd;
}

/* An interface of our own carries frames as long as the guard lets through; one of the user's stays as it is. */
static bool set_mtu(struct tap_setup *s)
{
	struct ifreq request = request_for(s->name);
	request.ifr_mtu = (int)s->settings->max_frame - 14;
	if (!s->created || ioctl(s->control, SIOCSIFMTU, &request) == 0)
		return true;
	return setup_error(s, "set the MTU of", s->name);
}

/*
 * The host's own IPv6 on an interface that is the guest's wire: what the kernel sends there would be taken for the guest's,
 * or for the network's, and what a router tells the guest would give the host an address. Where /proc/sys cannot be written,
 * at least no address is made, and so nothing is sent.
 */
static void silence_host(const struct tap_setup *s)
{
	char path[64];
	if (!s->created)
		return;
	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", s->name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, "1", 1) == 1;
	if (fd >= 0)
		close(fd);
	if (!done)
		(void)make_no_addresses(if_nametoindex(s->name));
}

static bool bring_up(struct tap_setup *s)
{
	struct ifreq request = request_for(s->name);
	if (ioctl(s->control, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP))
		return true; /* the owner of a tap may use it without the right to set it up */
	request.ifr_flags |= IFF_UP;
	return ioctl(s->control, SIOCSIFFLAGS, &request) == 0 || setup_error(s, "set up", s->name);
}

/*
 * A bridge without a MAC address of its own takes the lowest of its ports', and changes it whenever a port comes or
 * goes. Guests know their gateway by that address, and guards too. So the bridge is told to keep the one it has, also
 * where the tap is in it already.
 */
static void pin_bridge_address(struct tap_setup *s)
{
	struct ifreq request = request_for(s->bridge);
	if (ioctl(s->control, SIOCGIFHWADDR, &request) == 0)
		(void)ioctl(s->control, SIOCSIFHWADDR, &request);
}

static bool join_bridge(struct tap_setup *s)
{
	struct link port, bridge;
	if (!read_link(0, s->bridge, &bridge))
		return setup_error(s, "find bridge", s->bridge);
	if (!read_link(0, s->name, &port))
		return setup_error(s, "find", s->name);
	pin_bridge_address(s);
	if (port.master != bridge.index) {
		struct ifreq request = request_for(s->bridge);
		request.ifr_ifindex = (int)port.index;
		if (ioctl(s->control, SIOCBRADDIF, &request) < 0 && errno == EOPNOTSUPP)
			return report_failure(s->error, "%s is not a bridge", s->bridge);
		int error = errno;
		if (!read_link(port.index, NULL, &port) || port.master != bridge.index) {
			errno = error;
			return setup_error(s, error == EBUSY ? "take from its other bridge into" : "join bridge",
					   s->bridge);
		}
	}
	errno = set_isolation(port.index, s->settings->isolation);
	return errno == 0 || setup_error(s, "set the isolation of", s->name);
}

static void tap_survey(struct port *port, struct ground *ground, struct anchors *anchors)
{
	survey_ground(&tap_of(port)->ground, ground, anchors);
	copy_text(port->away, sizeof port->away, ground->away);
}

static int tap_ground_fd(const struct port *port)
{
	return ((const struct tap *)(const void *)port)->ground.fd;
}

static void tap_segment(const struct port *port, struct segment_id *segment)
{
	read_tap_segment(((const struct tap *)(const void *)port)->ground.index, segment);
}

static bool tap_is_port_of(const struct port *port, uint32_t number, const uid_t *user)
{
	return is_tap_of(((const struct tap *)(const void *)port)->ground.index, number, user);
}

/* The argument: NAME[,bridge=BR] */

static bool take_name(struct tap_setup *s, char to[IFNAMSIZ], const char *from, size_t length)
{
	/* As the kernel wants them, and no %, which the kernel would replace by a number. */
	static const char refused[] = "/:% \t\n\v\f\r";
	if (length == 0 || length >= IFNAMSIZ || strcspn(from, refused) < length ||
	    (length <= 2 && strspn(from, ".") >= length)) {
		refuse(s->error, "\"%.*s\" is not the name of an interface (1 to %d characters, none of / : %% or space)",
		       length > 60 ? 60 : (int)length, from, IFNAMSIZ - 1);
		return false;
	}
	memcpy(to, from, length);
	to[length] = 0;
	return true;
}

static bool parse_argument(struct tap_setup *s, const char *argument)
{
	size_t length = strcspn(argument, ",");
	if (!take_name(s, s->name, argument, length))
		return false;
	while (argument[length] == ',') {
		const char *option = argument + length + 1;
		size_t option_length = strcspn(option, ",");
		length += 1 + option_length;
		if (strncmp(option, "bridge=", 7) != 0)
			return refuse(s->error, "\"%.60s\" is not an option of a tap (tap:NAME[,bridge=BR])", option);
		if (!take_name(s, s->bridge, option + 7, option_length - 7))
			return false;
	}
	return true;
}

static void tap_close(struct port *port)
{
	close(tap_of(port)->fd);
	if (tap_of(port)->counter >= 0)
		close(tap_of(port)->counter);
	close_ground(&tap_of(port)->ground);
	free(tap_of(port)->room);
	free(port);
}

/* Frames that will be cut are as long as an IP packet can be. A full room ends a batch, as BATCH_MAX frames do. */
static bool make_room(struct tap *t, const struct port_settings *settings)
{
	enum { ROOM = 1 << 18 };
	t->has_headers = settings->cuts != 0;
	t->longest = longest_frame(settings);
	t->room_octets = settings->cuts ? ROOM : BATCH_MAX * room_for(t->longest);
	t->room = malloc(t->room_octets);
	return t->room != NULL;
}

static void tap_stop_offload(struct port *port)
{
	(void)set_card_offload(tap_of(port)->fd, 0);
}

static struct port *tap_open(const char *argument, const struct port_settings *settings, struct error *error)
{
	struct tap_setup s = { .settings = settings, .error = error };
	if (!parse_argument(&s, argument))
		return NULL;
	s.control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s.control < 0)
		return resource_error(error, "cannot make a socket: %s", strerror(errno));
	struct tap *t = calloc(1, sizeof *t);
	int fd = attach_tap(&s);
	bool done = false;
	if (fd >= 0)
		silence_host(&s);
	if (fd >= 0 && set_mtu(&s) && (!s.bridge[0] || join_bridge(&s)) && bring_up(&s)) {
		done = t && make_room(t, settings);
		if (!done)
			report_failure(error, "out of memory");
	}
	if (done) {
		t->port.kind = &tap_port;
		t->fd = fd;
		init_ground(&t->ground, s.name, s.bridge, settings->isolation);
		t->counter = open_counter(s.name);
		(void)tap_lost(&t->port); /* before this guard */
	} else {
		if (fd >= 0)
			close(fd);
		free(t);
	}
	close(s.control);
	return done ? &t->port : NULL;
}

static int tap_watch(struct port *port, struct pollfd *fds)
{
	fds[0] = (struct pollfd){ .fd = tap_of(port)->fd, .events = POLLIN };
	return 1;
}

const struct port_kind tap_port = {
	.name = "tap",
	.opens = OPENS_AS_INTERFACE,
	.cuts = CUTS_TCP4 | CUTS_TCP6 | CUTS_UDP,
	.form = "tap:NAME[,bridge=BR]",
	.open = tap_open,
	.watch = tap_watch,
	.service = nothing_to_service,
	.deadline_ms = no_deadline,
	.receive = tap_receive,
	.send = tap_send,
	.lost = tap_lost,
	.stop_offload = tap_stop_offload,
	.survey = tap_survey,
	.ground_fd = tap_ground_fd,
	.segment = tap_segment,
	.is_port_of = tap_is_port_of,
	.close = tap_close,
};
