/* The comment of a capture's section: with what the guard decided that wrote it. */
#pragma once
#include "softnet/options/options.h"

/*
 * A line `softnet VERSION`, then options, one a line. The comment is untrusted: only options that decide something are taken,
 * and none that names a file. What is kept points nowhere into the comment.
 */
bool is_guards_comment(const char *comment, size_t length);
bool read_guards_comment(const char *comment, size_t length, struct options *, struct error *);
