/*
 * The methods guard.expose.*. Whether a port of the host can be had is known when the uplink has tried, so the answer to
 * add comes some turns later; what could not be had is taken back.
 */
#include "softnet/methods/control_methods.h"
#include <string.h>
#include "softnet/setup/guard_memory.h"

enum { PATIENCE_MS = 2000 }; /* after that the answer says "asked", and the list tells later how it went */

json_t *json_exposes(const struct exposes *exposes)
{
	static const char *const states[] = {
		[EXPOSE_WAITING] = "waiting", [EXPOSE_ASKED] = "asked", [EXPOSE_INSTALLED] = "in-place", [EXPOSE_FAILED] = "failed"
	};
	char why[FAILURE_TEXT];
	json_t *list = json_array();
	for (uint32_t i = 0; i < exposes->count; i++) {
		const struct exposed *item = &exposes->items[i];
		json_t *entry = json_pack("{s:s, s:s}", "expose", item->text, "state", states[item->state]);
		if (item->state == EXPOSE_FAILED)
			json_object_set_new(entry, "why", json_string(describe_failure(item, why)));
		json_array_append_new(list, entry);
	}
	return list;
}

/* The one parameter, or NULL: refused. */
static const char *expose_text(struct rpc_call *call)
{
	static const char *const keys[] = { "expose", NULL };
	if (!may_change(call) || !rpc_takes(call, keys))
		return NULL;
	const json_t *value = json_object_get(call->params, "expose");
	const char *text = json_string_value(value);
	if (text && strlen(text) == json_string_length(value))
		return text;
	rpc_refuse(call, RPC_BAD_PARAMETERS, "expose: expected a string without NUL");
	return NULL;
}

/* The judge lets in what an exposed port may be asked. */
static void tell_judge(struct relay *r)
{
	struct exposed_set *to = &r->memory->config.exposed;
	memset(to, 0, sizeof *to);
	to->count = exposed_ports(&r->exposes, to->item, EXPOSED_MAX);
	begin_capture_section(r->capture, r->now_ms);
}

static json_t *refuse_expose(struct rpc_call *call, const char *text)
{
	return rpc_refuse(call, RPC_BAD_PARAMETERS, "expose: %s", text);
}

static json_t *begin_add(struct rpc_call *call, const char *text)
{
	struct relay *r = call->context;
	struct error error;
	if (r->options->inbound == INBOUND_NONE)
		return refuse_expose(call, "not with --inbound none");
	if (!add_expose(&r->exposes, text, &error))
		return refuse_expose(call, error.text);
	tell_judge(r);
	call->progress = r->now_ms + PATIENCE_MS;
	call->is_later = true; /* the next turn asks the uplink */
	return NULL;
}

json_t *expose_add(struct rpc_call *call)
{
	struct relay *r = call->context;
	struct exposes *exposes = &r->exposes;
	char why[FAILURE_TEXT];
	struct error unused;
	const char *text = expose_text(call);
	if (!text)
		return NULL;
	if (call->progress == 0)
		return begin_add(call, text);
	const struct exposed *item = find_expose(exposes, text);
	if (!item)
		return refuse_expose(call, "removed by somebody else");
	if (item->state == EXPOSE_ASKED && r->now_ms < call->progress) {
		call->is_later = true;
		return NULL;
	}
	if (item->state != EXPOSE_FAILED)
		return json_exposes(exposes);
	describe_failure(item, why);
	remove_expose(exposes, text, &unused);
	tell_judge(r);
	return refuse_expose(call, why);
}

json_t *expose_remove(struct rpc_call *call)
{
	struct relay *r = call->context;
	struct error error;
	const char *text = expose_text(call);
	if (!text)
		return NULL;
	if (!remove_expose(&r->exposes, text, &error))
		return refuse_expose(call, error.text);
	tell_judge(r);
	return json_exposes(&r->exposes);
}

json_t *expose_list(struct rpc_call *call)
{
	const struct relay *r = call->context;
	return rpc_takes_nothing(call) ? json_exposes(&r->exposes) : NULL;
}
