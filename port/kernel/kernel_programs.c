/* Loading by libbpf; finding by walking over the programs that the kernel has. */
#include "port/kernel/kernel_programs.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "ebpf/memory.h"
#include "port/io.h"
#include "ebpf/object.h"

static const char *const judge_names[DIRECTIONS] = { "softnet_outward", "softnet_inward" };
static const char *const table_names[GUARD_MAPS] = { "softnet_memory", "softnet_config", "softnet_ring" };
static const char places_name[] = "softnet_places", alive_name[] = "softnet_alive";

enum { MAPS_MAX = 64, RODATA_MAX = 4096 };

int open_program(uint32_t id, char name[16])
{
	struct bpf_prog_info info = { 0 };
	uint32_t octets = sizeof info;
	int fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return -1;
	if (bpf_obj_get_info_by_fd(fd, &info, &octets) != 0) {
		close(fd);
		return -1;
	}
	copy_text(name, 16, info.name);
	return fd;
}

/* A map by its name among those that a program uses: a descriptor, or -1. */
static int map_of_program(int program_fd, const char *name)
{
	uint32_t ids[MAPS_MAX] = { 0 };
	struct bpf_prog_info info = { .nr_map_ids = MAPS_MAX, .map_ids = (uint64_t)(uintptr_t)ids };
	uint32_t octets = sizeof info;
	if (bpf_obj_get_info_by_fd(program_fd, &info, &octets) != 0)
		return -1;
	for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++) {
		struct bpf_map_info map = { 0 };
		octets = sizeof map;
		int fd = bpf_map_get_fd_by_id(ids[i]);
		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &map, &octets) == 0 && strcmp(map.name, name) == 0)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	errno = ENOENT;
	return -1;
}

bool find_tables(struct kernel_programs *p)
{
	bool is_whole = true;
	for (int i = 0; i < GUARD_MAPS; i++)
		is_whole = (p->table[i] = map_of_program(p->judge[FROM_GUEST], table_names[i])) >= 0 && is_whole;
	p->places = map_of_program(p->judge[FROM_GUEST], places_name);
	p->alive = map_of_program(p->judge[FROM_GUEST], alive_name);
	return is_whole && p->places >= 0 && p->alive >= 0;
}

void forget_kernel_programs(struct kernel_programs *p)
{
	*p = (struct kernel_programs){ { -1, -1 }, { -1, -1, -1 }, -1, -1 };
}

void close_kernel_programs(struct kernel_programs *p)
{
	const int fds[] = { p->judge[FROM_GUEST],
			    p->judge[TO_GUEST],
			    p->table[GUARD_MEMORY],
			    p->table[GUARD_CONFIG],
			    p->table[GUARD_RING],
			    p->places,
			    p->alive };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	forget_kernel_programs(p);
}

uint32_t number_of_map(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t octets = sizeof info;
	return bpf_obj_get_info_by_fd(fd, &info, &octets) == 0 ? info.id : 0;
}

uint32_t number_of_program(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t octets = sizeof info;
	return bpf_obj_get_info_by_fd(fd, &info, &octets) == 0 ? info.id : 0;
}

bool is_judge(const char *name)
{
	return strcmp(name, judge_names[FROM_GUEST]) == 0 || strcmp(name, judge_names[TO_GUEST]) == 0;
}

/* Its read-only data starts with a number. The program that loaded it wrote that there. */
bool is_ours(int program_fd)
{
	uint32_t zero = 0;
	union {
		struct guard_constants of;
		uint8_t room[RODATA_MAX]; /* that of another version may be longer */
	} data = { .room = { 0 } };
	int map = map_of_program(program_fd, "guard.rodata");
	bool is_read = map >= 0 && bpf_map_lookup_elem(map, &zero, &data) == 0;
	if (map >= 0)
		close(map);
	return is_read && data.of.build == kernel_build;
}

/* Two guards that start at the same time may have loaded two pairs. */
static bool are_a_pair(int a, int b)
{
	int maps[] = { map_of_program(a, "softnet_memory"), map_of_program(b, "softnet_memory") };
	bool is_same = maps[0] >= 0 && maps[1] >= 0 && number_of_map(maps[0]) == number_of_map(maps[1]);
	for (int i = 0; i < 2; i++)
		if (maps[i] >= 0)
			close(maps[i]);
	return is_same;
}

