/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "commands.h"

static int cmd_version(int argc, char **argv)
{
	if (argc > 1)
		return command_misused("wardmote version", argv[1]);
	puts("wardmote " WARDMOTE_VERSION);
	return EXIT_SUCCESS;
}

static int cmd_help(int argc, char **argv);

static const struct command commands[] = {
	{ "serve", cmd_serve, "run the server" },
	{ "setup", cmd_setup, "print the SQL that a database administrator runs once" },
	{ "migrate", cmd_migrate, "bring the database up to this release (--status: say what is pending)" },
	{ "account", cmd_account, "account create: the host partner's administrator, without the API" },
	{ "erase", cmd_erase, "empty texts of one record, also in its history, where they name a person" },
	{ "erasures", cmd_erasures, "list who was erased, to keep elsewhere; --again: after a restore" },
	{ "restored", cmd_restored, "print the SQL that a database administrator runs after a restore" },
	{ "key", cmd_key, "key create, key rotate: the folder of signing keys" },
	{ "load", cmd_load, "fill a running server from folders of JSON files" },
	{ "dev", cmd_dev, "run everything on this machine: private database, sample data, server" },
	{ "doctor", cmd_doctor, "look at a live installation: settings, keys, database; --json" },
	{ "config", cmd_config, "show every setting: value, origin, default, meaning" },
	{ "openapi", cmd_openapi, "print the API description (OpenAPI 3.1)" },
	{ "problems", cmd_problems, "print the registry of problems" },
	{ "privacy", cmd_privacy, "print the record of processing: which fields can hold personal data, why, how long; --json, --csv" },
	{ "sql", cmd_sql, "print the standard statements of one resource" },
	{ "version", cmd_version, "print the version" },
	{ "help", cmd_help, "print this" },
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
	fputs("usage: wardmote COMMAND [--SETTING VALUE]...\n\n", out);
	for (int i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs(
	    "\nSettings: `wardmote config`. As flags --database URI, in the environment WARDMOTE_DATABASE=URI, in a file (--config FILE)\n"
	    "database = URI.\n",
	    out);
}

static int cmd_help(int argc, char **argv)
{
	(void)argc, (void)argv;
	print_help(stdout);
	return EXIT_SUCCESS;
}

/* Output that could not be written is a failure: `wardmote openapi > /dev/full`. */
static int flush_output(int status)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	perror("wardmote: cannot write the output");
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	if (strcmp(name, "--version") == 0)
		name = "version";
	for (int i = 0; i < N_COMMANDS; i++)
		if (strcmp(name, commands[i].name) == 0)
			return flush_output(commands[i].run(argc - 1, argv + 1));
	fprintf(stderr, "wardmote: no command %s (see `wardmote help`)\n", name);
	return EXIT_USAGE;
}
