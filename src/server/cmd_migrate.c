/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "commands.h"
#include "migrate.h"

static const char usage[] = "wardmote migrate [--status] --database URI   (URI of the role wardmote_owner)";

static int run_migrate(const struct config *config, struct arena *arena, bool status_only)
{
	const char *error = NULL;
	struct db_session *session = NULL;
	size_t pending = 0;
	int status = command_session(config, arena, &session, &error);
	if (status == 0 && status_only)
		status = migrate_status(session, arena, stdout, &pending, &error);
	else if (status == 0)
		status = migrate_run(session, arena, stdout, &error);
	db_session_free(session);
	if (status < 0)
		return command_fail("migrate", error);
	return pending > 0 ? EXIT_PENDING : EXIT_SUCCESS;
}

int cmd_migrate(int argc, char **argv)
{
	struct arena arena;
	struct config config;
	char **rest;
	const char *error = NULL;
	bool status_only = false;
	const struct command_option options[] = { { .name = "status", .ret_given = &status_only } };
	arena_init(&arena);
	int status = config_load(&config, &arena, argc - 1, argv + 1, &rest, &error);
	if (status == 0)
		status = command_options(&arena, rest, options, 1, &error);
	int code = status < 0 ? command_misused(usage, error) : run_migrate(&config, &arena, status_only);
	arena_done(&arena);
	return code;
}
