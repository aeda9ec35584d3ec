/* Batches of datagrams: what to make of the results, the same on every system. */
#include <errno.h>
#include <stdlib.h>
#include "port/io.h"

bool batch_new(struct batch *batch, uint32_t max_frame, bool want_sources)
{
	/* One octet more than a frame, so that a longer one shows; then whole cache lines. */
	uint32_t stride = (max_frame + 1 + 63) / 64 * 64;
	*batch = (struct batch){ .max_frame = max_frame, .stride = stride };
	batch->bytes = malloc((size_t)stride * BATCH_MAX);
	if (want_sources) {
		batch->sources = calloc(BATCH_MAX, sizeof *batch->sources);
		batch->source_lengths = calloc(BATCH_MAX, sizeof *batch->source_lengths);
	}
	if (batch->bytes && (!want_sources || (batch->sources && batch->source_lengths)))
		return true;
	batch_free(batch);
	return false;
}

void batch_free(struct batch *batch)
{
	free(batch->bytes);
	free(batch->sources);
	free(batch->source_lengths);
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

int batch_send(int fd, const struct packet *packets, uint32_t n, const struct sockaddr_un *to, socklen_t to_length,
	       struct send_result *result)
{
	uint32_t at = 0;
	while (at < n) {
		int sent = datagrams_send(fd, packets + at, n - at, to, to_length);
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
