/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <stdlib.h>

#include "connections.h"
#include "doctor.h"
#include "migrate.h"
#include "wardmote/catalog.h"
#include "wardmote/clock.h"
#include "wardmote/resources.h"

/* Generated from the files of these names. */
extern const char doctor_server_sql[];
extern const char doctor_schema_sql[];

/* Tokens allow their times to be this far off (struct auth_policy); half a minute is where the first are refused. */
enum { CLOCK_WARN_MS = 2000, CLOCK_FAIL_MS = 30000 };

static bool query(struct doctor *doctor, struct db_session *session, const char *check, const char *text, const char *parameter,
		  struct db_rows *ret_rows)
{
	const char *error = NULL;
	if (db_session_query(session, doctor->arena, text, parameter == NULL ? 0 : 1, &parameter, ret_rows, &error) == 0)
		return true;
	doctor_add(doctor, check, DOCTOR_FAIL, "see the database's log", "the database could not say: %s", error);
	return false;
}

static void look_at_path(struct doctor *doctor, const struct db_session *session)
{
	static const char mend[] = "add sslmode=verify-full (and sslrootcert) to the URI of the database";
	struct db_path path;
	db_session_path(session, doctor->arena, &path);
	if (path.local)
		doctor_add(doctor, "connection", DOCTOR_OK, NULL, "does not leave this machine");
	else if (!path.encrypted)
		doctor_add(doctor, "connection", DOCTOR_FAIL, mend, "crosses the network in plain text (sslmode=%s)", path.sslmode);
	else if (strcmp(path.sslmode, "verify-full") != 0)
		doctor_add(doctor, "connection", DOCTOR_WARN, mend, "is encrypted, but sslmode=%s does not make sure to whom",
			   path.sslmode);
	else
		doctor_add(doctor, "connection", DOCTOR_OK, NULL, "is encrypted, and the server's certificate is verified");
}

static void look_at_clock(struct doctor *doctor, struct db_session *session)
{
	struct db_rows rows;
	int64_t before_ms = clock_wall_us() / 1000;
	if (!query(doctor, session, "clock", "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", NULL, &rows))
		return;
	int64_t after_ms = clock_wall_us() / 1000;
	long long theirs_ms = strtoll(rows.cells[0], NULL, 10);
	/* What the answer took is no difference. */
	long long off_ms = theirs_ms < before_ms ? before_ms - theirs_ms : theirs_ms > after_ms ? theirs_ms - after_ms : 0;
	enum doctor_level level = off_ms > CLOCK_FAIL_MS ? DOCTOR_FAIL : off_ms > CLOCK_WARN_MS ? DOCTOR_WARN : DOCTOR_OK;
	doctor_add(doctor, "clock", level, level == DOCTOR_OK ? NULL : "run NTP on both machines",
		   "this machine and the database are %lld ms apart", off_ms);
}

static void look_at_connections(struct doctor *doctor, struct db_session *session)
{
	const char *error = NULL;
	long left = 0;
	if (connections_left(session, doctor->arena, &left, &error) < 0) {
		doctor_add(doctor, "connections", DOCTOR_FAIL, "see the database's log", "the database could not say: %s", error);
		return;
	}
	const char *fault = connections_fault(doctor->config, left, doctor->arena);
	if (fault != NULL)
		doctor_add(doctor, "connections", DOCTOR_FAIL, "lower workers or lane_*, or raise max_connections", "%s", fault);
	else
		doctor_add(doctor, "connections", DOCTOR_OK, NULL, "one process opens %ld, the database leaves %ld",
			   config_direct_connections(doctor->config), left);
}

/* Is the database as this release needs it? */
static bool look_at_migrations(struct doctor *doctor, struct db_session *session)
{
	const char *error = NULL;
	size_t pending = 0;
	if (migrate_status(session, doctor->arena, NULL, &pending, &error) < 0) {
		doctor_add(doctor, "migrations", DOCTOR_FAIL, "as wardmote_owner: wardmote migrate", "cannot be read: %s", error);
		return false;
	}
	if (pending > 0)
		doctor_add(doctor, "migrations", DOCTOR_FAIL, "as wardmote_owner: wardmote migrate", "%zu of this release are pending",
			   pending);
	else
		doctor_add(doctor, "migrations", DOCTOR_OK, NULL, "all of this release are applied");
	return pending == 0;
}

static void take_rows(struct doctor *doctor, const struct db_rows *rows)
{
	for (size_t i = 0; i < rows->rows; i++) {
		const char *const *cells = &rows->cells[i * rows->columns];
		enum doctor_level level = strcmp(cells[1], "ok") == 0     ? DOCTOR_OK
					  : strcmp(cells[1], "warn") == 0 ? DOCTOR_WARN
									  : DOCTOR_FAIL;
		doctor_add(doctor, cells[0], level, cells[3], "%s", cells[2]);
	}
}

/* {"thing":"risk","owned":true,"deletes":true,"sorts":["updated_at"]} */
static void describe(struct buffer *out, const struct resource *resource)
{
	buffer_text(out, "{\"thing\":");
	buffer_json(out, slice_of(resource->thing));
	buffer_format(out, ",\"owned\":%s,\"deletes\":%s,\"sorts\":[", resource->flags & R_OWNED ? "true" : "false",
		      resource->flags & R_NO_DELETE ? "false" : "true");
	for (const struct sort *sort = resource->sorts; sort->name != NULL; sort++) {
		buffer_text(out, sort == resource->sorts ? "" : ",");
		buffer_json(out, slice_of(sort->column == NULL ? sort->name : sort->column));
	}
	buffer_text(out, "]}");
}

/* A copy in another cluster goes on counting where its backup ended, and nothing else can tell. */
static void look_at_origin(struct doctor *doctor, struct db_session *session)
{
	struct db_rows rows;
	if (!query(doctor, session, "origin", "SELECT wardmote.is_at_home()", NULL, &rows))
		return;
	if (strcmp(rows.cells[0], "t") == 0)
		doctor_add(doctor, "origin", DOCTOR_OK, NULL, "the database is where it was made, or was told of its restore");
	else
		doctor_add(doctor, "origin", DOCTOR_FAIL, "as a superuser: wardmote restored | psql -X, then restart the servers",
			   "the database was restored into another cluster, and was not told");
}

static void look_at_schema(struct doctor *doctor, struct db_session *session)
{
	struct buffer resources = { .arena = doctor->arena };
	struct db_rows rows;
	for (const struct resource *const *resource = resources_all; *resource != NULL; resource++) {
		buffer_text(&resources, resource == resources_all ? "[" : ",");
		describe(&resources, *resource);
	}
	buffer_text(&resources, "]");
	if (query(doctor, session, "tables", doctor_schema_sql, resources.ptr, &rows))
		take_rows(doctor, &rows);
}

void doctor_look_at_database(struct doctor *doctor)
{
	const char *error = NULL;
	struct db_session *session = NULL;
	struct db_rows rows;
	if (db_session_new(doctor->config->database_direct, doctor->arena, &session, &error) < 0) {
		doctor_add(doctor, "connection", DOCTOR_FAIL, "start the database, or mend its URI: nothing in it was looked at", "%s",
			   error);
		return;
	}
	look_at_path(doctor, session);
	if (query(doctor, session, "server", doctor_server_sql, doctor->config->timezone, &rows))
		take_rows(doctor, &rows);
	look_at_clock(doctor, session);
	look_at_connections(doctor, session);
	/* Of tables that are not there yet nothing can be said. */
	if (look_at_migrations(doctor, session)) {
		look_at_origin(doctor, session);
		look_at_schema(doctor, session);
	}
	db_session_free(session);
}
