/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The only code that knows libpq. A `struct db_pool` belongs to one worker: its connections in pipeline mode, by lane. One job is one segment
 * [steps..., Sync], that is one transaction (by configuration also [BEGIN, steps..., COMMIT, Sync]). A job is acknowledged (done) only when its own Sync came back. Each connection has a FIFO of jobs
 * whose head must match each result; a mismatch kills the connection. On loss, reads are tried once more on another connection; writes whose Sync was flushed are DB_UNKNOWN,
 * others DB_UNAVAILABLE. Serialisation failures and deadlocks are retried at most 3 times. Not thread-safe: everything on the worker's thread. */
#ifndef WARDMOTE_DB_H
#define WARDMOTE_DB_H

#include <stdatomic.h>
#include <stdint.h>

#include "wardmote/operation.h"
#include "wardmote/sql.h"

enum { DB_STEPS_MAX = 6, DB_COLUMNS_MAX = 88 };

enum db_outcome {
	DB_ROW, /* the answer step returned its row */
	DB_NO_ROW, /* ... no row: 404 */
	DB_NO_ACTOR, /* the act-as step found no active account: 401 */
	DB_ERROR, /* the segment failed: sqlstate, constraint */
	DB_TIMEOUT, /* statement_timeout: 504 */
	DB_BUSY, /* lock_timeout, or retries used up: 503 */
	DB_UNAVAILABLE, /* nothing was done: 503 */
	DB_UNKNOWN, /* a write whose outcome is not known: 503, "outcome": "unknown" */
};

struct db_step {
	const char *text;
	size_t n_parameters;
	const char *const *parameters; /* text format */
	uint64_t hash; /* hash_bytes of the text (wardmote/hash.h), where the caller knows it; 0: not known */
};

struct db_result {
	enum db_outcome outcome;
	int status;
	struct slice body; /* lies in `owner` */
	const char *etag, *link; /* NULL when null */
	uint32_t timeline; /* of the server that answered; 0: not told */
	char sqlstate[6];
	bool early; /* DB_ERROR: of what comes before the steps: whatever it is, the request did not cause it */
	const char *constraint; /* NULL when none; with sqlstate lies in `owner` */
	const char *detail_code; /* MESSAGE of an error raised by our own functions (SQLSTATE class WM), else NULL */
	void *owner; /* give to db_result_release when the body was sent; may be NULL */
};

void db_result_release(void *owner);
/* Of a job that asked for records: their number, that of columns, DB_COLUMNS_MAX at most, and the memory that they take. */
struct db_extent {
	size_t rows, columns, bytes;
};
struct db_extent db_result_extent(const void *owner);
/* The cells of a row, which lie in `owner`. One without ptr is null. */
void db_result_row(const void *owner, size_t row, struct slice *cells);

struct db_job {
	/* filled by the caller; steps and parameters live until done */
	enum lane lane;
	bool write; /* its loss may be DB_UNKNOWN; never tried again after a loss */
	bool acts; /* step 0 is act-as: no row means DB_NO_ACTOR */
	bool records; /* the answer step yields any number of rows, none too, for db_result_row; not the uniform row */
	bool
	    guest; /* of somebody who has not signed in: they leave one connection of LANE_HEAVY, and half of its queue, to those who have */
	size_t n_steps;
	size_t answer; /* index of the step whose row is the result */
	struct db_step steps[DB_STEPS_MAX];
	int64_t deadline_us; /* monotonic; while waiting in the queue */
	void (*done)(struct db_job *job, const struct db_result *result);
	/* LANE_STREAM alone: takes the answer step's rows one by one, as they arrive; `done` then has no row of its own: DB_ROW says that these were all. A cell
	 * without ptr is null; they live until it returns. False: no more before db_stream_go. */
	bool (*take_row)(struct db_job *job, const struct slice *cells, size_t n);
	/* owned by db while the job is enqueued */
	struct db_job *next;
	void *row; /* the answer step's result */
	void *error; /* the first error of the segment */
	bool actor; /* act-as found its account */
	bool stranger; /* act-as answered that there is no such account: whatever else the segment says does not matter */
	bool astray; /* its segment met a standby, or a primary of the past, behind a pooler: what that says is of no worth */
	bool early; /* the error is not that of a step, but of what comes before */
	unsigned char tries;
	int64_t enqueued_us, sent_us;
	void *connection; /* LANE_STREAM: the one that it runs on */
};

struct db_pool;

/* What a process has seen of its database, shared by its pools and sessions: a server on an older timeline is a primary of the past. Only ever raised. */
struct db_fence {
	_Atomic uint32_t timeline; /* 0: none was told yet */
	_Atomic bool silent; /* a server keeps it to itself */
};

/* A setting of PostgreSQL; neither has a quote. */
struct db_setting {
	const char *name, *value;
};

