/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "commands.h"
#include "wardmote/auth.h"

static const char usage[] = "wardmote key create|rotate --key-dir DIR";

/* A token that the old key signed in its last second may still be shown this long; the servers' clocks may differ a little. */
enum { CLOCK_LEEWAY_SECONDS = 60 };

int key_ensure(const char *folder, struct arena *arena, const char **ret_error)
{
	struct auth_keys *keys = NULL;
	const char *kid;
	char name[4096];
	snprintf(name, sizeof name, "%s/cursor.key", folder);
	/* A folder that has keys which cannot be read is a fault to report, not a reason to add one. */
	if (access(name, F_OK) != 0)
		return auth_keys_create(folder, arena, &kid, ret_error);
	int status = auth_keys_load(folder, arena, &keys, ret_error);
	auth_keys_unref(keys);
	/* Its only keys are gone: the cursor key stays good. */
	return status == -ENOENT ? auth_keys_create(folder, arena, &kid, ret_error) : status;
}

static int run_create(const struct config *config, struct arena *arena)
{
	const char *error = NULL;
	return key_ensure(config->key_dir, arena, &error) < 0 ? command_fail("key create", error) : EXIT_SUCCESS;
}

static int run_rotate(const struct config *config, struct arena *arena)
{
	const char *error = NULL, *kid = NULL;
	int status = auth_keys_create(config->key_dir, arena, &kid, &error);
	if (status == 0)
		status = auth_keys_retire(config->key_dir, config->access_token_seconds + CLOCK_LEEWAY_SECONDS, arena, &error);
	if (status < 0)
		return command_fail("key rotate", error);
	printf("%s\n", kid);
	fprintf(stderr,
		"published now; signs at once when it is the first, else in 10 minutes. Servers read the folder again on SIGHUP.\n");
	return EXIT_SUCCESS;
}

int cmd_key(int argc, char **argv)
{
	bool create = argc > 1 && strcmp(argv[1], "create") == 0;
	if (!create && (argc < 2 || strcmp(argv[1], "rotate") != 0))
		return command_misused(
		    usage, "key knows two things to do: create (what the folder lacks, if anything) and rotate (a new signing key)");
	struct arena arena;
	struct config config;
	const char *error = NULL;
	arena_init(&arena);
	int code;
	if (config_load(&config, &arena, argc - 2, argv + 2, NULL, &error) < 0)
		code = command_misused(usage, error);
	else
		code = create ? run_create(&config, &arena) : run_rotate(&config, &arena);
	arena_done(&arena);
	return code;
}
