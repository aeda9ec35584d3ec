/* The lines of the state file that are about IPv6. */
#pragma once
#include "softnet/saved/state_text.h"

/* What a restored binding depends on stands before it: routers and resolvers, then prefixes, then addresses. */
void put_state6(struct writer *, const struct state6 *, struct moment);

/* False: it cannot be read. What has run out, or is somebody else's address now, is left out. */
bool take_line6(char *const *words, int count, const struct config *, struct state *, struct moment);

/* state_text.c: client identifiers of either family. */
void put_clients(struct writer *, const char *word, const struct client_id *, int count, struct moment);
bool take_client(char *const *words, int count, struct client_id *, int most, struct moment);
