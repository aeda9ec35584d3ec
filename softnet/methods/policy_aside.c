/*
 * Thousands of rules take more than ten milliseconds to be read and compiled. Frames do not wait for that: a process of its
 * own does it, in memory that both share, and the guard only puts in force what is ready, between two frames.
 *
 *   guard ── a line; an octet says that it is there ──▶ aside: reads, sorts, compiles, writes the answer
 *   guard ◀── an octet: rules, policy and answer are ready ──┘
 *
 * The process has nothing but that memory, one socket and standard error, and ends with the guard. Where it has ended before,
 * the guard reads the rules itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "port/io.h"
#include "softnet/guard/rules_in_force.h"
#include "softnet/methods/control_methods.h"
#include "system/log.h"
#include "system/platform.h"
#include "system/process/signals.h"
#include "system/sandbox/sandbox.h"

enum {
	METHODS_MAX = 16,
	ASIDE_FD = 3,
	NICENESS = 5,         /* frames come first */
	ANSWER_MAX = 2 << 20, /* of as many rules as there may be, each as long as can be */
	SAMPLE = 2048         /* octets, beyond what qsort(3) sorts without asking the system for its memory */
};

enum outcome {
	NOT_OURS, /* another method's, or no memory: the guard has to answer */
	ANSWERED, /* nothing is to be put in force */
	READY
};

/* Shared. Pages that nobody has written to take no memory. */
struct desk {
	struct sandbox sandbox;
	struct rule_list lists[RULE_LISTS];
	struct ready_rules ready;
	const struct rule_list *in_force; /* when the request came */
	struct rule_list *rules;          /* the list that is read into */
	bool is_operator, is_reader;      /* who asks */
	enum outcome outcome;
	size_t octets;
	char line[RPC_LINE_MAX];
	char answer[ANSWER_MAX];
};

static struct desk *desk;

/* --- the process aside --- */

static struct rpc_method methods[METHODS_MAX];

static json_t *give_back(struct rpc_call *call)
{
	desk->outcome = NOT_OURS;
	return rpc_refuse(call, RPC_NO_METHOD, "no such method here");
}

static json_t *read_aside(struct rpc_call *call)
{
	const struct relay *r = call->context;
	struct error error;
	json_t *answer = read_policy(call, desk->rules);
	if (!answer || same_rules(desk->rules, desk->in_force))
		return answer;
	if (may_name_hosts(r->kernel != NULL, desk->rules, &error) &&
	    make_ready(r->options, desk->rules, NULL, &desk->ready, &error)) {
		desk->outcome = READY;
		return answer;
	}
	json_decref(answer);
	return rpc_refuse(call, RPC_BAD_PARAMETERS, "%s", error.text);
}

static void list_methods(void)
{
	for (int i = 0; i < METHODS_MAX - 1 && live_methods[i].name; i++) {
		methods[i] = live_methods[i];
		methods[i].call = live_methods[i].call == policy_set ? read_aside : give_back;
	}
}

static void answer_aside(struct relay *r)
{
	struct client asker = { .is_operator = desk->is_operator, .is_reader = desk->is_reader };
	struct rpc_call call = { .context = r, .client = &asker };
	desk->outcome = ANSWERED;
	desk->rules->count = 0;
	char *answer = rpc_begin(&call, methods, desk->is_operator, desk->line, desk->octets);
	size_t octets = answer ? strlen(answer) + 1 : SIZE_MAX;
	if (octets <= sizeof desk->answer)
		memcpy(desk->answer, answer, octets);
	else
		desk->outcome = NOT_OURS;
	free(answer);
}

static void keep_only(int fd)
{
	log_by_stderr(); /* its own number is about to be ours */
	int own = fcntl(fd, F_DUPFD, 16), null = open("/dev/null", O_RDWR);
	if (own < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(own, ASIDE_FD) < 0)
		_exit(1);            /* else a port may stand at this number */
	fcntl(ASIDE_FD, F_SETFL, 0); /* it waits */
	close_from(ASIDE_FD + 1);
}

