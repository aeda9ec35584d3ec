/* From libvirt's own filters to metadata: what is printed, that the hook takes it, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softnet/libvirt/nwfilter.h"
#include "softnet/options/options.h"

#include <cmocka.h>

#define MAC                    "52:54:00:00:00:0a"
#define LAN_MAC                "52:54:00:00:00:0b"
#define CARD(mac, inside)      "<interface type='bridge'><mac address='" mac "'/><target dev='vnet0'/>" inside "</interface>"
#define FILTER(name, inside)   "<filterref filter='" name "'>" inside "</filterref>"
#define PARAMETER(name, value) "<parameter name='" name "' value='" value "'/>"
#define CLEAN(inside)          FILTER("clean-traffic", inside)
#define GATEWAY(inside)        FILTER("clean-traffic-gateway", inside)
#define WIDE                   " allow='0.0.0.0/0' ipv6='off'"

static struct domain domain;

static bool open_with(const char *metadata, const char *devices, struct error *error)
{
	char xml[4000];
	snprintf(
	    xml,
	    sizeof xml, "<domain><uuid>48169978-85d2-4153-a79b-3433a62465d1</uuid><metadata>%s</metadata><devices>%s</devices></domain>",
	    metadata, devices);
	return open_domain(&domain, xml, strlen(xml), error);
}

/* What is printed, or why not. */
static const char *convert(const char *devices)
{
	static char said[2000];
	struct error error = { 0 };
	char *text = NULL;
	size_t octets;
	FILE *to = open_memstream(&text, &octets);
	bool is_done = open_with("", devices, &error) && convert_filters(&domain, to, &error);
	fclose(to);
	assert_true(is_done || octets == 0);
	snprintf(said, sizeof said, "%s", is_done ? text : error.text);
	said[strcspn(said, "\n")] = '\0';
	free(text);
	close_domain(&domain);
	return said;
}

/* As virsh stores it; and then as the hook starts a guard. */
static void must_be_taken(const char *guard, const char *devices)
{
	char metadata[2000];
	struct options options;
	struct error error = { 0 };
	snprintf(metadata, sizeof metadata, "<guard xmlns='urn:softnet:libvirt'>%s", guard + strlen("<guard>"));
	if (!open_with(metadata, devices, &error) || !find_ports(&domain, "web1", &error))
		fail_msg("%s: %s", metadata, error.text);
	for (uint32_t i = 0; i < domain.port_count; i++)
		if (!parse_options((int)domain.ports[i].count, domain.ports[i].words, &options, &error))
			fail_msg("%s: %s", metadata, error.text);
	close_domain(&domain);
}

static void filters_become_metadata(void **unused)
{
	static const char *const rows[][2] = {
		{ CARD(MAC, CLEAN("")), "<guard><interface mac='" MAC "'" WIDE "/></guard>" },
		{ CARD(MAC, CLEAN(PARAMETER("IP", "10.0.0.5") PARAMETER("IP", "10.0.0.6"))),
		  "<guard><interface mac='" MAC "'" WIDE " vm-ip='10.0.0.5,10.0.0.6'/></guard>" },
		{ CARD(MAC, CLEAN(PARAMETER("IP", "10.0.0.5") PARAMETER("CTRL_IP_LEARNING", "none"))),
		  "<guard><interface mac='" MAC "'" WIDE " vm-ip='10.0.0.5' no-dhcp='yes'/></guard>" },
		{ CARD(MAC, CLEAN(PARAMETER("DHCPSERVER", "10.0.0.1") PARAMETER("CTRL_IP_LEARNING", "dhcp"))),
		  "<guard><interface mac='" MAC "'" WIDE " dhcp-server='10.0.0.1'/></guard>" },
		{ CARD(MAC, CLEAN("")) CARD(LAN_MAC, ""),
		  "<guard><interface mac='" MAC "'" WIDE "/><interface mac='" LAN_MAC "' guard='no'/></guard>" },
		{ CARD(MAC, GATEWAY(PARAMETER("GATEWAY_MAC", "52:54:00:00:00:01"))),
		  "<guard><interface mac='" MAC "' allow='out 0.0.0.0/0' inbound='established' ipv6='off' "
		  "gateway-mac='52:54:00:00:00:01'/></guard>" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_string_equal(convert(rows[i][0]), rows[i][1]);
		must_be_taken(rows[i][1], rows[i][0]);
	}
}

static void what_has_no_counterpart_is_named(void **unused)
{
	static const char *const rows[][2] = {
		{ CARD(MAC, ""), "no interface of the domain has a <filterref>" },
		{ "", "no interface of the domain has a <filterref>" },
		{ "<interface>" CLEAN("") "</interface>", "an interface of the domain has no MAC address" },
		{ CARD(MAC, FILTER("own", "")),
		  "interface " MAC ": filter own: only clean-traffic and clean-traffic-gateway can be converted" },
		{ CARD(MAC, CLEAN(PARAMETER("PORT", "1"))),
		  "interface " MAC ": filter clean-traffic: parameter PORT: not known" },
		{ CARD(MAC, CLEAN(PARAMETER("IP", "x&apos; allow=&apos;any"))),
		  "interface " MAC ": filter clean-traffic: parameter IP: \"x' allow='any\": expected an address" },
		{ CARD(MAC, CLEAN(PARAMETER("IP", "10.0.0.5,"))),
		  "interface " MAC ": filter clean-traffic: parameter IP: \"10.0.0.5,\": expected an address" },
		{ CARD(MAC, CLEAN(PARAMETER("DHCPSERVER", ""))),
		  "interface " MAC ": filter clean-traffic: parameter DHCPSERVER: \"\": expected an address" },
		{ CARD(MAC, CLEAN(PARAMETER("CTRL_IP_LEARNING", "maybe"))),
		  "interface " MAC
		  ": filter clean-traffic: parameter CTRL_IP_LEARNING: \"maybe\": expected any, dhcp or none" },
		{ CARD(MAC, CLEAN(PARAMETER("CTRL_IP_LEARNING", "none"))),
		  "interface " MAC
		  ": filter clean-traffic: parameter CTRL_IP_LEARNING: \"none\": expected a parameter IP with it" },
		{ CARD(MAC, CLEAN(PARAMETER("GATEWAY_MAC", "52:54:00:00:00:01"))),
		  "interface " MAC ": filter clean-traffic: parameter GATEWAY_MAC: not known here" },
		{ CARD(MAC, GATEWAY("")),
		  "interface " MAC ": filter clean-traffic-gateway: expected a parameter GATEWAY_MAC" },
		{ CARD(MAC, GATEWAY(PARAMETER("GATEWAY_MAC", "1"))),
		  "interface " MAC
		  ": filter clean-traffic-gateway: parameter GATEWAY_MAC: \"1\": expected a MAC address" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(convert(rows[i][0]), rows[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_become_metadata),
		cmocka_unit_test(what_has_no_counterpart_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
