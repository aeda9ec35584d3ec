/* --state FILE: read once at the start, replaced as a whole on change. */
#include "softnet/saved/state_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "system/log.h"
#include "system/files/replace_file.h"

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

static const char *why_closed(int cause)
{
	static char text[128];
	if (cause == ELOOP)
		return "it is a symbolic link";
	if (cause == EISDIR)
		return "it is no regular file";
	snprintf(text, sizeof text, "it cannot be opened for writing: %s", strerror(cause));
	return text;
}

static const char *read_file(int fd, size_t *length)
{
	const char *cause = check_file(fd);
	if (cause)
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

/*
 * Only a file that we could make void again is believed: so not while the file system is read-only, nor one whose owner
 * has taken our right to it.
 */
const char *load_state_file(struct state_file *file, const struct config *config, struct state *state,
			    struct moment moment)
{
	size_t length;
	remove_torn(file->path);
	/* O_NONBLOCK: a FIFO in its place must not hold us up. */
	int fd = open(file->path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? "" : why_closed(errno);
	const char *cause = read_file(fd, &length);
	if (cause) {
		close(fd);
		return cause;
	}
	file->fd = fd;
	if (file->owner.boot_id[0] == '\0')
		return "this system does not tell when it was started";
	return read_state_text(buffer, length, &file->owner, config, state, moment);
}

bool is_due(const struct state_file *file, uint64_t now_ms)
{
	return file->path && file->has_changed && now_ms - file->saved_ms >= SAVE_INTERVAL_MS;
}

/* The file that we have open is the one that the next start would read. */
static bool is_in_place(const struct state_file *file)
{
	struct stat own, there;
	return file->fd >= 0 && fstat(file->fd, &own) == 0 && lstat(file->path, &there) == 0 &&
	       own.st_ino == there.st_ino && own.st_dev == there.st_dev;
}

/* Not whole at every moment, but it ends in a sum, so half of it grants nothing. */
static bool rewrite(int fd, const char *text, size_t length)
{
	return ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 && write_all(fd, text, length);
}

/* In the place of the old file; else into it: that needs no right to the folder, and has its room on a full disk. */
static bool put_in_place(struct state_file *file, const char *text, size_t length)
{
	int fd;
	if (replace_file(file->path, text, length, 0600, &fd)) {
		if (file->fd >= 0)
			close(file->fd);
		file->fd = fd;
		return true;
	}
	int cause = errno;
	if (is_in_place(file) && rewrite(file->fd, text, length))
		return true;
	errno = cause;
	return false;
}

/* What the old file grants may be somebody else's by now. Each way needs another right. */
static bool make_void(const struct state_file *file)
{
	struct stat there;
	bool is_emptied = file->fd >= 0 && ftruncate(file->fd, 0) == 0;
	if (lstat(file->path, &there) < 0)
		return is_emptied || errno == ENOENT || errno == ENOTDIR;
	if (!S_ISREG(there.st_mode) || (is_emptied && is_in_place(file)) || unlink(file->path) == 0)
		return true;
	int fd = open(file->path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

const char *kept_name(enum state_kept kept)
{
	static const char *const names[] = { [STATE_KEPT] = "kept", [STATE_VOID] = "void", [STATE_STALE] = "stale" };
	return names[kept];
}

const char *describe_kept(enum state_kept kept)
{
	switch (kept) {
	case STATE_KEPT:
		return "it is written";
	case STATE_VOID:
		return "it cannot be written; leases will not outlive a restart";
	case STATE_STALE:
		return "it cannot be written, and holds what is no longer so: remove it before softnet is started "
		       "again";
	}
	return "";
}

static void tell_failure(struct state_file *file, const char *cause)
{
	add_shared(&file->failed, 1);
	if (!file->has_warned)
		warning("--state: %s: %s: %s", file->path, describe_kept(file->kept), cause);
	file->has_warned = true;
}

/* Its number, and the text. Behind one that is not the last others wait, which say more. */
static void take_text(void *object, const uint8_t *octets, size_t count)
{
	struct state_file *file = object;
	uint64_t number;
	memcpy(&number, octets, sizeof number);
	errno = EFBIG;
	bool is_kept = count > sizeof number &&
		       put_in_place(file, (const char *)octets + sizeof number, count - sizeof number);
	int cause = errno;
	if (is_kept && number != __atomic_load_n(&file->handed, __ATOMIC_ACQUIRE))
		return;
	__atomic_store_n(&file->kept,
			 is_kept           ? STATE_KEPT
			 : make_void(file) ? STATE_VOID
					   : STATE_STALE,
			 __ATOMIC_RELAXED);
	if (is_kept)
		return;
	__atomic_store_n(&file->saved_hash, 0, __ATOMIC_RELAXED); /* to be tried again */
	tell_failure(file, strerror(cause));
}

/* What takes a right from the guest: until it is written, the file gives the right back. */
static void hand_over(struct state_file *file, size_t length, bool at_once)
{
	if (at_once)
		__atomic_store_n(&file->kept, STATE_STALE, __ATOMIC_RELAXED);
	uint64_t number = file->handed + 1;
	__atomic_store_n(&file->handed, number, __ATOMIC_RELEASE);
	bool is_taken =
	    defer(file->queue, &(struct deferred){ .run = take_text,
						   .object = file,
						   .name = file->path,
						   .parts = { { &number, sizeof number }, { buffer, length } } });
	if (!is_taken) { /* the queue is full of older ones */
		file->kept = STATE_STALE;
		file->saved_hash = 0;
	}
	if (!is_taken || (at_once && !await_deferred(file->queue, DEFERRED_PATIENCE_MS)))
		tell_failure(file, "its disk does not answer");
}

void save_state_file(struct state_file *file, const struct state *state, struct moment moment, bool at_once)
{
	if (!file->path || (!at_once && !is_due(file, moment.now_ms)))
		return;
	file->has_changed = false;
	struct moment timeless = { moment.now_ms, 0 };
	size_t length = write_state_text(state, &file->owner, timeless, buffer, sizeof buffer);
	uint64_t hash = hash_bytes(0, buffer, length);
	if (hash == file->saved_hash)
		return;
	length = write_state_text(state, &file->owner, moment, buffer, sizeof buffer);
	file->saved_ms = moment.now_ms;
	file->saved_hash = hash;
	hand_over(file, length, at_once);
}

bool has_news_of_kept(struct state_file *file)
{
	enum state_kept told = file->told_kept;
	file->told_kept = __atomic_load_n(&file->kept, __ATOMIC_RELAXED);
	return file->told_kept != told;
}

void forget_state_file(struct state_file *file)
{
	file->fd = -1;
	file->saved_hash = file->saved_ms = 0;
	file->has_changed = true;
}