struct db_settings {
	const char *uri;
	struct db_fence *fence;
	long connections[LANES];
	long depth[LANES]; /* jobs in flight on one connection */
	long queue_limit; /* of each lane */
	/* A lane takes no more when its queue has not been empty for so long, and none has left it for as long, or more wait than are under way and the next would wait for a
	 * third of it; 0: it does. */
	long queue_wait_ms[LANES];
	long statement_timeout_ms[LANES];
	const struct db_setting
	    *session; /* further ones for each connection, ended by one without a name; they live as long as the pool. NULL: none */
	/* A pooler in transaction mode is in between: each segment may meet another backend, so that nothing is prepared, and what the lane is set to comes with
	 * each segment. `depth` must be 1. */
	bool pooled;
	/* Each segment is BEGIN, its steps, COMMIT, Sync; otherwise the Sync alone ends its transaction. `depth` must be 1: what a failed one leaves is rolled back
	 * before the next. */
	bool bracketed;
};

/* Upper bounds of the buckets in which waits for a connection are counted: microseconds; the last has none. */
enum { DB_WAITS = 12 };
extern const int64_t db_wait_bounds_us[DB_WAITS - 1];

struct db_stats {
	uint64_t waits[LANES][DB_WAITS], waited_us[LANES]; /* from the queue to a connection */
	size_t queued[LANES], in_flight[LANES], connected[LANES];
	uint64_t jobs, errors, retries, unknown, lost, prepares, mismatches;
};

int db_pool_new(const struct db_settings *settings, struct db_pool **ret_pool);
void db_pool_free(struct db_pool *pool);
/* The epoll descriptor to watch. */
int db_pool_fd(const struct db_pool *pool);
int db_pool_timeout(const struct db_pool *pool);
/* Queues a job. 0; -EAGAIN when the queue of its lane is full or stands, -ECONNREFUSED when the database is known to be away (both 503); then done is not called. */
int db_enqueue(struct db_pool *pool, struct db_job *job);
/* After `take_row` said that it was enough for now: more may come, with the next db_pool_run. */
void db_stream_go(struct db_pool *pool, struct db_job *job);
/* Nobody wants the rest of a job of LANE_STREAM: it ends here, without `done`. Not to be called from `take_row` or `done`. */
void db_stream_drop(struct db_pool *pool, struct db_job *job);
/* Handles sockets and timers; then deals the queue and flushes each connection once. Calls done. */
void db_pool_run(struct db_pool *pool);
/* Every lane has at least one connection; but for that for writes, while the database takes none, and that for exports, while those that clients gave up are
 * made anew. */
bool db_pool_ready(const struct db_pool *pool);
void db_pool_stats(const struct db_pool *pool, struct db_stats *ret_stats);
/* Fails all waiting jobs (drain deadline). */
void db_pool_abandon(struct db_pool *pool);

/* --- plain blocking connections, for commands (migrate, account create, doctor) and the jobs thread --- */
struct db_session;
/* The number of hosts in a URI, and the same URI but that it begins with host number `first` (from 0, and round): malloc'd; NULL: no memory. */
size_t db_hosts(const char *uri);
char *db_uri_from(const char *uri, size_t first);
/* 0, or -ECONNREFUSED with the server's message in *ret_error. */
int db_session_new(const char *uri, struct arena *arena, struct db_session **ret_session, const char **ret_error);
/* The same for a thread that must not be held up: -ECONNREFUSED also when it takes longer or stop_fd becomes readable. Its statements are limited alike. */
int db_session_new_within(const char *uri, struct arena *arena, long patience_ms, int stop_fd, struct db_session **ret_session,
			  const char **ret_error);
void db_session_free(struct db_session *session);
/* From now on a statement is given up, -EIO, when it takes longer or when stop_fd becomes readable (-1: none). The session is then of no further use. */
void db_session_limit(struct db_session *session, long patience_ms, int stop_fd);
/* Whether the session's server is the primary, as far as the fence knows: 0, or -ECONNREFUSED with the reason in *ret_error. */
int db_session_check(struct db_session *session, struct db_fence *fence, const char **ret_error);
/* How the session reaches its server. */
struct db_path {
	bool local; /* a unix socket or a loopback address */
	bool encrypted;
	const char *sslmode; /* as it holds after URI, environment and defaults: "prefer", "verify-full" */
};
void db_session_path(const struct db_session *session, struct arena *arena, struct db_path *ret_path);
/* One statement with text parameters (or several, when there are no parameters). Rows as text: ret_rows[row * columns + column], NULL for null.
 * 0, or -EIO with a message in *ret_error (SQLSTATE first: "42P01: relation ..."). */
struct db_rows {
	size_t rows, columns;
	const char *const *cells;
};
int db_session_query(struct db_session *session, struct arena *arena, const char *text, size_t n, const char *const *parameters,
		     struct db_rows *ret_rows, const char **ret_error);

#endif
