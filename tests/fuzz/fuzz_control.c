/*
 * Any octets as the lines of a client of live control: each gets one answer that is JSON, with a result or an error; a
 * policy that was set is what is read, and setting it again changes nothing. Run by `make fuzz`.
 */
#include <stdlib.h>
#include <string.h>

#include "softnet/guard/hold_relay.h"
#include "softnet/guard/kernel_relay.h"
#include "softnet/methods/control_methods.h"
#include "softnet/setup/setup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct options options;
static struct guard_memory memory;
static struct capture no_capture;
static struct state_file file;
static struct metrics_file metrics;
static struct relay relay = { .capture = &no_capture,
			      .file = &file,
			      .metrics = &metrics,
			      .options = &options,
			      .memory = &memory,
			      .rules = &options.rules };
static const struct rpc_method methods[] = {
	{ "softnet.policy.get", false, policy_get },
	{ "softnet.policy.set", false, policy_set },
	{ NULL, false, NULL },
};
static int applied;

/* What the rest of the program would do. */
bool change_rules(struct guard_memory *to, const struct options *from, const struct rule_list *rules,
		  const struct vm_addresses *vms, uint64_t now_ms, struct error *error)
{
	(void)from;
	(void)now_ms;
	applied++;
	return compile_rules(rules, false, vms, &to->config.policy, error);
}

void take_rules(struct guard_memory *to, const struct rule_list *rules, const struct ready_rules *ready, uint64_t now_ms)
{
	(void)to;
	(void)rules;
	(void)ready;
	(void)now_ms;
}

void announce_policy(struct announcer *announcer, int allowing, int blocking, uint64_t now_ms)
{
	(void)announcer;
	(void)allowing;
	(void)blocking;
	(void)now_ms;
}

void begin_capture_section(struct capture *capture, uint64_t now_ms)
{
	(void)capture;
	(void)now_ms;
}

bool leave_hold(struct relay *r)
{
	(void)r;
	return true;
}

void note_new_policy(struct relay *r)
{
	(void)r;
}

void follow_other_vms(struct relay *r)
{
	(void)r;
}

static json_t *ask(const char *line, size_t octets)
{
	struct rpc_call call = { .context = &relay };
	char *exact = malloc(octets > 0 ? octets : 1); /* so that the sanitizer sees a read behind the end */
	memcpy(exact, line, octets);
	char *text = rpc_begin(&call, methods, false, exact, octets);
	free(exact);
	json_t *answer = text && !strchr(text, '\n') ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
	free(text);
	if (!answer || call.request || json_object_size(answer) != 3 ||
	    (json_object_get(answer, "result") != NULL) == (json_object_get(answer, "error") != NULL))
		abort();
	return answer;
}

/* Sets what the answer says is in force. */
static void set_again(json_t *answer)
{
	json_t *result = json_object_get(answer, "result");
	json_t *request = json_pack("{s:s, s:i, s:s, s:{s:O, s:O}}", "jsonrpc", "2.0", "id", 1, "method",
				    "softnet.policy.set", "params", "allow", json_object_get(result, "allow"), "block",
				    json_object_get(result, "block"));
	char *line = json_dumps(request, JSON_COMPACT);
	int before = applied;
	json_t *again = ask(line, strlen(line));
	if (!json_equal(result, json_object_get(again, "result")) || applied != before)
		abort();
	json_decref(again);
	json_decref(request);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	while (n > 0) {
		const uint8_t *newline = memchr(data, '\n', n);
		size_t octets = newline ? (size_t)(newline - data) : n, used = octets + (newline != NULL);
		json_t *answer = ask((const char *)data, octets);
		if (json_object_get(answer, "result"))
			set_again(answer);
		json_decref(answer);
		data += used;
		n -= used;
	}
	return 0;
}
