/* Batches of datagrams: what to make of the results, the same on every system. */
#include <errno.h>
#include <stdlib.h>
#include "port/io.h"

uint32_t longest_frame(const struct port_settings *settings)
{
	enum { LONGEST = 14 + 4 + 65535 }; /* a VLAN tag and the longest IP packet */
	return settings->cuts ? LONGEST : settings->max_frame;
}

bool batch_new(struct batch *batch, uint32_t max_frame, enum batch_extras extras)
{
	/* One octet more than a frame, so that a longer one shows; then whole cache lines. */
	uint32_t stride = (max_frame + 1 + 63) / 64 * 64;
	*batch = (struct batch){ .max_frame = max_frame, .stride = stride };
	batch->bytes = malloc((size_t)stride * BATCH_MAX);
	if (extras == WITH_SOURCES) {
		batch->sources = calloc(BATCH_MAX, sizeof *batch->sources);
		batch->source_lengths = calloc(BATCH_MAX, sizeof *batch->source_lengths);
	}
	if (extras == WITH_NOTES)
		batch->notes = calloc(BATCH_MAX, sizeof *batch->notes);
	if (batch->bytes && (extras != WITH_SOURCES || (batch->sources && batch->source_lengths)) &&
	    (extras != WITH_NOTES || batch->notes))
		return true;
	batch_free(batch);
	return false;
}

void batch_free(struct batch *batch)
{
	free(batch->bytes);
	free(batch->sources);
	free(batch->source_lengths);
	free(batch->notes);
	*batch = (struct batch){ 0 };
}

bool means_full(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

bool means_away(int error)
{
	return error == ECONNREFUSED || error == ECONNRESET || error == EPIPE || error == ENOTCONN || error == ENOENT ||
	       error == EDESTADDRREQ;
}

bool means_refused(int error)
{
	return error == EACCES || error == EPERM;
}

bool is_borne(unsigned *errors_in_a_row, int error)
{
	enum { BORNE = 100 };
	*errors_in_a_row = error == 0 ? 0 : *errors_in_a_row + 1;
	return !means_away(error) && *errors_in_a_row <= BORNE;
}

int batch_receive(struct batch *batch, int fd, struct packet *packets, uint32_t max, uint32_t *got)
{
	*got = 0;
	for (;;) {
		int n = datagrams_receive(batch, fd, packets, max > BATCH_MAX ? BATCH_MAX : max);
		if (n >= 0) {
			*got = (uint32_t)n;
			return 0;
		}
		if (errno != EINTR)
			return means_full(errno) ? 0 : errno;
	}
}

static int send_all(const struct datagram_target *to, const struct packet *packets, uint32_t n, struct send_result *result)
{
	uint32_t at = 0;
	while (at < n) {
		int sent = datagrams_send(to, packets + at, n - at);
		if (sent > 0) {
			result->sent += (uint32_t)sent;
			at += (uint32_t)sent;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (means_full(errno) || means_away(errno)) {
			result->full += n - at;
			return means_full(errno) ? 0 : errno;
		}
		if (means_refused(errno)) {
			result->failed += n - at;
			return errno;
		}
		result->failed++; /* EMSGSIZE and whatever else is about this one frame */
		at++;
	}
	return 0;
}

int batch_send(int fd, const struct packet *packets, uint32_t n, const struct sockaddr_un *to, socklen_t to_length,
	       struct send_result *result)
{
	return send_all(&(struct datagram_target){ .fd = fd, .to = to, .to_length = to_length }, packets, n, result);
}

int batch_send_noted(int fd, const struct packet *packets, uint32_t n, struct send_result *result)
{
	return send_all(&(struct datagram_target){ .fd = fd, .with_notes = true }, packets, n, result);
}

static struct cut_note note_of(const struct cut *cut)
{
	return (struct cut_note){ (uint16_t)cut->kind, cut->payload, cut->checksum_start, cut->checksum_offset };
}

static struct cut cut_of(const struct cut_note *note)
{
	return (struct cut){ .kind = note->kind < CUT_UNKNOWN ? (enum cut_kind)note->kind : CUT_UNKNOWN,
			     .payload = note->payload,
			     .checksum_start = note->checksum_start,
			     .checksum_offset = note->checksum_offset };
}

size_t parts_to_fill(const struct batch *batch, uint32_t place, struct iovec parts[DATAGRAM_PARTS])
{
	size_t n = 0;
	if (batch->notes)
		parts[n++] = (struct iovec){ &batch->notes[place], sizeof batch->notes[place] };
	parts[n++] = (struct iovec){ batch->bytes + (size_t)place * batch->stride, batch->max_frame + 1 };
	return n;
}

struct packet filled_packet(const struct batch *batch, uint32_t place, uint32_t octets, bool is_cut_off)
{
	uint32_t in_front = batch->notes ? sizeof batch->notes[place] : 0;
	uint32_t length = octets > in_front ? octets - in_front : 0; /* less than a note is no frame */
	struct packet packet = { .bytes = batch->bytes + (size_t)place * batch->stride,
				 .length = length,
				 .truncated = is_cut_off || length > batch->max_frame };
	if (length > 0 && batch->notes)
		packet.cut = cut_of(&batch->notes[place]);
	return packet;
}

size_t parts_to_send(const struct datagram_target *target, const struct packet *packet, struct cut_note *note,
		     struct iovec parts[DATAGRAM_PARTS])
{
	size_t n = 0;
	*note = note_of(&packet->cut);
	if (target->with_notes)
		parts[n++] = (struct iovec){ note, sizeof *note };
	parts[n++] = (struct iovec){ (void *)(uintptr_t)packet->bytes, packet->length };
	return n;
}
