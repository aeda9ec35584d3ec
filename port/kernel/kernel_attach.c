/* A guard at a port: the one that is there is taken over, else one is made; and it is taken away. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "ebpf/object.h"
#include "port/io.h"
#include "port/kernel/kernel_inject.h"
#include "port/kernel/kernel_making.h"

/* When a process was started, in the kernel's ticks; 0: there is none of that number. */
static uint64_t process_started(uint32_t pid)
{
	char path[40], line[1024];
	unsigned long long started = 0;
	snprintf(path, sizeof path, "/proc/%u/stat", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	/* Its name is in parentheses, and may have any character in it. */
	const char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
	if (!end || sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			   &started) != 1)
		started = 0;
	fclose(file);
	return started;
}

static bool is_running(const struct guard_head *head)
{
	return head->owner != 0 && head->pid_started != 0 && process_started(head->pid) == head->pid_started;
}

static int find_slot_program(unsigned interface)
{
	uint32_t ids[HOOK_PROGRAMS_MAX];
	char name[16];
	int count = hook_programs(interface, FROM_GUEST, ids);
	for (int i = 0; i < count; i++) {
		int fd = open_program(ids[i], name);
		if (fd >= 0 && strcmp(name, slot_name) == 0)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

/* The head is the same in all versions, and tells which one it is. */
static bool read_head(int memory, struct guard_head *head)
{
	void *mapped = mmap(NULL, sizeof *head, PROT_READ, MAP_SHARED, memory, 0);
	if (mapped == MAP_FAILED)
		return false;
	memcpy(head, mapped, sizeof *head);
	munmap(mapped, sizeof *head);
	return true;
}

static bool take_over(struct kernel_guard *guard, struct making *m)
{
	struct guard_head head;
	m->memory = map_of_program(m->slot_program, memory_name);
	m->config = map_of_program(m->slot_program, config_name);
	m->ring = map_of_program(m->slot_program, ring_name);
	if (m->memory < 0 || m->config < 0 || m->ring < 0 || !read_head(m->memory, &head))
		return refuse_kernel(m, "find the maps of the guard that is there");
	if (head.build != kernel_build)
		return report_failure(
		    m->error, "%s: another version of softnet guards it; take that away first: softnet detach %s",
		    guard->interface, guard->interface);
	if (is_running(&head))
		return report_failure(m->error, "%s: it is guarded already, by process %u", guard->interface, head.pid);
	if (!map_memory(guard, m))
		return false;
	guard->is_taken_over = guard->memory->is_open != 0;
	return true;
}

static bool become_owner(struct kernel_guard *guard, struct error *error)
{
	struct guard_head *head = &guard->memory->head;
	if (getrandom(&guard->owner, sizeof guard->owner, 0) != sizeof guard->owner)
		return report_failure(error, "cannot get random numbers: %s", strerror(errno));
	guard->owner |= 1;
	head->pid = (uint32_t)getpid();
	head->pid_started = process_started(head->pid);
	head->owner = guard->owner;
	return true;
}

static struct making nothing_made(struct error *error)
{
	return (struct making){ { { -1, -1 }, -1, -1, -1, -1 }, -1, -1, -1, -1, -1, 0, error };
}

static void close_making(struct making *m)
{
	int fds[] = { m->memory, m->config, m->ring, m->slot_program, m->life };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	close_kernel_programs(&m->programs);
}

bool attach_kernel_guard(struct kernel_guard *guard, const char *interface, struct error *error)
{
	struct making m = nothing_made(error);
	*guard = (struct kernel_guard){ .ring = -1, .socket = { -1, -1 } };
	listen_to_libbpf();
	if (!find_interface(guard, interface, error) || !can_wait_for_programs(error))
		return false;
	m.slot_program = find_slot_program(guard->index);
	bool is_there = m.slot_program >= 0 ? take_over(guard, &m) : make_kernel_guard(guard, &m);
	is_there = is_there && open_injectors(guard, error) && become_owner(guard, error);
	if (!is_there)
		close_kernel_guard(guard);
	close_making(&m);
	return is_there;
}

/* Descriptors of the judges are kept, for the tables are found by them. */
static void take_down_all(unsigned interface, enum direction direction, struct making *m)
{
	uint32_t ids[HOOK_PROGRAMS_MAX];
	char name[16];
	int count = hook_programs(interface, direction, ids);
	for (int i = 0; i < count; i++) {
		int fd = open_program(ids[i], name);
		bool is_slot = fd >= 0 && strcmp(name, slot_name) == 0;
		bool is_judge = fd >= 0 && !is_slot && strncmp(name, "softnet_", 8) == 0;
		if (is_slot || is_judge)
			hook_detach(interface, direction, is_slot ? HOOK_SLOT : HOOK_JUDGE, fd);
		if (is_judge && m->programs.judge[direction] < 0)
			m->programs.judge[direction] = fd;
		else if (fd >= 0)
			close(fd);
	}
}

static void dismiss(struct making *m)
{
	struct guard_head *head = mmap(NULL, sizeof *head, PROT_READ | PROT_WRITE, MAP_SHARED, m->memory, 0);
	if (head == MAP_FAILED)
		return;
	/* What stands in the head its process may have written: it counts only if the slot is this port's. */
	if (find_tables(&m->programs))
		give_back_slot(&m->programs, head->slot, m->life);
	head->owner = 0; /* its process, if it has one, ends */
	munmap(head, sizeof *head);
}

bool detach_kernel_guard(const char *interface, struct error *error)
{
	struct making m = nothing_made(error);
	struct kernel_guard guard;
	listen_to_libbpf();
	if (!find_interface(&guard, interface, error))
		return false;
	m.slot_program = find_slot_program(guard.index);
	if (m.slot_program < 0)
		return report_failure(error, "%s: no guard in the kernel stands there%s", interface,
				      geteuid() == 0 ? "" : ", as far as can be seen without root");
	m.memory = map_of_program(m.slot_program, memory_name);
	m.life = map_of_program(m.slot_program, life_name);
	for (int direction = 0; direction < DIRECTIONS; direction++)
		take_down_all(guard.index, (enum direction)direction, &m);
	hook_clear(guard.index);
	dismiss(&m);
	close_making(&m);
	return true;
}
