/* The kernel takes the programs of the guard: what the judge has become may be too long for its verifier. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

enum { SKIPPED = 77, LOG_OCTETS = 1 << 20, STATISTICS = 4 };

static char log_of_verifier[LOG_OCTETS];

/* The last lines, which have the cause or how long it took. */
static const char *end_of_log(void)
{
	const char *at = log_of_verifier + strlen(log_of_verifier);
	for (int lines = 0; at > log_of_verifier && lines < 6; at--)
		lines += at[-1] == '\n';
	return at;
}

static int load(const char *path, const char *name)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	if (!object)
		return -errno;
	log_of_verifier[0] = '\0';
	bpf_object__for_each_program(program, object)
	{
		bpf_program__set_autoload(program, strcmp(bpf_program__name(program), name) == 0);
		bpf_program__set_log_level(program, STATISTICS);
		bpf_program__set_log_buf(program, log_of_verifier, sizeof log_of_verifier);
	}
	int result = bpf_object__load(object);
	printf("%s: %s\n%s\n", name, result == 0 ? "loaded" : strerror(-result), end_of_log());
	bpf_object__close(object);
	return result;
}

static int be_silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	libbpf_set_print(be_silent);
	int result = load(argv[1], "softnet_outward");
	if (result == -EPERM) {
		puts("SKIPPED: loading eBPF needs root here; the programs were compiled all the same");
		return SKIPPED;
	}
	return (load(argv[1], "softnet_inward") != 0) | (result != 0);
}
