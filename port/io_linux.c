/* What Linux does in its own way: many datagrams in one call, and children that end with their parent. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "port/io.h"

int datagrams_receive(struct batch *batch, int fd, struct packet *packets, uint32_t max)
{
	struct mmsghdr messages[BATCH_MAX];
	struct iovec parts[BATCH_MAX][DATAGRAM_PARTS];

	for (uint32_t i = 0; i < max; i++) {
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = parts[i] } };
		messages[i].msg_hdr.msg_iovlen = parts_to_fill(batch, i, parts[i]);
		if (batch->sources) {
			messages[i].msg_hdr.msg_name = &batch->sources[i];
			messages[i].msg_hdr.msg_namelen = sizeof batch->sources[i];
		}
	}
	int n = recvmmsg(fd, messages, max, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		bool is_cut_off = (messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
		packets[i] = filled_packet(batch, (uint32_t)i, messages[i].msg_len, is_cut_off);
		if (batch->sources)
			batch->source_lengths[i] = messages[i].msg_hdr.msg_namelen;
	}
	return n;
}

int datagrams_send(const struct datagram_target *target, const struct packet *packets, uint32_t n)
{
	struct mmsghdr messages[BATCH_MAX];
	struct iovec parts[BATCH_MAX][DATAGRAM_PARTS];
	struct cut_note notes[BATCH_MAX];

	if (n > BATCH_MAX)
		n = BATCH_MAX;
	for (uint32_t i = 0; i < n; i++) {
		messages[i] = (struct mmsghdr){ .msg_hdr = {
						    .msg_name = (void *)(uintptr_t)target->to,
						    .msg_namelen = target->to_length,
						    .msg_iov = parts[i],
						} };
		messages[i].msg_hdr.msg_iovlen = parts_to_send(target, &packets[i], &notes[i], parts[i]);
	}
	return sendmmsg(target->fd, messages, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

ssize_t stream_write(int fd, struct iovec *parts, int count)
{
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = (size_t)count };
	return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* By a descriptor of it: a user who may write to the folder may have put another file there. */
bool give_socket(const char *path, uid_t owner, gid_t group)
{
	struct stat status;
	int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool is_ours = fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_uid == geteuid();
	bool is_given = is_ours && fchownat(fd, "", owner, group, AT_EMPTY_PATH) == 0;
	int cause = is_ours ? errno : EEXIST;
	close(fd);
	errno = cause;
	return is_given;
}

void no_sigpipe(int fd)
{
	(void)fd; /* MSG_NOSIGNAL above */
}

void close_from(int lowest)
{
	if (close_range((unsigned)lowest, ~0U, 0) == 0)
		return;
	struct rlimit limit = { 0 };
	getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = lowest; (rlim_t)fd < limit.rlim_cur && fd < 1 << 16; fd++)
		close(fd);
}

void end_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void ask_to_end_with_parent(void)
{
	pid_t parent = getppid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		raise(SIGTERM); /* it was gone before we had asked */
}

void name_process(const char *name)
{
	prctl(PR_SET_NAME, name);
}

void give_up_privileges_for_good(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}
