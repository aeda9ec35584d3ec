/* macOS: a process that has threads, as vmnet makes them, cannot leave a useful copy of itself behind. */
#include "softnet/methods/control_methods.h"

void start_aside(struct relay *r)
{
	(void)r;
}
