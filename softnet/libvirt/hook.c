/*
 * softnet-libvirt-hook: libvirt calls it for each step in the life of a domain, with the domain's XML on standard input. It
 * guards the taps of a domain that asks for it before the guest runs, or has the start refused.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "softnet/libvirt/keeper.h"
#include "softnet/libvirt/nwfilter.h"
#include "softnet/libvirt/record.h"
#include "softnet/libvirt/tap.h"
#include "system/files/whole_file.h"
#include "system/log.h"
#include "system/process/process.h"

enum { XML_MAX = 16 << 20 };

static bool are_taps(const struct domain *domain, struct error *error)
{
	for (uint32_t i = 0; i < domain->port_count; i++)
		if (!is_tap(domain->ports[i].interface, error))
			return false;
	return true;
}

/* The taps are there, and QEMU is not: from here on it waits for this process. */
static bool start_domain(struct domain *domain, const char *name, struct error *error)
{
	if (!find_ports(domain, name, error))
		return false;
	if (domain->port_count == 0 && !has_record(domain->uuid))
		return true;
	if (geteuid() != 0)
		return report_failure(error, "only root can guard the domain's interfaces");
	if (!enter_hooks_alone(error))
		return false;
	undo_records(domain->uuid); /* of a start whose end nobody has told */
	if (domain->port_count == 0)
		return true;
	if (are_taps(domain, error) && start_keeper(domain, true, error))
		return true;
	undo_records(domain->uuid);
	return false;
}

/* libvirt was started again. The programs in the kernel guard all the while; an error here would cost the guest its life. */
static bool find_again(struct domain *domain, const char *name, struct error *error)
{
	if (!has_record(domain->uuid) || keeper_of(domain->uuid) > 0)
		return true;
	if (!find_ports(domain, name, error))
		return false;
	keep_new_ports(domain, is_kept);
	return domain->port_count == 0 || (enter_hooks_alone(error) && start_keeper(domain, false, error));
}

static bool end_domain(const struct domain *domain, struct error *error)
{
	if (!has_record(domain->uuid))
		return true;
	bool is_alone = enter_hooks_alone(error);
	undo_records(domain->uuid); /* alone or not */
	return is_alone;
}

static bool is_operation(char **words, const char *operation, const char *part)
{
	return strcmp(words[2], operation) == 0 && strcmp(words[3], part) == 0;
}

/* A card that was plugged into a domain that runs. It is the guest's by now, so its port had better be closed until here: closed.h. */
static bool guard_plugged(struct domain *domain, struct error *error)
{
	char name[DOMAIN_NAME];
	if (geteuid() != 0)
		return report_failure(error, "only root can guard the domain's interfaces");
	if (!find_ports(domain, find_name(domain, name), error) || !enter_hooks_alone(error))
		return false;
	keep_new_ports(domain, is_recorded);
	if (domain->port_count == 0)
		return report_failure(error, "no interface of the domain wants a guard and has none");
	snprintf(domain->record, sizeof domain->record, "%s.%u", domain->uuid,
		 if_nametoindex(domain->ports[0].interface));
	return are_taps(domain, error) && start_keeper(domain, true, error);
}

/* For the administrator: the domain's nwfilter, as metadata. */
static bool convert(struct domain *domain, struct error *error)
{
	return convert_filters(domain, stdout, error);
}

/* Of a domain whose XML is on standard input. */
static int obey(bool (*command)(struct domain *, struct error *))
{
	static struct domain domain;
	struct error error;
	size_t octets;
	char *xml = read_whole(STDIN_FILENO, XML_MAX, &octets);
	bool is_done = xml ? open_domain(&domain, xml, octets, &error) && command(&domain, &error)
			   : report_failure(&error, "the domain's XML is too long");
	free(xml);
	close_domain(&domain);
	if (!is_done)
		warning("%s", error.text);
	return is_done ? EXIT_OK : EXIT_RUNTIME;
}

int main(int count, char **words)
{
	static struct domain domain;
	struct error error;
	size_t octets;
	sanitize_process();
	if (count == 2 && strcmp(words[1], "--convert") == 0)
		return obey(convert);
	if (count == 2 && strcmp(words[1], "--plug") == 0)
		return obey(guard_plugged);
	if (count < 4)
		die_usage(
		    "libvirt starts this program, with the name of a domain, an operation and its part; see "
		    "softnet-libvirt-hook(8). --convert turns the <filterref> of a domain into metadata, --plug guards "
		    "cards that were plugged in");
	char *xml = read_whole(STDIN_FILENO, XML_MAX, &octets); /* for any operation: libvirt writes into a pipe */
	bool starts = is_operation(words, "start", "begin"), ends = is_operation(words, "release", "end");
	bool comes_back = is_operation(words, "reconnect", "begin");
	if (!starts && !ends && !comes_back) {
		free(xml);
		return EXIT_OK;
	}
	bool is_done = xml ? open_domain(&domain, xml, octets, &error)
			   : report_failure(&error, "the domain's XML is too long");
	free(xml);
	if (is_done && starts)
		is_done = start_domain(&domain, words[1], &error);
	else if (is_done && ends)
		is_done = end_domain(&domain, &error);
	else if (is_done)
		is_done = find_again(&domain, words[1], &error);
	close_domain(&domain);
	if (!is_done)
		warning("%s", error.text);
	return is_done || !starts ? EXIT_OK : EXIT_RUNTIME;
}
