/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Runs a target over every file of a folder: `runner FOLDER`. Each is also run with one byte changed and cut short, at up to so many places, but for those that a search
 * left under their hash: it has tried that. */
#include "fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <string.h>

enum { INPUT_MAX = 1 << 20, VARIED_MAX = 4096, PLACES = 128 };

static void vary(uint8_t *data, size_t size)
{
	static const uint8_t bytes[] = { 0, '"', '\\', '{', ']', ',', '0', 0x80, 0xff };
	for (size_t i = 0; i < size; i += 1 + size / PLACES) {
		uint8_t kept = data[i];
		for (size_t j = 0; j < sizeof bytes; j++) {
			data[i] = bytes[j];
			LLVMFuzzerTestOneInput(data, size);
		}
		data[i] = kept;
		/* an exact copy of each prefix, so that the sanitizer sees a step over its end */
		uint8_t *prefix = malloc(i + 1);
		HOLDS(prefix != NULL);
		memcpy(prefix, data, i + 1);
		LLVMFuzzerTestOneInput(prefix, i);
		free(prefix);
	}
}

static void run_file(const char *folder, const char *name)
{
	char path[4096];
	HOLDS(snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path);
	FILE *file = fopen(path, "rb");
	HOLDS(file != NULL);
	uint8_t *data = malloc(INPUT_MAX);
	HOLDS(data != NULL);
	size_t size = fread(data, 1, INPUT_MAX, file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	bool found = strlen(name) == 40 && strspn(name, "0123456789abcdef") == 40;
	if (size <= VARIED_MAX && !found)
		vary(data, size);
	free(data);
}

int main(int argc, char **argv)
{
	HOLDS(argc == 2);
	DIR *folder = opendir(argv[1]);
	HOLDS(folder != NULL);
	size_t n = 0;
	for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		run_file(argv[1], entry->d_name);
		n++;
	}
	closedir(folder);
	printf("%zu inputs\n", n);
	return n == 0;
}
