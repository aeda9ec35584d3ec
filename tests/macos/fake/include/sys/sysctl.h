#pragma once
#include <stddef.h>

int sysctlbyname(const char *name, void *old, size_t *octets, void *new_value, size_t new_octets);
