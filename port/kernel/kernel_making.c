/* Making a guard: its maps, its slot, its programs at the port. All of this needs privileges, and happens once. */
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

const char slot_name[] = "softnet_slot", memory_name[] = "guard_memory", config_name[] = "guard_config",
	   ring_name[] = "guard_ring", life_name[] = "guard_life";

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

bool find_interface(struct kernel_guard *guard, const char *interface, struct error *error)
{
	struct ifreq request = { 0 };
	copy_text(guard->interface, sizeof guard->interface, interface);
	copy_text(request.ifr_name, sizeof request.ifr_name, interface);
	guard->index = strlen(interface) < IFNAMSIZ ? if_nametoindex(interface) : 0;
	if (guard->index == 0)
		return report_failure(error, "there is no interface \"%.40s\" in this network namespace", interface);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_asked = fd >= 0 && ioctl(fd, SIOCGIFHWADDR, &request) == 0;
	if (fd >= 0)
		close(fd);
	if (!is_asked || request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return report_failure(error, "\"%s\" is no Ethernet interface", interface);
	return true;
}

static size_t page_round(size_t octets)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (octets + page - 1) / page * page;
}

bool map_memory(struct kernel_guard *guard, struct making *m)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory =
	    mmap(NULL, page_round(sizeof(struct kernel_memory)), PROT_READ | PROT_WRITE, MAP_SHARED, m->memory, 0);
	void *configs = mmap(NULL, page_round(CONFIG_COPIES * sizeof(struct config)), PROT_READ | PROT_WRITE,
			     MAP_SHARED, m->config, 0);
	void *read = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, m->ring, 0);
	/* The producer's page, then the octets, twice in a row, so that no record is cut. */
	void *written = mmap(NULL, page + 2 * (size_t)NEWS_OCTETS, PROT_READ, MAP_SHARED, m->ring, (off_t)page);
	if (memory == MAP_FAILED || configs == MAP_FAILED || read == MAP_FAILED || written == MAP_FAILED)
		return refuse_kernel(m, "map the guard's memory");
	guard->memory = memory;
	guard->configs = configs;
	guard->ring_read = read;
	guard->ring_written = written;
	guard->ring_octets = (const uint8_t *)written + page;
	guard->ring = duplicate_above_2(m->ring);
	return guard->ring >= 0 || refuse_kernel(m, "keep the guard's ring");
}

static bool make_maps(struct making *m)
{
	LIBBPF_OPTS(bpf_map_create_opts, mapped, .map_flags = BPF_F_MMAPABLE);
	m->memory =
	    bpf_map_create(BPF_MAP_TYPE_ARRAY, memory_name, sizeof(uint32_t), sizeof(struct kernel_memory), 1, &mapped);
	m->config = bpf_map_create(BPF_MAP_TYPE_ARRAY, config_name, sizeof(uint32_t), sizeof(struct config),
				   CONFIG_COPIES, &mapped);
	m->ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, ring_name, 0, 0, NEWS_OCTETS, NULL);
	return (m->memory >= 0 && m->config >= 0 && m->ring >= 0) || refuse_kernel(m, "make the guard's maps");
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

static int fill_slot(const struct making *m)
{
	bool is_filled = bpf_map_update_elem(m->programs.memories, &m->slot, &m->memory, BPF_ANY) == 0 &&
			 bpf_map_update_elem(m->programs.configs, &m->slot, &m->config, BPF_ANY) == 0 &&
			 bpf_map_update_elem(m->programs.rings, &m->slot, &m->ring, BPF_ANY) == 0;
	return is_filled ? 0 : errno;
}

struct filling {
	const struct making *making;
	int error;
};

static void *fill_beside(void *context)
{
	struct filling *filling = context;
	filling->error = fill_slot(filling->making);
	return NULL;
}

/*
 * The port's own program: it leaves the slot beside the frame, for the judge behind it. The maps are bound to it, so that they
 * are found by the port, and by nothing else.
 */
