/* A client of live control, for people: one request, and the answer in the form of a policy file. */
#include "softnet/policy/policy_client.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "port/io.h"
#include "softnet/look/guard_list.h"
#include "softnet/rules/rules_json.h"
#include "system/process/privileges.h"

enum { ANSWER_MAX = 1 << 20, TIMEOUT_MS = 10 * 1000 };

static char *request_of(const struct options *options)
{
	if (options->wanted != WANT_SET)
		return write_request("softnet.policy.get", NULL);
	return write_request("softnet.policy.set",
			     json_pack("{s:o, s:o}", "allow", json_rules(&options->rules, CLASS_ALLOWED), "block",
				       json_rules(&options->rules, CLASS_BLOCKED)));
}

static void print_rules(const json_t *result, const char *key, FILE *to)
{
	size_t i;
	json_t *rule;
	json_array_foreach(json_object_get(result, key), i, rule)
	{
		char text[RULE_TEXT];
		copy_text(text, sizeof text, json_is_string(rule) ? json_string_value(rule) : "?");
		make_printable(text);
		fprintf(to, "%s %s\n", key, text);
	}
}

static bool print_answer(const json_t *answer, FILE *to, struct error *error)
{
	const json_t *result = json_object_get(answer, "result");
	const char *message = json_string_value(json_object_get(json_object_get(answer, "error"), "message"));
	if (!result)
		return refuse(error, "%s", message ? message : "--control: that is no guard's answer");
	print_rules(result, "allow", to);
	print_rules(result, "block", to);
	return true;
}

/* Where the one guard of --vm listens. A change must never reach another VM of the same name. */
static bool find_guard(const struct options *options, struct guard_call *call, struct error *error)
{
	struct guard_list list;
	if (!ask_guards(options, &list, TIMEOUT_MS, NULL, error))
		return false;
	if (list.count == 1)
		copy_text(call->path, sizeof call->path, list.views[0].path);
	size_t count = list.count;
	forget_guards(&list);
	if (count > 1)
		return refuse(error,
			      "--vm: \"%s\": %zu guards are called so; give the MAC address or the PID that "
			      "`softnet status` shows",
			      options->name, count);
	return count == 1 || refuse(error, "--vm: no guard answers for a VM \"%s\"%s", options->name,
				    root_has_guards() ? "; root has guards, which only root may ask" : "");
}

bool ask_for_policy(const struct options *options, FILE *to, struct error *error)
{
	struct guard_call call = { .answer_max = ANSWER_MAX };
	struct sockaddr_un address;
	struct error cause;
	const char *path = options->control_path;
	if (path && !unix_address(&address, path, strlen(path), &cause))
		return refuse(error, "--control: %s", cause.text);
	if (!become_caller())
		return refuse(error, "--control: cannot become its caller again: %s", strerror(errno));
	copy_text(call.path, sizeof call.path, path ? path : "");
	if (!path && !find_guard(options, &call, error))
		return false;
	char *request = request_of(options);
	call_guards(&call, 1, request, TIMEOUT_MS, NULL);
	free(request);
	bool is_done = call.answer
			   ? print_answer(call.answer, to, error)
			   : refuse(error, "--control: %s %s: %s",
				    call.is_connected ? "no answer from" : "cannot connect to", call.path, call.why);
	forget_calls(&call, 1);
	return is_done;
}
