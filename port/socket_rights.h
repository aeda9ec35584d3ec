/* Who may use a socket that a port makes in the file system: ",owner=USER,group=GROUP,mode=MODE" behind its path. */
#pragma once
#include <sys/types.h>
#include "port/io.h"

struct socket_rights {
	bool has_owner, has_group, has_mode;
	uid_t owner;
	gid_t group;
	mode_t mode;
};

/* One option, without its comma. Takes `length` characters; false with a usage error: it is none, or is wrong. */
bool take_socket_right(struct socket_rights *, const char *option, size_t length, struct error *);
/* Each option with its comma in front, or "". */
bool take_socket_rights(struct socket_rights *, const char *options, struct error *);

/* As unix_bind(): nobody can use the socket before its rights are right. */
bool bind_with_rights(int fd, int type, const struct sockaddr_un *, const struct socket_rights *, struct error *);

/* What stands in the way of sending to a path, in words: errno, who we are, and whose the path is. */
enum { REFUSAL_TEXT = 240 };
void explain_refusal_of_path(const char *path, int error, char text[REFUSAL_TEXT]);
