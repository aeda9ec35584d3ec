/* Options about what is told, kept and shown: names, events, captures, metrics. */
#include <string.h>
#include "softnet/options/option_values.h"
#include "softnet/rules/rule_names.h"

bool take_name(struct options *options, const char *value, struct error *error)
{
	if (!is_vm_name(value, strlen(value)))
		return refuse_value(error, value, EXPECTED_VM_NAME);
	options->name = value;
	return true;
}

bool take_label(struct options *options, const char *value, struct error *error)
{
	char item[VM_NAME_MAX + 2];
	const char *rest = value;
	while (next_item(&rest, item, sizeof item)) {
		if (!is_vm_name(item, strlen(item)))
			return refuse_value(error, item, EXPECTED_VM_NAME);
		if (options->label_count == LABELS_MAX)
			return refuse(error, "\"%s\": more than %d labels", item, LABELS_MAX);
		memcpy(options->labels[options->label_count++], item, strlen(item) + 1);
	}
	return !rest || refuse_value(error, value, "a comma list of labels: " EXPECTED_VM_NAME);
}

/* Shown, and compared with that of others. */
bool take_segment(struct options *options, const char *value, struct error *error)
{
	if (!is_vm_name(value, strlen(value)) || strlen(value) > SEGMENT_NAME_MAX)
		return refuse_value(error, value, "auto, none, or 1 to 48 letters, digits, dots, dashes and underscores");
	options->segment = strcmp(value, "auto") == 0 ? NULL : value;
	return true;
}

/* A name, a MAC address or a process number: whichever it is, it is compared as a text. */
bool take_vm(struct options *options, const char *value, struct error *error)
{
	return keep_text(&options->name, value, "a VM's name, MAC address or guard's process number", error);
}

bool take_events(struct options *options, const char *value, struct error *error)
{
	if (options->event_count == EVENT_FILES_MAX)
		return refuse(error, "\"%s\": more than %d", value, EVENT_FILES_MAX);
	return keep_text(&options->events[options->event_count++], value, "the path of a file, stderr or syslog", error);
}

bool take_pcap(struct options *options, const char *value, struct error *error)
{
	if (strcmp(value, "-") == 0) /* it may be full, and frames do not wait */
		return refuse_value(error, value, "the path of a file, not standard output");
	return keep_text(&options->pcap, value, "the path of a file", error);
}

bool take_frames(struct options *options, const char *value, struct error *error)
{
	static const char *const words[] = { [FRAMES_DROPS] = "drops", [FRAMES_ALL] = "all", [FRAMES_NONE] = "none" };
	for (int i = FRAMES_DROPS; i <= FRAMES_NONE; i++)
		if (strcmp(value, words[i]) == 0) {
			options->frames = (enum frames_wanted)i;
			return true;
		}
	return refuse_value(error, value, "drops, all or none");
}

/* Not so small that a frame of the largest MTU does not fit. */
bool take_pcap_size(struct options *options, const char *value, struct error *error)
{
	static const char units[] = "KMG";
	enum { DIGITS_MAX = 15 };
	char digits[DIGITS_MAX + 1];
	size_t length = strlen(value);
	const char *unit = length > 0 ? strchr(units, value[length - 1]) : NULL;
	uint64_t number, factor = 1;
	for (const char *u = units; unit && u <= unit; u++)
		factor *= 1024;
	length -= unit != NULL;
	bool is_short = length <= DIGITS_MAX;
	memcpy(digits, value, is_short ? length : 0);
	digits[is_short ? length : 0] = '\0';
	if (!parse_number(digits, 1, 1ULL << 40, &number) || number * factor < 1 << 20 || number * factor > 1ULL << 40)
		return refuse_value(error, value, "a size from 1M to 1024G");
	options->pcap_size = number * factor;
	return true;
}

bool take_pcap_files(struct options *options, const char *value, struct error *error)
{
	uint64_t number;
	if (!parse_number(value, 1, PCAP_FILES_MAX, &number))
		return refuse_value(error, value, "a number from 1 to 1000");
	options->pcap_files = (uint32_t)number;
	return true;
}

bool take_metrics(struct options *options, const char *value, struct error *error)
{
	return keep_text(&options->metrics, value, "the path of a file", error);
}

bool add_capture(struct options *options, const char *path, enum capture_side side, struct error *error)
{
	if (options->capture_count == CAPTURES_MAX)
		return refuse(error, "\"%s\": more than %d captures", path, CAPTURES_MAX);
	struct capture_name *capture = &options->captures[options->capture_count++];
	capture->side = side;
	return keep_text(&capture->path, path, "the path of a file", error);
}

bool take_guest_pcap(struct options *options, const char *value, struct error *error)
{
	return add_capture(options, value, SIDE_GUEST, error);
}

bool take_uplink_pcap(struct options *options, const char *value, struct error *error)
{
	return add_capture(options, value, SIDE_UPLINK, error);
}

bool take_diff(struct options *options, const char *value, struct error *error)
{
	return keep_text(&options->diff, value, "the path of a file", error);
}

bool take_wildcard(struct options *options, const char *value, struct error *error)
{
	char item[NAME_MAX_OCTETS + 3];
	const char *rest = value;
	struct rule_text rule;
	while (next_item(&rest, item, sizeof item)) {
		memset(&rule, 0, sizeof rule);
		if (!parse_rule_name(item, &rule) || !rule.is_zone)
			return refuse_value(error, item, "*.NAME");
		if (options->wildcard_count == WILDCARDS_MAX)
			return refuse(error, "\"%s\": more than %d names", item, WILDCARDS_MAX);
		options->wildcards[options->wildcard_count++] = rule.name;
	}
	return !rest || refuse_value(error, value, "a comma list without empty items");
}

bool take_host(struct options *options, const char *value, struct error *error)
{
	char item[64];
	const char *rest = value;
	while (next_item(&rest, item, sizeof item)) {
		struct address address;
		if (options->resident_mac == MAC_NONE) {
			if (!parse_mac(item, &options->resident_mac) || mac_is_group(options->resident_mac))
				return refuse_value(error, item, "a unicast MAC address, and then IP addresses");
		} else if (!parse_address(item, &address) || is_unset(address)) {
			return refuse_value(error, item, "an IP address");
		} else if (!set_add(&options->resident, address)) {
			return refuse(error, "more than %d addresses", ADDRESS_SET_MAX);
		}
	}
	return !rest || refuse_value(error, rest, "a list of addresses");
}

bool take_site(struct options *options, const char *value, struct error *error)
{
	char item[64];
	const char *rest = value;
	while (next_item(&rest, item, sizeof item)) {
		struct address prefix;
		uint32_t length;
		if (!parse_prefix(item, &prefix, &length) || is_ipv4(prefix) || length != 48)
			return refuse_value(error, item, "an IPv6 prefix of 48 bits");
		if (options->sites.count == SITES_MAX)
			return refuse(error, "\"%s\": more than %d prefixes", item, SITES_MAX);
		options->sites.item[options->sites.count++] = prefix.high;
	}
	return !rest || refuse_value(error, rest, "a list of prefixes");
}

TAKE_FLAG(json, options->json = true)
TAKE_FLAG(openmetrics, options->openmetrics = true)
