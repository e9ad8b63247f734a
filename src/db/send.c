/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How a segment is sent: its statements prepared, or unnamed where a pooler is in between; in an implicit transaction, which its Sync ends, or in BEGIN and
 * COMMIT. */
#include <errno.h>
#include <stdio.h>

#include "internal.h"

void connection_expect(struct connection *connection, struct db_job *job, enum expected_kind kind, size_t step)
{
	size_t at = (connection->fifo_head + connection->fifo_n) % connection->fifo_size;
	connection->fifo[at] = (struct expected){ .job = job, .kind = (unsigned char)kind, .step = (unsigned char)step };
	connection->fifo_n++;
}

/* libpq may have kept a part of what it was given: whoever gets ENOMEM instead (connection_send) can go on as if nothing had been. */
static bool not_sent(void)
{
	errno = EPIPE;
	return false;
}

/* Parses go first in a segment: nothing before them can have aborted it. NULL: it could not be sent. */
static const struct prepared *send_prepare(struct connection *connection, struct db_job *job, size_t step)
{
	const char *text = job->steps[step].text;
	uint64_t hash = job->steps[step].hash;
	struct prepared *row = statements_find(&connection->statements, text, hash);
	if (row != NULL)
		return row;
	unsigned victim = 0;
	row = statements_add(&connection->statements, text, hash, &victim);
	if (row == NULL)
		return NULL;
	if (victim != 0) {
		char command[40];
		snprintf(command, sizeof command, "DEALLOCATE w%u", victim);
		if (PQsendQueryParams(connection->pg, command, 0, NULL, NULL, NULL, NULL, 0) != 1) {
			not_sent();
			return NULL;
		}
		connection_expect(connection, job, EXPECT_DEALLOCATE, step);
	}
	if (PQsendPrepare(connection->pg, row->name, text, 0, NULL) != 1) {
		not_sent();
		return NULL;
	}
	connection_expect(connection, job, EXPECT_PREPARE, step);
	connection->pool->stats.prepares++;
	return row;
}

/* `row`: how it is prepared; NULL: it is not. */
static bool send_step(struct connection *connection, struct db_job *job, size_t at, const struct prepared *row)
{
	const struct db_step *step = &job->steps[at];
	int n = (int)step->n_parameters;
	int sent = row == NULL ? PQsendQueryParams(connection->pg, step->text, n, NULL, step->parameters, NULL, NULL, 0)
			       : PQsendQueryPrepared(connection->pg, row->name, n, step->parameters, NULL, NULL, 0);
	if (sent != 1)
		return not_sent();
	connection_expect(connection, job, EXPECT_STEP, at);
	return true;
}

/* `parameter`: NULL: it has none. */
static bool send_plain(struct connection *connection, struct db_job *job, const char *text, const char *parameter, enum expected_kind kind)
{
	if (PQsendQueryParams(connection->pg, text, parameter == NULL ? 0 : 1, NULL, &parameter, NULL, NULL, 0) != 1)
		return not_sent();
	connection_expect(connection, job, kind, 0);
	return true;
}

static bool send_sync(PGconn *pg)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
	return PQsendPipelineSync(pg) == 1;
#else
	return PQpipelineSync(pg) == 1;
#endif
}

/* What comes before the steps. Statements are prepared before BEGIN: nothing before them can have aborted what follows. The rows stay: a segment has fewer statements than are kept, and
 * those of this one are the last that were used. */
static bool send_opening(struct connection *connection, struct db_job *job, const struct prepared **rows)
{
	const struct db_pool *pool = connection->pool;
	bool bracketed = pool->settings.bracketed, pooled = pool->settings.pooled, sent = true;
	for (size_t i = 0; sent && !pooled && i < job->n_steps; i++) {
		rows[i] = send_prepare(connection, job, i);
		sent = rows[i] != NULL;
	}
	if (bracketed)
		sent = sent && send_plain(connection, job, "BEGIN", NULL, EXPECT_BRACKET);
	if (pooled) {
		bool silent = atomic_load(&pool->settings.fence->silent);
		char *const *texts = silent ? pool->transaction_unasked : pool->transaction;
		char seen[12];
		fence_name(pool->settings.fence, seen, sizeof seen);
		sent = sent && send_plain(connection, job, texts[connection->lane], silent ? NULL : seen, EXPECT_LOCAL);
	}
	return sent;
}

static bool send_closing(struct connection *connection, struct db_job *job)
{
	if (connection->pool->settings.bracketed && !send_plain(connection, job, "COMMIT", NULL, EXPECT_COMMIT))
		return false;
	return send_sync(connection->pg);
}

static void count_sent(struct connection *connection, struct db_job *job, int64_t now_us)
{
	connection_expect(connection, job, EXPECT_SYNC, 0);
	if (connection->in_flight == 0)
		connection->heard_us = now_us;
	connection->in_flight++;
	connection->dirty = true;
}

int connection_send(struct connection *connection, struct db_job *job, int64_t now_us)
{
	size_t expected = connection->fifo_n;
	const struct prepared *rows[DB_STEPS_MAX] = { 0 };
	errno = 0;
	bool sent = send_opening(connection, job, rows);
	for (size_t i = 0; sent && i < job->n_steps; i++)
		sent = send_step(connection, job, i, rows[i]);
	if (!sent && errno == ENOMEM && connection->fifo_n == expected && PQstatus(connection->pg) == CONNECTION_OK)
		return -ENOMEM; /* the name of its first statement could not be kept: the others on this connection need not suffer */
	/* Nothing else is under way: the first result to come may be the rows of a stream. */
	bool first = connection->in_flight == 0;
	if (!sent || !send_closing(connection, job) || (first && !stream_begin(connection))) {
		/* The half-sent segment has no Sync: the server rolls it back with the connection. */
		connection_lose(connection, now_us);
		return -EPIPE;
	}
	count_sent(connection, job, now_us);
	job->sent_us = now_us;
	job->connection = connection;
	if (job->lane == LANE_READ || job->lane == LANE_WRITE)
		connection->pool->served_us = now_us;
	return 0;
}

void connection_tidy(struct connection *connection, int64_t now_us)
{
	if (send_plain(connection, NULL, "ROLLBACK", NULL, EXPECT_BRACKET) && send_sync(connection->pg))
		count_sent(connection, NULL, now_us);
	else
		connection_lose(connection, now_us);
}

void connection_judge(struct connection *connection, struct db_job *job, const PGresult *result)
{
	if (PQnfields(result) == 0 || PQgetisnull(result, 0, 0))
		return; /* it was not asked */
	enum standing standing = fence_judge(connection->pool->settings.fence, result, &connection->timeline);
	bool takes_reads = standing == STANDING_GOOD || standing == STANDING_READ_ONLY;
	bool usable = connection->lane == LANE_WRITE ? standing == STANDING_GOOD : takes_reads;
	connection->retired = connection->retired || !usable;
	job->astray = standing == STANDING_STANDBY || standing == STANDING_PAST;
}
