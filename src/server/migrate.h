/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Migrations: the files of migrations/ travel in the binary, are applied in order of their names as the role wardmote_owner, and are recorded with a
 * checksum in meta.migration. Each runs in a transaction of its own, unless its first line is `-- no-transaction`: then its statements, each
 * ended by a semicolon at the end of a line, run one by one and must bear being repeated. One advisory lock, polled: a session that waits for it would
 * hold a snapshot, for which CREATE INDEX CONCURRENTLY waits in turn. */
#ifndef WARDMOTE_SERVER_MIGRATE_H
#define WARDMOTE_SERVER_MIGRATE_H

#include <stdio.h>

#include "wardmote/db.h"

/* Applies what is pending and says so on `out`. 0, or a negative errno with a message. */
int migrate_run(struct db_session *session, struct arena *arena, FILE *out, const char **ret_error);
/* Lists all migrations with their state on `out` (NULL: silently) and counts those that this release has and the database has not. Needs no more than
 * the server's role. */
int migrate_status(struct db_session *session, struct arena *arena, FILE *out, size_t *ret_pending, const char **ret_error);

#endif
