/* A file of --policy: one rule a line, behind `allow` or `block`. */
#pragma once
#include "softnet/rules/rules.h"

enum { POLICY_FILE_MAX = 1 << 20 }; /* octets */

/* Appends the rules of the file. The error names file, line and word. */
bool read_policy_file(const char *path, struct rule_list *, struct error *);
/* The same while frames wait, with the rights that are left: a file that can be read at once, or an error. */
bool read_policy_file_again(const char *path, struct rule_list *, struct error *);
