/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "migrate.h"

#include <errno.h>
#include <time.h>

#include "commands.h"
#include "wardmote/clock.h"

/* Generated from migrations/ by tools/embed.c. */
extern const char *const migration_names[];
extern const char *const migration_texts[];
extern const size_t migration_n;

/* Whoever waits for a lock that requests hold makes the requests behind it wait too, and may wait for one that waits for it: each attempt gives way before
 * PostgreSQL looks for a deadlock (deadlock_timeout, 1 s) and would end a request for it. Parts without a transaction wait for transactions, and nobody for them. */
enum { LOCK_WAIT_SECONDS = 120, LOCK_POLL_MS = 200, ATTEMPTS = 60, ATTEMPT_PAUSE_MS = 500 };
#define LOCK_TIMEOUT "'500ms'"
#define LOCK_TIMEOUT_IN_PARTS "'120s'"

/* What one run works with. */
struct run {
	struct db_session *session;
	struct arena *arena;
	FILE *out;
	const char **ret_error;
	struct db_rows applied; /* name, checksum */
};

/* "0012_risks" has number 12. */
static long number_of(const char *name)
{
	return strtol(name, NULL, 10);
}

long migrations_newest(void)
{
	return number_of(migration_names[migration_n - 1]);
}

static void pause_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
	nanosleep(&time, NULL); /* no signal of ours ends it early */
}

static int query(struct run *run, const char *text, size_t n, const char *const *parameters, struct db_rows *ret_rows)
{
	struct db_rows rows;
	return db_session_query(run->session, run->arena, text, n, parameters, ret_rows == NULL ? &rows : ret_rows, run->ret_error);
}

static int refuse(struct run *run, const char *message)
{
	*run->ret_error = message;
	return -EPERM;
}

/* What the administrator of the database has to have done before (see `wardmote setup`): all that is missing, at once. */
static int check_database(struct run *run)
{
	static const char text[] =
	    "SELECT string_agg(fault, '; ') FROM ("
	    " SELECT 'PostgreSQL 15 or newer is needed, this is ' || current_setting('server_version') AS fault"
	    "  WHERE current_setting('server_version_num')::int < 150000"
	    " UNION ALL SELECT 'migrations run as the role wardmote_owner, this session is ' || current_user WHERE current_user <> "
	    "'wardmote_owner'"
	    " UNION ALL SELECT 'the role wardmote_api does not exist' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = "
	    "'wardmote_api')"
	    " UNION ALL SELECT 'the extension postgis is not installed' WHERE NOT EXISTS (SELECT FROM pg_extension WHERE extname = "
	    "'postgis')"
	    " UNION ALL SELECT 'the database is not UTF8' WHERE current_setting('server_encoding') <> 'UTF8'"
	    " UNION ALL SELECT 'wardmote_owner may not create schemas' WHERE NOT has_database_privilege(current_database(), 'CREATE')"
	    ") AS faults";
	struct db_rows rows;
	int status = query(run, text, 0, NULL, &rows);
	if (status < 0 || rows.cells[0] == NULL)
		return status;
	return refuse(run,
		      arena_printf(run->arena, "%s (`wardmote setup` prints what the database's administrator runs once)", rows.cells[0]));
}

static int take_lock(struct run *run)
{
	int64_t deadline = clock_monotonic_us() + LOCK_WAIT_SECONDS * INT64_C(1000000);
	for (bool told = false;; told = true) {
		struct db_rows rows;
		int status = query(run, "SELECT pg_try_advisory_lock(hashtextextended('wardmote.migrate', 0))", 0, NULL, &rows);
		if (status < 0 || strcmp(rows.cells[0], "t") == 0)
			return status;
		if (clock_monotonic_us() > deadline)
			return refuse(run, "another migration is still running; try again when it is done");
		if (!told)
			fputs("waiting for another migration to end\n", run->out);
		pause_ms(LOCK_POLL_MS);
	}
}

static int load_applied(struct run *run, bool *ret_fresh)
{
	struct db_rows rows;
	int status = query(run, "SELECT to_regclass('meta.migration') IS NULL", 0, NULL, &rows);
	if (status < 0)
		return status;
	*ret_fresh = strcmp(rows.cells[0], "t") == 0;
	if (*ret_fresh)
		return 0;
	return query(run, "SELECT name, checksum, to_char(applied_at, 'YYYY-MM-DD HH24:MI:SS') FROM meta.migration ORDER BY name", 0, NULL,
		     &run->applied);
}

static int create_table(struct run *run)
{
	return query(run,
		     "CREATE SCHEMA meta;"
		     "CREATE TABLE meta.migration (number integer PRIMARY KEY, name text NOT NULL UNIQUE, checksum text NOT NULL,"
		     " applied_at timestamptz NOT NULL DEFAULT now(), release text NOT NULL);"
		     "GRANT USAGE ON SCHEMA meta TO wardmote_api; GRANT SELECT ON meta.migration TO wardmote_api",
		     0, NULL, NULL);
}

/* NULL when the database could not say. */
static const char *checksum(struct run *run, size_t i)
{
	struct db_rows rows;
	int status = query(run, "SELECT encode(sha256(convert_to($1, 'UTF8')), 'hex')", 1, &migration_texts[i], &rows);
	return status < 0 ? NULL : rows.cells[0];
}

/* The row of an applied migration; -1 when it is not applied. */
static long find_applied(const struct run *run, const char *name)
{
	for (size_t i = 0; i < run->applied.rows; i++)
		if (strcmp(run->applied.cells[i * run->applied.columns], name) == 0)
			return (long)i;
	return -1;
}

