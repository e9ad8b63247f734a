/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* src/server/migrate.c with migrations of its own, for test_migrate.py: migrate_demo URI [status] */
#include <stdio.h>
#include <stdlib.h>

#include "migrate.h"

int main(int argc, char **argv)
{
	struct arena arena;
	struct db_session *session = NULL;
	const char *error = "usage: migrate_demo URI [status]";
	size_t pending = 0;
	arena_init(&arena);
	setvbuf(stdout, NULL, _IOLBF, 0);
	int status = argc < 2 ? -1 : db_session_new(argv[1], &arena, &session, &error);
	if (status == 0)
		status =
		    argc > 2 ? migrate_status(session, &arena, stdout, &pending, &error) : migrate_run(session, &arena, stdout, &error);
	db_session_free(session);
	if (status < 0)
		fprintf(stderr, "%s\n", error);
	arena_done(&arena);
	return status < 0 ? EXIT_FAILURE : (int)pending;
}
