/*
 * Bridges are made again, change their MAC address, and lose ports while guards run. The port's feed says that
 * something has changed; then all is read anew, and anchors are swapped as a whole.
 */
#include "softnet/guard/uplink.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "softnet/setup/anchors_json.h"
#include "softnet/guard/claiming.h"
#include "softnet/guard/keeping.h"
#include "softnet/guard/kernel_relay.h"
#include "system/log.h"
#include "softnet/guard/loop.h"
#include "softnet/setup/setup.h"
#include "softnet/counts/state_json.h"
#include "system/text.h"

enum {
	READINGS_APART_MS = 100, /* a link that flaps costs no more */
	PATIENCE_MS = 5000,      /* a bridge that is made again gets its address a moment later */
	NEWS_TEXT = 400
};

/* An event for each change, except those of a link that flaps. */
static const struct rate news_rate = { 100, 8 };

void start_uplink(struct uplink_watch *w, struct port *port, struct anchors *anchors, uint64_t now_ms)
{
	w->bucket = (struct bucket){ news_rate.burst * 1000, now_ms };
	if (!port->kind->survey)
		return;
	port->kind->survey(port, &w->ground, anchors);
	w->read_ms = now_ms;
	w->told = w->ground;
	w->told_anchors = *anchors;
	if (port->kind->ground_fd(port) < 0)
		warning("%s: changes of its bridge and addresses will not be seen", port->name);
	if (w->ground.away[0] != '\0' || w->ground.warning[0] != '\0')
		warning("%s: %s", port->name, w->ground.away[0] != '\0' ? w->ground.away : w->ground.warning);
}

static bool is_too_soon(const struct uplink_watch *w, uint64_t now_ms)
{
	return now_ms < w->read_ms + READINGS_APART_MS;
}

int uplink_fd(const struct uplink_watch *w, const struct port *port, uint64_t now_ms)
{
	return !port->kind->ground_fd || is_too_soon(w, now_ms) ? -1 : port->kind->ground_fd(port);
}

uint64_t uplink_deadline_ms(const struct uplink_watch *w, uint64_t now_ms)
{
	if (w->read_ms != 0 && is_too_soon(w, now_ms))
		return w->read_ms + READINGS_APART_MS;
	return w->patience_ms != 0 ? w->patience_ms : UINT64_MAX;
}

/* --- what is in force --- */

static void put_in_force(struct relay *r, const struct anchors *anchors)
{
	const struct config *config = r->guard.config;
	if (mac_set_has(&anchors->gateway_macs, config->vm_mac)) {
		warning("%s: the host has the VM's MAC address now; the anchors stay as they were",
			r->port[TO_GUEST]->name);
		return;
	}
	r->anchors = *anchors;
	change_anchors(r->memory, r->options, anchors);
	r->file->owner.config_hash = hash_setup(r->options, config);
	note_new_setup(r, r->file->owner.config_hash);
	keep_state(r, true); /* rights went with those who gave them */
	begin_capture_section(r->capture, r->now_ms);
	tell_anchors(r->options, anchors, config);
}

/*
 * What the host had here and has no more is not replaced by nothing at once: then anybody could be learned in the
 * moment in which a bridge is made again. While no frame passes it does not matter, and it stays as it was.
 */
static bool must_wait(struct uplink_watch *w, const struct anchors *before, const struct anchors *anchors, uint64_t now_ms)
{
	bool is_lost = anchors->host.count == 0 && before->host.count > 0;
	if (!is_lost || w->ground.away[0] != '\0')
		w->patience_ms = 0;
	else if (w->patience_ms == 0)
		w->patience_ms = now_ms + PATIENCE_MS;
	if (!is_lost)
		return false;
	if (w->patience_ms != 0 && now_ms >= w->patience_ms) {
		w->patience_ms = 0;
		return false;
	}
	return true;
}

void follow_uplink(struct relay *r, bool is_told)
{
	struct uplink_watch *w = &r->uplink;
	struct port *port = r->port[TO_GUEST];
	uint64_t now_ms = r->now_ms;
	struct anchors anchors;
	bool is_due = is_told || (w->patience_ms != 0 && now_ms >= w->patience_ms);
	if (!port->kind->survey || !is_due)
		return;
	port->kind->survey(port, &w->ground, &anchors);
	w->read_ms = now_ms;
	if (r->has_claims && move_claims(&r->claims, now_ms)) /* another bridge is another network, with other VMs */
		follow_other_vms(r);
	if (!must_wait(w, &r->anchors, &anchors, now_ms) && memcmp(&anchors, &r->anchors, sizeof anchors) != 0)
		put_in_force(r, &anchors);
	tell_uplink(r);
}

