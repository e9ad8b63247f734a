/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Lanes, queues and dealing: a job waits in the queue of its lane until a connection of that lane has room; at the end of each tick the queue
 * is dealt in order to the connection with the fewest in flight. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "internal.h"
#include "wardmote/clock.h"

/* After a start the first connection of each lane, of all workers, has the processor to itself for so long: with these the server is ready. */
enum { FURTHER_MS = 100 };

void queue_push(struct job_queue *queue, struct db_job *job)
{
	job->next = NULL;
	if (queue->last == NULL)
		queue->first = job;
	else
		queue->last->next = job;
	queue->last = job;
	queue->n++;
}

void queue_push_front(struct job_queue *queue, struct db_job *job)
{
	job->next = queue->first;
	queue->first = job;
	if (queue->last == NULL)
		queue->last = job;
	queue->n++;
}

struct db_job *queue_pop(struct job_queue *queue)
{
	struct db_job *job = queue->first;
	if (job == NULL)
		return NULL;
	queue->first = job->next;
	if (queue->first == NULL)
		queue->last = NULL;
	queue->n--;
	job->next = NULL;
	return job;
}

static int pool_connections(struct db_pool *pool)
{
	for (int lane = 0; lane < LANES; lane++)
		pool->n_connections += (size_t)pool->settings.connections[lane];
	pool->connections = calloc(pool->n_connections, sizeof *pool->connections);
	if (pool->connections == NULL)
		return -ENOMEM;
	struct connection *connection = pool->connections;
	int64_t further_us = clock_monotonic_us() + FURTHER_MS * 1000;
	for (int lane = 0; lane < LANES; lane++) {
		size_t results = (size_t)pool->settings.depth[lane] * EXPECTED_MAX + 2; /* and what tidies up */
		for (long i = 0; i < pool->settings.connections[lane]; i++, connection++) {
			*connection = (struct connection){ .pool = pool,
							   .lane = (enum lane)lane,
							   .fd = -1,
							   .fifo_size = results,
							   .retry_at_us = i == 0 ? 0 : further_us };
			connection->fifo = calloc(results, sizeof *connection->fifo);
			if (connection->fifo == NULL)
				return -ENOMEM;
		}
	}
	return 0;
}

static int pool_texts(struct db_pool *pool)
{
	bool whole = true;
	for (enum lane lane = 0; lane < LANES; lane++) {
		pool->session[lane] = settings_of_session(&pool->settings, lane);
		whole = whole && pool->session[lane] != NULL;
		if (!pool->settings.pooled)
			continue;
		pool->transaction[lane] = settings_of_transaction(&pool->settings, lane, fence_short_question, fence_short_source);
		pool->transaction_unasked[lane] = settings_of_transaction(&pool->settings, lane, fence_no_question, "");
		whole = whole && pool->transaction[lane] != NULL && pool->transaction_unasked[lane] != NULL;
	}
	return whole ? 0 : -ENOMEM;
}

int db_pool_new(const struct db_settings *settings, struct db_pool **ret_pool)
{
	struct db_pool *pool = calloc(1, sizeof *pool);
	if (pool == NULL)
		return -ENOMEM;
	int error = 0;
	pool->settings = *settings;
	pool->uri = strdup(settings->uri);
	pool->settings.uri = pool->uri;
	pool->n_hosts = db_hosts(settings->uri);
	pool->random = (uint64_t)clock_wall_us() ^ (uint64_t)(uintptr_t)pool;
	pool->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (pool->epoll < 0)
		error = -errno;
	else if (pool->uri == NULL)
		error = -ENOMEM;
	else
		error = pool_texts(pool);
	if (error == 0)
		error = pool_connections(pool);
	if (error < 0) {
		db_pool_free(pool);
		return error;
	}
	*ret_pool = pool;
	return 0;
}

void db_pool_free(struct db_pool *pool)
{
	if (pool == NULL)
		return;
	for (size_t i = 0; pool->connections != NULL && i < pool->n_connections; i++) {
		struct connection *connection = &pool->connections[i];
		if (connection->pool != NULL)
			connection_lose(connection, clock_monotonic_us());
		free(connection->fifo);
	}
	db_pool_abandon(pool);
	free(pool->connections);
	free(pool->uri);
	for (int lane = 0; lane < LANES; lane++) {
		free(pool->session[lane]);
		free(pool->transaction[lane]);
		free(pool->transaction_unasked[lane]);
	}
	if (pool->epoll >= 0)
		close(pool->epoll);
	free(pool);
}