static int record(struct run *run, size_t i, const char *sum)
{
	const char *number = arena_printf(run->arena, "%ld", number_of(migration_names[i]));
	const char *const values[] = { number, migration_names[i], sum, WARDMOTE_VERSION };
	return query(run, "INSERT INTO meta.migration (number, name, checksum, release) VALUES ($1, $2, $3, $4)", 4, values, NULL);
}

/* The error of the migration itself must survive what follows it. */
static void rollback(struct run *run)
{
	const char *error = *run->ret_error;
	query(run, "ROLLBACK", 0, NULL, NULL);
	*run->ret_error = error;
}

static int apply_in_transaction(struct run *run, size_t i, const char *sum)
{
	int status = query(run, "BEGIN; SET LOCAL lock_timeout = " LOCK_TIMEOUT, 0, NULL, NULL);
	if (status == 0)
		status = query(run, migration_texts[i], 0, NULL, NULL);
	if (status == 0)
		status = record(run, i, sum);
	if (status == 0)
		status = query(run, "COMMIT", 0, NULL, NULL);
	if (status < 0)
		rollback(run);
	return status;
}

/* The length of the first statement: up to a semicolon that ends a line. */
static size_t statement_length(const char *text)
{
	size_t len = 0;
	while (text[len] != '\0') {
		bool ends = text[len] == ';' && (text[len + 1] == '\n' || text[len + 1] == '\0');
		len++;
		if (ends)
			break;
	}
	return len;
}

static int apply_statements(struct run *run, size_t i, const char *sum)
{
	int status = query(run, "SET lock_timeout = " LOCK_TIMEOUT_IN_PARTS, 0, NULL, NULL);
	const char *text = migration_texts[i];
	while (status == 0 && text[strspn(text, " \t\r\n")] != '\0') {
		size_t len = statement_length(text);
		status = query(run, arena_copy(run->arena, (struct slice){ text, len }), 0, NULL, NULL);
		text += len;
	}
	return status < 0 ? status : record(run, i, sum);
}

/* A lock that was not free in time (55P03), or whose holder waited for us (40P01): nothing was done, or a part that may be done again. */
static bool lock_failed(const char *error)
{
	return strncmp(error, "55P03", 5) == 0 || strncmp(error, "40P01", 5) == 0;
}

static int apply(struct run *run, size_t i, const char *sum)
{
	static const char mark[] = "-- no-transaction";
	int64_t start = clock_monotonic_us();
	bool in_parts = strncmp(migration_texts[i], mark, sizeof mark - 1) == 0;
	int status = -EAGAIN;
	for (int attempt = 1; status < 0; attempt++) {
		status = in_parts ? apply_statements(run, i, sum) : apply_in_transaction(run, i, sum);
		if (status == 0 || !lock_failed(*run->ret_error) || attempt == ATTEMPTS)
			break;
		if (attempt == 1)
			fprintf(run->out, "%s: a lock was not free, trying again\n", migration_names[i]);
		pause_ms(ATTEMPT_PAUSE_MS);
	}
	if (status < 0) {
		*run->ret_error = arena_printf(run->arena, "%s: %s", migration_names[i], *run->ret_error);
		return status;
	}
	fprintf(run->out, "%s applied (%lld ms)\n", migration_names[i], (long long)((clock_monotonic_us() - start) / 1000));
	return 0;
}

static int apply_pending(struct run *run)
{
	size_t n = 0;
	for (size_t i = 0; i < migration_n; i++) {
		const char *sum = checksum(run, i);
		if (sum == NULL)
			return -EIO;
		long row = find_applied(run, migration_names[i]);
		if (row >= 0 && strcmp(run->applied.cells[(size_t)row * run->applied.columns + 1], sum) != 0)
			return refuse(run, arena_printf(run->arena, "%s was changed after it had been applied to this database",
							migration_names[i]));
		if (row >= 0)
			continue;
		int status = apply(run, i, sum);
		if (status < 0)
			return status;
		n++;
	}
	fprintf(run->out, "the database is current: %zu migrations, %zu applied now\n", migration_n, n);
	return 0;
}

int migrate_run(struct db_session *session, struct arena *arena, FILE *out, const char **ret_error)
{
	struct run run = { .session = session, .arena = arena, .out = out, .ret_error = ret_error };
	bool fresh = false;
	int status = check_database(&run);
	if (status == 0)
		status = take_lock(&run);
	if (status == 0)
		status = load_applied(&run, &fresh);
	if (status == 0 && fresh)
		status = create_table(&run);
	return status < 0 ? status : apply_pending(&run);
}

int migrate_status(struct db_session *session, struct arena *arena, FILE *out, size_t *ret_pending, const char **ret_error)
{
	struct run run = { .session = session, .arena = arena, .ret_error = ret_error };
	bool fresh;
	int status = load_applied(&run, &fresh);
	if (status < 0)
		return status;
	size_t pending = 0, known = 0;
	for (size_t i = 0; i < migration_n; i++) {
		long row = find_applied(&run, migration_names[i]);
		pending += row < 0;
		known += row >= 0;
		if (out != NULL && row < 0)
			fprintf(out, "%-32s pending\n", migration_names[i]);
		else if (out != NULL)
			fprintf(out, "%-32s applied %s\n", migration_names[i], run.applied.cells[(size_t)row * run.applied.columns + 2]);
	}
	if (out != NULL && run.applied.rows > known)
		fprintf(out, "%zu more were applied by another release\n", run.applied.rows - known);
	*ret_pending = pending;
	return 0;
}
