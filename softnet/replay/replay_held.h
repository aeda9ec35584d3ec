/* Frames that wait for a name in one guard or both; what becomes of them is known later: docs/names.md. */
#pragma once
#include "softnet/replay/replay_guard.h"
#include "softnet/replay/replay_text.h"

/* Keeps a copy. False: no memory is left. */
bool keep_replayed(const struct replayed *);

/* What has left the hold of a guard: `is_other` is that of --diff. */
void follow_fates(struct replay_guard *, bool is_other);

/* The next one, in the order of the frames, of which all is known, or with `is_end` any. To be freed; NULL: none. */
struct replayed *take_known(bool is_end);
