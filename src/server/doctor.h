/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `wardmote doctor`: looks at a live installation as the server would see it, with the server's settings and role, and changes nothing.
 *
 *   cmd_doctor.c       the command: the order of the checks, findings as lines or JSON
 *   doctor_host.c      what needs no database: settings, key folder
 *   doctor_database.c  the connection, the clocks, the migrations, and the two statements below
 *   doctor_server.sql  the database server and the roles
 *   doctor_schema.sql  tables, views, history, policies, indexes, functions */
#ifndef WARDMOTE_SERVER_DOCTOR_H
#define WARDMOTE_SERVER_DOCTOR_H

#include "wardmote/config.h"
#include "wardmote/db.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor_finding {
	struct doctor_finding *next;
	const char *check; /* "key folder" */
	enum doctor_level level;
	const char *text;
	const char *mend; /* what to do about it; NULL when nothing is wrong */
};

struct doctor {
	struct arena *arena;
	const struct config *config;
	struct doctor_finding *first, **next; /* in the order in which they were found */
};

/* Adds a finding; `mend` is NULL for DOCTOR_OK alone. */
void doctor_add(struct doctor *doctor, const char *check, enum doctor_level level, const char *mend, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

void doctor_look_at_host(struct doctor *doctor);
void doctor_look_at_database(struct doctor *doctor);

#endif
