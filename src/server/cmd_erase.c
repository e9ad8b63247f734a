/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>

#include "commands.h"

static const char usage[] =
    "wardmote erase --resource NAME --id ID --fields NAME[.MEMBER][,...] --database URI\n"
    "       (URI of the role wardmote_owner; empties these texts in the record, its earlier versions and stored answers)";

static int run_erase(const struct config *config, struct arena *arena, const char *const *what)
{
	const char *error = NULL;
	struct db_session *session = NULL;
	struct db_rows rows;
	int status = command_session(config, arena, &session, &error);
	if (status == 0)
		status = db_session_query(session, arena, "SELECT wardmote.erase($1, $2::uuid, string_to_array($3, ','))", 3, what, &rows,
					  &error);
	db_session_free(session);
	if (status < 0)
		return command_fail("erase", error);
	printf("%s earlier versions have these texts no more; VACUUM (FULL, ANALYZE) its tables to clear the disk too\n", rows.cells[0]);
	return EXIT_SUCCESS;
}

int cmd_erase(int argc, char **argv)
{
	struct arena arena;
	struct config config;
	char **rest;
	const char *error = NULL, *what[3] = { NULL };
	const struct command_option options[] = { { .name = "resource", .ret_value = &what[0] },
						  { .name = "id", .ret_value = &what[1] },
						  { .name = "fields", .ret_value = &what[2] } };
	arena_init(&arena);
	int status = config_load(&config, &arena, argc - 1, argv + 1, &rest, &error);
	if (status == 0)
		status = command_options(&arena, rest, options, sizeof options / sizeof *options, &error);
	if (status == 0 && (what[0] == NULL || what[1] == NULL || what[2] == NULL))
		error = "the resource, the record's id and its fields are needed";
	int code = error != NULL ? command_misused(usage, error) : run_erase(&config, &arena, what);
	arena_done(&arena);
	return code;
}
