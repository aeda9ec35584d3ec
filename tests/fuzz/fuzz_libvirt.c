/*
 * Any octets as the XML of a domain. It is refused with a line that says why, or its interfaces have words for a guard; and what
 * its filters of libvirt become is metadata that softnet itself takes. Nothing outside of the octets is asked for. Run by `make fuzz`.
 */
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softnet/libvirt/domain.h"
#include "softnet/libvirt/metadata.h"
#include "softnet/libvirt/nwfilter.h"
#include "softnet/options/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct domain domain;
static struct wishes wishes;

/* A file or an address in the network that an entity or a DTD names. */
static xmlParserInputPtr fail_to_load(const char *where, const char *name, xmlParserCtxtPtr unused)
{
	(void)where, (void)name, (void)unused;
	abort();
}

static void must_say_why(const struct error *error)
{
	if (error->text[0] == '\0' || strchr(error->text, '\n'))
		abort();
}

static void check_ports(void)
{
	static struct options options;
	for (uint32_t i = 0; i < domain.port_count; i++) {
		struct port_wanted *port = &domain.ports[i];
		struct error error = { .text = "" };
		if (port->count > WORDS_MAX || port->words[port->count] || strcmp(port->words[1], "attach") != 0)
			abort();
		if (!parse_options((int)port->count, port->words, &options, &error))
			must_say_why(&error);
		else if (options.vm_mac != port->mac && options.wanted == WANT_ATTACH)
			abort();
	}
}

/* What filters become, and nothing that a parameter brings along. */
static void check_options(const struct wish *wish)
{
	static const char *const known[] = {
		"--allow=0.0.0.0/0", "--allow=out 0.0.0.0/0", "--inbound=established", "--ipv6=off", "--no-dhcp",
		"--vm-ip=",          "--dhcp-server=",        "--gateway-mac="
	};
	for (uint32_t i = 0; i < wish->option_count; i++) {
		bool is_known = false;
		for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
			size_t length = strlen(known[k]);
			is_known |= k < 5 ? strcmp(wish->options[i], known[k]) == 0
					  : strncmp(wish->options[i], known[k], length) == 0;
		}
		if (!is_known)
			abort();
	}
}

/* As virsh stores it: with the namespace, in a domain. */
static void must_be_taken(const char *guard)
{
	static char xml[1 << 16];
	struct error error;
	struct domain stored;
	int octets = snprintf(xml, sizeof xml, "<d><uuid>%s</uuid><metadata><guard xmlns='%s'>%s</metadata></d>",
			      domain.uuid, SOFTNET_NAMESPACE, guard + strlen("<guard>"));
	if (octets < 0 || (size_t)octets >= sizeof xml)
		return;
	bool is_taken = open_domain(&stored, xml, (size_t)octets, &error) &&
			read_wishes(find_element(xmlDocGetRootElement(stored.document), "metadata"), &wishes, &error);
	/* Two cards with one MAC address, and more than a guard is for, are refused there. */
	if (!is_taken && !strstr(error.text, "the same interface") && !strstr(error.text, "more than"))
		abort();
	for (uint32_t i = 0; is_taken && i < wishes.count; i++)
		check_options(&wishes.all[i]);
	forget_wishes(&wishes);
	close_domain(&stored);
}

static void check_filters(void)
{
	char *text = NULL;
	size_t octets;
	struct error error = { .text = "" };
	FILE *to = open_memstream(&text, &octets);
	if (!to)
		abort();
	bool is_done = convert_filters(&domain, to, &error);
	fclose(to);
	if (!is_done)
		must_say_why(&error);
	if (is_done ? strchr(text, '\n') != text + octets - 1 : octets != 0)
		abort();
	if (is_done)
		must_be_taken(text);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char name[DOMAIN_NAME];
	struct error error = { .text = "" };
	xmlSetExternalEntityLoader(fail_to_load);
	bool is_open = open_domain(&domain, (const char *)data, n, &error);
	if (is_open && find_ports(&domain, find_name(&domain, name), &error))
		check_ports();
	else
		must_say_why(&error);
	if (is_open)
		check_filters();
	close_domain(&domain);
	return 0;
}
