/*
 * TCP connections of the worker. It may not make any (system/sandbox): who runs code there could reach every service of this
 * host's loopback. Its keeper makes them, when it has looked at the address.
 */
#pragma once
#include <sys/socket.h>
#include "port/slirp/slirp.h"

/* The keeper's end and the worker's; both -1 without a sandbox. False: they cannot be had. */
bool open_questions(const struct slirp_child *, int ends[2]);

/* In the worker: from now on connect(2) asks the keeper at this end. It waits for the answer, as for the kernel's. */
void ask_keeper_to_connect(int keeper);

/* In the keeper: answers one question of the worker at the other end. False: it has ended, or asks nonsense. */
bool answer_worker(int worker, const struct slirp_child *);

/* Whether the guest's connections may go there. `resolvers` is a file like resolv.conf(5). */
bool may_connect(const struct slirp_child *, const struct sockaddr_storage *to, const char *resolvers);
