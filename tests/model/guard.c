/*
 * The guard that the model is compared with: frames on its standard input, answers on its standard output. model.py runs it. First
 * it says in one line which verdicts there are, in the order of their numbers, and in a second one whether it asks the kernel
 * as well. What comes in begins with its kind (1 octet), how many milliseconds have passed (4), and its length (2), the lowest
 * octet first. It is a frame, of which the answer is the number of the verdict; or options, with zeros between, of a new guard; or the end of
 * some frames, whose answers are waited for.
 *
 * The judge of the kernel is asked about each frame, too, in the same state. If it says another thing, that is told, and all ends.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_judge.h"
#include "softnet/replay/replay_guard.h"
#include "system/log.h"

enum { HEAD = 7, FRAME_MAX = 1 << 16, WORDS_MAX = 64 };
enum { IS_OUTWARD, IS_INWARD, IS_OPTIONS, IS_END }; /* the kind */
#define BEGIN_MS 1000000000ULL

static struct options options;
static struct replay_guard guard;

static uint32_t number_at(const uint8_t *octets, uint32_t n)
{
	uint32_t number = 0;
	for (uint32_t i = n; i > 0; i--)
		number = number << 8 | octets[i - 1];
	return number;
}

static void introduce(const char *judge)
{
	for (int i = 0; i < VERDICTS; i++)
		printf("%s%c", verdict_name((enum verdict)i), i == VERDICTS - 1 ? '\n' : ' ');
	puts(load_kernel_judge(judge) ? "kernel" : "no kernel");
	fflush(stdout);
}

static void start_anew(char *text, uint32_t length)
{
	char program[] = "softnet", verb[] = "replay", capture[] = "/dev/null";
	char *words[WORDS_MAX] = { program, verb };
	struct error error;
	int count = 2;
	for (uint32_t at = 0; at < length && count < WORDS_MAX - 2; at += (uint32_t)strlen(text + at) + 1)
		words[count++] = text + at;
	words[count++] = capture;
	memset(&guard, 0, sizeof guard);
	if (!parse_options(count, words, &options, &error) || !start_replay_guard(&guard, &options, BEGIN_MS, &error))
		die_usage("%s", error.text);
	forget_config();
}

static void ask_kernel(enum direction direction, const struct frame *frame)
{
	const struct guard_memory *memory = &guard.memory;
	uint32_t said, wanted = number_of(judge_frame(&memory->config, &memory->state, direction, frame, guard.now_ms));
	if (!ask_kernel_judge(&memory->config, &memory->state, guard.now_ms, direction, frame, &said) || said == wanted)
		return;
	fprintf(stderr, "the judge of the kernel says %06x, that of user space %06x: ", said, wanted);
	for (uint32_t i = 0; i < frame->length; i++)
		fprintf(stderr, "%02x", frame->bytes[i]);
	fputc('\n', stderr);
	exit(1);
}

static int decide_next(enum direction direction, uint64_t wait_ms, const uint8_t *bytes, uint32_t length)
{
	struct captured captured = { .bytes = bytes, .kept = length, .length = length };
	struct frame frame = { .bytes = bytes, .length = length };
	advance_replay_guard(&guard, guard.now_ms + wait_ms);
	ask_kernel(direction, &frame);
	return (int)decide_captured(&guard, direction, &captured);
}

int main(int argc, char **argv)
{
	static uint8_t head[HEAD], bytes[FRAME_MAX + 1];
	introduce(argc > 1 ? argv[1] : NULL);
	while (fread(head, 1, HEAD, stdin) == HEAD) {
		uint32_t length = number_at(head + 5, 2);
		if (fread(bytes, 1, length, stdin) != length)
			return EXIT_RUNTIME;
		bytes[length] = '\0';
		if (head[0] == IS_OPTIONS)
			start_anew((char *)bytes, length);
		else if (head[0] == IS_END)
			fflush(stdout);
		else
			putchar(decide_next(head[0] == IS_INWARD ? TO_GUEST : FROM_GUEST, number_at(head + 1, 4), bytes,
					    length));
	}
	return fflush(stdout) == 0 ? EXIT_OK : EXIT_RUNTIME;
}