static int compare_octets(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

/* qsort(3) asks once how much memory the system has, which it may not later. */
static void sort_once(void)
{
	static char sample[SAMPLE];
	qsort(sample, sizeof sample, 1, compare_octets);
}

/*
 * A process that wakes up is let in before the turn of this process is over: the guard, and those that it carries frames for. With turns
 * of the usual length they waited for the end of it, two or three milliseconds; with short ones it was let in before them.
 */
static void give_way(void)
{
	if (nice(NICENESS) == -1)
		errno = 0; /* it does without */
	platform_take_long_turns();
}

static bool is_asked(void)
{
	char octet;
	ssize_t n;
	do
		n = read(ASIDE_FD, &octet, 1);
	while (n < 0 && errno == EINTR);
	return n == 1;
}

static _Noreturn void work_aside(struct relay *r, int fd, int parent)
{
	static const struct sandbox_wish nothing;
	struct sandbox sandbox = { .is_on = false };
	end_with_parent();
	if (getppid() != parent && getppid() != 0) /* 0: it is in another namespace */
		_exit(1);
	leave_signals_to_parent();
	keep_only(fd);
	name_process("softnet-rules");
	give_up_privileges_for_good();
	sort_once();
	list_methods();
	give_way();
	if (!r->options->sandbox_off)
		enter_sandbox(FOR_COMMAND_KEEPER, &nothing, &sandbox);
	desk->sandbox = sandbox;
	while (is_asked()) {
		answer_aside(r);
		if (write(ASIDE_FD, "", 1) != 1)
			break;
	}
	_exit(0);
}

/* --- the guard --- */

static void lose_aside(struct relay *r)
{
	close(r->control.aside.fd);
	r->control.aside.fd = -1;
	warning("the process that reads rules has ended; this one reads them from now on, and frames wait meanwhile");
}

static bool begin(void *context, const struct client *c, const char *line, size_t octets)
{
	struct relay *r = context;
	desk->is_operator = c->is_operator;
	desk->is_reader = c->is_reader;
	desk->in_force = r->rules;
	desk->rules = next_rules(r);
	desk->octets = octets;
	memcpy(desk->line, line, octets);
	ssize_t sent = send(r->control.aside.fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent == 1)
		r->rules_aside = desk->rules;
	else if (sent >= 0 ||
		 !(means_full(errno) || errno == EINTR)) /* else this one time the guard reads the rules itself */
		lose_aside(r);
	return r->rules_aside != NULL;
}

static bool is_done(void *context)
{
	struct relay *r = context;
	char octet;
	ssize_t n = recv(r->control.aside.fd, &octet, 1, MSG_DONTWAIT);
	if (n < 0 && (means_full(errno) || errno == EINTR))
		return false;
	if (n != 1) {
		lose_aside(r);
		desk->outcome = NOT_OURS;
	}
	return true;
}

/* What is the same as in force then may not be now. */
static const char *finish(void *context)
{
	struct relay *r = context;
	r->rules_aside = NULL;
	if (desk->outcome == NOT_OURS || (desk->outcome == ANSWERED && desk->in_force != r->rules))
		return NULL;
	if (desk->outcome == READY)
		put_ready_in_force(r, desk->rules, &desk->ready, "live control");
	return desk->answer;
}

void start_aside(struct relay *r)
{
	int pair[2], parent = getpid();
	desk = mmap(NULL, sizeof *desk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (desk == MAP_FAILED || !unix_pair(SOCK_STREAM, pair)) {
		info("no process for long lists of rules: %s", strerror(errno));
		return;
	}
	r->rule_lists = desk->lists;
	pid_t pid = r->options->sandbox_off ? fork() : fork_apart();
	if (pid == 0)
		work_aside(r, pair[1], parent);
	close(pair[1]);
	if (pid > 0)
		r->aside = &desk->sandbox;
	if (pid > 0)
		r->control.aside = (struct control_aside){ pair[0], r, begin, is_done, finish };
	else
		close(pair[0]);
}
