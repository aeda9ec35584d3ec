/* What the hook for libvirt reads out of a domain's XML: words for softnet, or a sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "softnet/libvirt/domain.h"

#include <cmocka.h>

#define MAC      "52:54:00:00:00:0a"
#define LAN_MAC  "52:54:00:00:00:0b"
#define UUID     "48169978-85d2-4153-a79b-3433a62465d1"
#define GUARD(x) "<s:guard xmlns:s='urn:softnet:libvirt'>" x "</s:guard>"
#define CARD(type, mac, dev) \
	"<interface type='" type "'><mac address='" mac "'/><target dev='" dev "'/><alias name='net0'/></interface>"
#define ONE CARD("bridge", MAC, "vnet0")
#define TWO ONE CARD("network", LAN_MAC, "vnet1")

static struct domain domain;

/* Each port as its words, ports apart by "; ": or why there is none. */
static const char *read_text(const char *metadata, const char *devices)
{
	static char said[2000];
	char xml[4000];
	struct error error = { 0 };
	snprintf(xml, sizeof xml,
		 "<domain type='kvm'><name>web1</name><uuid>" UUID "</uuid><metadata>%s</metadata><devices><disk/>%s"
		 "</devices></domain>",
		 metadata, devices);
	said[0] = '\0';
	bool is_read = open_domain(&domain, xml, strlen(xml), &error) && find_ports(&domain, "web 1", &error);
	for (uint32_t i = 0; is_read && i < domain.port_count; i++)
		for (uint32_t j = 2; j < domain.ports[i].count; j++) {
			const char *before = j > 2 ? " " : i > 0 ? "; " : "";
			size_t length = strlen(said);
			snprintf(said + length, sizeof said - length, "%s%s", before, domain.ports[i].words[j]);
		}
	if (!is_read)
		snprintf(said, sizeof said, "%s", error.text);
	close_domain(&domain);
	return said;
}