/* --- what is told --- */

struct news {
	char text[NEWS_TEXT];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void add_news(struct news *n, const char *format, ...)
{
	va_list arguments;
	if (n->length > 0 && n->length + 2 < sizeof n->text)
		n->length += (size_t)snprintf(n->text + n->length, sizeof n->text - n->length, "; ");
	va_start(arguments, format);
	int octets = vsnprintf(n->text + n->length, sizeof n->text - n->length, format, arguments);
	va_end(arguments);
	if (octets > 0)
		n->length += (size_t)octets < sizeof n->text - n->length ? (size_t)octets
									 : sizeof n->text - n->length - 1;
}

static void add_news_of_ground(struct news *n, const struct ground *before, const struct ground *now)
{
	bool was_away = before->away[0] != '\0', is_away = now->away[0] != '\0';
	bool has_bridges = before->bridge_index != 0 && now->bridge_index != 0;
	if (is_away && strcmp(before->away, now->away) != 0)
		add_news(n, "%s", now->away);
	if (was_away && !is_away)
		add_news(n, "%s is back%s%s", now->interface, now->bridge[0] != '\0' ? " in " : "", now->bridge);
	if (has_bridges && before->bridge_index != now->bridge_index && strcmp(before->bridge, now->bridge) == 0)
		add_news(n, "%s was made again", now->bridge);
	if (now->warning[0] != '\0' && strcmp(before->warning, now->warning) != 0)
		add_news(n, "%s", now->warning);
	if (before->warning[0] != '\0' && now->warning[0] == '\0' && !is_away)
		add_news(n, "%s is in %s%s again", now->interface, now->bridge, now->is_isolated ? ", isolated," : "");
	if (before->mtu != now->mtu && now->mtu != 0 && before->mtu != 0)
		add_news(n, "the MTU of %s is %u, it was %u", now->interface, now->mtu, before->mtu);
}

static bool knows_host(const struct anchors *anchors)
{
	return anchors->host.count > 0;
}

static void add_news_of_host(struct news *n, const struct anchors *before, const struct anchors *now)
{
	char was[MAC_TEXT], is[MAC_TEXT];
	if (knows_host(before) && !knows_host(now))
		add_news(n, "the host has no address there any more");
	else if (!knows_host(before) && knows_host(now))
		add_news(n, "the host has an address there now");
	else if (memcmp(&before->host, &now->host, sizeof now->host) != 0)
		add_news(n, "the host's addresses there are others now");
	if (knows_host(before) && knows_host(now) && before->gateway_macs.item[0] != now->gateway_macs.item[0])
		add_news(n, "the host's MAC address there is %s, it was %s", format_mac(now->gateway_macs.item[0], is),
			 format_mac(before->gateway_macs.item[0], was));
	if (before->other_router4 != now->other_router4)
		add_news(n, "the host's default route %s there", now->other_router4 ? "leaves" : "does not leave");
	if (before->other_router6 != now->other_router6)
		add_news(n, "the host's IPv6 default route %s there", now->other_router6 ? "leaves" : "does not leave");
}

static struct news news_of(const struct relay *r)
{
	struct news news = { .length = 0 };
	add_news_of_ground(&news, &r->uplink.told, &r->uplink.ground);
	add_news_of_host(&news, &r->uplink.told_anchors, &r->anchors);
	return news;
}

bool has_uplink_news(const struct relay *r)
{
	return r->port[TO_GUEST]->kind->survey && news_of(r).length > 0;
}

void tell_uplink(struct relay *r)
{
	struct uplink_watch *w = &r->uplink;
	const char *port = r->port[TO_GUEST]->name;
	struct news news = news_of(r);
	if (news.length == 0 || !take_token(&news_rate, &w->bucket, r->now_ms))
		return; /* what is still true when there is a token is told then */
	w->told = w->ground;
	w->told_anchors = r->anchors;
	warning("%s: %s", port, news.text);
	if (!is_heard(&r->announcer))
		return;
	json_t *keys = json_pack("{s:o, s:o, s:o, s:o}", "port", json_text(port), "what", json_text(news.text),
				 "ground", json_ground(&w->ground), "anchors",
				 json_anchors(r->options, &r->anchors, r->guard.config));
	announce(&r->announcer, "uplink", keys, ALWAYS, r->now_ms);
}