int db_pool_fd(const struct db_pool *pool)
{
	return pool->epoll;
}

/* How quickly a queue gets shorter: the mean time between two that leave it while there are others, of about the last 64. */
static void count_pace(struct db_pool *pool, enum lane lane, int64_t now_us)
{
	struct pace *pace = &pool->paces[lane];
	pace->mean_us += ((double)(now_us - pace->left_us) - pace->mean_us) / 64;
	pace->left_us = now_us;
}

/* Of its own lane: what waits long in one of them must not keep the others from taking any. A queue that stands is served more slowly than it grows, or not at all, and
 * whoever gives up meanwhile is served for nothing. It stands when it has not been empty for so long (a burst is none), and either none has left it for as long, or there
 * are more than are under way and the pace promises the next one a third of that. (That the first has waited for long is seen too late: by then as many have
 * come again, and then it is empty before more are taken.) */
static bool takes_more(const struct db_pool *pool, enum lane lane, int64_t now_us)
{
	const struct job_queue *queue = &pool->queues[lane];
	const struct pace *pace = &pool->paces[lane];
	int64_t most_us = (int64_t)pool->settings.queue_wait_ms[lane] * 1000;
	size_t under_way = (size_t)pool->settings.connections[lane] * (size_t)pool->settings.depth[lane];
	bool stands = most_us > 0 && queue->n > 0 && now_us - pace->since_us > most_us;
	bool stuck = now_us - pace->left_us > most_us;
	bool slow = queue->n > under_way && (double)queue->n * pace->mean_us > (double)most_us / 3;
	return !(stands && (stuck || slow)) && queue->n < (size_t)pool->settings.queue_limit;
}

/* --- guests --- */

static size_t guests_waiting(const struct job_queue *queue)
{
	size_t n = 0;
	for (const struct db_job *job = queue->first; job != NULL; job = job->next)
		n += job->guest ? 1 : 0;
	return n;
}

static bool has_guest(const struct connection *connection)
{
	bool has = false;
	for (size_t i = 0; !has && i < connection->fifo_n; i++) {
		const struct db_job *job = connection->fifo[(connection->fifo_head + i) % connection->fifo_size].job;
		has = job != NULL && job->guest;
	}
	return has;
}

/* Connections that guests have, where they may have no more. */
static bool guests_are_many(const struct db_pool *pool, enum lane lane)
{
	size_t most = (size_t)pool->settings.connections[lane], n = 0;
	for (size_t i = 0; i < pool->n_connections; i++)
		n += pool->connections[i].lane == lane && has_guest(&pool->connections[i]) ? 1 : 0;
	return lane == LANE_HEAVY && most > 1 && n >= most - 1;
}

/* Puts the first job that is no guest's at the head of its queue. */
static bool prefer_others(struct job_queue *queue)
{
	struct db_job *before = NULL, *job = queue->first;
	for (; job != NULL && job->guest; job = job->next)
		before = job;
	if (job == NULL || before == NULL)
		return job != NULL;
	before->next = job->next;
	if (queue->last == job)
		queue->last = before;
	queue->n--;
	queue_push_front(queue, job);
	return true;
}

int db_enqueue(struct db_pool *pool, struct db_job *job)
{
	int64_t now_us = clock_monotonic_us();
	if (job->guest && job->lane == LANE_HEAVY && pool->settings.connections[LANE_HEAVY] > 1 &&
	    guests_waiting(&pool->queues[LANE_HEAVY]) * 2 >= (size_t)pool->settings.queue_limit)
		return -EAGAIN;
	if (pool->away[job->lane])
		return -ECONNREFUSED;
	if (!takes_more(pool, job->lane, now_us))
		return -EAGAIN;
	job->row = NULL;
	job->error = NULL;
	job->actor = false;
	job->stranger = false;
	job->astray = false;
	job->early = false;
	job->tries = 0;
	job->enqueued_us = now_us;
	if (pool->queues[job->lane].n == 0)
		pool->paces[job->lane].since_us = pool->paces[job->lane].left_us = now_us;
	queue_push(&pool->queues[job->lane], job);
	pool->n_queued++;
	pool->stats.jobs++;
	return 0;
}

