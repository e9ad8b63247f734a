/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "connections.h"

#include <stdlib.h>

int connections_left(struct db_session *session, struct arena *arena, long *ret_left, const char **ret_error)
{
	/* -1 is no limit; reserved_connections came with PostgreSQL 16. */
	static const char text[] =
	    "SELECT least(current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer"
	    " - coalesce(current_setting('reserved_connections', true)::integer, 0),"
	    " (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),"
	    " (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()))";
	struct db_rows rows;
	int status = db_session_query(session, arena, text, 0, NULL, &rows, ret_error);
	if (status == 0)
		*ret_left = strtol(rows.cells[0], NULL, 10);
	return status;
}

const char *connections_fault(const struct config *config, long left, struct arena *arena)
{
	long ours = config_direct_connections(config);
	if (2 * ours <= left)
		return NULL;
	return arena_printf(
	    arena, "%ld database connections do not fit: two processes overlap at a restart, that makes %ld, and the database leaves %ld",
	    ours, 2 * ours, left);
}
