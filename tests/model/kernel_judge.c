/* Loads the judge into the kernel, and has it run on frames by BPF_PROG_TEST_RUN. */
#include "kernel_judge.h"
#include <stdarg.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum { SHORTEST = 14, LONGEST = 3000 };

static int programs[DIRECTIONS], config_map, state_map, clock_map;
static bool is_loaded, has_config;
static struct state told;
static uint64_t told_ms;

static int be_silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

bool load_kernel_judge(const char *path)
{
	if (!path)
		return false;
	libbpf_set_print(be_silent);
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	if (!object || bpf_object__load(object) != 0)
		return false;
	programs[FROM_GUEST] = bpf_program__fd(bpf_object__find_program_by_name(object, "from_guest"));
	programs[TO_GUEST] = bpf_program__fd(bpf_object__find_program_by_name(object, "to_guest"));
	config_map = bpf_object__find_map_fd_by_name(object, "configs");
	state_map = bpf_object__find_map_fd_by_name(object, "states");
	clock_map = bpf_object__find_map_fd_by_name(object, "clocks");
	is_loaded = true;
	return true;
}

/* Only what has changed: the config is of megabytes. */
static bool tell(const struct config *config, const struct state *state, uint64_t now_ms)
{
	uint32_t zero = 0;
	if (!has_config && bpf_map_update_elem(config_map, &zero, config, BPF_ANY) != 0)
		return false;
	bool is_new = !has_config || memcmp(&told, state, sizeof told) != 0;
	if (is_new && bpf_map_update_elem(state_map, &zero, state, BPF_ANY) != 0)
		return false;
	if ((!has_config || told_ms != now_ms) && bpf_map_update_elem(clock_map, &zero, &now_ms, BPF_ANY) != 0)
		return false;
	if (is_new)
		told = *state;
	told_ms = now_ms;
	has_config = true;
	return true;
}

void forget_config(void)
{
	has_config = false;
}

bool ask_kernel_judge(const struct config *config, const struct state *state, uint64_t now_ms, enum direction direction,
		      const struct frame *frame, uint32_t *said)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame->bytes, .data_size_in = frame->length, .repeat = 1);
	if (!is_loaded || frame->length < SHORTEST || frame->length > LONGEST || !tell(config, state, now_ms) ||
	    bpf_prog_test_run_opts(programs[direction], &run) != 0)
		return false;
	*said = run.retval;
	return true;
}
