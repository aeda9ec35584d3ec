/* Records, and what they say to undo. */
#include "softnet/cni/attachment.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "port/kernel/kernel_guard.h"
#include "port/kernel/kernel_look.h"
#include "port/linux/bridge_port.h"
#include "port/linux/netspace.h"
#include "softnet/left/left.h"
#include "system/descriptors.h"
#include "system/files/alone.h"
#include "system/files/replace_file.h"

enum { DETACH_TRIES = 100, DETACH_WAIT_MS = 50 };
static const char top[] = "/run/softnet/cni";

static void make_folders(const struct cni_call *call)
{
	char path[PATH_MAX];
	if (mkdir("/run/softnet", 0700) == 0)
		chmod("/run/softnet", 0755); /* everybody may know that root has guards */
	mkdir(top, 0700);
	snprintf(path, sizeof path, "%s/%s", top, call->network);
	if (call->network[0] != '\0')
		mkdir(path, 0700);
}

static void make_path(const struct cni_call *call, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s/%s:%s", top, call->network, call->container, call->interface);
}

bool enter_calls_alone(struct fault *fault)
{
	make_folders(&(struct cni_call){ .network = "" });
	return enter_alone("/run/softnet/cni/.lock", &fault->error) || fail_of(fault, CNI_INPUT_OUTPUT);
}

bool write_attachment(const struct cni_call *call, const struct place *place, json_t *addresses, struct fault *fault)
{
	char path[PATH_MAX];
	json_t *record = json_pack("{s:s, s:I, s:b, s:I, s:s, s:O}", "interface", place->interface, "number",
				   (json_int_t)place->number, "inside", place->is_inside, "netspace",
				   (json_int_t)place->netspace, "netns", call->netns, "addresses", addresses);
	char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
	make_folders(call);
	make_path(call, path);
	bool is_written = text && replace_file(path, text, strlen(text), 0600, NULL);
	int cause = text ? errno : ENOMEM;
	free(text);
	json_decref(record);
	return is_written || fail(fault, CNI_INPUT_OUTPUT, "%s: %s", path, strerror(cause));
}

json_t *read_attachment(const struct cni_call *call)
{
	char path[PATH_MAX];
	make_path(call, path);
	return json_load_file(path, 0, NULL);
}

struct place place_of(const json_t *attachment)
{
	struct place place = { .is_inside = json_is_true(json_object_get(attachment, "inside")),
			       .number = (unsigned)json_integer_value(json_object_get(attachment, "number")),
			       .netspace = (uint64_t)json_integer_value(json_object_get(attachment, "netspace")) };
	copy_text(place.interface, sizeof place.interface, text_of(attachment, "interface"));
	return place;
}

/* Of an ADD that was killed the process of softnet may be there still, for a moment. */
static bool detach_patiently(const char *interface, unsigned number, struct error *error)
{
	for (int i = 0; i < DETACH_TRIES; i++) {
		/* One at which nobody stands is what was wanted. */
		if (detach_kernel_guard(interface, error) || count_kernel_programs(number) == 0)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = DETACH_WAIT_MS * 1000000L }, NULL);
	}
	return false;
}

/* In its network namespace. A container that still runs must not be heard once nobody judges: so first the port goes down. */
static bool undo_here(const struct place *place, struct fault *fault)
{
	char name[IF_NAMESIZE];
	struct error error;
	if (!if_indextoname(place->number, name)) {
		forget_left(place->number);
		return true;
	}
	int failed = set_down(place->number);
	if (failed != 0 && failed != ENODEV)
		return fail(fault, CNI_TRY_AGAIN, "%s: cannot be set down: %s", name, strerror(failed));
	if (!detach_patiently(name, place->number, &error))
		return fail(fault, CNI_TRY_AGAIN, "%s", error.text);
	forget_left(place->number);
	return true;
}

static bool undo_place(const struct place *place, const char *netns, struct fault *fault)
{
	int own = open_own_netspace();
	bool is_gone = place->number == 0 || !enter_place(place, netns);
	bool is_undone = is_gone || undo_here(place, fault);
	return_to_netspace(own);
	return is_undone;
}

bool undo_attachment(const struct cni_call *call, struct fault *fault)
{
	char path[PATH_MAX];
	make_path(call, path);
	remove_torn(path);
	json_t *record = read_attachment(call);
	const struct place place = place_of(record);
	bool is_undone = !record || undo_place(&place, text_of(record, "netns"), fault);
	json_decref(record);
	return is_undone &&
	       (unlink(path) == 0 || errno == ENOENT || fail(fault, CNI_INPUT_OUTPUT, "%s: %s", path, strerror(errno)));
}

static bool is_valid(const json_t *valid, const struct cni_call *call)
{
	size_t i;
	const json_t *one;
	json_array_foreach(valid, i, one)
	{
		if (strcmp(text_of(one, "containerID"), call->container) == 0 &&
		    strcmp(text_of(one, "ifname"), call->interface) == 0)
			return true;
	}
	return false;
}

/* Calls for each record of the network until it says false; `call` is about that one meanwhile. */
static bool visit_records(struct cni_call *call, bool (*visit)(struct cni_call *, void *), void *context)
{
	char path[PATH_MAX], name[NAME_MAX + 1];
	bool goes_on = true;
	const struct dirent *entry;
	snprintf(path, sizeof path, "%s/%s", top, call->network);
	DIR *folder = opendir(path);
	while (folder && goes_on && (entry = readdir(folder))) {
		copy_text(name, sizeof name, entry->d_name);
		char *colon = strchr(name, ':');
		if (!colon)
			continue;
		*colon = '\0';
		call->container = name;
		call->interface = colon + 1;
		goes_on = visit(call, context);
	}
	if (folder)
		closedir(folder);
	return goes_on;
}

struct claimant {
	const struct cni_call *own;
	const struct place *place;
	struct fault *fault;
};

static bool does_stand(const struct place *place, const char *netns)
{
	int own = open_own_netspace();
	bool stands = enter_place(place, netns) && is_left_standing(place->number);
	return_to_netspace(own);
	return stands;
}

/* A record may be older than its port: then no guard stands there. */
static bool leaves_it(struct cni_call *other, void *context)
{
	const struct claimant *c = context;
	json_t *record = read_attachment(other);
	const struct place place = place_of(record);
	bool is_own = strcmp(other->container, c->own->container) == 0 &&
		      strcmp(other->interface, c->own->interface) == 0;
	bool is_same = record && !is_own && place.number == c->place->number && place.netspace == c->place->netspace;
	bool is_theirs = is_same && does_stand(&place, text_of(record, "netns"));
	json_decref(record);
	return !is_theirs || fail(c->fault, CNI_CONFIGURATION,
				  "%s: it is guarded for the container %.64s; expected DEL for that first",
				  c->place->interface, other->container);
}

bool is_nobody_elses(const struct cni_call *call, const struct place *place, struct fault *fault)
{
	struct cni_call other = *call;
	struct claimant claimant = { call, place, fault };
	return visit_records(&other, leaves_it, &claimant);
}

struct undoing {
	const json_t *valid;
	struct fault *fault;
	bool is_undone;
};

static bool undo_unless_valid(struct cni_call *call, void *context)
{
	struct undoing *u = context;
	if (!is_valid(u->valid, call))
		u->is_undone = undo_attachment(call, u->fault) && u->is_undone;
	return true;
}

/* All are tried; the fault is the last one's. */
bool undo_others(struct cni_call *call, const json_t *valid, struct fault *fault)
{
	struct undoing undoing = { valid, fault, true };
	visit_records(call, undo_unless_valid, &undoing);
	return undoing.is_undone;
}
