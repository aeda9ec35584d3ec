/* Which files a guard will open again, and what libraries open when they are first used, and so is used before. */
#include "softnet/confining.h"
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "system/descriptors.h"
#include "softnet/methods/control_methods.h"
#include "softnet/methods/files_aside.h"
#include "system/log.h"
#include "system/process/process.h"

static struct sandbox_wish wish;
static char folders[SANDBOX_PATHS_MAX][PATH_MAX];

static void add_path(const char *path, int fd, unsigned access)
{
	if (wish.path_count < SANDBOX_PATHS_MAX)
		wish.paths[wish.path_count++] = (struct sandbox_path){ path, fd, access };
}

/* The folder that it stands in, because files are made, replaced and removed there. */
static void add_folder_of(const char *file, unsigned access)
{
	char *folder = folders[wish.path_count % SANDBOX_PATHS_MAX];
	copy_text(folder, PATH_MAX, file);
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	else
		copy_text(folder, PATH_MAX, ".");
	add_path(folder, -1, access);
}

/* A policy may be a link, and be replaced by another one. */
static void add_policies(const struct options *options)
{
	char real[PATH_MAX];
	for (uint32_t i = 0; i < options->policy_file_count; i++) {
		add_folder_of(options->policy_files[i], SANDBOX_READ);
		if (realpath(options->policy_files[i], real))
			add_folder_of(real, SANDBOX_READ);
	}
}

static void add_kept_files(const struct options *options)
{
	const char *const kept[] = { options->state_file, options->pcap, options->metrics };
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (kept[i])
			add_folder_of(kept[i], SANDBOX_KEEP);
	for (uint32_t i = 0; i < options->event_count; i++)
		if (strcmp(options->events[i], "syslog") != 0 && strcmp(options->events[i], "stderr") != 0)
			add_folder_of(options->events[i], SANDBOX_KEEP);
}

static void add_files(const struct options *options)
{
	add_kept_files(options);
	for (uint32_t i = 0; i < options->event_count; i++)
		wish.connects |= strcmp(options->events[i], "syslog") == 0; /* a log that was started again */
	add_policies(options);
}

/* In the processes that write files, and read those of --policy. They have nothing else. */
static const struct sandbox_wish *wish_for_files(const struct options *options)
{
	add_kept_files(options);
	add_policies(options);
	return &wish;
}

/* Sockets of ours are removed at the end. A port's name begins with its kind; behind a path there may be options. */
static void add_sockets(const struct relay *r)
{
	char path[sizeof r->port[0]->name];
	for (int side = 0; side < DIRECTIONS; side++) {
		const struct port_kind *kind = port_kind_of(r->port[side]->name);
		copy_text(path, sizeof path, port_argument_of(r->port[side]->name));
		path[strcspn(path, ",")] = '\0';
		if (!kind || kind->opens != OPENS_AS_PATH)
			continue;
		add_folder_of(path, SANDBOX_REMOVE);
		wish.connects = true;
	}
	if (r->control.listener >= 0)
		add_folder_of(r->control.path, SANDBOX_REMOVE);
}

static void add_claims(const struct claims_folder *folder)
{
	if (folder->root >= 0)
		add_path(NULL, folder->root, SANDBOX_READ);
	if (folder->own >= 0)
		add_path(NULL, folder->own, SANDBOX_KEEP);
}

/* What options name as a descriptor of ours. */
static void close_others(const struct options *options)
{
	const char *const ports[] = { options->guest, options->uplink };
	int kept[2 + sizeof ports / sizeof *ports] = { options->vm_fd, options->control_fd };
	size_t count = 2;
	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
		if (ports[i] && strncmp(ports[i], "fd:", 3) == 0)
			kept[count++] = (int)strtol(port_argument_of(ports[i]), NULL, 10);
	close_inherited(kept, count);
}

void confine_guard(struct relay *r, const char *entry)
{
	int children = 0;
	start_files_aside(r, wish_for_files);
	start_aside(r); /* the last process that it may start */
	if (r->options->sandbox_off) {
		log_aside(r);
		if (r->options->gives_sandbox)
			warning("--sandbox off: whoever gets code to run in this guard has all the rights of its user");
		return;
	}
	for (int side = 0; side < DIRECTIONS; side++)
		if (r->port[side]->child > 0)
			wish.children[children++] = r->port[side]->child;
	close_others(r->options);
	log_aside(r); /* after that, which has the log written by this process */
	add_files(r->options);
	add_sockets(r);
	if (entry[0] != '\0')
		add_folder_of(entry, SANDBOX_REMOVE);
	if (r->has_claims)
		add_claims(&r->claims.folder);
	tzset();             /* for the times of syslog */
	json_object_seed(0); /* by chance, so that nobody can choose keys that collide */
	enter_sandbox(FOR_GUARD, &wish, &r->sandbox);
	if (!r->sandbox.has_calls && r->sandbox.missing[0] != '\0')
		warning("sandbox: %s", r->sandbox.missing);
	else if (r->sandbox.missing[0] != '\0')
		info("sandbox: %s", r->sandbox.missing);
}
