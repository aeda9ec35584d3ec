/* --state FILE: read once at the start, replaced as a whole on change. */
#include "state_file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log.h"
#include "replace_file.h"

/* One more than a file may have, so that a longer one shows. */
static char buffer[STATE_TEXT_MAX + 1];

/* NULL, or why the file is not to be believed. */
static const char *check_file(int fd)
{
	struct stat file;
	if (fstat(fd, &file) < 0)
		return strerror(errno);
	if (!S_ISREG(file.st_mode))
		return "it is no regular file";
	if (file.st_uid != 0 && file.st_uid != geteuid())
		return "it belongs to another user";
	if ((file.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "others may write to it";
	if (file.st_size > STATE_TEXT_MAX)
		return "it is too long";
	return NULL;
}

static const char *read_file(int fd, size_t *length)
{
	const char *cause = check_file(fd);
	if (cause != NULL)
		return cause;
	for (*length = 0; *length < sizeof buffer;) {
		ssize_t got = read(fd, buffer + *length, sizeof buffer - *length);
		if (got < 0 && errno != EINTR)
			return strerror(errno);
		if (got == 0)
			return NULL;
		if (got > 0)
			*length += (size_t)got;
	}
	return "it is too long";
}

const char *load_state_file(struct state_file *file, const struct config *config, struct state *state,
			    struct moment moment)
{
	size_t length;
	/* O_NONBLOCK: a FIFO in its place must not hold us up. */
	int fd = open(file->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? "" : errno == ELOOP ? "it is a symbolic link" : strerror(errno);
	const char *cause = read_file(fd, &length);
	close(fd);
	if (cause != NULL)
		return cause;
	if (file->owner.boot_id[0] == '\0')
		return "this system does not tell when it was started";
	return read_state_text(buffer, length, &file->owner, config, state, moment);
}

bool is_due(const struct state_file *file, uint64_t now_ms)
{
	bool is_time = file->has_changed && now_ms - file->saved_ms >= SAVE_INTERVAL_MS;
	return file->path != NULL && (file->has_lost || is_time);
}

void save_state_file(struct state_file *file, const struct state *state, struct moment moment, bool at_once)
{
	if (file->path == NULL || (!at_once && !is_due(file, moment.now_ms)))
		return;
	file->has_changed = file->has_lost = false;
	struct moment timeless = { moment.now_ms, 0 };
	size_t length = write_state_text(state, &file->owner, timeless, buffer, sizeof buffer);
	uint64_t hash = hash_bytes(0, buffer, length);
	if (hash == file->saved_hash)
		return;
	length = write_state_text(state, &file->owner, moment, buffer, sizeof buffer);
	file->saved_ms = moment.now_ms;
	if (length > 0 && replace_file(file->path, buffer, length, 0600)) {
		file->saved_hash = hash;
		return;
	}
	if (!file->has_warned)
		warning("--state: %s: cannot write: %s; leases will not outlive a restart", file->path,
			strerror(errno));
	file->has_warned = true;
}
