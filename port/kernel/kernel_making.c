/* Making a guard: its maps, their places in the tables, the programs at the port. All of this needs privileges, and happens once. */
#include "port/kernel/kernel_making.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if_arp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "ebpf/object.h"
#include "port/io.h"
#include "port/kernel/kernel_look.h"

bool refuse_kernel(struct making *m, const char *what)
{
	int cause = errno;
	report_failure(
	    m->error, "cannot %s: %s%s", what, strerror(cause),
	    cause == EPERM
		? " (run as root, or with CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_PERFMON)"
		: "");
	return false;
}

bool find_interface(struct kernel_guard *guard, const char *interface, struct making *m)
{
	struct ifreq request = { 0 };
	copy_text(guard->interface, sizeof guard->interface, interface);
	copy_text(request.ifr_name, sizeof request.ifr_name, interface);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return refuse_kernel(m, "open a socket");
	bool is_there = strlen(interface) < IFNAMSIZ && ioctl(fd, SIOCGIFINDEX, &request) == 0;
	m->port.interface = guard->index = is_there ? (unsigned)request.ifr_ifindex : 0;
	bool is_asked = is_there && ioctl(fd, SIOCGIFHWADDR, &request) == 0;
	close(fd);
	if (!is_there)
		return report_failure(m->error, "there is no interface \"%.40s\" in this network namespace", interface);
	if (!is_asked || request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return report_failure(m->error, "\"%s\" is no Ethernet interface", interface);
	m->port.cookie = namespace_cookie();
	return m->port.cookie != 0 || refuse_kernel(m, "tell network namespaces apart");
}

static size_t page_round(size_t octets)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (octets + page - 1) / page * page;
}

bool map_memory(struct kernel_guard *guard, struct making *m)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, page_round(sizeof(struct kernel_memory)), PROT_READ | PROT_WRITE, MAP_SHARED,
			    m->map[GUARD_MEMORY], 0);
	void *configs = mmap(NULL, page_round(CONFIG_COPIES * sizeof(struct config)), PROT_READ | PROT_WRITE,
			     MAP_SHARED, m->map[GUARD_CONFIG], 0);
	void *read = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, m->map[GUARD_RING], 0);
	/* The producer's page, then the octets, twice in a row, so that no record is cut. */
	void *written =
	    mmap(NULL, page + 2 * (size_t)NEWS_OCTETS, PROT_READ, MAP_SHARED, m->map[GUARD_RING], (off_t)page);
	if (memory == MAP_FAILED || configs == MAP_FAILED || read == MAP_FAILED || written == MAP_FAILED)
		return refuse_kernel(m, "map the guard's memory");
	guard->memory = memory;
	guard->configs = configs;
	guard->ring_read = read;
	guard->ring_written = written;
	guard->ring_octets = (const uint8_t *)written + page;
	guard->ring = duplicate_above_2(m->map[GUARD_RING]);
	return guard->ring >= 0 || refuse_kernel(m, "keep the guard's ring");
}

static bool make_maps(struct making *m)
{
	LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
	m->map[GUARD_MEMORY] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "guard_memory", sizeof(uint32_t),
					      sizeof(struct kernel_memory), 1, &mapped);
	m->map[GUARD_CONFIG] = bpf_map_create(BPF_MAP_TYPE_ARRAY, "guard_config", sizeof(uint32_t),
					      sizeof(struct config), CONFIG_COPIES, &mapped);
	m->map[GUARD_RING] = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "guard_ring", 0, 0, NEWS_OCTETS, NULL);
	return (m->map[GUARD_MEMORY] >= 0 && m->map[GUARD_CONFIG] >= 0 && m->map[GUARD_RING] >= 0) ||
	       refuse_kernel(m, "make the guard's maps");
}

/* All of it zero but this; the programs empty the flows before they use them. */
static bool fill_memory(struct kernel_guard *guard, const struct making *m)
{
	uint64_t random[3];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return false;
	guard->memory->head.build = kernel_build;
	guard->memory->head.slot = m->slot;
	guard->memory->flows_epoch = 1;
	guard->memory->mark = (uint32_t)random[2] | 1;
	memcpy(guard->memory->flows.hash_key, random, sizeof guard->memory->flows.hash_key);
	return true;
}

