/* What is printed for --help and --version. */
#pragma once
#include "softnet/options/options.h"

/* Of the verb; WANT_HELP: of the program, with every option. */
void print_help(FILE *, enum wanted verb, bool is_colored);
void print_version(FILE *);
