/* Where lines of events go: files, standard error, the system's log. Nothing here waits, and no failure is an end. */
#pragma once
#include <stddef.h>
#include "system/files/deferred.h"
#include "system/text.h"

enum {
	EVENT_LINE_MAX = 4096,     /* octets with the newline: PIPE_BUF, so that a pipe takes all of it or nothing */
	EVENT_FILE_MAX = 16 << 20, /* octets, then the file is put aside */
	EVENT_FILES_KEPT = 2
};

enum event_sink_kind { SINK_FILE, SINK_STDERR, SINK_SYSLOG };

struct event_sink {
	enum event_sink_kind kind;
	const char *path;             /* of the file or the log's socket */
	struct deferred_queue *queue; /* whose process writes it; NULL: it is written at once */
	int fd;                       /* -1: it is tried again with the next line */
	bool is_torn;                 /* the last line was cut off in the middle, and its part is still there */
	bool has_warned;
	uint64_t lost; /* lines */
};

/*
 * `name` is "stderr", "syslog" or a path: of a regular file, which is made where there is none, a FIFO or a device. A FIFO
 * that nobody reads, and a log that does not run, may come later.
 */
bool open_event_sink(struct event_sink *, const char *name, struct error *);
void close_event_sink(struct event_sink *);
/* The file was another process's, which has died. */
void forget_event_sink(struct event_sink *);

/* The line ends in a newline. What cannot be written now is counted in `lost`. */
void write_event(struct event_sink *, const char *line, size_t octets, bool is_warning);
