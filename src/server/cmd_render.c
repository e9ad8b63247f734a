/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The commands that print what the modules render from the descriptors. They need neither settings nor a database. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "document.h"
#include "wardmote/openapi.h"
#include "wardmote/problem.h"
#include "wardmote/resources.h"
#include "wardmote/sql.h"

/* The base URL in the committed copy of the document; a running server puts its own there. */
static const char documented_url[] = "http://127.0.0.1:8080";

static void print_line(struct slice text)
{
	fwrite(text.ptr, 1, text.len, stdout);
	if (text.len > 0 && text.ptr[text.len - 1] != '\n')
		putchar('\n');
}

/* Prints one document. A renderer that knows no such argument returns the empty slice without a pointer. */
static int with_catalog(int argc, char **argv, const char *usage,
			struct slice (*render)(struct arena *arena, const struct catalog *catalog, const char *argument),
			bool takes_argument)
{
	if (argc != (takes_argument ? 2 : 1))
		return command_misused(usage, takes_argument ? "one argument is needed" : "no argument is taken");
	struct arena arena;
	struct catalog *catalog = NULL;
	const char *error = NULL;
	arena_init(&arena);
	int code = EXIT_SUCCESS;
	if (catalog_new(resources_all, resources_general, &catalog, &error) < 0) {
		code = command_fail(argv[0], error);
	} else {
		struct slice text = render(&arena, catalog, argv[1]);
		if (text.ptr == NULL)
			code = command_misused(usage, "no such resource");
		else
			print_line(text);
	}
	catalog_free(catalog);
	arena_done(&arena);
	return code;
}

int cmd_openapi(int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return command_misused("wardmote openapi", "no argument is taken");
	size_t len;
	char *text = document_fill(documented_url, &len);
	if (text == NULL)
		return command_fail("openapi", "out of memory");
	print_line((struct slice){ text, len });
	free(text);
	return EXIT_SUCCESS;
}

static struct slice render_privacy(struct arena *arena, const struct catalog *catalog, const char *argument)
{
	return privacy_render(arena, catalog,
			      argument == NULL                  ? PRIVACY_TEXT
			      : strcmp(argument, "--json") == 0 ? PRIVACY_JSON
								: PRIVACY_CSV);
}

int cmd_privacy(int argc, char **argv)
{
	static const char usage[] = "wardmote privacy [--json | --csv]";
	if (argc == 2 && strcmp(argv[1], "--json") != 0 && strcmp(argv[1], "--csv") != 0)
		return command_misused(usage, "privacy is printed as text, with --json, or with --csv");
	return with_catalog(argc, argv, usage, render_privacy, argc == 2);
}

static struct slice render_problems(struct arena *arena, const struct catalog *catalog, const char *argument)
{
	(void)catalog, (void)argument;
	return problem_registry(arena);
}

int cmd_problems(int argc, char **argv)
{
	return with_catalog(argc, argv, "wardmote problems", render_problems, false);
}

static struct slice render_sql(struct arena *arena, const struct catalog *catalog, const char *argument)
{
	const struct shape *shape = catalog_shape(catalog, argument);
	return shape == NULL ? (struct slice){ 0 } : sql_describe(arena, catalog, shape);
}

int cmd_sql(int argc, char **argv)
{
	return with_catalog(argc, argv, "wardmote sql RESOURCE", render_sql, true);
}
