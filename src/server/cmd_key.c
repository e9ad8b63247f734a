/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>

#include "commands.h"
#include "wardmote/auth.h"

static const char usage[] = "wardmote key rotate --key-dir DIR";

/* A token that the old key signed in its last second may still be shown this long; the servers' clocks may differ a little. */
enum { CLOCK_LEEWAY_SECONDS = 60 };

static int run_rotate(const struct config *config, struct arena *arena)
{
	const char *error = NULL, *kid = NULL;
	int status = auth_keys_create(config->key_dir, arena, &kid, &error);
	if (status == 0)
		status = auth_keys_retire(config->key_dir, config->access_token_seconds + CLOCK_LEEWAY_SECONDS, arena, &error);
	if (status < 0)
		return command_fail("key rotate", error);
	printf("%s\n", kid);
	fprintf(stderr, "published now; signs at once when it is the first, else in 10 minutes. Servers read the folder again on SIGHUP.\n");
	return EXIT_SUCCESS;
}

int cmd_key(int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "rotate") != 0)
		return command_misused(usage, "key knows one thing to do: rotate (it also makes the first key)");
	struct arena arena;
	struct config config;
	const char *error = NULL;
	arena_init(&arena);
	int code;
	if (config_load(&config, &arena, argc - 2, argv + 2, NULL, &error) < 0)
		code = command_misused(usage, error);
	else
		code = run_rotate(&config, &arena);
	arena_done(&arena);
	return code;
}
