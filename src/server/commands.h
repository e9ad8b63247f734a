/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The subcommands. Each gets its own arguments with its name first, writes results to standard output and messages to standard error, and returns the
 * exit status: 0 done, 1 failed, 2 the command line makes no sense, 3 (`migrate --status`) something is pending. */
#ifndef WARDMOTE_SERVER_COMMANDS_H
#define WARDMOTE_SERVER_COMMANDS_H

#include <stdlib.h>

#include "wardmote/config.h"
#include "wardmote/db.h"

enum { EXIT_USAGE = 2, EXIT_PENDING = 3 };

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
};

int cmd_account(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_dev(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_erase(int argc, char **argv);
int cmd_erasures(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_load(int argc, char **argv);
int cmd_migrate(int argc, char **argv);
int cmd_openapi(int argc, char **argv);
int cmd_privacy(int argc, char **argv);
int cmd_problems(int argc, char **argv);
int cmd_restored(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_setup(int argc, char **argv);
int cmd_sql(int argc, char **argv);

/* The server itself (serve.c): runs until it is told to stop; the exit status. */
/* The command line is read again at SIGHUP. */
int serve_run(const struct config *config, int argc, char **argv);

/* The number of the newest migration that this release has (migrate.c). */
long migrations_newest(void);

/* Makes the keys that the folder lacks, if any (cmd_key.c). 0, or a negative errno with a message. */
int key_ensure(const char *folder, struct arena *arena, const char **ret_error);

/* "wardmote <command>: <message>" on standard error; returns EXIT_FAILURE. */
int command_fail(const char *command, const char *message);
/* The same with a hint how to call it; returns EXIT_USAGE. */
int command_misused(const char *usage, const char *message);

/* One option of a command's own, beside the settings: `--name VALUE`, or a switch without a value. */
struct command_option {
	const char *name;
	const char **ret_value; /* NULL for a switch */
	bool *ret_given; /* of a switch */
};

/* Takes the command's options out of `rest` (as config_load left it). What remains is an error. 0, or -EINVAL with a message. */
int command_options(struct arena *arena, char **rest, const struct command_option *options, size_t n, const char **ret_error);
/* Opens a session with the `database` setting; -EINVAL with a message when it is not set. */
int command_session(const struct config *config, struct arena *arena, struct db_session **ret_session, const char **ret_error);

#endif
