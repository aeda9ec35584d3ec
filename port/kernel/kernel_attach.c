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

bool look_at_port(unsigned interface, int standing[DIRECTIONS])
{
	uint32_t ids[HOOK_PROGRAMS_MAX];
	char name[16];
	for (int direction = 0; direction < DIRECTIONS; direction++) {
		int count = hook_programs(interface, (enum direction)direction, ids);
		for (int i = 0; i < count; i++) {
			int fd = open_program(ids[i], name);
			if (fd >= 0 && standing[direction] < 0 && is_judge(name))
				standing[direction] = fd;
			else if (fd >= 0)
				close(fd);
		}
	}
	return standing[FROM_GUEST] >= 0 || standing[TO_GUEST] >= 0;
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

/* What stands in the tables in our slot. */
static bool find_maps(struct making *m)
{
	bool is_whole = true;
	for (int i = 0; i < GUARD_MAPS; i++) {
		uint32_t number;
		bool is_there = bpf_map_lookup_elem(m->programs.table[i], &m->slot, &number) == 0;
		m->map[i] = is_there ? bpf_map_get_fd_by_id(number) : -1;
		is_whole = is_whole && m->map[i] >= 0;
	}
	return is_whole;
}

static void close_maps(struct making *m)
{
	for (int i = 0; i < GUARD_MAPS; i++) {
		if (m->map[i] >= 0)
			close(m->map[i]);
		m->map[i] = -1;
	}
}

static bool take_over(struct kernel_guard *guard, struct making *m)
{
	struct guard_head head;
	if (!read_head(m->map[GUARD_MEMORY], &head))
		return refuse_kernel(m, "read the memory of the guard that is there");
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
	struct making m = { .standing = { -1, -1 }, .map = { -1, -1, -1 }, .life = -1, .error = error };
	forget_kernel_programs(&m.programs);
	return m;
}

static void close_making(struct making *m)
{
	int fds[] = { m->standing[FROM_GUEST], m->standing[TO_GUEST], m->life };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	close_maps(m);
	close_places(&m->places);
	close_kernel_programs(&m->programs);
}

/* Nothing is ever in it. It is in no table, so it goes with us. */
static bool begin_life(struct making *m)
{
	m->life = bpf_map_create(BPF_MAP_TYPE_ARRAY, "softnet_life", sizeof(uint32_t), sizeof(uint32_t), 1, NULL);
	return (m->life >= 0 && open_places(&m->places, &m->programs, m->life)) ||
	       refuse_kernel(m, "open the table of guards");
}

static bool open_programs(const struct kernel_guard *guard, struct making *m)
{
	enum direction first = m->standing[FROM_GUEST] >= 0 ? FROM_GUEST : TO_GUEST;
	for (int direction = 0; direction < DIRECTIONS; direction++)
		if (m->standing[direction] >= 0 && !is_ours(m->standing[direction]))
			return report_failure(
			    m->error, "%s: another version of softnet guards it; take that away first: softnet detach %s",
			    guard->interface, guard->interface);
	if (m->standing[first] >= 0)
		m->programs.judge[first] = duplicate_above_2(m->standing[first]);
	return open_kernel_programs(&m->programs, m->error);
}

static bool does_guard_stand(struct making *m)
{
	bool is_standing = is_port_alive(&m->places, m->slot);
	for (int direction = 0; direction < DIRECTIONS; direction++)
		is_standing = is_standing && m->standing[direction] >= 0 &&
			      number_of_program(m->standing[direction]) ==
				  number_of_program(m->programs.judge[direction]);
	return is_standing && find_maps(m);
}

/* Somebody else has put programs up since we looked. */
static bool has_port_changed(const struct making *m)
{
	int now[DIRECTIONS] = { -1, -1 };
	bool is_same = true;
	look_at_port(m->port.interface, now);
	for (int direction = 0; direction < DIRECTIONS; direction++) {
		is_same = is_same && number_of_program(now[direction]) == number_of_program(m->standing[direction]);
		if (now[direction] >= 0)
			close(now[direction]);
	}
	return !is_same;
}

/* Of the guard that stands at the port, or a free one. */
static bool find_slot(const struct kernel_guard *guard, struct making *m, bool *is_there)
{
	*is_there = false;
	if (!lock_places(&m->places))
		return refuse_kernel(m, "look at the table of guards");
	m->slot = find_place(&m->places, &m->port);
	bool is_busy = (m->slot != 0 && is_claimed_by_other(&m->places, m->slot)) || has_port_changed(m);
	*is_there = m->slot != 0 && !is_busy && does_guard_stand(m);
	if (*is_there) {
		claim_place(&m->places, m->slot);
	} else if (!is_busy) {
		close_maps(m);
		if (m->slot != 0)
			abandon_place(&m->places, m->slot);
		abandon_stale_places(&m->places);
		m->slot = take_free_place(&m->places, &m->port);
	}
	int error = errno;
	unlock_places(&m->places);
	if (is_busy)
		return report_failure(m->error, "%s: another process is about to attach or detach it", guard->interface);
	errno = error;
	return m->slot != 0;
}

static bool make_or_take_over(struct kernel_guard *guard, struct making *m)
{
	bool is_there;
	if (!open_programs(guard, m) || !begin_life(m))
		return false;
	if (find_slot(guard, m, &is_there))
		return is_there ? take_over(guard, m) : make_kernel_guard(guard, m);
	if (m->error->text[0] != '\0')
		return false;
	int cause = errno;
	clear_abandoned(m);
	errno = cause;
	return refuse_kernel(m, "find room for one more guard in the kernel's tables");
}

bool attach_kernel_guard(struct kernel_guard *guard, const char *interface, struct error *error)
{
	struct making m = nothing_made(error);
	*guard = (struct kernel_guard){ .ring = -1, .socket = { -1, -1 } };
	listen_to_libbpf();
	if (!find_interface(guard, interface, &m) || !can_wait_for_programs(error))
		return false;
	look_at_port(guard->index, m.standing);
	bool is_there = make_or_take_over(guard, &m) && open_injectors(guard, error) && become_owner(guard, error);
	if (!is_there)
		close_kernel_guard(guard);
	close_making(&m);
	return is_there;
}

/* False: a process is at work on the port. */
static bool abandon_slot(struct making *m)
{
	if (!lock_places(&m->places))
		return false;
	m->slot = find_place(&m->places, &m->port);
	bool is_busy = m->slot != 0 && is_claimed_by_other(&m->places, m->slot);
	if (m->slot != 0 && !is_busy)
		abandon_place(&m->places, m->slot);
	abandon_stale_places(&m->places);
	unlock_places(&m->places);
	m->slot = 0;
	return !is_busy;
}

bool detach_kernel_guard(const char *interface, struct error *error)
{
	struct making m = nothing_made(error);
	struct kernel_guard guard;
	listen_to_libbpf();
	if (!find_interface(&guard, interface, &m))
		return false;
	if (!look_at_port(guard.index, m.standing))
		return report_failure(error, "%s: no guard in the kernel stands there%s", interface,
				      geteuid() == 0 ? "" : ", as far as can be seen without root");
	if (m.standing[FROM_GUEST] >= 0)
		m.programs.judge[FROM_GUEST] = duplicate_above_2(m.standing[FROM_GUEST]);
	bool has_tables = find_tables(&m.programs) && begin_life(&m);
	bool is_free = !has_tables || abandon_slot(&m);
	for (int direction = 0; direction < DIRECTIONS && is_free; direction++)
		if (m.standing[direction] >= 0)
			hook_detach(guard.index, (enum direction)direction, m.standing[direction]);
	if (is_free)
		hook_clear(guard.index);
	if (has_tables)
		clear_abandoned(&m);
	close_making(&m);
	return is_free || report_failure(error, "%s: another process is about to attach or detach it", interface);
}
