/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The two commands that need nothing but the settings. */
#include "commands.h"

/* Runs `use` with the settings of this command line. */
static int with_config(int argc, char **argv, int (*use)(const struct config *config, int argc, char **argv))
{
	struct arena arena;
	struct config config;
	const char *error = NULL;
	arena_init(&arena);
	int code = EXIT_USAGE;
	if (config_load(&config, &arena, argc - 1, argv + 1, NULL, &error) < 0)
		command_fail(argv[0], error);
	else
		code = use(&config, argc - 1, argv + 1);
	arena_done(&arena);
	return code;
}

static int print_config(const struct config *config, int argc, char **argv)
{
	(void)argc, (void)argv;
	config_print(config, stdout);
	printf("\nOne process opens %ld database connections: %ld workers x (%ld read + %ld write + %ld heavy + %ld stream) + %d.\n",
	       config_connections(config), config->workers, config->lane_read, config->lane_write, config->lane_heavy, config->lane_stream,
	       (int)CONFIG_BACKGROUND);
	return EXIT_SUCCESS;
}

int cmd_config(int argc, char **argv)
{
	bool template = argc == 2 && strcmp(argv[1], "--template") == 0, roff = argc == 2 && strcmp(argv[1], "--roff") == 0;
	if (template)
		config_print_template(stdout);
	if (roff)
		config_print_roff(stdout);
	if (template || roff)
		return EXIT_SUCCESS;
	return with_config(argc, argv, print_config);
}

static int serve(const struct config *config, int argc, char **argv)
{
	if (config->database[0] == '\0') {
		command_fail("serve", "the database is not set: give --database URI, or WARDMOTE_DATABASE in the environment");
		return EXIT_USAGE;
	}
	return serve_run(config, argc, argv);
}

int cmd_serve(int argc, char **argv)
{
	return with_config(argc, argv, serve);
}
