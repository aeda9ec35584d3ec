/* Strict, as what is misspelled would leave a pod with another guard than somebody meant. */
#include "softnet/cni/netconf.h"
#include <stdio.h>
#include <string.h>
#include "softnet/options/options.h"
#include "system/text.h"

static struct options tried; /* what softnet itself makes of the words */

/* What any plug-in finds in its configuration. */
static bool is_of_cni(const char *key)
{
	static const char *const keys[] = {
		"cniVersion",    "name",       "type",         "args",      "capabilities",
		"runtimeConfig", "prevResult", "disableCheck", "disableGC", "loadOnlyInlinedPlugins"
	};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return strncmp(key, "cni.dev/", 8) == 0;
}

/* What the plug-in says itself cannot be said by the configuration. */
static const struct option_line *find_option(const char *key)
{
	static const char *const own[] = { "vm-mac-address", "vm-ip", "shared-ip", "control-fd",
					   "no-dhcp",        "leave", "name",      "verbose" };
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		if (strcmp(key, own[i]) == 0)
			return NULL;
	for (int i = 0; i < option_line_count; i++)
		if (strcmp(option_lines[i].name, key) == 0 && verb_takes(WANT_ATTACH, key))
			return &option_lines[i];
	return NULL;
}

static bool take_value(const struct option_line *line, const json_t *value, struct words *words, struct fault *fault)
{
	char number[32];
	snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	if (!line->argument && !json_is_boolean(value))
		return fail(fault, CNI_CONFIGURATION, "%s: expected true or false", line->name);
	if (line->argument && !json_is_string(value) && !json_is_integer(value))
		return fail(fault, CNI_CONFIGURATION, "%s: expected %s, as a text", line->name, line->argument);
	if (json_is_false(value))
		return true;
	const char *text = json_is_true(value) ? NULL : json_is_string(value) ? json_string_value(value) : number;
	return add_word(words, line->name, text) || fail(fault, CNI_CONFIGURATION, "%s: too many values", line->name);
}

static bool take_key(const char *key, const json_t *value, struct words *words, struct fault *fault)
{
	size_t i;
	const json_t *one;
	const struct option_line *line = find_option(key);
	if (!line) {
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
		fail(fault, CNI_FIELD_UNKNOWN, "%.60s: %.100s: unknown key; expected an option of `softnet attach`",
		     key, text ? text : "");
		free(text);
		return false;
	}
	if (!json_is_array(value) || line->times != GIVE_OFTEN)
		return take_value(line, value, words, fault);
	json_array_foreach(value, i, one)
	{
		if (!take_value(line, one, words, fault))
			return false;
	}
	return true;
}

/* A pod that narrows has its own words for these. */
static bool is_narrowed(const struct narrowing *narrowing, const char *key)
{
	return narrowing->is_there &&
	       (strcmp(key, "inbound") == 0 || strcmp(key, "isolation") == 0 || strcmp(key, "ipv6") == 0);
}

bool has_process(const struct cni_call *call)
{
	return json_is_false(json_object_get(call->config, "leave"));
}

static bool check_leave(const struct cni_call *call, struct fault *fault)
{
	const json_t *leave = json_object_get(call->config, "leave");
	return !leave || json_is_boolean(leave) || fail(fault, CNI_CONFIGURATION, "leave: expected true or false");
}

static bool take_config(const struct cni_call *call, const struct narrowing *narrowing, struct words *words,
			struct fault *fault)
{
	const char *key;
	const json_t *value;
	json_object_foreach(call->config, key, value)
	{
		bool is_other = is_of_cni(key) || is_narrowed(narrowing, key) || strcmp(key, "leave") == 0;
		if (!is_other && !take_key(key, value, words, fault))
			return false;
	}
	return check_leave(call, fault);
}

