/* Any octets as a capture and, behind the first "softnet ", as the comment of one. Run by `make fuzz`. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softnet/capture/pcap_file.h"
#include "softnet/replay/replay_comment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned touched;

/* The sanitizers see what points outside. */
static void touch(const uint8_t *octets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		touched += octets[i];
}

/* A frame takes eight octets of a file at least. */
static void read_all(int fd, size_t n)
{
	static struct pcap_file file;
	struct captured frame;
	enum capture_step step = CAPTURE_BROKEN;
	size_t frames = 0;
	memset(&file, 0, sizeof file);
	for (bool is_open = open_capture_descriptor(&file, fd, "FILE"); is_open; frames++) {
		step = read_captured(&file, &frame);
		if (step != CAPTURE_FRAME)
			break;
		if (frame.kept > frame.length || frame.time_ns > INT64_MAX || frames > n / 8)
			abort();
		touch(frame.bytes, frame.kept);
		touch((const uint8_t *)frame.comment, frame.comment_length);
	}
	if ((step == CAPTURE_BROKEN) != (file.error.text[0] != '\0') ||
	    (file.comment && file.comment[file.comment_length] != '\0'))
		abort();
	close_capture(&file);
}

static void read_comment(const uint8_t *data, size_t n)
{
	static struct options options;
	struct error error = { 0 };
	char *comment = malloc(n + 1);
	memcpy(comment, data, n);
	comment[n] = '\0';
	bool is_taken = is_guards_comment(comment, n) && read_guards_comment(comment, n, &options, &error);
	if (is_taken && (options.wanted != WANT_REPLAY || options.vm_mac == MAC_NONE || options.control_path ||
			 options.captures[0].path || options.diff))
		abort();
	free(comment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int fd = memfd_create("capture", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, n) != (ssize_t)n || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	read_all(fd, n);
	const uint8_t *comment = memmem(data, n, "softnet ", 8);
	if (comment)
		read_comment(comment, n - (size_t)(comment - data));
	return 0;
}
