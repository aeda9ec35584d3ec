/* Reads the addresses of all interfaces, and keeps of the global ones the upper 48 bits. */
#include "softnet/setup/sites.h"
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "system/log.h"
#include "system/platform.h"
#include "system/text.h"

/* The upper half of a global address (2000::/3). False: no such address. */
static bool upper_half(const struct ifaddrs *i, uint64_t *upper)
{
	if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET6 || (i->ifa_flags & IFF_LOOPBACK) != 0)
		return false;
	const uint8_t *octets = ((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr.s6_addr;
	*upper = address_of_octets(octets, 16).high;
	return *upper >> 61 == 1;
}

/* In order, so that two readings can be compared. False: no room. */
static bool add_site(struct site_set *set, uint64_t site)
{
	uint32_t at = 0;
	while (at < set->count && set->item[at] < site)
		at++;
	if (at < set->count && set->item[at] == site)
		return true;
	if (set->count >= SITES_MAX)
		return false;
	memmove(&set->item[at + 1], &set->item[at], (set->count - at) * sizeof set->item[0]);
	set->item[at] = site;
	set->count++;
	return true;
}

static bool read_sites(struct site_watch *watch, struct site_set *set)
{
	struct ifaddrs *list;
	uint64_t upper;
	bool has_room = true;
	memset(set, 0, sizeof *set);
	if (getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		if (upper_half(i, &upper))
			has_room = add_site(set, upper & SITE_MASK) && has_room;
	freeifaddrs(list);
	if (!has_room && !watch->is_cut)
		warning("this host has IPv6 addresses of more than %d sites; close the others with --block", SITES_MAX);
	watch->is_cut = watch->is_cut || !has_room;
	return true;
}

static void tell_sites(const struct site_set *set)
{
	char line[SITES_MAX * (ADDRESS_TEXT + 2)] = "", text[ADDRESS_TEXT];
	size_t length = 0;
	for (uint32_t i = 0; i < set->count; i++)
		length += (size_t)snprintf(line + length, sizeof line - length, "%s%s/48", i > 0 ? ", " : "",
					   format_address((struct address){ set->item[i], 0 }, text));
	info("IPv6 sites of this host: %s", set->count > 0 ? line : "none");
}

void open_sites(struct site_watch *watch, bool is_wanted)
{
	*watch = (struct site_watch){ .fd = is_wanted ? platform_watch_addresses() : -1 };
	if (is_wanted && watch->fd < 0)
		warning("changes of this host's addresses will not be seen: %s", strerror(errno));
}

bool start_sites(struct site_watch *watch, struct site_set *set)
{
	watch->set = set;
	if (!read_sites(watch, set))
		return false;
	tell_sites(set);
	return true;
}

static void say_stale(struct site_watch *watch)
{
	if (!watch->is_stale)
		warning("this host's addresses cannot be read: %s; its IPv6 sites stay as they were", strerror(errno));
	watch->is_stale = true;
}

/* Takes off what it has told so far: the addresses are read again whatever it says. False: it will not tell any more. */
static bool drain(int fd)
{
	enum { AT_ONCE = 1000 }; /* the loop comes back for more */
	for (int i = 0; i < AT_ONCE; i++) {
		char message[2048]; /* the rest of a longer one is not missed */
		ssize_t got = recv(fd, message, sizeof message, 0);
		/* ENOBUFS: some were lost, and are not missed, either. */
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (got <= 0 && !(got < 0 && (errno == EINTR || errno == ENOBUFS)))
			return false;
	}
	return true;
}

bool follow_sites(struct site_watch *watch)
{
	struct site_set now;
	if (!drain(watch->fd)) {
		say_stale(watch);
		close(watch->fd);
		watch->fd = -1;
	}
	if (!read_sites(watch, &now)) {
		say_stale(watch);
		return false;
	}
	if (memcmp(&now, watch->set, sizeof now) == 0)
		return false;
	*watch->set = now;
	tell_sites(watch->set);
	return true;
}
