/*
 * fuzz_TARGET MUTANTS FOLDER...: runs a fuzz target, without libFuzzer, on every file of the folders and on as many mutants of
 * each. The same ones every time. It is what ./check can afford; `make fuzz` looks for what is new.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { INPUT_MAX = 16384 };

static uint32_t runs;

static uint32_t next_random(void)
{
	static uint64_t seed = 1;
	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33);
}

/* In memory of exactly that size, so that a sanitizer sees the octet behind it. */
static void run(const uint8_t *data, size_t n)
{
	uint8_t *exact = malloc(n + 1);
	if (!exact)
		abort();
	memcpy(exact + 1, data, n);
	LLVMFuzzerTestOneInput(exact + 1, n);
	free(exact);
	runs++;
}

static void run_mutant(const uint8_t *data, size_t n)
{
	uint8_t mutant[INPUT_MAX];
	memcpy(mutant, data, n);
	for (uint32_t changes = 1 + next_random() % 8; n > 0 && changes > 0; changes--)
		mutant[next_random() % n] = next_random() % 2 ? (uint8_t)next_random() : (uint8_t)(next_random() % 4);
	run(mutant, n > 0 && next_random() % 4 == 0 ? next_random() % n : n);
}

static void run_file(const char *folder, const char *name, int mutants)
{
	char path[4096];
	uint8_t data[INPUT_MAX];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "rb");
	if (!file) {
		perror(path);
		exit(1);
	}
	size_t n = fread(data, 1, sizeof data, file);
	fclose(file);
	run(data, n);
	for (int i = 0; i < mutants; i++)
		run_mutant(data, n);
}

int main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		struct dirent **entries;
		int count = scandir(argv[i], &entries, NULL, alphasort);
		if (count < 0) {
			perror(argv[i]);
			return 1;
		}
		for (int k = 0; k < count; free(entries[k++]))
			if (entries[k]->d_name[0] != '.')
				run_file(argv[i], entries[k]->d_name, atoi(argv[1]));
		free(entries);
	}
	printf("%u inputs, nothing found\n", runs);
	return runs > 0 ? 0 : 1;
}
