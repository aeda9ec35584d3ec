/* Reading a call. What a configuration may be called becomes the name of a file, so it is looked at first. */
#include "softnet/cni/call.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "system/files/whole_file.h"

enum { CONFIG_MAX = 4 << 20, LONGEST_NAME = 120 };

static const char *const commands[CNI_COMMANDS] = { "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION" };
static const char *const versions[] = { "0.4.0", "1.0.0", "1.1.0" };
enum { VERSIONS = sizeof versions / sizeof *versions };
const char newest_version[] = "1.1.0";

bool fail(struct fault *fault, enum cni_code code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fill_error(&fault->error, EXIT_RUNTIME, format, arguments);
	va_end(arguments);
	return fail_of(fault, code);
}

bool fail_of(struct fault *fault, enum cni_code code)
{
	fault->code = code;
	return false;
}

const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static const char *environment_of(const char *name)
{
	const char *value = getenv(name);
	return value ? value : "";
}

static bool read_command(struct cni_call *call, struct fault *fault)
{
	const char *word = environment_of("CNI_COMMAND");
	for (int i = 0; i < CNI_COMMANDS; i++)
		if (strcmp(word, commands[i]) == 0) {
			call->command = (enum cni_command)i;
			return true;
		}
	if (word[0] == '\0')
		return fail(fault, CNI_ENVIRONMENT,
			    "CNI_COMMAND: not set; a container runtime calls this program, see softnet-cni(8)");
	return fail(fault, CNI_ENVIRONMENT, "CNI_COMMAND: \"%.40s\": expected ADD, DEL, CHECK, GC, STATUS or VERSION",
		    word);
}

/* Letters and digits first, then also . _ and - as the specification has it. */
static bool is_name(const char *text)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	return text[0] != '\0' && !strchr("._-", text[0]) && text[strspn(text, set)] == '\0' &&
	       strlen(text) <= LONGEST_NAME;
}

/* What the kernel takes as one. */
static bool is_interface(const char *text)
{
	enum { LONGEST = 15 };
	return text[0] != '\0' && strlen(text) <= LONGEST && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
	       !strpbrk(text, "/: \t\r\n\v\f");
}

static bool read_environment(struct cni_call *call, struct fault *fault)
{
	bool is_about_one = call->command == CNI_ADD || call->command == CNI_DEL || call->command == CNI_CHECK;
	call->container = environment_of("CNI_CONTAINERID");
	call->netns = environment_of("CNI_NETNS");
	call->interface = environment_of("CNI_IFNAME");
	call->arguments = environment_of("CNI_ARGS");
	if (!is_about_one)
		return true;
	if (!is_name(call->container))
		return fail(fault, CNI_ENVIRONMENT, "CNI_CONTAINERID: \"%.60s\": expected the name of a container",
			    call->container);
	if (!is_interface(call->interface))
		return fail(fault, CNI_ENVIRONMENT, "CNI_IFNAME: \"%.60s\": expected the name of an interface",
			    call->interface);
	if (call->netns[0] == '\0' && call->command != CNI_DEL)
		return fail(fault, CNI_ENVIRONMENT,
			    "CNI_NETNS: not set; expected the path of the container's network namespace");
	return true;
}

static bool read_config(struct cni_call *call, struct fault *fault)
{
	json_error_t cause;
	size_t octets;
	char *text = read_whole(STDIN_FILENO, CONFIG_MAX, &octets);
	if (!text && octets > 0)
		return fail(fault, CNI_INPUT_OUTPUT, "standard input: longer than %d MB", CONFIG_MAX >> 20);
	call->config = text ? json_loadb(text, octets, JSON_REJECT_DUPLICATES, &cause) : NULL;
	free(text);
	if (octets == 0)
		return call->command == CNI_VERSION ||
		       fail(fault, CNI_NO_JSON, "standard input: expected a network's configuration");
	if (!call->config)
		return fail(fault, CNI_NO_JSON, "standard input: no JSON: %.100s, in line %d", cause.text, cause.line);
	return json_is_object(call->config) || fail(fault, CNI_NO_JSON, "standard input: expected an object");
}

static bool check_version(struct cni_call *call, struct fault *fault)
{
	const char *wanted = text_of(call->config, "cniVersion");
	for (int i = 0; i < VERSIONS; i++)
		if (strcmp(wanted, versions[i]) == 0)
			call->version = versions[i];
	if (call->command == CNI_VERSION)
		return true;
	if (strcmp(wanted, call->version) != 0)
		return fail(fault, CNI_VERSION_UNKNOWN, "cniVersion: \"%.20s\": expected 0.4.0, 1.0.0 or 1.1.0", wanted);
	bool is_new = call->command == CNI_GC || call->command == CNI_STATUS;
	return !is_new || strcmp(wanted, newest_version) == 0 ||
	       fail(fault, CNI_VERSION_UNKNOWN, "cniVersion: \"%.20s\": %s came with 1.1.0", wanted,
		    commands[call->command]);
}

bool read_call(struct cni_call *call, struct fault *fault)
{
	*call = (struct cni_call){ .version = newest_version };
	if (!read_command(call, fault) || !read_config(call, fault) || !check_version(call, fault))
		return false;
	call->network = text_of(call->config, "name");
	if (call->command == CNI_VERSION || !read_environment(call, fault))
		return call->command == CNI_VERSION;
	return is_name(call->network) ||
	       fail(fault, CNI_CONFIGURATION,
		    "name: \"%.60s\": expected the network's name, of letters, digits, . _ and -", call->network);
}

json_t *list_versions(const struct cni_call *call)
{
	json_t *list = json_array();
	for (int i = 0; i < VERSIONS; i++)
		json_array_append_new(list, json_string(versions[i]));
	return json_pack("{s:s, s:o}", "cniVersion", call->version, "supportedVersions", list);
}

bool find_argument(const struct cni_call *call, const char *name, char *value, size_t size)
{
	size_t length = strlen(name);
	for (const char *at = call->arguments; *at != '\0'; at += strspn(at, ";")) {
		size_t end = strcspn(at, ";");
		if (end > length && strncmp(at, name, length) == 0 && at[length] == '=' && end - length - 1 < size) {
			memcpy(value, at + length + 1, end - length - 1);
			value[end - length - 1] = '\0';
			return true;
		}
		at += end;
	}
	return false;
}