static void ports_are_found(void **unused)
{
	static const struct {
		const char *metadata, *devices, *words;
	} rows[] = {
		{ "", ONE, "" },
		{ "<o:app xmlns:o='urn:other'><o:guard/></o:app>", ONE, "" },
		{ GUARD("<s:interface/>"), ONE, "vnet0 --vm-mac-address=" MAC " --name=web_1" },
		{ "<o:app xmlns:o='urn:other'/><!-- ours: -->" GUARD("<!-- all --> <s:interface/>"), ONE,
		  "vnet0 --vm-mac-address=" MAC " --name=web_1" },
		{ "<guard xmlns='urn:softnet:libvirt'><interface mac='" MAC "' guard='yes'/></guard>", ONE,
		  "vnet0 --vm-mac-address=" MAC " --name=web_1" },
		{ GUARD("<s:interface allow='@dns:53, 10.0.0.0/8' block='any' reject='yes' no-dhcp='no' name='n'/>"),
		  ONE, "vnet0 --vm-mac-address=" MAC " --allow=@dns:53, 10.0.0.0/8 --block=any --reject --name=n" },
		{ GUARD("<s:interface mac='" LAN_MAC "' policy='/p'/><s:interface/>"), TWO,
		  "vnet0 --vm-mac-address=" MAC " --name=web_1; vnet1 --vm-mac-address=" LAN_MAC
		  " --name=web_1 --policy=/p" },
		{ GUARD("<s:interface mac='" MAC "'/><s:interface mac='" LAN_MAC "' guard='no'/>"), TWO,
		  "vnet0 --vm-mac-address=" MAC " --name=web_1" },
		{ GUARD("<s:interface mac='" MAC "'/><s:interface guard='no'/>"),
		  ONE CARD("hostdev", LAN_MAC, "") CARD("direct", "52:54:00:00:00:0c", "macvtap0"),
		  "vnet0 --vm-mac-address=" MAC " --name=web_1" },
		{ GUARD(""), "", "" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(read_text(rows[i].metadata, rows[i].devices), rows[i].words);
}

static void what_is_not_understood_is_refused(void **unused)
{
	static const struct {
		const char *metadata, *devices, *why;
	} rows[] = {
		{ GUARD(""), ONE, "says nothing about it" },
		{ GUARD("<s:interface mac='" LAN_MAC "'/>"), ONE,
		  "interface " MAC ": the metadata of softnet says nothing" },
		{ GUARD("<s:interface/><s:interface mac='" LAN_MAC "'/>"), ONE, "has the MAC address " LAN_MAC },
		{ GUARD("<s:interface/><s:interface/>"), ONE, "two elements <interface> are about the same" },
		{ GUARD("<s:interface mac='" MAC "'/><s:interface mac='52:54:00:00:00:0A'/>"), ONE, "about the same" },
		{ GUARD("<s:interface mac='" MAC "'/>"), ONE ONE, "two interfaces have the MAC address" },
		{ GUARD("<s:interface mac='x'/>"), ONE, "mac='x': expected a MAC address" },
		{ GUARD("<s:interface guard='off'/>"), ONE, "guard='off': expected yes or no" },
		{ GUARD("<s:interface guard='no' allow='any'/>"), ONE, "not together with options" },
		{ GUARD("<s:interface reject=''/>"), ONE, "reject='': expected yes or no" },
		{ GUARD("<s:interface alow='any'/>"), ONE, "alow='any': unknown attribute" },
		{ GUARD("<s:interface uplink='slirp'/>"), ONE, "uplink='slirp': unknown attribute" },
		{ GUARD("<s:interface vm-mac-address='" LAN_MAC "'/>"), ONE, "unknown attribute" },
		{ GUARD("<s:interface help='yes'/>"), ONE, "unknown attribute" },
		{ GUARD("<s:interface s:allow='any'/>"), ONE, "an attribute with a prefix" },
		{ GUARD("<s:interface>allow any</s:interface>"), ONE, "expected nothing inside it" },
		{ GUARD("<s:interface><s:allow/></s:interface>"), ONE, "expected nothing inside it" },
		{ GUARD("<s:interface><![CDATA[x]]></s:interface>"), ONE, "expected nothing inside it" },
		{ GUARD("<s:interface/>any"), ONE, "<guard>: expected elements" },
		{ GUARD("<s:Interface/>"), ONE, "<Interface>: unknown element" },
		{ GUARD("<interface/>"), ONE, "<interface>: unknown element" },
		{ "<s:guard xmlns:s='urn:softnet:libvirt' all='yes'><s:interface/></s:guard>", ONE,
		  "all: unknown attribute" },
		{ GUARD("<s:interface/>") GUARD("<s:interface/>"), ONE, "expected one element <guard>" },
		{ "<s:gard xmlns:s='urn:softnet:libvirt'/>", ONE, "<gard>: expected one element <guard>" },
		{ "<s:guard xmlns:s='urn:Softnet:libvirt'/>", ONE, "its namespace is \"urn:Softnet:libvirt\"" },
		{ "<softnet:guard xmlns:softnet='urn:libvirt'/>", ONE, "expected \"urn:softnet:libvirt\"" },
		{ GUARD("<s:interface/>"), CARD("direct", MAC, "macvtap0"), "type 'direct' has no tap" },
		{ GUARD("<s:interface/>"), CARD("user", MAC, ""), "type 'user' has no tap" },
		{ GUARD("<s:interface/>"), CARD("bridge", MAC, ""), "has not said which tap" },
		{ GUARD("<s:interface/>"), "<interface type='bridge'/>", "has no MAC address" },
		{ GUARD("<s:interface/>") "<broken>", ONE, "expected the XML of a domain" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *said = read_text(rows[i].metadata, rows[i].devices);
		if (!strstr(said, rows[i].why))
			fail_msg("%s: \"%s\", and not \"%s\"", rows[i].metadata, said, rows[i].why);
	}
}

/* It becomes the name of a file that root writes. */
static void a_domain_has_a_uuid(void **unused)
{
	static const char *const wrong[] = { "", "<domain/>", "<domain><uuid>../../../../etc/passwd</uuid></domain>",
					     "<domain><uuid>" UUID "0</uuid></domain>", "<domain><uuid/></domain>" };
	struct error error;
	(void)unused;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_false(open_domain(&domain, wrong[i], strlen(wrong[i]), &error));
		close_domain(&domain);
	}
}

static void more_than_there_is_room_for(void **unused)
{
	static char many[8000], devices[8000];
	(void)unused;
	for (int i = 0; i <= PORTS_MAX; i++) {
		char one[200];
		snprintf(one, sizeof one, CARD("bridge", "52:54:00:00:01:%02x", "vnet%d"), (unsigned)i, i);
		strcat(devices, one);
		snprintf(one, sizeof one, "<s:interface mac='52:54:00:00:01:%02x'/>", (unsigned)i);
		strcat(many, one);
	}
	assert_non_null(strstr(read_text(GUARD("<s:interface/>"), devices), "more than 32 interfaces"));
	char whole[sizeof many + 100];
	snprintf(whole, sizeof whole, "<s:guard xmlns:s='urn:softnet:libvirt'>%s</s:guard>", many);
	assert_non_null(strstr(read_text(whole, ONE), "more than 32 elements"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_are_found),
		cmocka_unit_test(what_is_not_understood_is_refused),
		cmocka_unit_test(a_domain_has_a_uuid),
		cmocka_unit_test(more_than_there_is_room_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
