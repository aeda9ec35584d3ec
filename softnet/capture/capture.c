/* The file of --pcap: buffered, kept within bounds, and always made of whole blocks. */
#include "softnet/capture/capture.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "port/io.h"
#include "system/log.h"
#include "system/files/rotation.h"
#include "system/text.h"

enum { RETRY_MS = 5000, SMALLEST_FILE = 1 << 20 };

_Static_assert(SECTION_OCTETS_MAX + FRAME_BLOCK_OCTETS_MAX < CAPTURE_BUFFER, "both fit into an empty buffer");
_Static_assert(SECTION_OCTETS_MAX + FRAME_BLOCK_OCTETS_MAX < SMALLEST_FILE, "a new file takes any frame");

/* What the process of the queue is asked to do. */
struct job {
	enum { JOB_SECTION, JOB_FRAME, JOB_FOLLOW, JOB_FINISH } kind;
	enum direction direction;
	unsigned verdict;
	uint64_t now_ms;
};

/* The section too, if it was there: the next frame must not stand under an older one. */
static void lose_buffer(struct capture *c)
{
	add_shared(&c->lost, c->buffered_frames);
	c->frames -= c->buffered_frames;
	c->octets -= c->buffered;
	c->buffered = c->buffered_frames = 0;
	c->needs_section = true;
}

/* What was not written is lost. */
static bool give_up_for_now(struct capture *c, uint64_t now_ms)
{
	if (!c->has_warned)
		warning("--pcap: %s: cannot write: %s; frames are missing there until it works again", c->path,
			strerror(errno));
	c->has_warned = true;
	c->retry_ms = now_ms + RETRY_MS;
	lose_buffer(c);
	return false;
}

/* A file that may not grow takes a part, and then nothing. */
static bool write_at_end(const struct capture *c)
{
	for (size_t done = 0; done < c->buffered;) {
		ssize_t written = pwrite(c->fd, c->buffer + done, c->buffered - done, (off_t)(c->file_octets + done));
		if (written < 0 && errno != EINTR)
			return false;
		if (written > 0)
			done += (size_t)written;
	}
	return true;
}

static bool flush(struct capture *c, uint64_t now_ms)
{
	if (c->buffered == 0)
		return true;
	if (!write_at_end(c)) {
		int cause = errno;
		bool is_whole = ftruncate(c->fd, (off_t)c->file_octets) == 0;
		errno = is_whole ? cause : errno;
		return give_up_for_now(c, now_ms);
	}
	c->file_octets += c->buffered;
	c->buffered = c->buffered_frames = 0;
	return true;
}

/* Into a buffer with room for it. */
static void buffer_section(struct capture *c)
{
	char names[DIRECTIONS][CAPTURE_NAME_MAX];
	struct capture_section section = { c->comment, c->comment_octets, { NULL } };
	for (int side = 0; side < DIRECTIONS; side++) {
		snprintf(names[side], sizeof names[side], "%s", c->ports[side]);
		make_printable(names[side]);
		section.ports[side] = names[side];
	}
	size_t octets = put_section(&section, c->buffer + c->buffered);
	c->buffered += octets;
	c->octets += octets;
	c->needs_section = false;
}

