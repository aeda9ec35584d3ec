/* Where this softnet was built without the guard in the kernel. */
#include "softnet/left/left.h"

int open_left_record(const char *interface, struct error *error)
{
	(void)interface;
	(void)error;
	return -1;
}

bool write_left_record(int record, json_t *status, const char *interface, struct error *error)
{
	(void)record;
	(void)status;
	(void)interface;
	(void)error;
	return false;
}

void forget_left_of(const char *interface)
{
	(void)interface;
}

json_t *list_left(void)
{
	return json_array();
}
