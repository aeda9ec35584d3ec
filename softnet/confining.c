/* What libraries open when they are first used is used before. */
#include "softnet/confining.h"
#include <jansson.h>
#include <time.h>
#include "system/log.h"

void confine_guard(struct relay *r)
{
	struct sandbox_wish wish = { { 0 } };
	int children = 0;
	if (r->options->sandbox_off) {
		warning("--sandbox off: whoever gets code to run in this guard has all the rights of its user");
		return;
	}
	for (int side = 0; side < DIRECTIONS; side++)
		if (r->port[side]->child > 0)
			wish.children[children++] = r->port[side]->child;
	tzset();             /* for the times of syslog */
	json_object_seed(0); /* by chance, so that nobody can choose keys that collide */
	enter_sandbox(FOR_GUARD, &wish, &r->sandbox);
	if (r->sandbox.missing[0] != '\0')
		warning("sandbox: %s", r->sandbox.missing);
}
