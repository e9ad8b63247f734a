/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A worker's loop: sockets of clients, then sockets of the database, then, when answers became ready, clients again. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "request.h"
#include "wardmote/clock.h"
#include "wardmote/log.h"
#include "wardmote/memory.h"

enum { TOKEN_CACHE_ENTRIES = 4096, TEXT_CACHE_BYTES = 2 << 20, WRITE_DEPTH = 2, HEAVY_DEPTH = 1 };

static void take_keys(struct worker *worker)
{
	unsigned generation = atomic_load(&worker->server->keys_generation);
	if (worker->keys != NULL && generation == worker->keys_generation)
		return;
	auth_keys_unref(worker->keys);
	worker->keys = server_keys(worker->server);
	worker->keys_generation = generation;
}

static void finish_hashes(struct worker *worker)
{
	uint64_t count;
	if (read(worker->wake_fd, &count, sizeof count) < 0)
		return;
	struct auth_hash_job *job;
	while ((job = auth_hasher_take(worker->server->hasher, worker->wake_fd)) != NULL) {
		worker->hashes--;
		native_hash_done(job);
	}
}

static void publish(struct worker *worker)
{
	struct db_stats stats;
	db_pool_stats(worker->pool, &stats);
	pthread_mutex_lock(&worker->stats_lock);
	worker->db_stats = stats;
	auth_cache_stats(worker->tokens, &worker->token_hits, &worker->token_misses);
	pthread_mutex_unlock(&worker->stats_lock);
	atomic_store(&worker->ready, db_pool_ready(worker->pool));
}

/* One tick. */
static void tick(struct worker *worker)
{
	atomic_store_explicit(&worker->beat_us, clock_monotonic_us(), memory_order_relaxed);
	take_keys(worker);
	http_server_run(worker->http);
	finish_hashes(worker);
	spool_tick(worker);
	db_pool_run(worker->pool);
	if (worker->replied) {
		worker->replied = false;
		http_server_run(worker->http);
		db_pool_run(worker->pool);
	}
	log_flush(&worker->log);
	atomic_store_explicit(&worker->active, http_server_active(worker->http), memory_order_relaxed);
}

static int timeout_of(struct worker *worker)
{
	int http = http_server_timeout(worker->http), db = db_pool_timeout(worker->pool);
	int timeout = http < 0 || db < http ? db : http;
	if (worker->replied || timeout < 0)
		return worker->replied ? 0 : 1000;
	return timeout > 1000 ? 1000 : timeout;
}

/* After `stopping`: what is in flight is finished; at the deadline the rest is failed, so that no suspended exchange is left. */
static void drain(struct worker *worker)
{
	http_server_quiesce(worker->http);
	bool abandoned = false;
	/* Connections too, not only exchanges: the request of one just accepted may not have been read yet. */
	while (http_server_active(worker->http) > 0 || (http_server_connections(worker->http) > 0 && !abandoned)) {
		struct epoll_event event;
		epoll_wait(worker->epoll, &event, 1, worker->replied ? 0 : 20);
		tick(worker);
		int64_t late_us = clock_monotonic_us() - atomic_load(&worker->server->stop_deadline_us);
		if (late_us > 0 && !abandoned) {
			db_pool_abandon(worker->pool);
			abandoned = true;
		}
		if (late_us > 2000000 && worker->hashes == 0)
			break;
	}
}

static void *worker_main(void *context)
{
	struct worker *worker = context;
	pthread_setname_np(pthread_self(), "worker");
	int64_t published_us = 0;
	while (!atomic_load(&worker->server->stopping)) {
		struct epoll_event events[4];
		epoll_wait(worker->epoll, events, 4, timeout_of(worker));
		tick(worker);
		int64_t now_us = clock_monotonic_us();
		if (now_us - published_us > 200000 || !atomic_load(&worker->ready)) {
			publish(worker);
			published_us = now_us;
			if (http_server_active(worker->http) == 0)
				memory_rest();
		}
	}
	drain(worker);
	memory_rest();
	publish(worker);
	atomic_store(&worker->finished, true);
	return NULL;
}

