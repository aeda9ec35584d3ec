/* One process after the other. */
#pragma once
#include "system/error.h"

/* Until the process ends, others that ask for the same path wait. False: the error says why. */
bool enter_alone(const char *path, struct error *);
