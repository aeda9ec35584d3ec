/* What the process inherited, put in order before anything else happens. */
#pragma once

/* Descriptors 0-2 are open, no core file, umask 077; under set-user-id a small environment. */
void sanitize_process(void);
/* For a child before it starts a program: what was changed for the guard alone is as it was. */
void restore_process(void);
