/* Reads resolv.conf(5) as libslirp does: any nameserver of a family will do for the guest's resolver of that family. */
#include "softnet/launch/resolvers.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "system/log.h"
#include "system/text.h"

static void note_server(struct resolver_families *found, char *text)
{
	struct address server;
	text += strspn(text, " \t");
	text[strcspn(text, " \t%#;")] = '\0'; /* a link-local address has its interface behind % */
	if (!parse_address(text, &server))
		return;
	found->ipv4 |= is_ipv4(server);
	found->ipv6 |= !is_ipv4(server);
}

bool read_resolvers(const char *path, struct resolver_families *found)
{
	static const char word[] = "nameserver";
	char text[8192];
	*found = (struct resolver_families){ false, false };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (length < 0)
		return false;
	text[length] = '\0';
	char *rest = text;
	for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
		line += strspn(line, " \t");
		if (strncmp(line, word, sizeof word - 1) == 0)
			note_server(found, line + sizeof word - 1);
	}
	return true;
}

/*
 * Without one of IPv4 most guests resolve nothing. Without one of IPv6, as on most hosts, nothing is missed: libslirp
 * announces its resolver of IPv6 only where it has one.
 */
void tell_of_resolvers(bool wants_ipv6)
{
	struct resolver_families has;
	if (!read_resolvers("/etc/resolv.conf", &has))
		warning("slirp: /etc/resolv.conf cannot be read: the VM's resolver 10.0.2.3 may not answer");
	else if (!has.ipv4 && !has.ipv6)
		warning("slirp: /etc/resolv.conf names no resolver: 10.0.2.3 will not answer; give the VM another, and "
			"--dns");
	else if (!has.ipv4)
		warning("slirp: /etc/resolv.conf names resolvers of IPv6 alone: 10.0.2.3 will not answer, "
			"fd00:10:0:2::3 %s",
			wants_ipv6 ? "will" : "would, with --ipv6 guard");
	else if (!has.ipv6 && wants_ipv6)
		info("slirp: /etc/resolv.conf names resolvers of IPv4 alone: fd00:10:0:2::3 will not answer, 10.0.2.3 "
		     "will");
}