static struct connection *least_loaded(struct db_pool *pool, enum lane lane)
{
	struct connection *best = NULL;
	for (size_t i = 0; i < pool->n_connections; i++) {
		struct connection *connection = &pool->connections[i];
		if (connection->lane != lane || connection->state != CONNECTION_READY || connection->retired)
			continue;
		if (connection->in_flight >= (size_t)pool->settings.depth[lane])
			continue;
		if (best == NULL || connection->in_flight < best->in_flight)
			best = connection;
	}
	return best;
}

void job_rest(struct db_pool *pool, struct db_job *job)
{
	pool->random = pool->random * 6364136223846793005u + 1442695040888963407u;
	int64_t most_us = (int64_t)REST_US << (2 * job->tries);
	job->sent_us = clock_monotonic_us() + (int64_t)((pool->random >> 33) % (uint64_t)most_us);
	queue_push(&pool->resting, job);
}

/* Those whose moment has passed go to the head of their lane; there are few. */
static void wake_resting(struct db_pool *pool, int64_t now_us)
{
	for (size_t n = pool->resting.n; n > 0; n--) {
		struct db_job *job = queue_pop(&pool->resting);
		if (job->sent_us <= now_us)
			queue_push_front(&pool->queues[job->lane], job);
		else
			queue_push(&pool->resting, job);
	}
}

const int64_t db_wait_bounds_us[DB_WAITS - 1] = { 100, 250, 500, 1000, 2500, 5000, 10000, 50000, 100000, 500000, 1000000 };

/* What is tried again has waited for something else. */
static void count_wait(struct db_pool *pool, const struct db_job *job, int64_t now_us)
{
	if (job->tries > 0)
		return;
	int64_t waited_us = now_us > job->enqueued_us ? now_us - job->enqueued_us : 0; /* it may have come in this very tick */
	size_t bucket = 0;
	while (bucket < DB_WAITS - 1 && waited_us > db_wait_bounds_us[bucket])
		bucket++;
	pool->stats.waits[job->lane][bucket]++;
	pool->stats.waited_us[job->lane] += (uint64_t)waited_us;
}

static void deal_lane(struct db_pool *pool, enum lane lane, int64_t now_us)
{
	struct job_queue *queue = &pool->queues[lane];
	while (queue->n > 0) {
		if (queue->first->deadline_us <= now_us || pool->away[lane]) {
			pool->n_queued--;
			pool->paces[lane] = (struct pace){ .since_us = now_us, .left_us = now_us }; /* this is no pace */
			job_fail(pool, queue_pop(queue), DB_UNAVAILABLE);
			continue;
		}
		struct connection *connection = least_loaded(pool, lane);
		if (connection == NULL || (queue->first->guest && guests_are_many(pool, lane) && !prefer_others(queue)))
			return;
		struct db_job *job = queue_pop(queue);
		int error = connection_send(connection, job, now_us);
		if (error == -EPIPE && job->write && pool->settings.bracketed) { /* its COMMIT may have gone out with what was sent */
			pool->n_queued--;
			job_fail(pool, job, DB_UNKNOWN);
			continue;
		}
		if (error == -EPIPE && job->tries == 0) {
			job->tries++;
			queue_push_front(queue, job); /* once more, on another connection: not on all of them, one after the other */
			continue;
		}
		pool->n_queued--;
		if (error < 0)
			job_fail(pool, job, DB_UNAVAILABLE);
		else
			count_wait(pool, job, now_us);
		count_pace(pool, lane, now_us);
	}
}

static bool lane_connecting(const struct db_pool *pool, enum lane lane)
{
	for (size_t i = 0; i < pool->n_connections; i++) {
		const struct connection *connection = &pool->connections[i];
		if (connection->lane == lane && connection->state != CONNECTION_DOWN && connection->state != CONNECTION_READY)
			return true;
	}
	return false;
}

/* The one to connect next: of a lane that has none, where there is such a one. One at a time, since by how an attempt ends the next one knows with which host
 * to begin; but the first of each lane together as long as none has failed. NULL: none. */
static struct connection *next_down(struct db_pool *pool, int64_t now_us)
{
	struct connection *next = NULL;
	bool together = pool->first_host == 0;
	if (pool->n_connecting > 0 && !together)
		return NULL;
	for (size_t i = 0; i < pool->n_connections; i++) {
		struct connection *connection = &pool->connections[i];
		if (connection->state != CONNECTION_DOWN || now_us < connection->retry_at_us)
			continue;
		if (pool->stats.connected[connection->lane] == 0 && !lane_connecting(pool, connection->lane))
			return connection;
		next = next == NULL ? connection : next;
	}
	return pool->n_connecting == 0 ? next : NULL;
}