static int watch(const struct worker *worker, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int open_pool(struct worker *worker)
{
	const struct config *config = worker->server->config;
	bool single = config->pooled || config->bracketed;
	struct db_settings settings = {
		.uri = config->database,
		.fence = &worker->server->fence,
		.connections = { [LANE_READ] = config->lane_read,
				 [LANE_WRITE] = config->lane_write,
				 [LANE_HEAVY] = config->lane_heavy,
				 [LANE_STREAM] = config->lane_stream },
		.depth = { [LANE_READ] = single ? 1 : config->pipeline_depth,
			   [LANE_WRITE] = single ? 1 : WRITE_DEPTH,
			   [LANE_HEAVY] = single ? 1 : HEAVY_DEPTH,
			   [LANE_STREAM] = 1 },
		.statement_timeout_ms = { [LANE_READ] = config->request_timeout_ms,
					  [LANE_WRITE] = config->request_timeout_ms,
					  [LANE_HEAVY] = config->heavy_timeout_ms,
					  [LANE_STREAM] = config->export_timeout_ms },
		.queue_limit = config->queue_limit,
		.queue_wait_ms = { [LANE_READ] = config->queue_wait_ms },
		.session = worker->server->database_settings,
		.pooled = config->pooled,
		.bracketed = config->bracketed,
	};
	return db_pool_new(&settings, &worker->pool);
}

static int open_http(struct worker *worker, int listen_fd)
{
	const struct config *config = worker->server->config;
	struct http_limits limits = {
		.connections = worker->server->connections_each,
		.header_timeout_ms = config->header_timeout_ms,
		.body_timeout_ms = config->body_timeout_ms,
		.transfer_timeout_ms = config->transfer_timeout_ms,
		.upload_timeout_ms = config->upload_timeout_ms,
		.idle_timeout_ms = 60000,
		.target_max = 8192,
		.headers_max = 8192,
	};
	struct http_callbacks callbacks = {
		.context = worker,
		.begin = request_begin,
		.body = request_body,
		.wanted = export_wanted,
		.end = request_end,
		.reserve = worker->reserve,
		.tls = worker->server->tls,
		.lacking = worker->server->lacking,
		.refused = request_refused,
	};
	return http_server_new(listen_fd, &limits, &callbacks, &worker->http);
}

static void worker_free(struct worker *worker)
{
	db_pool_free(worker->pool);
	http_server_free(worker->http);
	log_flush(&worker->log);
	arena_reserve_free(worker->reserve);
	auth_cache_free(worker->tokens);
	sql_cache_free(worker->texts);
	auth_keys_unref(worker->keys);
	metrics_done(&worker->metrics);
	if (worker->epoll >= 0)
		close(worker->epoll);
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
	pthread_mutex_destroy(&worker->stats_lock);
	free(worker);
}

static int worker_open(struct worker *worker, int listen_fd)
{
	size_t n_routes;
	catalog_routes(worker->server->catalog, &n_routes);
	int error = metrics_init(&worker->metrics, n_routes);
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (error == 0 && (worker->epoll < 0 || worker->wake_fd < 0))
		error = -errno;
	if (error == 0)
		error = arena_reserve_new(HTTP_RESERVE, &worker->reserve);
	if (error == 0)
		error = auth_cache_new(TOKEN_CACHE_ENTRIES, &worker->tokens);
	if (error == 0)
		error = sql_cache_new(TEXT_CACHE_BYTES, &worker->texts);
	if (error == 0)
		error = open_pool(worker);
	if (error == 0)
		error = open_http(worker, listen_fd);
	if (error == 0)
		error = watch(worker, http_server_fd(worker->http));
	if (error == 0)
		error = watch(worker, db_pool_fd(worker->pool));
	if (error == 0)
		error = watch(worker, worker->wake_fd);
	return error;
}

int worker_start(struct server *server, size_t index, int listen_fd)
{
	struct worker *worker = calloc(1, sizeof *worker);
	if (worker == NULL)
		return -ENOMEM;
	worker->server = server;
	worker->index = index;
	worker->epoll = worker->wake_fd = -1;
	atomic_store(&worker->beat_us, clock_monotonic_us());
	pthread_mutex_init(&worker->stats_lock, NULL);
	int error = worker_open(worker, listen_fd);
	if (error == 0)
		error = -pthread_create(&worker->thread, NULL, worker_main, worker);
	if (error < 0) {
		worker_free(worker);
		return error;
	}
	server->workers[index] = worker;
	return 0;
}

void worker_wake(struct worker *worker)
{
	uint64_t one = 1;
	if (write(worker->wake_fd, &one, sizeof one) < 0)
		log_message(LOG_LEVEL_WARNING, "a worker could not be woken", NULL, NULL);
}

void worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
	worker_free(worker);
}
