#include "lease6.h"
enum verdict snoop_dhcp6_client(struct snoop *s, const struct frame *f, uint64_t n) { (void)s; (void)f; (void)n; return DROP_IP6_DISABLED; }
enum verdict snoop_dhcp6_server(struct snoop *s, const struct frame *f, uint64_t n) { (void)s; (void)f; (void)n; return DROP_IP6_DISABLED; }
