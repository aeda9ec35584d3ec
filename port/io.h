/* What the ports share: errors in one line, sockets that never block, and batches of datagrams. */
#pragma once
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include "system/descriptors.h"
#include "port/port.h"

#define PRINTF(at, first) __attribute__((format(printf, at, first)))

/* As refuse() and report_failure(), for what opens a port: NULL. */
void *usage_error(struct error *, const char *format, ...) PRINTF(2, 3);
void *resource_error(struct error *, const char *format, ...) PRINTF(2, 3);
/* Fills port->gone and gives false, so that receive, send and service can return it. */
bool port_gone(struct port *, const char *format, ...) PRINTF(2, 3);
/* Says a sentence through port_report. */
void port_tell(const struct port *, const char *format, ...) PRINTF(2, 3);

/* For ports that only send and receive. */
bool nothing_to_service(struct port *, uint64_t now_ms);
uint64_t no_deadline(const struct port *);

/* Non-blocking, closed on exec, and no signal when the reader is gone. */
bool make_quiet(int fd);
/* Room for a burst: 4 MiB where the system allows it, what it allows elsewhere. */
void enlarge_buffers(int fd);
/* A quiet AF_UNIX socket, or -1. */
int unix_socket(int type);
bool unix_pair(int type, int pair[2]);

/* SOCK_DGRAM or SOCK_STREAM, or 0 with an error: everything that can be wrong with a descriptor, said in words. */
int connected_unix_socket(int fd, struct error *);

/* Takes the first `length` characters of the path; false with a usage error when empty or too long. */
bool unix_address(struct sockaddr_un *, const char *path, size_t length, struct error *);
/* Binds, in the place of a socket that nobody uses any more; never in the place of another file. */
bool unix_bind(int fd, int type, const struct sockaddr_un *, struct error *);
/* True when somebody has the address open now. */
bool unix_alive(int type, const struct sockaddr_un *);
/* Tries again for a while, so that the other program may be starting at the same time. Sets errno when false. */
bool unix_connect(int fd, const struct sockaddr_un *, int patience_ms);

/* The address in the system's form; gives its length. */
socklen_t fill_sockaddr(struct sockaddr_storage *, struct address, uint16_t port);

/* For ports that are a path, as in "stream:PATH": who meets there shares a network, and no kernel tells who else does. */
void path_segment(const struct port *, struct segment_id *);

/* Waits longer and longer between attempts: 100 ms, doubling to 2 s. */
struct backoff {
	uint64_t next_ms; /* 0: now */
	uint64_t delay_ms;
};
void backoff_failed(struct backoff *, uint64_t now_ms);

/* What a port must be able to read: more than the guest's MTU where frames may come that are to be cut. */
uint32_t longest_frame(const struct port_settings *);

/* Stands in front of each frame where both ends of a socket want that: a struct cut, as numbers that nobody has checked. */
struct cut_note {
	uint16_t kind, payload, checksum_start, checksum_offset;
};

/* Buffers for a batch of datagrams; `sources` is NULL when nobody asks who sent them, `notes` where there are none. */
enum batch_extras { FRAMES_ALONE, WITH_SOURCES, WITH_NOTES };
struct batch {
	uint32_t max_frame, stride;
	uint8_t *bytes;
	struct sockaddr_un *sources;
	socklen_t *source_lengths;
	struct cut_note *notes;
};
bool batch_new(struct batch *, uint32_t max_frame, enum batch_extras);
void batch_free(struct batch *);

/* Is the errno of a send or receive about a receiver that is full, a peer that is not there, or the frame? */
bool means_full(int error);
bool means_away(int error);
/* ... or about rights: it may not be sent to. */
bool means_refused(int error);
/* Any other may be over at the next try. False when it is not, many times in a row; 0 ends the row. Never of a peer that is away. */
bool is_borne(unsigned *errors_in_a_row, int error);

/* Gives 0 and *got frames, or an errno that is not about an empty queue (then *got is 0). */
int batch_receive(struct batch *, int fd, struct packet *, uint32_t max, uint32_t *got);
/*
 * Sends the frames and adds them up in the result. Gives 0, or the errno that means_away(), when the rest was counted full,
 * or that means_refused(), when it was counted failed.
 * `to` is NULL on a connected socket.
 */
int batch_send(int fd, const struct packet *, uint32_t n, const struct sockaddr_un *to, socklen_t to_length,
	       struct send_result *);
/* The same on a connected socket, with a note in front of each frame. */
int batch_send_noted(int fd, const struct packet *, uint32_t n, struct send_result *);

/* Where a batch goes: `to` is NULL on a connected socket. */
struct datagram_target {
	int fd;
	const struct sockaddr_un *to;
	socklen_t to_length;
	bool with_notes;
};

/* A datagram is a note, where there is one, and a frame. For io_linux.c and io_posix.c; the number of parts is given back. */
enum { DATAGRAM_PARTS = 2 };
size_t parts_to_fill(const struct batch *, uint32_t place, struct iovec[DATAGRAM_PARTS]);
size_t parts_to_send(const struct datagram_target *, const struct packet *, struct cut_note *room,
		     struct iovec[DATAGRAM_PARTS]);
/* What came into the parts at this place. */
struct packet filled_packet(const struct batch *, uint32_t place, uint32_t octets, bool is_cut_off);

/* From here on: what differs between systems, in io_linux.c and io_posix.c. */

/* Receives up to max datagrams: their number, or -1 with errno. */
int datagrams_receive(struct batch *, int fd, struct packet *, uint32_t max);
/* Sends until one is refused: how many went out, or -1 with errno when the first one did not. */
int datagrams_send(const struct datagram_target *, const struct packet *, uint32_t n);
/* Writes to a stream without SIGPIPE: octets, or -1 with errno. */
ssize_t stream_write(int fd, struct iovec *, int count);
/* Changes the owner and group of a socket of ours in the file system, and of nothing else; -1 leaves one. Sets errno. */
bool give_socket(const char *path, uid_t, gid_t);
/* No SIGPIPE where that is a property of the socket. */
void no_sigpipe(int fd);
/* For child processes: close `lowest` and all above; end when the parent ends; a name in ps; no way up, no core. */
void close_from(int lowest);
void end_with_parent(void);
/* The same, asked politely, and kept over exec(2): for the command. */
void ask_to_end_with_parent(void);
void name_process(const char *name);
void give_up_privileges_for_good(void);

enum { PATIENCE_MS = 2000 }; /* how long opening a port may wait for the other program */

extern const struct port_kind fd_port, unixgram_port, stream_port, tap_port, slirp_port, vmnet_port;

/* fd:N where N is a stream socket: frames with a length prefix, and the end when the peer hangs up. */
struct port *stream_open_fd(int fd, const struct port_settings *, struct error *);
