/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What it costs to find a token verified, in microseconds: token KEY_FOLDER ISSUER TOKEN */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "wardmote/auth.h"
#include "wardmote/clock.h"

enum { TIMES = 300000, ENTRIES = 4096 };

int main(int argc, char **argv)
{
	struct arena arena = { 0 };
	struct auth_keys *keys = NULL;
	struct auth_cache *cache = NULL;
	const char *why = "usage: token KEY_FOLDER ISSUER TOKEN";
	arena_init(&arena);
	if (argc != 4 || auth_keys_load(argv[1], &arena, &keys, &why) < 0 || auth_cache_new(ENTRIES, &cache) < 0) {
		fprintf(stderr, "token: %s\n", why);
		return EXIT_FAILURE;
	}
	const struct auth_policy policy = { .issuer = argv[2], .audience = argv[2], .leeway_seconds = 30 };
	const struct auth_claims *claims;
	int64_t now = clock_wall_seconds(), begun_us = 0;
	for (int i = -1; i < TIMES; i++) { /* the first one verifies */
		if (i == 0)
			begun_us = clock_monotonic_us();
		if (auth_cache_verify(cache, keys, &policy, slice_of(argv[3]), now, &claims, &why) < 0) {
			fprintf(stderr, "token: %s\n", why);
			return EXIT_FAILURE;
		}
	}
	printf("%.4f\n", (double)(clock_monotonic_us() - begun_us) / TIMES);
	auth_cache_free(cache);
	auth_keys_unref(keys);
	arena_done(&arena);
	return EXIT_SUCCESS;
}
