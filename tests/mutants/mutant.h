/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Only in the mutated copy of the sources that tests/mutants makes: one check at a time is turned off, the one that the environment names. Where it names a file
 * instead, that file hears of each check that its mutant would have decided otherwise: only then is it asked. With another file in its
 * place all are told again. */
#ifndef WARDMOTE_TEST_MUTANT_H
#define WARDMOTE_TEST_MUTANT_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The mutant of now: what the file says that the environment names, so that it can be another one without a new start; else what the environment says. */
static inline const char *mutant_chosen(void)
{
	static const char *map;
	const char *path = getenv("WARDMOTE_TEST_MUTANT_FILE");
	if (map == NULL && path != NULL) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		void *at = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		map = at == MAP_FAILED ? NULL : at;
		if (fd >= 0)
			close(fd);
	}
	return map != NULL && map[0] != '\0' ? map : getenv("WARDMOTE_TEST_MUTANT");
}

static inline void mutant_missed(const char *path, const char *name)
{
	static int fd = -1;
	static ino_t inode;
	static const char *told[1024];
	struct stat status;
	if (stat(path, &status) != 0)
		return;
	if (fd < 0 || status.st_ino != inode) {
		if (fd >= 0)
			close(fd);
		fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
		inode = status.st_ino;
		memset(told, 0, sizeof told);
	}
	size_t at = (uintptr_t)name / 8 % 1024;
	if (told[at] == name)
		return;
	told[at] = name;
	char line[512];
	int len = snprintf(line, sizeof line, "%s\n", name);
	if (write(fd, line, (size_t)len) < 0)
		told[at] = NULL;
}

static inline bool mutant(const char *name)
{
	const char *chosen = mutant_chosen(), *path = getenv("WARDMOTE_TEST_MUTANTS_MISSED");
	if (path != NULL)
		mutant_missed(path, name);
	return chosen != NULL && strcmp(chosen, name) == 0;
}

/* Is the mutant `kind:a.b:rest` chosen? The rest of its name, or NULL. */
static inline const char *mutant_of(const char *kind, const char *a, const char *b)
{
	char start[256];
	int len = snprintf(start, sizeof start, "%s:%s.%s:", kind, a, b);
	const char *chosen = getenv("WARDMOTE_TEST_MUTANT");
	return chosen != NULL && strncmp(chosen, start, (size_t)len) == 0 ? chosen + len : NULL;
}

#endif
