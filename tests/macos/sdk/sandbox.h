/* sandbox_init(3), as far as softnet calls it; see README.md. A profile as text, with flags 0, is not documented by Apple. */
#pragma once
#include <stdint.h>

int sandbox_init(const char *profile, uint64_t flags, char **error);
void sandbox_free_error(char *error);
