/* Sets bootpd's lease time, or asks for it, and says how it went. Run by tests/network/test_macos.py. */
#include <stdio.h>
#include <stdlib.h>
#include "system/lease_time.h"

int main(int count, char **words)
{
	struct error cause = { 0 };
	if (count < 2)
		return 2;
	uint32_t seconds = (uint32_t)strtoul(words[1], NULL, 10);
	if (count > 2)
		puts(is_bootpd_set(seconds) ? "stands there" : "does not stand there");
	else
		puts(set_bootpd(seconds, &cause) ? "done" : cause.text);
	return 0;
}
