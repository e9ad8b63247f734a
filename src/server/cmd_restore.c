/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What follows a restore (docs/backup.md): `restored`, and `erasures`, the list that is kept outside the database. */
#include <errno.h>
#include <stdio.h>

#include "commands.h"

static const char restored_usage[] = "wardmote restored [--database-name wardmote]";
static const char erasures_usage[] =
    "wardmote erasures [--again FILE] --database URI\n"
    "       (URI of the role wardmote_owner; --again reads such a list, and erases what the database does not know)";

/* Generated from restored.sql by tools/embed.c. */
extern const char restored_sql[];

static const char list_sql[] = "SELECT json_build_object('at', to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), "
			       "'resource', e.resource, 'id', e.id, "
			       "'fields', e.fields)::text FROM wardmote.erasures() e ORDER BY e.at, e.id, e.fields";

static int run_restored(struct arena *arena, char **arguments)
{
	const char *error = NULL, *name = NULL;
	const struct command_option options[] = { { .name = "database-name", .ret_value = &name } };
	if (command_options(arena, arguments, options, 1, &error) < 0)
		return command_misused(restored_usage, error);
	name = name == NULL ? "wardmote" : name;
	size_t len = strlen(name);
	if (len == 0 || len > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
		return command_misused(restored_usage, "a database's name consists of lower-case letters, digits and underscores");
	printf("\\set database %s\n%s", name, restored_sql);
	return EXIT_SUCCESS;
}

int cmd_restored(int argc, char **argv)
{
	(void)argc;
	struct arena arena;
	arena_init(&arena);
	int code = run_restored(&arena, argv + 1);
	arena_done(&arena);
	return code;
}

static int print_erasures(struct db_session *session, struct arena *arena, const char **ret_error)
{
	struct db_rows rows;
	int status = db_session_query(session, arena, list_sql, 0, NULL, &rows, ret_error);
	for (size_t i = 0; status == 0 && i < rows.rows; i++)
		puts(rows.cells[i]);
	return status;
}

/* One line, one transaction: what was done stays done where another line is wrong, and nobody waits for that one. */
static int erase_lines(struct db_session *session, struct arena *arena, FILE *file, const char **ret_error)
{
	static const char *const outcomes[] = { "done", "known", "absent" };
	size_t counts[3] = { 0 }, size = 0, failed = 0;
	char *line = NULL;
	for (size_t n = 1; getline(&line, &size, file) > 0; n++) {
		const char *parameter = line;
		struct db_rows rows;
		if (line[strspn(line, " \r\n")] == '\0')
			continue;
		if (db_session_query(session, arena, "SELECT wardmote.erase_again($1::jsonb)", 1, &parameter, &rows, ret_error) < 0) {
			fprintf(stderr, "line %zu: %s\n", n, *ret_error);
			failed++;
			continue;
		}
		for (size_t i = 0; i < 3; i++)
			counts[i] += strcmp(rows.cells[0], outcomes[i]) == 0;
	}
	free(line);
	printf("%zu erased again, %zu known, %zu of records that are not there\n", counts[0], counts[1], counts[2]);
	if (failed == 0)
		return 0;
	*ret_error = arena_printf(arena, "lines that could not be done: %zu", failed);
	return -EIO;
}

static int run_erasures(const struct config *config, struct arena *arena, const char *path)
{
	const char *error = NULL;
	struct db_session *session = NULL;
	FILE *file = path == NULL ? NULL : strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (path != NULL && file == NULL)
		return command_fail("erasures", arena_printf(arena, "%s: %s", path, strerror(errno)));
	int status = command_session(config, arena, &session, &error);
	if (status == 0)
		status = file == NULL ? print_erasures(session, arena, &error) : erase_lines(session, arena, file, &error);
	db_session_free(session);
	if (file != NULL && file != stdin)
		fclose(file);
	return status < 0 ? command_fail("erasures", error) : EXIT_SUCCESS;
}

int cmd_erasures(int argc, char **argv)
{
	struct arena arena;
	struct config config;
	char **rest;
	const char *error = NULL, *path = NULL;
	const struct command_option options[] = { { .name = "again", .ret_value = &path } };
	arena_init(&arena);
	int status = config_load(&config, &arena, argc - 1, argv + 1, &rest, &error);
	if (status == 0)
		status = command_options(&arena, rest, options, 1, &error);
	int code = status < 0 ? command_misused(erasures_usage, error) : run_erasures(&config, &arena, path);
	arena_done(&arena);
	return code;
}
