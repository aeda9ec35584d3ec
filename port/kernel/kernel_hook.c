/* tcx by bpf(2), whose numbers older headers lack; clsact by libbpf. */
#include "port/kernel/kernel_hook.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "port/linux/rtnetlink.h"

enum { TCX_INGRESS = 46, TCX_EGRESS = 47, REPLACE = 1 << 2, BEFORE = 1 << 3, AFTER = 1 << 4 };

/* union bpf_attr as Linux 6.6 has it, for BPF_PROG_ATTACH, BPF_PROG_DETACH and BPF_PROG_QUERY. */
struct tcx_change {
	uint32_t interface, program, type, flags, replaced, relative;
	uint64_t revision;
};

struct tcx_question {
	uint32_t interface, type, flags, attach_flags;
	uint64_t ids;
	uint32_t count, reserved;
	uint64_t id_flags, link_ids, link_flags, revision;
};

static int ask_bpf(int command, void *attributes, uint32_t octets)
{
	return syscall(SYS_bpf, command, attributes, octets) < 0 ? -errno : 0;
}

static uint32_t tcx_type(enum direction direction)
{
	return direction == FROM_GUEST ? TCX_INGRESS : TCX_EGRESS;
}

static int tcx_programs(unsigned interface, enum direction direction, uint32_t ids[HOOK_PROGRAMS_MAX])
{
	struct tcx_question question = { .interface = interface,
					 .type = tcx_type(direction),
					 .ids = (uint64_t)(uintptr_t)ids,
					 .count = HOOK_PROGRAMS_MAX };
	int error = ask_bpf(BPF_PROG_QUERY, &question, sizeof question);
	return error == -ENOENT ? 0 : error < 0 ? error : (int)question.count;
}

static bool has_tcx(unsigned interface)
{
	uint32_t ids[HOOK_PROGRAMS_MAX];
	return tcx_programs(interface, FROM_GUEST, ids) != -EINVAL;
}

static int tcx_attach(unsigned interface, enum direction direction, int program_fd)
{
	struct tcx_change change = { .interface = interface,
				     .program = (uint32_t)program_fd,
				     .type = tcx_type(direction),
				     .flags = direction == FROM_GUEST ? BEFORE : AFTER };
	return ask_bpf(BPF_PROG_ATTACH, &change, sizeof change);
}

static int tcx_replace(unsigned interface, enum direction direction, int other_fd, int program_fd)
{
	struct tcx_change change = { .interface = interface,
				     .program = (uint32_t)program_fd,
				     .type = tcx_type(direction),
				     .flags = REPLACE,
				     .replaced = (uint32_t)other_fd };
	return ask_bpf(BPF_PROG_ATTACH, &change, sizeof change);
}

static int tcx_detach(unsigned interface, enum direction direction, int program_fd)
{
	struct tcx_change change = { .interface = interface, .program = (uint32_t)program_fd, .type = tcx_type(direction) };
	return ask_bpf(BPF_PROG_DETACH, &change, sizeof change);
}

static struct bpf_tc_hook clsact_hook(unsigned interface, enum direction direction)
{
	return (struct bpf_tc_hook){ .sz = sizeof(struct bpf_tc_hook),
				     .ifindex = (int)interface,
				     .attach_point = direction == FROM_GUEST ? BPF_TC_INGRESS : BPF_TC_EGRESS };
}

/* A filter is found again by its priority and handle. */
static struct bpf_tc_opts clsact_filter(enum direction direction)
{
	return (struct bpf_tc_opts){ .sz = sizeof(struct bpf_tc_opts),
				     .handle = 1,
				     .priority = direction == FROM_GUEST ? 1 : 0xc0f0 };
}

static int clsact_attach(unsigned interface, enum direction direction, int program_fd, uint32_t flags)
{
	struct bpf_tc_hook hook = clsact_hook(interface, direction);
	struct bpf_tc_opts filter = clsact_filter(direction);
	int error = bpf_tc_hook_create(&hook);
	if (error < 0 && error != -EEXIST)
		return error;
	filter.prog_fd = program_fd;
	filter.flags = flags;
	return bpf_tc_attach(&hook, &filter);
}

static int clsact_detach(unsigned interface, enum direction direction)
{
	struct bpf_tc_hook hook = clsact_hook(interface, direction);
	struct bpf_tc_opts filter = clsact_filter(direction);
	return bpf_tc_detach(&hook, &filter);
}

static int clsact_programs(unsigned interface, enum direction direction, uint32_t ids[HOOK_PROGRAMS_MAX])
{
	struct bpf_tc_hook hook = clsact_hook(interface, direction);
	struct bpf_tc_opts filter = clsact_filter(direction);
	int error = bpf_tc_query(&hook, &filter);
	if (error == -ENOENT || error == -EINVAL) /* EINVAL: there is no clsact */
		return 0;
	ids[0] = filter.prog_id;
	return error < 0 ? error : 1;
}

static bool note_filter(void *context, const struct nlmsghdr *message)
{
	bool *has_filters = context;
	*has_filters = *has_filters || message->nlmsg_type == RTM_NEWTFILTER;
	return !*has_filters;
}

/* Or it cannot be known. */
static bool has_filters(unsigned interface, uint32_t minor)
{
	bool found = false;
	struct rtnetlink_request request = { .header = { .nlmsg_len = NLMSG_LENGTH(sizeof request.filter),
							 .nlmsg_type = RTM_GETTFILTER,
							 .nlmsg_flags = NLM_F_DUMP },
					     .filter = { .tcm_family = AF_UNSPEC,
							 .tcm_ifindex = (int)interface,
							 .tcm_parent = TC_H_MAKE(TC_H_CLSACT, minor) } };
	return ask_kernel(&request, note_filter, &found) != 0 || found;
}

void hook_clear(unsigned interface)
{
	struct bpf_tc_hook hook = clsact_hook(interface, FROM_GUEST);
	if (has_tcx(interface) || has_filters(interface, TC_H_MIN_INGRESS) || has_filters(interface, TC_H_MIN_EGRESS))
		return;
	hook.attach_point = (enum bpf_tc_attach_point)(BPF_TC_INGRESS | BPF_TC_EGRESS);
	bpf_tc_hook_destroy(&hook);
}

int hook_attach(unsigned interface, enum direction direction, int program_fd)
{
	return has_tcx(interface) ? tcx_attach(interface, direction, program_fd)
				  : clsact_attach(interface, direction, program_fd, 0);
}

int hook_replace(unsigned interface, enum direction direction, int other_fd, int program_fd)
{
	return has_tcx(interface) ? tcx_replace(interface, direction, other_fd, program_fd)
				  : clsact_attach(interface, direction, program_fd, BPF_TC_F_REPLACE);
}

int hook_detach(unsigned interface, enum direction direction, int program_fd)
{
	return has_tcx(interface) ? tcx_detach(interface, direction, program_fd) : clsact_detach(interface, direction);
}

int hook_programs(unsigned interface, enum direction direction, uint32_t ids[HOOK_PROGRAMS_MAX])
{
	return has_tcx(interface) ? tcx_programs(interface, direction, ids) : clsact_programs(interface, direction, ids);
}
