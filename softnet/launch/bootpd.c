/* What becomes of --bootpd-lease-time, with root and without. */
#include "softnet/launch/bootpd.h"
#include <unistd.h>
#include "system/lease_time.h"
#include "system/log.h"

void set_or_ask_for_bootpd(uint32_t lease_time_s)
{
	static const char danger[] = "a VM that copies another's client identifier may be leased its address";
	struct error cause;
	if (geteuid() == 0 && !set_bootpd(lease_time_s, &cause))
		warning("bootpd's settings: %s; so its lease time stays as it was, and %s", cause.text, danger);
	if (geteuid() != 0 && !is_bootpd_set(lease_time_s))
		warning(
		    "bootpd's lease time stays as it was, and %s: only root can change that, once: sudo defaults write "
		    "/Library/Preferences/SystemConfiguration/com.apple.InternetSharing.default.plist bootpd -dict-add "
		    "dhcp_ignore_client_identifier -bool true DHCPLeaseTimeSecs -int %u",
		    danger, (unsigned)lease_time_s);
}
