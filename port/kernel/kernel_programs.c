/* Loading by libbpf; finding by walking over the programs that the kernel has. */
#include "port/kernel/kernel_programs.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ebpf/memory.h"
#include "port/io.h"
#include "ebpf/object.h"

static const char *const judge_names[DIRECTIONS] = { "softnet_outward", "softnet_inward" };

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

int map_of_program(int program_fd, const char *name)
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
	p->memories = map_of_program(p->judge[FROM_GUEST], "softnet_memory");
	p->configs = map_of_program(p->judge[FROM_GUEST], "softnet_config");
	p->rings = map_of_program(p->judge[FROM_GUEST], "softnet_ring");
	p->claims = map_of_program(p->judge[FROM_GUEST], "softnet_claims");
	return p->memories >= 0 && p->configs >= 0 && p->rings >= 0 && p->claims >= 0;
}

static void forget(struct kernel_programs *p)
{
	*p = (struct kernel_programs){ { -1, -1 }, -1, -1, -1, -1 };
}

void close_kernel_programs(struct kernel_programs *p)
{
	int fds[] = { p->judge[FROM_GUEST], p->judge[TO_GUEST], p->memories, p->configs, p->rings, p->claims };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	forget(p);
}

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t octets = sizeof info;
	return bpf_obj_get_info_by_fd(fd, &info, &octets) == 0 ? info.id : 0;
}

/* Of our version? Its read-only data starts with a number. The program that loaded it wrote that there. */
static bool is_ours(int program_fd)
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
	bool is_same = maps[0] >= 0 && maps[1] >= 0 && map_id(maps[0]) == map_id(maps[1]);
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

static int keep_open(int fd)
{
	return fd < 0 ? -1 : duplicate_above_2(fd);
}

static bool load_programs(struct kernel_programs *p, struct error *error)
{
	struct bpf_object *object = NULL;
	bool may_look = libbpf_find_vmlinux_btf_id("bpf_cast_to_kern_ctx", BPF_TRACE_FENTRY) > 0;
	int result = load_object(&object, may_look);
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
		    keep_open(bpf_program__fd(bpf_object__find_program_by_name(object, judge_names[direction])));
	p->memories = keep_open(bpf_object__find_map_fd_by_name(object, "softnet_memory"));
	p->configs = keep_open(bpf_object__find_map_fd_by_name(object, "softnet_config"));
	p->rings = keep_open(bpf_object__find_map_fd_by_name(object, "softnet_ring"));
	p->claims = keep_open(bpf_object__find_map_fd_by_name(object, "softnet_claims"));
	bpf_object__close(object);
	/* No program reads the claims; so they live as long as it does, and are found by it. */
	if (bpf_prog_bind_map(p->judge[FROM_GUEST], p->claims, NULL) == 0)
		return true;
	report_failure(error, "the kernel does not take the guard's tables: %s", strerror(errno));
	return false;
}

bool open_kernel_programs(struct kernel_programs *p, struct error *error)
{
	forget(p);
	if (find_programs(p))
		return true;
	close_kernel_programs(p);
	if (load_programs(p, error))
		return true;
	close_kernel_programs(p);
	return false;
}

static uint64_t *map_claims(const struct kernel_programs *p)
{
	void *claims = mmap(NULL, SLOTS_MAX * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, p->claims, 0);
	return claims == MAP_FAILED ? NULL : claims;
}

static void unmap_claims(uint64_t *claims)
{
	munmap(claims, SLOTS_MAX * sizeof *claims);
}

static bool change_claim(uint64_t *claim, uint64_t from, uint64_t to)
{
	return __atomic_compare_exchange_n(claim, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* A number is not used again. */
static bool is_stale(uint64_t claim)
{
	int fd = claim != 0 ? bpf_map_get_fd_by_id((uint32_t)claim) : -1;
	bool is_gone = fd < 0 && claim != 0 && errno == ENOENT;
	if (fd >= 0)
		close(fd);
	return is_gone;
}

/* Of a slot that is ours, and is nobody's afterwards. */
static void clear_slot(const struct kernel_programs *p, uint64_t *claims, uint32_t slot, uint64_t own)
{
	bpf_map_delete_elem(p->memories, &slot);
	bpf_map_delete_elem(p->configs, &slot);
	bpf_map_delete_elem(p->rings, &slot);
	change_claim(&claims[slot], own, 0);
}

void give_back_slot(const struct kernel_programs *p, uint32_t slot, int life)
{
	uint64_t own = map_id(life), *claims = map_claims(p);
	if (!claims)
		return;
	if (own != 0 && slot < SLOTS_MAX && __atomic_load_n(&claims[slot], __ATOMIC_SEQ_CST) == own)
		clear_slot(p, claims, slot, own);
	unmap_claims(claims);
}

uint32_t claim_slot(const struct kernel_programs *p, int life)
{
	uint64_t own = map_id(life), *claims = map_claims(p);
	uint32_t found = 0;
	if (!claims)
		return 0;
	for (uint32_t slot = 1; slot < SLOTS_MAX && own != 0; slot++) {
		uint64_t claim = __atomic_load_n(&claims[slot], __ATOMIC_SEQ_CST);
		if (is_stale(claim) && change_claim(&claims[slot], claim, own))
			clear_slot(p, claims, slot, own);
	}
	for (uint32_t slot = 1; slot < SLOTS_MAX && found == 0 && own != 0; slot++)
		found = change_claim(&claims[slot], 0, own) ? slot : 0;
	unmap_claims(claims);
	return found;
}
