/* macOS: a process that has threads, as vmnet makes them, cannot leave a useful copy of itself behind. */
#include "softnet/methods/files_aside.h"

void start_files_aside(struct relay *r, wish_maker *wish)
{
	(void)r;
	(void)wish;
}

void log_aside(struct relay *r)
{
	(void)r;
}