static bool load_slot_program(struct making *m)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = (int32_t)m->slot },
		{ .code = BPF_STX | BPF_MEM | BPF_W,
		  .dst_reg = BPF_REG_1,
		  .src_reg = BPF_REG_2,
		  .off = offsetof(struct __sk_buff, cb) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1 }, /* the next program */
		{ .code = BPF_JMP | BPF_EXIT },
	};
	m->slot_program =
	    bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, slot_name, "Dual BSD/GPL", code, sizeof code / sizeof *code, NULL);
	if (m->slot_program < 0)
		return refuse_kernel(m, "load the port's program");
	bool is_bound = bpf_prog_bind_map(m->slot_program, m->memory, NULL) == 0 &&
			bpf_prog_bind_map(m->slot_program, m->config, NULL) == 0 &&
			bpf_prog_bind_map(m->slot_program, m->ring, NULL) == 0 &&
			bpf_prog_bind_map(m->slot_program, m->life, NULL) == 0;
	return is_bound || refuse_kernel(m, "bind the guard's maps to the port");
}

static void take_down(unsigned interface, const struct making *m)
{
	for (int direction = 0; direction < DIRECTIONS; direction++) {
		hook_detach(interface, (enum direction)direction, HOOK_SLOT, m->slot_program);
		hook_detach(interface, (enum direction)direction, HOOK_JUDGE, m->programs.judge[direction]);
	}
	hook_clear(interface);
}

/* The judge first: without a slot it lets nothing pass. */
static bool put_up(const struct kernel_guard *guard, struct making *m)
{
	int error = 0;
	for (int place = HOOK_JUDGE; place >= HOOK_SLOT; place--)
		for (int direction = 0; direction < DIRECTIONS && error >= 0; direction++)
			error = hook_attach(guard->index, (enum direction)direction, (enum hook_place)place,
					    place == HOOK_JUDGE ? m->programs.judge[direction] : m->slot_program);
	if (error >= 0)
		return true;
	take_down(guard->index, m);
	errno = -error;
	return refuse_kernel(m, "put the guard's programs up at the port");
}

/*
 * Behind each table that has a new entry, and behind each program that stands at a port, the kernel waits until no program
 * runs that has begun before, 10 ms or so. Two that wait at the same time wait once; and until the guard is opened it
 * does not matter what comes first.
 */
static bool fill_and_put_up(const struct kernel_guard *guard, struct making *m)
{
	struct filling filling = { .making = m };
	pthread_t thread;
	bool is_beside = pthread_create(&thread, NULL, fill_beside, &filling) == 0;
	bool is_up = load_slot_program(m) && put_up(guard, m);
	if (is_beside)
		pthread_join(thread, NULL);
	else
		fill_beside(&filling);
	if (!is_up || filling.error == 0)
		return is_up;
	take_down(guard->index, m);
	errno = filling.error;
	return refuse_kernel(m, "enter the guard in the kernel's tables");
}

/* Nothing is ever in it. Of all maps of a guard this one alone is in no table, so it goes with its last holder. */
static bool claim_one(struct making *m)
{
	m->life = bpf_map_create(BPF_MAP_TYPE_ARRAY, life_name, sizeof(uint32_t), sizeof(uint32_t), 1, NULL);
	if (m->life < 0)
		return refuse_kernel(m, "make the guard's maps");
	m->slot = claim_slot(&m->programs, m->life);
	return m->slot != 0 || report_failure(m->error, "this host has %d guards in the kernel already", SLOTS_MAX - 1);
}

bool make_kernel_guard(struct kernel_guard *guard, struct making *m)
{
	if (!open_kernel_programs(&m->programs, m->error) || !claim_one(m))
		return false;
	bool is_made = make_maps(m) && map_memory(guard, m) &&
		       (fill_memory(guard, m) || refuse_kernel(m, "get random numbers")) && fill_and_put_up(guard, m);
	if (!is_made)
		give_back_slot(&m->programs, m->slot, m->life);
	return is_made;
}
