/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "commands.h"

#include <errno.h>
#include <stdio.h>

int command_fail(const char *command, const char *message)
{
	fprintf(stderr, "wardmote %s: %s\n", command, message);
	return EXIT_FAILURE;
}

int command_misused(const char *usage, const char *message)
{
	fprintf(stderr, "%s\nusage: %s\n", message, usage);
	return EXIT_USAGE;
}

static const struct command_option *find_option(const struct command_option *options, size_t n, const char *argument)
{
	if (strncmp(argument, "--", 2) != 0)
		return NULL;
	size_t len = strcspn(argument + 2, "=");
	for (size_t i = 0; i < n; i++)
		if (slice_is((struct slice){ argument + 2, len }, options[i].name))
			return &options[i];
	return NULL;
}

int command_options(struct arena *arena, char **rest, const struct command_option *options, size_t n, const char **ret_error)
{
	for (char **at = rest; *at != NULL; at++) {
		const struct command_option *option = find_option(options, n, *at);
		const char *equals = strchr(*at, '=');
		if (option == NULL || (option->ret_value == NULL && equals != NULL)) {
			*ret_error = arena_printf(arena, "unknown argument %.*s", (int)strcspn(*at, "="), *at);
			return -EINVAL;
		}
		if (option->ret_value == NULL) {
			*option->ret_given = true;
			continue;
		}
		const char *value = equals != NULL ? equals + 1 : at[1];
		if (value == NULL || *option->ret_value != NULL) {
			*ret_error = arena_printf(arena, value == NULL ? "--%s needs a value" : "--%s is given twice", option->name);
			return -EINVAL;
		}
		*option->ret_value = value;
		at += equals == NULL;
	}
	return 0;
}

int command_session(const struct config *config, struct arena *arena, struct db_session **ret_session, const char **ret_error)
{
	if (config->database_direct[0] == '\0') {
		*ret_error = "the database is not set: give --database URI, or WARDMOTE_DATABASE in the environment";
		return -EINVAL;
	}
	return db_session_new(config->database_direct, arena, ret_session, ret_error);
}
