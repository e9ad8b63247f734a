/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How a segment ends: one table from SQLSTATE to outcome, and the decoder of the uniform row. */
#include <stdlib.h>

#include "internal.h"

void db_result_release(void *owner)
{
	PQclear(owner);
}

static void finish(struct db_pool *pool, struct db_job *job, struct db_result *result)
{
	pool->stats.errors += result->outcome >= DB_ERROR ? 1 : 0;
	pool->stats.unknown += result->outcome == DB_UNKNOWN ? 1 : 0;
	if (job->row != result->owner)
		PQclear(job->row);
	if (job->error != result->owner)
		PQclear(job->error);
	job->row = NULL;
	job->error = NULL;
	job->done(job, result);
}

void job_fail(struct db_pool *pool, struct db_job *job, enum db_outcome outcome)
{
	finish(pool, job, &(struct db_result){ .outcome = outcome });
}

/* Each look at a cell costs, and a row has dozens. */
static struct slice cell(const PGresult *result, int row, int column)
{
	size_t len = (size_t)PQgetlength(result, row, column);
	if (len > 0)
		return (struct slice){ PQgetvalue(result, row, column), len };
	return (struct slice){ PQgetisnull(result, row, column) ? NULL : "", 0 };
}

size_t result_row(const PGresult *result, int row, struct slice *cells)
{
	int n = PQnfields(result);
	if (n > DB_COLUMNS_MAX)
		n = DB_COLUMNS_MAX;
	for (int i = 0; i < n; i++)
		cells[i] = cell(result, row, i);
	return (size_t)n;
}

struct db_extent db_result_extent(const void *owner)
{
	size_t columns = (size_t)PQnfields(owner);
	return (struct db_extent){ (size_t)PQntuples(owner), columns < DB_COLUMNS_MAX ? columns : DB_COLUMNS_MAX,
				   PQresultMemorySize(owner) };
}

void db_result_row(const void *owner, size_t row, struct slice *cells)
{
	result_row(owner, (int)row, cells);
}

static const char *text_cell(const PGresult *row, int column)
{
	return PQgetisnull(row, 0, column) ? NULL : PQgetvalue(row, 0, column);
}

static void decode(const struct db_job *job, struct db_result *result)
{
	PGresult *row = job->row;
	if (job->acts && !job->actor) {
		result->outcome = DB_NO_ACTOR;
		return;
	}
	if (row == NULL || (PQntuples(row) == 0 && !job->records)) {
		result->outcome = DB_NO_ROW;
		return;
	}
	if (job->records) {
		result->outcome = DB_ROW;
		result->owner = row;
		return;
	}
	if (PQnfields(row) != 4) {
		result->outcome = DB_ERROR; /* not the uniform row: a mistake of ours, which must not be read past its end */
		memcpy(result->sqlstate, "XX000", 6);
		return;
	}
	result->outcome = DB_ROW;
	result->owner = row;
	result->status = (int)strtol(PQgetvalue(row, 0, 0), NULL, 10);
	result->body = (struct slice){ PQgetvalue(row, 0, 1), (size_t)PQgetlength(row, 0, 1) };
	result->etag = text_cell(row, 2);
	result->link = text_cell(row, 3);
}

enum verdict { VERDICT_ERROR, VERDICT_RETRY, VERDICT_TIMEOUT, VERDICT_BUSY, VERDICT_UNAVAILABLE, VERDICT_PLAN, VERDICT_READ_ONLY };

static enum verdict verdict(const char *sqlstate)
{
	static const struct {
		const char *prefix;
		enum verdict verdict;
	} rows[] = {
		{ "40001", VERDICT_RETRY },     { "40P01", VERDICT_RETRY },    { "26000", VERDICT_PLAN },
		{ "0A000", VERDICT_PLAN },      { "57014", VERDICT_TIMEOUT },  { "55P03", VERDICT_BUSY },
		{ "57P", VERDICT_UNAVAILABLE }, { "08", VERDICT_UNAVAILABLE }, { "53", VERDICT_UNAVAILABLE },
		{ "25006", VERDICT_READ_ONLY }, { "58", VERDICT_UNAVAILABLE },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (strncmp(sqlstate, rows[i].prefix, strlen(rows[i].prefix)) == 0)
			return rows[i].verdict;
	}
	return VERDICT_ERROR;
}

static void forget_statements(struct connection *connection, const struct db_job *job)
{
	for (size_t i = 0; i < job->n_steps; i++)
		statements_remove(&connection->statements, job->steps[i].text);
}