/* Connects what is down, one attempt at a time, and drops what hangs. */
static void tend(struct db_pool *pool, int64_t now_us)
{
	for (size_t i = 0; i < pool->n_connections; i++) {
		struct connection *connection = &pool->connections[i];
		bool connecting = connection->state != CONNECTION_DOWN && connection->state != CONNECTION_READY;
		if (connecting && now_us >= connection->attempt_until_us)
			connection_lose(connection, now_us);
		if (connection->state != CONNECTION_READY)
			continue;
		connection->retired = connection->retired || fence_is_past(pool->settings.fence, connection->timeline);
		if (connection->in_flight == 0) {
			if (connection->retired)
				connection_lose(connection, now_us);
			continue;
		}
		/* The server ends each statement in time: when even that does not come, nobody is there. */
		if (now_us - connection->heard_us > (pool->settings.statement_timeout_ms[connection->lane] + STALL_GRACE_MS) * 1000)
			connection_lose(connection, now_us);
	}
	struct connection *next;
	for (int started = 0; started < LANES && (next = next_down(pool, now_us)) != NULL; started++)
		connection_start(next, now_us);
}

void db_pool_run(struct db_pool *pool)
{
	struct epoll_event events[64];
	int n = epoll_wait(pool->epoll, events, 64, 0);
	int64_t now_us = clock_monotonic_us();
	for (int i = 0; i < n; i++)
		connection_event(events[i].data.ptr, now_us);
	stream_resume(pool, now_us);
	tend(pool, now_us);
	wake_resting(pool, now_us);
	for (int lane = 0; lane < LANES; lane++)
		deal_lane(pool, (enum lane)lane, now_us);
	for (size_t i = 0; i < pool->n_connections; i++) {
		if (pool->connections[i].dirty)
			connection_flush(&pool->connections[i], now_us);
	}
}

int db_pool_timeout(const struct db_pool *pool)
{
	int64_t now_us = clock_monotonic_us(), next_us = now_us + 1000000, stream_us = stream_due(pool, now_us);
	for (size_t i = 0; i < pool->n_connections; i++) {
		const struct connection *connection = &pool->connections[i];
		if (connection->state == CONNECTION_DOWN && pool->n_connecting == 0 && connection->retry_at_us < next_us)
			next_us = connection->retry_at_us;
	}
	if (pool->n_queued > 0 && next_us > now_us + 100000)
		next_us = now_us + 100000;
	if (stream_us < next_us)
		next_us = stream_us;
	for (const struct db_job *job = pool->resting.first; job != NULL; job = job->next)
		next_us = job->sent_us < next_us ? job->sent_us : next_us;
	return next_us <= now_us ? 0 : (int)((next_us - now_us + 999) / 1000);
}

bool db_pool_ready(const struct db_pool *pool)
{
	for (int lane = 0; lane < LANES; lane++) {
		bool excused = (lane == LANE_WRITE && pool->no_writes) || (lane == LANE_STREAM && pool->given_up && !pool->away[lane]);
		if (pool->stats.connected[lane] == 0 && !excused)
			return false;
	}
	return true;
}

void pool_retire(struct db_pool *pool)
{
	for (size_t i = 0; i < pool->n_connections; i++)
		pool->connections[i].retired = pool->connections[i].state == CONNECTION_READY;
}

void db_pool_stats(const struct db_pool *pool, struct db_stats *ret_stats)
{
	*ret_stats = pool->stats;
	for (int lane = 0; lane < LANES; lane++) {
		ret_stats->queued[lane] = pool->queues[lane].n;
		ret_stats->in_flight[lane] = 0;
	}
	for (size_t i = 0; i < pool->n_connections; i++)
		ret_stats->in_flight[pool->connections[i].lane] += pool->connections[i].in_flight;
}

void db_pool_abandon(struct db_pool *pool)
{
	/* First what is in flight: reads among it go back into the queue. */
	int64_t now_us = clock_monotonic_us();
	for (size_t i = 0; pool->connections != NULL && i < pool->n_connections; i++) {
		if (pool->connections[i].in_flight > 0)
			connection_lose(&pool->connections[i], now_us);
	}
	wake_resting(pool, INT64_MAX);
	for (int lane = 0; lane < LANES; lane++) {
		while (pool->queues[lane].n > 0) {
			pool->n_queued--;
			job_fail(pool, queue_pop(&pool->queues[lane]), DB_UNAVAILABLE);
		}
	}
}
