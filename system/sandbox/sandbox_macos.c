/*
 * macOS: a profile for sandbox_init(3). Everything is allowed that the profile does not deny, and the last rule that fits counts.
 * It was never tried on a Mac, so it is in force only where --sandbox on asks for it, and the status says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sandbox.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "system/descriptors.h"
#include "system/sandbox/sandbox.h"

enum { PROFILE_TEXT = 64 << 10 };

struct profile {
	char text[PROFILE_TEXT];
	size_t length;
	bool is_whole;
};

__attribute__((format(printf, 2, 3))) static void add(struct profile *p, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	size_t room = sizeof p->text - p->length;
	int length = vsnprintf(p->text + p->length, room, format, arguments);
	va_end(arguments);
	p->is_whole &= length >= 0 && (size_t)length < room;
	if (p->is_whole)
		p->length += (size_t)length;
}

/* A string of the profile's language. */
static void add_text(struct profile *p, const char *text)
{
	add(p, "\"");
	for (; *text != '\0'; text++)
		add(p, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	add(p, "\"");
}

/* The kernel compares paths without links in them. False: it is not there, and cannot be opened later either. */
static bool find_real_path(const struct sandbox_path *path, char real[PATH_MAX])
{
	return path->path ? realpath(path->path, real) != NULL : fcntl(path->fd, F_GETPATH, real) == 0;
}

/* Folders of users, of temporary files and of other disks: what a Mac's owner would miss. */
static void add_files(struct profile *p, const struct sandbox_wish *wish)
{
	char real[PATH_MAX];
	add(p, "(deny file-write*)\n"
	       "(deny file-read-data (subpath \"/Users\") (subpath \"/Volumes\") (subpath \"/private/tmp\") (subpath "
	       "\"/private/var/folders\") (subpath \"/private/var/root\") (subpath \"/Library/Keychains\"))\n");
	for (uint32_t i = 0; i < wish->path_count; i++) {
		const struct sandbox_path *path = &wish->paths[i];
		if (!find_real_path(path, real))
			continue;
		add(p, "(allow%s%s%s (subpath ", path->access & SANDBOX_READ ? " file-read-data" : "",
		    path->access & SANDBOX_WRITE ? " file-write*" : "",
		    path->access == SANDBOX_REMOVE ? " file-write-unlink" : "");
		add_text(p, real);
		add(p, "))\n");
	}
}

/* Sockets that are open stay so. */
static void add_sockets(struct profile *p, enum sandbox_purpose purpose, const struct sandbox_wish *wish)
{
	if (purpose & (FOR_SLIRP_KEEPER | FOR_SLIRP_WORKER))
		return;
	add(p, "(deny network-outbound)\n(deny network-bind)\n(deny network-inbound (local ip))\n");
	if (wish->connects)
		add(p, "(allow network-outbound (remote unix-socket))\n");
}

/* A keeper starts workers, and they are all that it signals; the others signal what they have started before. */
static void add_processes(struct profile *p, enum sandbox_purpose purpose, const struct sandbox_wish *wish)
{
	add(p, "(deny process-exec*)\n");
	if (purpose != FOR_SLIRP_KEEPER)
		add(p, "(deny process-fork)\n");
	if (purpose != FOR_SLIRP_KEEPER && wish->children[0] == 0)
		add(p, "(deny signal)\n(allow signal (target self))\n");
}

pid_t fork_apart(void)
{
	return fork();
}

void enter_sandbox(enum sandbox_purpose purpose, const struct sandbox_wish *wish, struct sandbox *sandbox)
{
	static struct profile profile;
	char *cause = NULL;
	profile = (struct profile){ .is_whole = true };
	add(&profile, "(version 1)\n(allow default)\n(deny sysctl-write)\n(deny ipc-posix-shm*)\n(deny mach-priv*)\n");
	add_processes(&profile, purpose, wish);
	add_files(&profile, wish);
	add_sockets(&profile, purpose, wish);
	*sandbox = (struct sandbox){ .is_on = true };
	bool is_in_force = profile.is_whole && sandbox_init(profile.text, 0, &cause) == 0;
	if (is_in_force)
		copy_text(sandbox->missing, sizeof sandbox->missing, "in force by sandbox_init, not yet run on a Mac");
	else
		snprintf(sandbox->missing, sizeof sandbox->missing, "not in force: %.80s",
			 cause ? cause : "the profile is too long");
	if (cause)
		sandbox_free_error(cause);
}
