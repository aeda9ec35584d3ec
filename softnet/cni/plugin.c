/*
 * softnet-cni: a container runtime calls it for an interface of a container, behind the plug-in that has made the interface. It
 * guards the interface before anything runs in the container, or has the container refused. Nothing but a result or an error is
 * printed on standard output.
 */
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "port/kernel/kernel_guard.h"
#include "port/linux/netspace.h"
#include "softnet/cni/attachment.h"
#include "softnet/cni/guarding.h"
#include "softnet/cni/netconf.h"
#include "softnet/left/left.h"
#include "system/log.h"
#include "system/process/process.h"

static struct words words;

/* The VM at a tap has another MAC address than the tap. Who wants one for it says so; else it gets that of the result. */
static bool choose_mac(const struct cni_call *call, const struct cni_result *result, struct place *place,
		       struct fault *fault)
{
	char argument[MAC_TEXT] = "";
	const char *wanted = text_of(json_object_get(call->config, "runtimeConfig"), "mac");
	if (wanted[0] == '\0')
		wanted = text_of(json_object_get(json_object_get(call->config, "args"), "cni"), "mac");
	if (wanted[0] == '\0' && find_argument(call, "MAC", argument, sizeof argument))
		wanted = argument;
	if (!place->is_inside || (wanted[0] == '\0' && result->mac[0] == '\0'))
		return true;
	wanted = wanted[0] != '\0' ? wanted : result->mac;
	return parse_mac(wanted, &place->mac) ||
	       fail(fault, CNI_CONFIGURATION, "mac: \"%.40s\": expected a MAC address", wanted);
}

static bool is_root(struct fault *fault)
{
	return geteuid() == 0 || fail(fault, CNI_NOT_AVAILABLE, "only root can guard interfaces");
}

/* Everything is looked at before anything is changed. */
static bool prepare_add(const struct cni_call *call, struct cni_result *result, struct place *place, struct fault *fault)
{
	if (!read_result(call, result, fault))
		return false;
	if (result->count == 0)
		return fail(fault, CNI_CONFIGURATION, "prevResult: ips: %.15s has no address; this guard learns none",
			    call->interface);
	return is_root(fault) && find_port_of(call, place, fault) && choose_mac(call, result, place, fault) &&
	       write_words(call, place, result, &words, fault);
}

static bool add(struct cni_call *call, json_t **answer, struct fault *fault)
{
	static struct cni_result result;
	struct fault unused;
	struct place place;
	if (!prepare_add(call, &result, &place, fault) || !enter_calls_alone(fault) ||
	    !is_nobody_elses(call, &place, fault) || !undo_attachment(call, fault))
		return false;
	json_t *addresses = list_addresses(&result);
	bool is_added = write_attachment(call, &place, addresses, fault) &&
			(has_process(call) ? start_guard_at(&place, call->netns, &words, fault)
					   : make_guard_at(&place, call->netns, &words, fault));
	json_decref(addresses);
	if (!is_added) {
		undo_attachment(call, &unused);
		return false;
	}
	*answer = json_copy((json_t *)(uintptr_t)result.whole);
	json_object_set_new(*answer, "cniVersion", json_string(call->version));
	return true;
}

static bool delete (struct cni_call *call, struct fault *fault)
{
	return is_root(fault) && enter_calls_alone(fault) && undo_attachment(call, fault);
}

static bool is_guarded_as_added(const struct cni_call *call, const json_t *record, const struct cni_result *result,
				struct fault *fault)
{
	struct place place, before = place_of(record);
	if (!find_port_of(call, &place, fault))
		return false;
	json_t *addresses = list_addresses(result);
	bool has_same = json_equal(addresses, json_object_get(record, "addresses"));
	json_decref(addresses);
	if (!has_same)
		return fail(fault, CNI_GUARD_GONE, "%.15s has other addresses than ADD was told", call->interface);
	if (place.number != before.number || place.netspace != before.netspace)
		return fail(fault, CNI_GUARD_GONE, "%.15s is another interface than ADD has guarded", call->interface);
	int own = open_own_netspace();
	bool stands = enter_place(&place, call->netns) && is_left_standing(place.number);
	return_to_netspace(own);
	return stands || fail(fault, CNI_GUARD_GONE, "%s: the guard is gone, and everything passes", place.interface);
}

static bool check(struct cni_call *call, struct fault *fault)
{
	static struct cni_result result;
	if (!is_root(fault) || !read_result(call, &result, fault))
		return false;
	json_t *record = read_attachment(call);
	bool is_same = record ? is_guarded_as_added(call, record, &result, fault)
			      : fail(fault, CNI_GUARD_GONE, "%.15s of %.60s: ADD has guarded no such interface",
				     call->interface, call->container);
	json_decref(record);
	return is_same;
}

/* The key had another name in a draft, which runtimes send as well. */
static bool collect(struct cni_call *call, struct fault *fault)
{
	const json_t *valid = json_object_get(call->config, "cni.dev/valid-attachments");
	valid = valid ? valid : json_object_get(call->config, "cni.dev/attachments");
	if (!json_is_array(valid))
		return fail(fault, CNI_CONFIGURATION,
			    "cni.dev/valid-attachments: expected an array: without it all guards would go");
	return is_root(fault) && enter_calls_alone(fault) && undo_others(call, valid, fault);
}

/* Whether an ADD could be done now, and whether the configuration can be at all. */
static bool tell_status(const struct cni_call *call, struct fault *fault)
{
	char path[256];
	if (!is_root(fault) || !find_softnet(path, sizeof path, fault))
		return false;
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return fail(fault, CNI_NOT_AVAILABLE, "this kernel has no BTF, which the guard's programs need");
	return (can_wait_for_programs(&fault->error) || fail_of(fault, CNI_NOT_AVAILABLE)) && check_config(call, fault);
}

static bool answer_call(struct cni_call *call, json_t **answer, struct fault *fault)
{
	switch (call->command) {
	case CNI_ADD:
		return add(call, answer, fault);
	case CNI_DEL:
		return delete (call, fault);
	case CNI_CHECK:
		return check(call, fault);
	case CNI_GC:
		return collect(call, fault);
	case CNI_STATUS:
		return tell_status(call, fault);
	case CNI_VERSION:
		*answer = list_versions(call);
		return true;
	case CNI_COMMANDS:
		break;
	}
	return false;
}

int main(void)
{
	struct cni_call call;
	struct fault fault = { CNI_INPUT_OUTPUT, { EXIT_RUNTIME, "out of memory" } };
	json_t *answer = NULL;
	sanitize_process();
	bool is_done = read_call(&call, &fault) && answer_call(&call, &answer, &fault);
	if (!is_done)
		answer = json_pack("{s:s, s:i, s:s}", "cniVersion", call.version, "code", (int)fault.code, "msg",
				   fault.error.text);
	if (answer && (json_dumpf(answer, stdout, JSON_INDENT(4) | JSON_ENSURE_ASCII) < 0 || putchar('\n') == EOF ||
		       fflush(stdout) == EOF))
		return EXIT_RUNTIME;
	json_decref(answer);
	json_decref(call.config);
	return is_done ? EXIT_OK : EXIT_RUNTIME;
}
