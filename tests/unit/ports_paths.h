/* Sockets with names, in a folder of the test's own. */
#pragma once
#include <sys/socket.h>
#include <sys/un.h>
#include "ports.h"

static char folder[64];

static inline const char *path_of(const char *name)
{
	static char path[4][128];
	static int next;
	next = (next + 1) % 4;
	snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
	return path[next];
}

static inline const char *text_of(const char *kind, const char *name)
{
	static char text[160];
	snprintf(text, sizeof text, "%s:%s", kind, path_of(name));
	return text;
}

static inline struct sockaddr_un address_of(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path_of(name));
	return a;
}

static inline int bound_socket(int type, const char *name)
{
	struct sockaddr_un a = address_of(name);
	int fd = socket(AF_UNIX, type, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static inline int connected_socket(int type, const char *name)
{
	struct sockaddr_un a = address_of(name);
	int fd = socket(AF_UNIX, type, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static inline bool make_folder(void)
{
	snprintf(folder, sizeof folder, "%s/softnet-ports-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	return mkdtemp(folder) != NULL;
}
