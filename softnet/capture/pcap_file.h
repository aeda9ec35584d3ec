/*
 * Captured Ethernet frames, read one after the other from a file or a pipe: pcap (microseconds, nanoseconds) and pcapng, in
 * any byte order. What is in the file is untrusted: a reader has one buffer of a fixed size, and a few octets for each
 * interface.
 */
#pragma once
#include <stddef.h>
#include "softnet/options/options.h"

enum {
	PCAP_BUFFER = 1 << 20,  /* octets; no block that is looked into may be longer */
	CAPTURED_MAX = 1 << 18, /* octets of a frame: no capture program keeps more */
	CAPTURE_INTERFACES_MAX = 256
};

/* Pointers are good until the next frame of the same file is read. */
struct captured {
	uint64_t time_ns; /* since 1970; of a packet block that has none: that of the frame before */
	const uint8_t *bytes;
	uint32_t kept, length;  /* octets in the file, and on the wire: never less */
	enum capture_side side; /* SIDE_OF_FRAME: neither the interface's name nor a flag says so */
	const char *comment;    /* its first one, not terminated; NULL: none */
	size_t comment_length;
};

struct capture_interface {
	uint16_t link_type;
	uint8_t resolution; /* as if_tsresol: units of 10^-n seconds, or 2^-n with the highest bit */
	enum capture_side side;
	uint32_t snap_length; /* 0: none */
	int64_t offset_s;
};

/* Zero it before opening. */
struct pcap_file {
	const char *path;
	int fd;
	uint8_t *buffer; /* what was read and not yet used: from `at` to `end` */
	size_t at, end;
	bool has_ended; /* there is no more to read */
	int read_error; /* why, unless 0 */
	bool is_pcapng, is_big_endian;
	uint64_t latest_ns;
	uint32_t interface_count; /* of this section */
	struct capture_interface interfaces[CAPTURE_INTERFACES_MAX];
	char *comment; /* of the last section that had one; several are lines of it. NULL: there was none */
	size_t comment_length;
	uint32_t comments; /* how often that was another than before */
	struct error error;
};

/* "-" is standard input. False: the error says why, with the path in front. */
bool open_capture(struct pcap_file *, const char *path);

/* From there on, by a descriptor that is ours from now on; path is for errors. */
bool open_capture_descriptor(struct pcap_file *, int fd, const char *path);

enum capture_step { CAPTURE_FRAME, CAPTURE_END, CAPTURE_BROKEN /* the error says how */ };
enum capture_step read_captured(struct pcap_file *, struct captured *);

void close_capture(struct pcap_file *);
