/* Taps, by the requests that every kernel has. */
#include "softnet/libvirt/tap.h"
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "system/descriptors.h"

static int ask_kernel(unsigned long request, struct ifreq *asked, const char *interface)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	copy_text(asked->ifr_name, sizeof asked->ifr_name, interface);
	int failed = fd >= 0 && ioctl(fd, request, asked) == 0 ? 0 : errno;
	if (fd >= 0)
		close(fd);
	return failed;
}

bool is_tap(const char *interface, struct error *error)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq asked = { .ifr_data = (void *)&driver };
	int failed = ask_kernel(SIOCETHTOOL, &asked, interface);
	if (failed == ENODEV)
		return report_failure(error, "%s: there is no such interface", interface);
	return (failed == 0 && strcmp(driver.driver, "tun") == 0 && strcmp(driver.bus_info, "tap") == 0) ||
	       report_failure(error, "%s: it is no tap, so the guest's frames do not come out of it", interface);
}

/* A queue of another length is a new one. What does not fit into it is gone, and so is all that waits before the queue. */
bool empty_tap(const char *interface, struct error *error)
{
	struct ifreq before = { 0 };
	int failed = ask_kernel(SIOCGIFTXQLEN, &before, interface);
	struct ifreq none = { .ifr_qlen = 0 };
	failed = failed != 0 || before.ifr_qlen == 0 ? failed : ask_kernel(SIOCSIFTXQLEN, &none, interface);
	if (failed == 0 && before.ifr_qlen > 0)
		failed = ask_kernel(SIOCSIFTXQLEN, &before, interface);
	return failed == 0 || report_failure(error, "%s: cannot empty its queue: %s", interface, strerror(failed));
}
