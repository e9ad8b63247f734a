/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One function per target, as libFuzzer wants it. Built with corpus_main.c it runs the stored corpus as a test; with clang -fsanitize=fuzzer it searches.
 * A target holds more than "does not crash": what it accepts is checked against an independent opinion. */
#ifndef WARDMOTE_FUZZ_H
#define WARDMOTE_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert it stays in every build. */
#define HOLDS(condition)                                                                                                                   \
	do {                                                                                                                               \
		if (!(condition)) {                                                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                    \
			abort();                                                                                                           \
		}                                                                                                                          \
	} while (0)

#endif
