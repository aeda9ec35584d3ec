/* Having softnet itself make the guard. */
#pragma once
#include "softnet/cni/place.h"
#include "softnet/cni/words.h"

/* Where the program is; false: the fault says that it is nowhere. */
bool find_softnet(char *path, size_t size, struct fault *);
/* Runs `softnet attach` in the namespace of the place, and waits until it has ended. What it warns of goes to standard error. */
bool make_guard_at(const struct place *, const char *netns, const struct words *, struct fault *);
/* The same with one that stays: waits until it judges. */
bool start_guard_at(const struct place *, const char *netns, struct words *, struct fault *);
