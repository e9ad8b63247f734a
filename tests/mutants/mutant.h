/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Only in the mutated copy of the sources that tests/mutants makes: one check at a time is turned off, the one that the environment names. */
#ifndef WARDMOTE_TEST_MUTANT_H
#define WARDMOTE_TEST_MUTANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline bool mutant(const char *name)
{
	const char *chosen = getenv("WARDMOTE_TEST_MUTANT");
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
