#include "lease6.h"
enum verdict snoop_dad(struct snoop *s, const struct frame *f, uint64_t n) { (void)s; (void)f; (void)n; return DROP_IP6_DISABLED; }
enum verdict snoop_nd_conflict(struct snoop *s, const struct frame *f, uint64_t n) { (void)s; (void)f; (void)n; return DROP_IP6_DISABLED; }
