/* Between the snooper, the registry of claims, and those who are told. */
#include "softnet/guard/claiming.h"
#include <string.h>
#include <unistd.h>
#include "core/judge/trust.h"
#include "system/log.h"
#include "softnet/setup/setup.h"

enum { WARN_MS = 60000 };

static bool claim(void *context, struct address a)
{
	struct relay *r = context;
	return claim_address(&r->claims, a, r->now_ms);
}

static void release(void *context, struct address a)
{
	struct relay *r = context;
	release_address(&r->claims, a);
}

static void lose(void *context, struct address a, const char *why)
{
	struct relay *r = context;
	take_away(&r->guard, a, why, r->now_ms);
}

/* A guest can want one address after the other: one line a minute is shown without -v. */
static void tell(void *context, const struct claim_conflict *conflict)
{
	static uint64_t warned_ms;
	struct relay *r = context;
	char text[ADDRESS_TEXT], line[200];
	format_address(conflict->address, text);
	snprintf(line, sizeof line,
		 conflict->is_ours ? "%s, which this VM has, is wanted by VM %s too (guard %u)"
				   : "%s is not for this VM: VM %s has it (guard %u)",
		 text, conflict->vm, (unsigned)conflict->pid);
	if (warned_ms == 0 || r->now_ms - warned_ms >= WARN_MS) {
		warning("%s", line);
		warned_ms = r->now_ms;
	} else
		info("%s", line);
	announce_claim(&r->announcer, conflict, r->now_ms);
}

/* Others have a network of their own, or one that nobody can name. The uplink may not be open yet. */
static bool may_be_shared(const struct port *uplink, const char *text)
{
	const struct port_kind *kind = uplink ? uplink->kind : port_kind_of(text);
	return kind && kind->segment;
}

void prepare_claims(struct relay *r, const struct options *options, const struct port *uplink)
{
	struct claim given[STATICS_MAX];
	char mac[MAC_TEXT];
	const char *named = options->segment;
	bool is_none = named ? strcmp(named, "none") == 0 : !may_be_shared(uplink, uplink_text(options));
	if (r->has_claims || is_none || (!uplink && geteuid() != 0))
		return;
	for (uint32_t i = 0; i < options->static_count; i++)
		given[i] = (struct claim){ options->statics[i].address,
					   options->statics[i].is_shared ? CLAIM_SHARED : CLAIM_HELD, 128 };
	r->has_claims = true;
	const char *vm = options->name ? options->name : format_mac(options->vm_mac, mac);
	const char *why = open_claims(&r->claims, vm, given, options->static_count, uplink, named);
	if (why)
		info("other guards do not see which addresses this VM has: %s", why);
	else if (!r->claims.folder.is_for_all)
		info(
		    "guards of other users do not see which addresses this VM has: root has made no folder for user %u "
		    "in softnet/claims",
		    (unsigned)getuid());
}

void join_claims(struct relay *r)
{
	char text[ADDRESS_TEXT];
	if (!r->has_claims)
		return;
	r->claims.tell = tell;
	r->claims.lose = lose;
	r->claims.context = r;
	r->guard.claim = claim;
	r->guard.release = release;
	const struct claim_conflict *given =
	    enter_claims(&r->claims, r->guard.config, r->guard.state, r->port[TO_GUEST], r->now_ms);
	if (!given)
		return;
	die("--%s: %s was given to VM %s as well, whose guard (process %u) runs on this network: give another address, "
	    "stop that guard, or let both share it by --shared-ip",
	    is_shared(r->guard.config, given->address) ? "shared-ip" : "vm-ip", format_address(given->address, text),
	    given->vm, (unsigned)given->pid);
}
