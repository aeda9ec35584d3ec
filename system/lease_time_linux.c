/* Linux has no DHCP server of its own. */
#include "system/lease_time.h"

bool set_bootpd(uint32_t seconds, struct error *cause)
{
	(void)seconds;
	(void)cause;
	return true;
}

bool is_bootpd_set(uint32_t seconds)
{
	(void)seconds;
	return true;
}