/* Its process, if it has one, ends. */
static void dismiss(const struct making *m, uint32_t slot)
{
	uint32_t number;
	int fd = bpf_map_lookup_elem(m->programs.table[GUARD_MEMORY], &slot, &number) == 0 ? bpf_map_get_fd_by_id(number)
											   : -1;
	struct guard_head *head = mmap(NULL, sizeof *head, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (head == MAP_FAILED)
		return;
	__atomic_store_n(&head->owner, 0, __ATOMIC_RELEASE);
	munmap(head, sizeof *head);
}

/*
 * Behind each change of such a table, and behind each program that comes to stand at a port, the kernel waits until no program
 * runs that has begun before, 10 ms or so. Those that wait at the same time wait once. Until the guard is opened it does
 * not matter what comes first.
 */
struct filling {
	const struct making *making;
	enum guard_map table;
	int error;
	pthread_t thread;
	bool is_beside;
};

static void *fill(void *context)
{
	struct filling *filling = context;
	const struct making *m = filling->making;
	int table = m->programs.table[filling->table];
	for (uint32_t slot = 1; slot < SLOTS_MAX; slot++)
		if (is_abandoned(&m->places, slot))
			bpf_map_delete_elem(table, &slot);
	if (m->slot != 0 && bpf_map_update_elem(table, &m->slot, &m->map[filling->table], BPF_ANY) != 0)
		filling->error = errno;
	return NULL;
}

static void begin_filling(struct filling all[GUARD_MAPS], const struct making *m)
{
	for (uint32_t slot = 1; slot < SLOTS_MAX; slot++)
		if (is_abandoned(&m->places, slot))
			dismiss(m, slot);
	for (int i = 0; i < GUARD_MAPS; i++) {
		all[i] = (struct filling){ .making = m, .table = (enum guard_map)i };
		all[i].is_beside = pthread_create(&all[i].thread, NULL, fill, &all[i]) == 0;
	}
}

/* 0 or an errno. */
static int end_filling(struct filling all[GUARD_MAPS], struct making *m)
{
	int error = 0;
	for (int i = 0; i < GUARD_MAPS; i++) {
		if (all[i].is_beside)
			pthread_join(all[i].thread, NULL);
		else
			fill(&all[i]);
		error = all[i].error != 0 ? all[i].error : error;
	}
	free_abandoned_places(&m->places);
	return error;
}

void clear_abandoned(struct making *m)
{
	struct filling filling[GUARD_MAPS];
	begin_filling(filling, m);
	end_filling(filling, m);
}

/* Those that stood there before us stay: they let nothing pass. */
static void take_down(unsigned interface, const struct making *m)
{
	for (int direction = 0; direction < DIRECTIONS; direction++)
		if (m->standing[direction] < 0)
			hook_detach(interface, (enum direction)direction, m->programs.judge[direction]);
	hook_clear(interface);
}

static int put_up_one(unsigned interface, enum direction direction, const struct making *m)
{
	int standing = m->standing[direction], judge = m->programs.judge[direction];
	if (standing < 0)
		return hook_attach(interface, direction, judge);
	return number_of_program(standing) == number_of_program(judge)
		   ? 0
		   : hook_replace(interface, direction, standing, judge);
}

static bool put_up(const struct kernel_guard *guard, struct making *m)
{
	int error = put_up_one(guard->index, FROM_GUEST, m);
	if (error >= 0)
		error = put_up_one(guard->index, TO_GUEST, m);
	if (error >= 0)
		return true;
	take_down(guard->index, m);
	errno = -error;
	return refuse_kernel(m, "put the guard's programs up at the port");
}

static bool fill_and_put_up(const struct kernel_guard *guard, struct making *m)
{
	struct filling filling[GUARD_MAPS];
	begin_filling(filling, m);
	bool is_up = put_up(guard, m);
	int error = end_filling(filling, m);
	if (!is_up || error == 0)
		return is_up;
	take_down(guard->index, m);
	errno = error;
	return refuse_kernel(m, "enter the guard in the kernel's tables");
}

bool make_kernel_guard(struct kernel_guard *guard, struct making *m)
{
	if (make_maps(m) && map_memory(guard, m) && (fill_memory(guard, m) || refuse_kernel(m, "get random numbers")) &&
	    fill_and_put_up(guard, m))
		return true;
	abandon_place(&m->places, m->slot);
	m->slot = 0;
	clear_abandoned(m);
	return false;
}