static bool find_programs(struct kernel_programs *p)
{
	char name[16];
	for (uint32_t id = 0; bpf_prog_get_next_id(id, &id) == 0;) {
		int fd = open_program(id, name);
		bool is_kept = false;
		for (int direction = 0; fd >= 0 && direction < DIRECTIONS && !is_kept; direction++) {
			int other = p->judge[direction == FROM_GUEST ? TO_GUEST : FROM_GUEST];
			is_kept = p->judge[direction] < 0 && strcmp(name, judge_names[direction]) == 0 && is_ours(fd) &&
				  (other < 0 || are_a_pair(fd, other));
			if (is_kept)
				p->judge[direction] = fd;
		}
		if (fd >= 0 && !is_kept)
			close(fd);
		if (p->judge[FROM_GUEST] >= 0 && p->judge[TO_GUEST] >= 0)
			return find_tables(p);
	}
	return false;
}

static char last_complaint[200];

static int keep_complaint(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char line[sizeof last_complaint];
	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof line, format, arguments);
	line[strcspn(line, "\n")] = '\0';
	if (last_complaint[0] == '\0') /* the first one is the cause */
		copy_text(last_complaint, sizeof last_complaint, line);
	return 0;
}

void listen_to_libbpf(void)
{
	libbpf_set_print(keep_complaint);
}

static struct bpf_object *open_object(bool may_look)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "guard");
	struct bpf_object *object = bpf_object__open_mem(kernel_object, kernel_object_octets, &options);
	struct bpf_map *data = object ? bpf_object__find_map_by_name(object, ".rodata") : NULL;
	struct guard_constants constants = { kernel_build, may_look };
	if (data && bpf_map__value_size(data) == sizeof constants &&
	    bpf_map__set_initial_value(data, &constants, sizeof constants) == 0)
		return object;
	bpf_object__close(object);
	return NULL;
}

static int load_object(struct bpf_object **object, bool may_look)
{
	last_complaint[0] = '\0';
	*object = open_object(may_look);
	int result = *object ? bpf_object__load(*object) : -errno;
	if (result >= 0)
		return result;
	bpf_object__close(*object);
	*object = NULL;
	return result;
}

/* -1: none was to be had, or an earlier one was not, and `cause` says why. */
static int keep_open(int fd, int *cause)
{
	int kept = *cause == 0 ? duplicate_above_2(fd) : -1;
	if (kept < 0 && *cause == 0)
		*cause = errno;
	return kept;
}

static bool load_programs(struct kernel_programs *p, struct error *error)
{
	struct bpf_object *object = NULL;
	bool may_look = libbpf_find_vmlinux_btf_id("bpf_cast_to_kern_ctx", BPF_TRACE_FENTRY) > 0;
	int cause = 0, result = load_object(&object, may_look);
	if (result < 0) {
		report_failure(error, "the kernel does not take the guard's programs: %s%s%s", strerror(-result),
			       result == -EPERM    ? " (run as root)"
			       : last_complaint[0] ? ": "
						   : "",
			       result == -EPERM ? "" : last_complaint);
		return false;
	}
	for (int direction = 0; direction < DIRECTIONS; direction++)
		p->judge[direction] =
		    keep_open(bpf_program__fd(bpf_object__find_program_by_name(object, judge_names[direction])), &cause);
	for (int i = 0; i < GUARD_MAPS; i++)
		p->table[i] = keep_open(bpf_object__find_map_fd_by_name(object, table_names[i]), &cause);
	p->places = keep_open(bpf_object__find_map_fd_by_name(object, places_name), &cause);
	p->alive = keep_open(bpf_object__find_map_fd_by_name(object, alive_name), &cause);
	bpf_object__close(object);
	/* No program reads it; so it lives as long as this one does, and is found by it. */
	if (cause == 0 && bpf_prog_bind_map(p->judge[FROM_GUEST], p->alive, NULL) == 0)
		return true;
	report_failure(error, "the kernel does not take the guard's tables: %s", strerror(cause != 0 ? cause : errno));
	return false;
}

bool open_kernel_programs(struct kernel_programs *p, struct error *error)
{
	if (find_programs(p))
		return true;
	close_kernel_programs(p);
	if (load_programs(p, error))
		return true;
	close_kernel_programs(p);
	return false;
}
