/* The path of the program. */
#pragma once
#include <stdint.h>

int _NSGetExecutablePath(char *path, uint32_t *octets);