static bool try_again(struct db_pool *pool, struct db_job *job, bool rest)
{
	if (job->tries >= TRIES_MAX)
		return false;
	job->tries++;
	pool->stats.retries++;
	PQclear(job->row);
	PQclear(job->error);
	job->row = NULL;
	job->error = NULL;
	job->actor = false;
	job->stranger = false;
	job->astray = false;
	job->early = false;
	pool->n_queued++;
	if (rest)
		job_rest(pool, job);
	else
		queue_push_front(&pool->queues[job->lane], job);
	return true;
}

static void settle_error(struct db_pool *pool, struct connection *connection, struct db_job *job)
{
	struct db_result result = { .outcome = DB_ERROR, .owner = job->error, .early = job->early };
	const char *sqlstate = PQresultErrorField(job->error, PG_DIAG_SQLSTATE); /* without one the connection is lost instead */
	memcpy(result.sqlstate, sqlstate, 5);
	result.constraint = PQresultErrorField(job->error, PG_DIAG_CONSTRAINT_NAME);
	if (strncmp(sqlstate, "WM", 2) == 0)
		result.detail_code = PQresultErrorField(job->error, PG_DIAG_MESSAGE_PRIMARY);
	switch (verdict(sqlstate)) {
	case VERDICT_PLAN:
		forget_statements(connection, job);
		if (try_again(pool, job, false))
			return;
		break;
	case VERDICT_RETRY:
		if (try_again(pool, job, true))
			return;
		result.outcome = DB_BUSY;
		break;
	case VERDICT_TIMEOUT:
		result.outcome = DB_TIMEOUT;
		break;
	case VERDICT_BUSY:
		result.outcome = DB_BUSY;
		break;
	case VERDICT_READ_ONLY:
		/* A standby, or about to be one. (A read that tries to write is our mistake and says nothing of the server.) */
		if (job->write)
			pool_retire(pool);
		result.outcome = job->write ? DB_UNAVAILABLE : DB_ERROR;
		break;
	case VERDICT_UNAVAILABLE:
		result.outcome = DB_UNAVAILABLE;
		break;
	case VERDICT_ERROR:
		/* Fresh connections find out more: whether the server may be asked who it is, say. */
		if (job->early)
			pool_retire(pool);
		if (job->early && try_again(pool, job, true))
			return;
		break;
	}
	finish(pool, job, &result);
	/* finish keeps what it was given as owner; the receiver releases it */
}

/* What it says is of no worth. It may go to the right server next time; but a write that met no error may have been done, where nobody will ever see it. */
static void settle_astray(struct db_pool *pool, struct db_job *job)
{
	bool undone = job->error != NULL;
	pool_retire(pool);
	if ((!job->write || undone) && try_again(pool, job, true))
		return;
	job_fail(pool, job, job->write && !undone ? DB_UNKNOWN : DB_UNAVAILABLE);
}

void job_settle(struct db_pool *pool, struct connection *connection, struct db_job *job)
{
	if (job->astray) {
		settle_astray(pool, job);
		return;
	}
	/* A statement that ran for nobody may fail in its own way: the answer is about the account. */
	if (job->stranger) {
		job_fail(pool, job, DB_NO_ACTOR);
		return;
	}
	if (job->error != NULL) {
		settle_error(pool, connection, job);
		return;
	}
	/* A primary of the past may say that it committed: nobody will ever see it. */
	if (job->write && fence_is_past(pool->settings.fence, connection->timeline)) {
		job_fail(pool, job, DB_UNKNOWN);
		return;
	}
	struct db_result result = { .outcome = DB_ROW };
	if (job->take_row == NULL)
		decode(job, &result);
	result.timeline = connection->timeline;
	finish(pool, job, &result);
}

void job_lost(struct db_pool *pool, struct db_job *job)
{
	/* An error that came before the Sync means that nothing was committed, where it is PostgreSQL's own. What a pooler says when it loses its server has no severity
	 * for programs, and the answers of what was committed may be lost behind it. */
	bool undone = job->error != NULL && PQresultErrorField(job->error, PG_DIAG_SEVERITY_NONLOCALIZED) != NULL;
	if (!job->write && job->tries == 0 && try_again(pool, job, false))
		return;
	job_fail(pool, job, job->write && !undone ? DB_UNKNOWN : DB_UNAVAILABLE);
}
