/* The filter of system calls, by libseccomp, which knows the numbers of each processor. */
#include "system/sandbox/seccomp.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include "system/sandbox/calls.h"
#include "system/sandbox/trap.h"

enum {
	PROGRAM_MAX = 4096, /* instructions, of the kernel */
	TRIES = 3,
	PATIENCE_MS = 2000, /* it takes some two milliseconds */
};

static pid_t confined; /* the process that gives up calls */
static struct sock_filter program[PROGRAM_MAX];

struct listed_call {
	const char *name;
	unsigned purposes;
};

static const struct listed_call calls[] = {
#define X(name, purposes) { name, purposes },
	SYSTEM_CALLS(X)
#if defined __SANITIZE_ADDRESS__
	    SANITIZER_CALLS(X)
#endif
#undef X
};

/* Those whose arguments are looked at are not allowed as such. */
static bool is_looked_at(const char *name)
{
	static const char *const names[] = { "socket", "connect", "sendto", "sendmsg", "sendmmsg", "ioctl",
					     "clone",  "kill",    "tgkill", "mmap",    "mmap2",    "mprotect" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static bool allow(scmp_filter_ctx filter, const char *name, unsigned count, const struct scmp_arg_cmp *arguments)
{
	int number = seccomp_syscall_resolve_name(name), error = 0;
	errno = 0;
	if (number != __NR_SCMP_ERROR) /* this processor or this library knows it */
		error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, count, arguments);
	if (error != 0 && error != -EEXIST)
		errno = -error;
	return errno != ENOMEM && (error == 0 || error == -EEXIST);
}

static bool allow_if(scmp_filter_ctx filter, const char *name, struct scmp_arg_cmp argument)
{
	return allow(filter, name, 1, &argument);
}

/* No way to run what was written. */
static bool allow_memory(scmp_filter_ctx filter)
{
	struct scmp_arg_cmp not_run = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	return allow_if(filter, "mmap", not_run) && allow_if(filter, "mmap2", not_run) &&
	       allow_if(filter, "mprotect", not_run);
}

/*
 * A socket with a path leads to programs with more rights, such as those of a desktop, and Landlock does not close it: only
 * those guards connect that must do so again.
 */
static bool allow_sockets_of_guard(scmp_filter_ctx filter, const struct sandbox_wish *wish)
{
	struct scmp_arg_cmp route[] = { SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0), SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE, 0) };
	return allow(filter, "socket", 2, route) &&
	       (!wish->connects ||
		(allow(filter, "connect", 0, NULL) && allow_if(filter, "socket", SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0))));
}

/*
 * The guest's connections: TCP, UDP and ICMP alone. Other protocols connect by setsockopt(2), as SCTP does. libslirp asks for
 * an interface's number by a datagram socket. The keeper's filter holds for its workers too, and it connects for them.
 */
static bool allow_sockets_of_slirp(scmp_filter_ctx filter)
{
	static const int protocols[] = { 0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 };
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM }, families[] = { AF_INET, AF_INET6 };
	struct scmp_arg_cmp asks[] = { SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_DGRAM) };
	bool is_allowed = allow(filter, "socket", 2, asks);
	for (size_t i = 0; i < 2 * 2 * sizeof protocols / sizeof *protocols; i++) {
		struct scmp_arg_cmp one[] = { SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i & 1], 0),
					      SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)types[i >> 1 & 1]),
					      SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)protocols[i >> 2], 0) };
		is_allowed = is_allowed && allow(filter, "socket", 3, one);
	}
	return is_allowed;
}

static bool allow_sockets(scmp_filter_ctx filter, unsigned purpose, const struct sandbox_wish *wish)
{
	if ((purpose & FOR_GUARD) != 0)
		return allow_sockets_of_guard(filter, wish);
	if ((purpose & FOR_SLIRP_KEEPER) != 0 && !allow(filter, "connect", 0, NULL))
		return false;
	return (purpose & (FOR_SLIRP_KEEPER | FOR_SLIRP_WORKER)) == 0 || allow_sockets_of_slirp(filter);
}

/* What is sent first can make a connection, too, which a worker may not. */
static bool allow_sending(scmp_filter_ctx filter, unsigned purpose)
{
	if ((purpose & FOR_COMMAND_KEEPER) != 0)
		return true;
	bool is_worker = purpose == FOR_SLIRP_WORKER;
	return allow(filter, "sendto", is_worker, &SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0)) &&
	       allow(filter, "sendmsg", is_worker, &SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0)) &&
	       allow(filter, "sendmmsg", is_worker, &SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));
}

/* TCGETS: libc asks whether a stream is a terminal. New rules may take offloads from the guard's tap. */
static bool allow_ioctls(scmp_filter_ctx filter, unsigned purpose)
{
	static const unsigned long of_slirp[] = { FIONREAD, FIONBIO, SIOCATMARK, SIOCGIFINDEX };
	bool is_guard = (purpose & FOR_GUARD) != 0;
	bool is_allowed = allow_if(filter, "ioctl", SCMP_A1(SCMP_CMP_EQ, TCGETS, 0)) &&
			  (!is_guard || allow_if(filter, "ioctl", SCMP_A1(SCMP_CMP_EQ, TUNSETOFFLOAD, 0)));
	for (size_t i = 0; is_allowed && !is_guard && i < sizeof of_slirp / sizeof *of_slirp; i++)
		is_allowed = allow_if(filter, "ioctl", SCMP_A1(SCMP_CMP_EQ, of_slirp[i], 0));
	return is_allowed;
}

