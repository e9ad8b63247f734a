/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The lane of exports: a segment like the others, but for the rows of its answer, which are handed on one by one while the statement runs. Who takes them
 * may ask for a pause: then the socket is not read, its buffers fill, and the backend waits in its write. So neither side holds more than a few of them,
 * however many there are and however slowly they are taken. */
#include "internal.h"

#include "wardmote/clock.h"

bool stream_begin(struct connection *connection)
{
	const struct expected *head = &connection->fifo[connection->fifo_head];
	bool rows = connection->fifo_n > 0 && head->kind == EXPECT_STEP && head->job->take_row != NULL && head->step == head->job->answer;
	return !rows || PQsetSingleRowMode(connection->pg) == 1;
}

void stream_row(struct connection *connection, struct db_job *job, PGresult *result)
{
	struct slice cells[DB_COLUMNS_MAX];
	size_t n = result_row(result, 0, cells);
	job->tries = TRIES_MAX; /* what was handed on cannot be taken back: no other try */
	connection->paused = !job->take_row(job, cells, n);
	PQclear(result);
}

/* A stream takes all that its thread and its backend can get, and whoever asks for a page meanwhile waits for both. So a block after which somebody else was served is
 * followed by the next one only after a while: at worst that leaves 32 MB/s for each thread. */
enum { APART_US = 2000 };

static bool others_were_served(const struct db_pool *pool)
{
	return pool->served_us >= pool->block_us;
}

int64_t stream_due(const struct db_pool *pool, int64_t now_us)
{
	bool waiting = false;
	for (size_t i = 0; i < pool->n_connections; i++)
		waiting = waiting || pool->connections[i].resumed;
	if (!waiting)
		return INT64_MAX;
	return others_were_served(pool) ? pool->block_us + APART_US : now_us;
}

void stream_resume(struct db_pool *pool, int64_t now_us)
{
	bool others = others_were_served(pool);
	if (others && now_us < pool->block_us + APART_US)
		return;
	size_t first = pool->stream_turn;
	for (size_t i = 0; i < pool->n_connections; i++) {
		size_t at = (first + i) % pool->n_connections;
		struct connection *connection = &pool->connections[at];
		if (!connection->resumed)
			continue;
		connection->resumed = false;
		connection_read(connection, now_us);
		if (connection->state == CONNECTION_READY)
			connection_flush(connection, now_us);
		pool->block_us = now_us;
		pool->stream_turn = at + 1;
		if (others)
			return;
	}
}

void db_stream_go(struct db_pool *pool, struct db_job *job)
{
	(void)pool;
	struct connection *connection = job->connection;
	if (connection == NULL || !connection->paused)
		return;
	connection->paused = false;
	connection->resumed = true;
}

static void queue_remove(struct job_queue *queue, const struct db_job *job)
{
	for (size_t n = queue->n; n > 0; n--) {
		struct db_job *head = queue_pop(queue);
		if (head != job)
			queue_push(queue, head);
	}
}

/* libpq can only wait for a cancellation to be taken. A closed socket is noticed by the backend at its next write, or when it looks. */
void db_stream_drop(struct db_pool *pool, struct db_job *job)
{
	if (job->connection != NULL) {
		connection_discard(job->connection, clock_monotonic_us());
		job->connection = NULL;
	} else {
		size_t before = pool->queues[job->lane].n + pool->resting.n;
		queue_remove(&pool->queues[job->lane], job);
		queue_remove(&pool->resting, job);
		pool->n_queued -= before - pool->queues[job->lane].n - pool->resting.n;
	}
	PQclear(job->row);
	PQclear(job->error);
	job->row = NULL;
	job->error = NULL;
}
