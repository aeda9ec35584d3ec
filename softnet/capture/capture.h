/*
 * --pcap FILE: frames with their verdicts, as pcapng. Frames go into a buffer of fixed size, and from there to the file when
 * it is full and once a second. What cannot be written is counted as lost; the file is valid all the same. All of that is done by
 * the process of `queue`, so everything below `queue` is that process's.
 */
#pragma once
#include "softnet/capture/capture_blocks.h"
#include "system/files/deferred.h"

enum { CAPTURE_BUFFER = 256 * 1024 };

struct capture {
	const char *path;  /* NULL: none */
	bool wants_all;    /* else only what was dropped */
	uint64_t size_max; /* octets of a file */
	uint32_t files;    /* how many are kept, the one that is written included */
	/* Writes with what the guard decides, at most `room` octets: the comment of each section. */
	size_t (*describe)(const void *context, char *text, size_t room);
	const void *context;
	const char *ports[DIRECTIONS]; /* their names */
	uint64_t wall_offset_ms;       /* what to add to now_ms to have the time of day */
	struct deferred_queue *queue;  /* NULL: it is written at once */
	bool owes_section;             /* it has not come into the queue yet */
	bool has_told_loss;

	uint64_t frames, octets; /* taken into the capture */
	uint64_t lost;           /* frames that it should have, and has not */

	int fd;               /* -1: none is open */
	uint64_t file_octets; /* of the file, all of them whole blocks */
	uint64_t retry_ms;    /* when to try again; 0: all is well */
	bool needs_section;   /* the last one is not in the file */
	bool has_warned;
	uint32_t buffered_frames;
	size_t buffered;       /* octets */
	size_t comment_octets; /* of the section */
	char comment[CAPTURE_COMMENT_MAX];
	uint8_t buffer[CAPTURE_BUFFER];
};

/* All above `frames` is filled. An older capture is put aside. NULL, or why there can be none. */
const char *start_capture(struct capture *, uint64_t now_ms);
void capture_frame(struct capture *, enum direction, const struct frame *, unsigned verdict, uint64_t now_ms);
/* What decides has changed: what follows stands in a section with the options of now. */
void begin_capture_section(struct capture *, uint64_t now_ms);
/* Called about once a second. */
void follow_capture(struct capture *, uint64_t now_ms);
void finish_capture(struct capture *, uint64_t now_ms);
/* The file was another process's, which has died. What it had not written is lost. */
void forget_capture(struct capture *);