/* As the configuration has it, or for want of such a key as IPAM says. */
static bool add_known(const struct cni_call *call, const struct cni_result *result, struct words *words)
{
	char text[ADDRESS_TEXT];
	bool is_added = true;
	for (uint32_t i = 0; i < result->count && !json_object_get(call->config, "gateway"); i++)
		if (!is_unset(result->ips[i].gateway))
			is_added = is_added && add_word(words, "gateway", format_address(result->ips[i].gateway, text));
	return is_added;
}

static bool add_addresses(const struct cni_result *result, bool ipv6, struct words *words)
{
	char text[ADDRESS_TEXT], line[ADDRESS_TEXT + 8];
	bool is_added = true;
	for (uint32_t i = 0; i < result->count; i++) {
		const struct cni_address *ip = &result->ips[i];
		snprintf(line, sizeof line, "%s/%u", format_address(ip->address, text), (unsigned)ip->prefix_length);
		if (ipv6 || is_ipv4(ip->address))
			is_added = is_added && add_word(words, "vm-ip", line);
	}
	return is_added;
}

/* NAMESPACE.POD.INTERFACE in Kubernetes, else the beginning of the container's number. */
static bool add_name(const struct cni_call *call, struct words *words)
{
	enum { SHORT = 12 };
	char space[64] = "", pod[256] = "", name[VM_NAME_MAX + 1];
	if (find_argument(call, "K8S_POD_NAME", pod, sizeof pod) &&
	    find_argument(call, "K8S_POD_NAMESPACE", space, sizeof space))
		snprintf(name, sizeof name - strlen(call->interface) - 1, "%s.%s", space, pod);
	else
		snprintf(name, sizeof name, "%.*s", (int)SHORT, call->container);
	size_t length = strlen(name);
	snprintf(name + length, sizeof name - length, ".%s", call->interface);
	make_vm_name(name);
	return add_word(words, "name", name);
}

static bool begin_words(const struct cni_call *call, const char *interface, uint64_t mac, struct words *words)
{
	char text[MAC_TEXT];
	forget_words(words);
	return add_word(words, NULL, "softnet") && add_word(words, NULL, "attach") &&
	       add_word(words, NULL, interface) && add_word(words, "vm-mac-address", format_mac(mac, text)) &&
	       (has_process(call) || (add_word(words, "leave", NULL) && add_word(words, "no-dhcp", NULL)));
}

/* In `tried` is what came of it. */
static bool try_words(const struct words *words, struct fault *fault)
{
	return parse_options(words->count, (char **)(uintptr_t)words->all, &tried, &fault->error) ||
	       fail_of(fault, CNI_CONFIGURATION);
}

static bool has_no_room(struct fault *fault)
{
	return fail(fault, CNI_CONFIGURATION, "the configuration has more than %d values", WORDS_MAX);
}

static struct narrowing narrowing;

/* Any pod's: of networks for documents (RFC 5737, RFC 7042). */
bool check_config(const struct cni_call *call, struct fault *fault)
{
	static const struct narrowing none;
	static struct words words;
	bool is_begun = begin_words(call, "eth0", 0x00005e0053000a, &words) && add_word(&words, "vm-ip", "192.0.2.1/24");
	return (is_begun || has_no_room(fault)) && take_config(call, &none, &words, fault) && try_words(&words, fault);
}

bool write_words(const struct cni_call *call, const struct place *place, const struct cni_result *result,
		 struct words *words, struct fault *fault)
{
	if (!read_narrowing(call, &narrowing, fault) || !check_config(call, fault))
		return false;
	bool is_begun = begin_words(call, place->interface, place->mac, words) && add_name(call, words) &&
			add_known(call, result, words) &&
			add_addresses(result, tried.ipv6 != IPV6_OFF && !narrowing.no_ipv6, words);
	return (is_begun || has_no_room(fault)) && take_config(call, &narrowing, words, fault) &&
	       (!narrowing.is_there || add_narrowing(&narrowing, &tried, words, fault)) && try_words(words, fault);
}
