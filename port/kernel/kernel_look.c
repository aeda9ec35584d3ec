/* The programs that the kernel has lead to the tables of guards, and these say whether a port is there still. */
#include "port/kernel/kernel_look.h"
#include <bpf/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "ebpf/object.h"
#include "port/kernel/kernel_making.h"

enum { SO_COOKIE_OF_NAMESPACE = 71 }; /* Linux 5.14; older headers lack it */

uint64_t namespace_cookie(void)
{
	uint64_t cookie;
	socklen_t octets = sizeof cookie;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_known = fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_COOKIE_OF_NAMESPACE, &cookie, &octets) == 0;
	if (fd >= 0)
		close(fd);
	return is_known ? cookie : 0;
}

static const struct kernel_memory *map_to_read(const struct kernel_programs *programs, uint32_t slot)
{
	uint32_t number;
	int fd = bpf_map_lookup_elem(programs->table[GUARD_MEMORY], &slot, &number) == 0 ? bpf_map_get_fd_by_id(number)
											 : -1;
	void *mapped = mmap(NULL, sizeof(struct kernel_memory), PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (mapped == MAP_FAILED)
		return NULL;
	const struct kernel_memory *memory = mapped;
	if (memory->head.build == kernel_build)
		return memory;
	munmap(mapped, sizeof *memory);
	return NULL;
}

/* True: the port has a slot in the tables of this program. */
static bool look_into_tables(int program, const struct port_key *key, struct kernel_sight *sight)
{
	struct kernel_programs programs;
	struct kernel_places places = { .at = NULL };
	uint32_t slot = 0;
	forget_kernel_programs(&programs);
	programs.judge[FROM_GUEST] = program;
	if (find_tables(&programs) && open_places(&places, &programs, programs.places))
		slot = find_place(&places, key);
	if (slot != 0 && is_port_alive(&places, slot))
		*sight = (struct kernel_sight){ SIGHT_STANDS, map_to_read(&programs, slot) };
	close_places(&places);
	close_kernel_programs(&programs);
	return slot != 0;
}

int count_kernel_programs(unsigned interface)
{
	int standing[DIRECTIONS] = { -1, -1 }, count = 0;
	look_at_port(interface, standing);
	for (int direction = 0; direction < DIRECTIONS; direction++)
		if (standing[direction] >= 0) {
			close(standing[direction]);
			count++;
		}
	return count;
}

struct kernel_sight look_at_kernel_guard(uint64_t cookie, unsigned interface)
{
	struct kernel_sight sight = { SIGHT_GONE, NULL };
	const struct port_key key = { cookie, interface };
	char name[16], unused[IFNAMSIZ];
	bool is_found = false, is_here = cookie == namespace_cookie();
	for (uint32_t id = 0; !is_found && bpf_prog_get_next_id(id, &id) == 0;) {
		int fd = open_program(id, name);
		if (fd >= 0 && is_judge(name))
			is_found = look_into_tables(fd, &key, &sight);
		else if (fd >= 0)
			close(fd);
	}
	/* With the last of its programs the tables go, and the port may still be there. */
	if (is_here && if_indextoname(interface, unused))
		sight.sight = count_kernel_programs(interface) == DIRECTIONS ? SIGHT_STANDS : SIGHT_BARE;
	return sight;
}

void end_kernel_sight(struct kernel_sight *sight)
{
	if (sight->memory)
		munmap((void *)(uintptr_t)sight->memory, sizeof *sight->memory);
	sight->memory = NULL;
}
