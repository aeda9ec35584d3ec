/* Sends and shows raw Ethernet frames: the attacker's toolkit inside the guest, where busybox has none.

   rawframe send INTERFACE [-c COUNT] [-i MILLISECONDS] HEX...   each frame, COUNT rounds, a pause after each round
   rawframe listen INTERFACE [-s SECONDS]                        each frame that arrives, as one line of hex

   Built static, so that it needs nothing else in the initramfs. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_OCTETS_MAX 65550

static void die(const char *what)
{
	fprintf(stderr, "rawframe: %s: %s\n", what, errno ? strerror(errno) : "not understood");
	exit(1);
}

static long number(const char *text)
{
	char *end;
	errno = 0;
	long value = strtol(text, &end, 10);
	if (*text == '\0' || *end != '\0' || value < 0)
		die(text);
	return value;
}

static int open_interface(const char *name)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	if (fd < 0)
		die("packet socket");
	address.sll_ifindex = (int)if_nametoindex(name);
	if (address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		die(name);
	return fd;
}

static size_t octets_of(const char *hex, unsigned char *frame)
{
	size_t length = strlen(hex) / 2;
	errno = 0;
	if (strlen(hex) % 2 != 0 || length > FRAME_OCTETS_MAX)
		die("a frame in hex");
	for (size_t i = 0; i < length; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &frame[i]) != 1)
			die("a frame in hex");
	return length;
}

static int send_frames(int fd, long count, long pause_ms, char **frames)
{
	static unsigned char frame[FRAME_OCTETS_MAX];
	struct timespec pause = { .tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000 };
	long sent = 0;
	for (long round = 0; round < count; round++) {
		for (char **hex = frames; *hex; hex++) {
			size_t length = octets_of(*hex, frame);
			if (send(fd, frame, length, 0) != (ssize_t)length)
				die("send");
			sent++;
		}
		if (round + 1 < count)
			nanosleep(&pause, NULL);
	}
	printf("sent %ld\n", sent);
	return 0;
}

/* The kernel takes a VLAN tag out of the frame before a packet socket sees it, and tells the tag beside it. */
static void print_frame(const unsigned char *frame, size_t length, const struct tpacket_auxdata *beside)
{
	for (size_t i = 0; i < length; i++) {
		if (i == 2 * ETH_ALEN && beside && (beside->tp_status & TP_STATUS_VLAN_VALID))
			printf("%04x%04x", beside->tp_status & TP_STATUS_VLAN_TPID_VALID ? beside->tp_vlan_tpid : 0x8100,
			       beside->tp_vlan_tci);
		printf("%02x", frame[i]);
	}
	putchar('\n');
}

static void receive_frame(int fd)
{
	static unsigned char frame[FRAME_OCTETS_MAX];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct sockaddr_ll from;
	struct iovec data = { frame, sizeof frame };
	struct msghdr message = { .msg_name = &from,
				  .msg_namelen = sizeof from,
				  .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof control };
	ssize_t length = recvmsg(fd, &message, 0);
	if (length < 0)
		die("receive");
	if (from.sll_pkttype == PACKET_OUTGOING) /* our own */
		return;
	struct cmsghdr *beside = CMSG_FIRSTHDR(&message);
	bool told = beside && beside->cmsg_level == SOL_PACKET && beside->cmsg_type == PACKET_AUXDATA;
	struct tpacket_auxdata auxdata;
	if (told)
		memcpy(&auxdata, CMSG_DATA(beside), sizeof auxdata);
	print_frame(frame, (size_t)length, told ? &auxdata : NULL);
}

static int listen_for_frames(int fd, long seconds)
{
	struct packet_mreq everything = { .mr_type = PACKET_MR_PROMISC };
	struct sockaddr_ll address;
	socklen_t length = sizeof address;
	getsockname(fd, (struct sockaddr *)&address, &length);
	everything.mr_ifindex = address.sll_ifindex;
	int on = 1;
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &everything, sizeof everything) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) < 0)
		die("listen");
	setvbuf(stdout, NULL, _IOLBF, 0);
	time_t end = time(NULL) + seconds;
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	while (seconds == 0 || time(NULL) < end)
		if (poll(&wait, 1, 200) > 0)
			receive_frame(fd);
	return 0;
}

int main(int argc, char **argv)
{
	long count = 1, pause_ms = 0, seconds = 0;
	int option;
	if (argc < 3)
		goto usage;
	const char *verb = argv[1], *interface = argv[2];
	optind = 3;
	while ((option = getopt(argc, argv, "c:i:s:")) != -1)
		switch (option) {
		case 'c':
			count = number(optarg);
			break;
		case 'i':
			pause_ms = number(optarg);
			break;
		case 's':
			seconds = number(optarg);
			break;
		default:
			goto usage;
		}
	if (strcmp(verb, "send") == 0 && optind < argc)
		return send_frames(open_interface(interface), count, pause_ms, argv + optind);
	if (strcmp(verb, "listen") == 0 && optind == argc)
		return listen_for_frames(open_interface(interface), seconds);
usage:
	fprintf(stderr, "usage: rawframe send INTERFACE [-c COUNT] [-i MILLISECONDS] HEX...\n"
			"       rawframe listen INTERFACE [-s SECONDS]\n");
	return 2;
}