/* abort(3) and raise(3) signal the process itself. A keeper of slirp starts workers, whose numbers nobody knows before. */
static bool allow_signals(scmp_filter_ctx filter, unsigned purpose, const struct sandbox_wish *wish)
{
	scmp_datum_t own = (scmp_datum_t)confined;
	if (purpose == FOR_SLIRP_WORKER)
		return allow_if(filter, "tgkill", SCMP_A0(SCMP_CMP_EQ, own, 0));
	bool is_slirp_keeper = (purpose & FOR_SLIRP_KEEPER) != 0;
	bool is_allowed = is_slirp_keeper ? allow(filter, "kill", 0, NULL) && allow(filter, "tgkill", 0, NULL)
					  : allow_if(filter, "kill", SCMP_A0(SCMP_CMP_EQ, own, 0)) &&
						allow_if(filter, "tgkill", SCMP_A0(SCMP_CMP_EQ, own, 0));
	for (int i = 0; is_allowed && i < SANDBOX_CHILDREN_MAX && wish->children[i] > 0; i++)
		is_allowed = allow_if(filter, "kill", SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)wish->children[i], 0));
	return is_allowed;
}

/* No namespaces. */
static bool allow_children(scmp_filter_ctx filter, unsigned purpose)
{
	const scmp_datum_t namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
					CLONE_NEWUTS | CLONE_NEWCGROUP;
	bool has_sanitizer = false;
#if defined __SANITIZE_ADDRESS__
	has_sanitizer = true;
#endif
	return ((purpose & FOR_SLIRP_KEEPER) == 0 && !has_sanitizer) ||
	       allow_if(filter, "clone", SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces, 0));
}

static bool add_rules(scmp_filter_ctx filter, unsigned purpose, const struct sandbox_wish *wish)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if ((calls[i].purposes & purpose) != 0 && !is_looked_at(calls[i].name) &&
		    !allow(filter, calls[i].name, 0, NULL))
			return false;
	return allow_memory(filter) && allow_sockets(filter, purpose, wish) && allow_sending(filter, purpose) &&
	       allow_ioctls(filter, purpose) && allow_signals(filter, purpose, wish) && allow_children(filter, purpose);
}

/* While there is still memory to be had, and the library to be asked. */
static void name_calls(void)
{
	for (int number = 0; number < TRAPPED_CALLS; number++) {
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
		if (name)
			name_trapped_call(number, name);
		free(name);
	}
}

/*
 * libseccomp that gets no memory may crash, loop, or give a filter that lacks calls and call that a success. So a process makes
 * the filter that has no other use, and says by its status whether all of it is there: 0, or an errno. Who waits for it ends it
 * when that takes long, or takes it along.
 */
static _Noreturn void make_program(unsigned purpose, const struct sandbox_wish *wish, int to)
{
	int error = ENOMEM;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != confined)
		_exit(error);
	close(STDERR_FILENO); /* its status says it all */
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	if (!filter)
		_exit(error);
	/* Numbers of another architecture have no names that could be told. */
	seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!add_rules(filter, purpose, wish))
		_exit(errno);
	errno = 0;
	error = -seccomp_export_bpf(filter, to);
	_exit(errno == ENOMEM ? ENOMEM : error);
}

/* Gives its length in octets; 0: it did not come, or is longer than the kernel takes. */
static size_t read_program(int from)
{
	struct pollfd waiting = { .fd = from, .events = POLLIN };
	size_t length = 0;
	while (length < sizeof program) {
		if (poll(&waiting, 1, PATIENCE_MS) == 0)
			return 0; /* it hangs */
		ssize_t n = read(from, (char *)program + length, sizeof program - length);
		if (n == 0)
			return length;
		if (n < 0 && errno != EINTR)
			return 0;
		length += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* NULL, or why there is none. */
static const char *have_program_made(unsigned purpose, const struct sandbox_wish *wish, size_t *length)
{
	int ends[2], status;
	if (pipe(ends) < 0)
		return strerror(errno);
	pid_t maker = fork();
	int cause = errno;
	if (maker == 0)
		make_program(purpose, wish, ends[1]);
	close(ends[1]);
	*length = maker > 0 ? read_program(ends[0]) : 0;
	close(ends[0]);
	if (maker < 0)
		return strerror(cause);
	if (*length == 0)
		kill(maker, SIGKILL);
	while (waitpid(maker, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		return strerror(WEXITSTATUS(status));
	return WIFEXITED(status) && *length > 0 ? NULL : "libseccomp failed";
}

const char *filter_calls(enum sandbox_purpose purpose, const struct sandbox_wish *wish)
{
	size_t length;
	confined = getpid();
	const char *cause = have_program_made(purpose, wish, &length);
	for (int tries = 1; cause && tries < TRIES; tries++) /* there may be memory again */
		cause = have_program_made(purpose, wish, &length);
	if (cause)
		return cause;
	struct sock_fprog whole = { .len = (unsigned short)(length / sizeof *program), .filter = program };
	name_calls();
	catch_trapped_calls();
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) == 0 ? NULL : strerror(errno);
}
