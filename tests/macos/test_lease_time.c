/* Sets bootpd's lease time, and says how it went. Run by tests/network/test_macos.py. */
#include <stdio.h>
#include <stdlib.h>
#include "../../softnet/lease_time.h"

int main(int count, char **words)
{
	struct usage_error cause = { "" };
	bool is_done = count == 2 && set_lease_time((uint32_t)strtoul(words[1], NULL, 10), &cause);
	puts(is_done ? "done" : cause.text);
	return 0;
}
