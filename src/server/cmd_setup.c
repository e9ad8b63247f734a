/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>

#include "commands.h"
#include "setup.h"

static const char usage[] = "wardmote setup [--database-name wardmote]";

/* Generated from setup.sql by tools/embed.c. */
extern const char setup_sql[];

const char *setup_script(struct arena *arena, const char *database_name)
{
	size_t len = strlen(database_name);
	if (len == 0 || len > 63 || strspn(database_name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
		return NULL;
	return arena_printf(arena, "\\set database %s\n%s", database_name, setup_sql);
}

static int run_setup(struct arena *arena, char **arguments)
{
	const char *error = NULL, *name = NULL;
	const struct command_option options[] = { { .name = "database-name", .ret_value = &name } };
	if (command_options(arena, arguments, options, 1, &error) < 0)
		return command_misused(usage, error);
	const char *script = setup_script(arena, name == NULL ? "wardmote" : name);
	if (script == NULL)
		return command_misused(usage, "a database's name consists of lower-case letters, digits and underscores");
	fputs(script, stdout);
	return EXIT_SUCCESS;
}

int cmd_setup(int argc, char **argv)
{
	(void)argc;
	struct arena arena;
	arena_init(&arena);
	int code = run_setup(&arena, argv + 1);
	arena_done(&arena);
	return code;
}
