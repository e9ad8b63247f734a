/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Is there room for our database connections? At a restart without a gap the old process and the new one have theirs at the same time, so twice what one
 * process opens has to fit into what the server leaves to ordinary roles. */
#ifndef WARDMOTE_SERVER_CONNECTIONS_H
#define WARDMOTE_SERVER_CONNECTIONS_H

#include "wardmote/config.h"
#include "wardmote/db.h"

/* How many connections our role may have in this database: max_connections without the reserved ones, or a narrower limit of the role or the database. 0, or
 * -EIO with a message. */
int connections_left(struct db_session *session, struct arena *arena, long *ret_left, const char **ret_error);
/* NULL when they fit, else what is wrong, with the figures. */
const char *connections_fault(const struct config *config, long left, struct arena *arena);

#endif
