/*
 * Any octets as what a container runtime tells softnet-cni: CNI_ARGS in the first line, then standard input. It is refused with a
 * line that says why, or becomes the words of a `softnet attach`; and what a pod says of its own opens nothing. Run by `make fuzz`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softnet/cni/netconf.h"
#include "softnet/setup/setup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { ARGUMENTS_MAX = 1024, RULES_COMPARED = 40 };

/* What was made of a call. */
struct made {
	struct words words;
	struct options options;
	struct ready_rules rules;
};

static const struct place place = { .interface = "veth0", .number = 7, .mac = 0x52540000000aULL };
static struct made plain, narrowed;
static struct cni_result result;

/* The environment has no copy of it, so nothing is left of the call before. */
static void give_environment(const uint8_t *data, size_t n)
{
	static const char name[] = "CNI_ARGS=";
	static char command[] = "CNI_COMMAND=ADD", container[] = "CNI_CONTAINERID=c0ffee",
		    netns[] = "CNI_NETNS=/run/netns/x", interface[] = "CNI_IFNAME=eth0",
		    arguments[sizeof name + ARGUMENTS_MAX];
	memcpy(arguments, name, sizeof name - 1);
	memcpy(arguments + sizeof name - 1, data, n);
	arguments[sizeof name - 1 + n] = '\0';
	if (putenv(command) != 0 || putenv(container) != 0 || putenv(netns) != 0 || putenv(interface) != 0 ||
	    putenv(arguments) != 0)
		abort();
}

static void give_input(const uint8_t *data, size_t n)
{
	int fd = memfd_create("configuration", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0 || dup2(fd, STDIN_FILENO) < 0)
		abort();
	close(fd);
}

static bool says_why(const struct fault *fault)
{
	return fault->code != 0 && fault->error.text[0] != '\0' && !strchr(fault->error.text, '\n');
}

static bool make_words(const struct cni_call *call, struct made *made)
{
	struct fault fault = { .code = 0 };
	if (write_words(call, &place, &result, &made->words, &fault)) {
		if (!parse_options(made->words.count, made->words.all, &made->options, &fault.error))
			abort(); /* it has been tried */
		return true;
	}
	if (!says_why(&fault))
		abort();
	return false;
}

/* Whatever the configuration says, it is about this place. */
static void check_options(const struct cni_call *call, const struct options *options)
{
	if (options->wanted != WANT_ATTACH || strcmp(options->interface, place.interface) != 0 ||
	    options->vm_mac != place.mac || options->leaves == has_process(call) || options->static_count > result.count)
		abort();
}

static void check_result(void)
{
	json_t *texts = list_addresses(&result);
	if (json_array_size(texts) != result.count)
		abort();
	for (uint32_t i = 0; i < result.count; i++)
		if (result.ips[i].prefix_length > (is_ipv4(result.ips[i].address) ? 32u : 128u))
			abort();
	json_decref(texts);
}

static bool make_rules(struct made *made)
{
	struct error error;
	return make_ready(&made->options, &made->options.rules, NULL, &made->rules, &error);
}

static void compare(const struct contact *contact, uint32_t aliases)
{
	uint8_t was = rule_on(&plain.rules.policy, contact, aliases).class;
	uint8_t is = rule_on(&narrowed.rules.policy, contact, aliases).class;
	if ((is == CLASS_ALLOWED && was != CLASS_ALLOWED) ||
	    (is == CLASS_NONE && was == CLASS_BLOCKED && !contact->inward))
		abort();
}

/* Contacts that the rules name, and beside them. */
static void compare_rules(const struct rule_list *rules)
{
	for (uint32_t i = 0; i < rules->count && i < RULES_COMPARED; i++) {
		const struct rule_text *rule = &rules->rule[i].text;
		struct contact contact = { .peer = rule->target == TARGET_PREFIX ? rule->address
										 : address_of_ipv4(0x08080808),
					   .protocol = rule->has_protocol ? rule->protocol : 6,
					   .port = rule->has_ports ? rule->first_port : 0 };
		for (uint32_t k = 0; k < 4 * ALIASES; k++) {
			contact.inward = k & 1;
			contact.port = (uint16_t)(contact.port ^ (k >> 1 & 1));
			compare(&contact, 1u << (k >> 2));
		}
	}
}

static void check_narrowing(const struct cni_call *call)
{
	struct cni_call alone = *call;
	alone.arguments = "";
	alone.config = json_deep_copy(call->config);
	json_object_del(alone.config, "args");
	json_object_del(alone.config, "runtimeConfig");
	if (make_words(&alone, &plain) && make_rules(&plain) && make_rules(&narrowed)) {
		const struct options *of_pod = &narrowed.options, *of_network = &plain.options;
		if (narrowed.rules.inbound < plain.rules.inbound || narrowed.rules.ipv6_off < plain.rules.ipv6_off ||
		    wants_isolation(of_pod) < wants_isolation(of_network) ||
		    of_pod->hears_vms > of_network->hears_vms || of_pod->rules.count < of_network->rules.count)
			abort();
		compare_rules(&of_pod->rules);
		compare_rules(&of_network->rules);
	}
	json_decref(alone.config);
}

static bool has_a_pods_word(const struct cni_call *call)
{
	return json_object_get(call->config, "args") || json_object_get(call->config, "runtimeConfig") ||
	       strstr(call->arguments, "SOFTNET_");
}

static void check_call(const struct cni_call *call)
{
	struct fault fault = { .code = 0 };
	if (!check_config(call, &fault) && !says_why(&fault))
		abort();
	fault = (struct fault){ .code = 0 };
	if (!read_result(call, &result, &fault)) {
		if (!says_why(&fault))
			abort();
		return;
	}
	check_result();
	if (!make_words(call, &narrowed))
		return;
	check_options(call, &narrowed.options);
	if (has_a_pods_word(call))
		check_narrowing(call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cni_call call;
	struct fault fault = { .code = 0 };
	const uint8_t *end = n > 0 ? memchr(data, '\n', n < ARGUMENTS_MAX ? n : ARGUMENTS_MAX) : NULL;
	size_t line = end ? (size_t)(end - data) : 0, skipped = end ? line + 1 : 0;
	give_environment(data, line);
	give_input(data + skipped, n - skipped);
	if (read_call(&call, &fault))
		check_call(&call);
	else if (!says_why(&fault))
		abort();
	json_decref(call.config);
	forget_words(&narrowed.words);
	forget_words(&plain.words);
	return 0;
}