static void close_file(struct capture *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Puts the file aside, which is flushed, and begins another one. O_EXCL: nothing that somebody put there is written to. */
static bool open_next(struct capture *c, uint64_t now_ms)
{
	close_file(c);
	if (!rotate_files(c->path, c->files))
		return give_up_for_now(c, now_ms);
	c->fd = move_above_2(open(c->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	if (c->fd < 0)
		return give_up_for_now(c, now_ms);
	c->file_octets = 0;
	buffer_section(c);
	return true;
}

/* For so many octets, in the buffer and in the file. A new file begins with a section. */
static bool make_room(struct capture *c, size_t octets, uint64_t now_ms)
{
	if (c->retry_ms > now_ms)
		return false;
	c->retry_ms = 0;
	if (c->fd < 0 || c->file_octets + c->buffered + octets > c->size_max)
		return flush(c, now_ms) && open_next(c, now_ms);
	return c->buffered + octets <= sizeof c->buffer || flush(c, now_ms);
}

static void begin_section(struct capture *c, uint64_t now_ms)
{
	c->needs_section = true;
	if (make_room(c, SECTION_OCTETS_MAX, now_ms) && c->needs_section)
		buffer_section(c);
}

static void take_frame(struct capture *c, const struct job *job, const struct frame *frame)
{
	size_t octets = frame_block_octets(frame->length, job->verdict);
	if (c->needs_section)
		begin_section(c, job->now_ms);
	if (c->needs_section || !make_room(c, octets, job->now_ms)) {
		add_shared(&c->lost, 1);
		return;
	}
	c->buffered +=
	    put_frame(job->direction, frame, job->verdict, job->now_ms + c->wall_offset_ms, c->buffer + c->buffered);
	c->buffered_frames++;
	c->octets += octets;
	c->frames++;
}

/* Others may have moved it, or taken it away. */
static bool is_in_place(const struct capture *c)
{
	struct stat ours, named;
	return fstat(c->fd, &ours) == 0 && lstat(c->path, &named) == 0 && ours.st_dev == named.st_dev &&
	       ours.st_ino == named.st_ino;
}

static void follow(struct capture *c, uint64_t now_ms)
{
	if (c->fd < 0)
		return;
	bool is_written = flush(c, now_ms);
	if (!is_written || is_in_place(c))
		return;
	close_file(c);
	begin_section(c, now_ms);
}

static void finish(struct capture *c, uint64_t now_ms)
{
	if (c->fd >= 0)
		flush(c, now_ms);
	close_file(c);
}

static void take_comment(struct capture *c, const uint8_t *text, size_t octets)
{
	memcpy(c->comment, text, octets);
	c->comment_octets = octets;
}

static void do_job(void *object, const uint8_t *octets, size_t count)
{
	struct capture *c = object;
	struct job job;
	memcpy(&job, octets, sizeof job);
	octets += sizeof job;
	count -= sizeof job;
	switch (job.kind) {
	case JOB_SECTION:
		take_comment(c, octets, count);
		begin_section(c, job.now_ms);
		break;
	case JOB_FRAME:
		take_frame(c, &job, &(struct frame){ .bytes = octets, .length = (uint32_t)count });
		break;
	case JOB_FOLLOW:
		follow(c, job.now_ms);
		break;
	case JOB_FINISH:
		finish(c, job.now_ms);
		break;
	}
}

static bool give(struct capture *c, const struct job *job, const void *octets, size_t count)
{
	return defer(c->queue, &(struct deferred){ .run = do_job,
						   .object = c,
						   .name = c->path,
						   .may_wait = job->kind == JOB_FRAME,
						   .parts = { { job, sizeof *job }, { octets, count } } });
}

/* One that finds no room is made up for before the next frame. */
void begin_capture_section(struct capture *c, uint64_t now_ms)
{
	static char comment[CAPTURE_COMMENT_MAX];
	if (!c->path)
		return;
	size_t octets = c->describe(c->context, comment, sizeof comment);
	c->owes_section = !give(c, &(struct job){ .kind = JOB_SECTION, .now_ms = now_ms }, comment, octets);
}

static void lose_frame(struct capture *c)
{
	add_shared(&c->lost, 1);
	if (!c->has_told_loss)
		warning("--pcap: %s: frames are lost: its disk does not keep pace, or does not answer; guard.status "
			"counts them",
			c->path);
	c->has_told_loss = true;
}

void capture_frame(struct capture *c, enum direction direction, const struct frame *frame, unsigned verdict,
		   uint64_t now_ms)
{
	if (!c->path || (verdict < FIRST_DROP && !c->wants_all))
		return;
	if (c->owes_section)
		begin_capture_section(c, now_ms);
	if (c->owes_section ||
	    !give(c, &(struct job){ JOB_FRAME, direction, verdict, now_ms }, frame->bytes, frame->length))
		lose_frame(c);
}

void follow_capture(struct capture *c, uint64_t now_ms)
{
	if (c->path)
		give(c, &(struct job){ .kind = JOB_FOLLOW, .now_ms = now_ms }, NULL, 0);
}

/* NULL: there is nothing, or an older capture, or one that never began. */
static const char *check_older_file(const char *path)
{
	static const uint8_t magic[4] = { 0x0a, 0x0d, 0x0d, 0x0a };
	uint8_t front[sizeof magic];
	struct stat file;
	if (lstat(path, &file) < 0)
		return errno == ENOENT ? NULL : strerror(errno);
	if (!S_ISREG(file.st_mode))
		return "expected a regular file, or none yet";
	if (file.st_size == 0)
		return NULL;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return strerror(errno);
	bool is_capture = read(fd, front, sizeof front) == (ssize_t)sizeof front &&
			  memcmp(front, magic, sizeof magic) == 0;
	close(fd);
	return is_capture ? NULL : "there is a file already that is no capture of pcapng";
}

/* All that will be moved or replaced; nothing of others is. */
static const char *check_older_files(const struct capture *c)
{
	static char line[PATH_MAX + 80];
	char path[PATH_MAX];
	for (unsigned number = 0; number < c->files; number++) {
		const char *cause = name_file(path, c->path, number) ? check_older_file(path) : strerror(errno);
		if (!cause)
			continue;
		snprintf(line, sizeof line, "%s is in the way: %s", path, cause);
		return number == 0 ? cause : line;
	}
	return NULL;
}

const char *start_capture(struct capture *c, uint64_t now_ms)
{
	c->fd = -1;
	if (!c->path)
		return NULL;
	c->comment_octets = c->describe(c->context, c->comment, sizeof c->comment);
	c->has_warned = true; /* the caller says it */
	const char *cause = check_older_files(c);
	if (!cause && (!open_next(c, now_ms) || !flush(c, now_ms)))
		cause = strerror(errno);
	c->has_warned = false;
	return cause;
}

void finish_capture(struct capture *c, uint64_t now_ms)
{
	if (c->path)
		give(c, &(struct job){ .kind = JOB_FINISH, .now_ms = now_ms }, NULL, 0);
}

void forget_capture(struct capture *c)
{
	lose_buffer(c);
	c->fd = -1;
}
