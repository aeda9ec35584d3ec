/* softnet attach --leave: the guard is left to the kernel, and its record says what it is. */
#pragma once
#include "softnet/guard/loop.h"

/* With root. Without --leave a process attends the port again, so a record of it goes. */
void begin_leaving(const struct options *);
/* Before the first frame passes. Ends the program where it cannot be, as the first one does. */
void note_leaving(const struct relay *);
