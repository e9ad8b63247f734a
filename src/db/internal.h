/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by the files of src/db: a pool owns its connections; a connection owns its cache of prepared statements and the FIFO of results it
 * still expects. */
#ifndef WARDMOTE_DB_INTERNAL_H
#define WARDMOTE_DB_INTERNAL_H

#include <libpq-fe.h>

#include "wardmote/db.h"

enum {
	STATEMENTS_MAX = 200,
	STATEMENT_SLOTS = 512,
	BACKOFF_MIN_MS = 50,
	BACKOFF_MAX_MS = 2000,
	ATTEMPT_US = 5000000,
	ATTEMPT_OF_SEVERAL_US = 2500000, /* where there are more hosts to try */
	STALL_GRACE_MS = 5000,
	TRIES_MAX = 3,
	EXPECTED_MAX = 3 * DB_STEPS_MAX + 4, /* of a segment: its steps with what they need first, brackets, settings, Sync */
	REST_US = 2000
};

/* A prepared statement on one connection. */
struct prepared {
	char *text; /* NULL: free */
	uint64_t hash;
	uint64_t used; /* the connection's clock when it was last used */
	unsigned number;
	char name[12]; /* on the server: "w<number>" */
};

struct statements {
	struct prepared rows[STATEMENTS_MAX];
	short slots[STATEMENT_SLOTS]; /* hash -> row + 1, open addressing; 0: empty */
	size_t n;
	uint64_t clock;
	unsigned next_number;
};

/* A statement by its text: the row, or NULL when it is not prepared. `hash`: of the text, hash_bytes; 0: not known. */
struct prepared *statements_find(struct statements *statements, const char *text, uint64_t hash);
/* A row for a text that is not there; *ret_victim is the number of the statement that had to go, or 0. NULL: no memory. */
struct prepared *statements_add(struct statements *statements, const char *text, uint64_t hash, unsigned *ret_victim);
void statements_remove(struct statements *statements, const char *text);
void statements_clear(struct statements *statements);

/* What the next result on a connection must be. */
enum expected_kind {
	EXPECT_DEALLOCATE,
	EXPECT_PREPARE,
	EXPECT_BRACKET, /* ROLLBACK or BEGIN around a segment */
	EXPECT_LOCAL, /* the settings of a transaction, and who the server is */
	EXPECT_STEP,
	EXPECT_COMMIT,
	EXPECT_SYNC
};

struct expected {
	struct db_job *job; /* NULL: of no job, it only tidies up */
	unsigned char kind;
	unsigned char step;
};

enum connection_state { CONNECTION_DOWN, CONNECTION_CONNECTING, CONNECTION_SETTING_UP, CONNECTION_ASKING, CONNECTION_READY };

/* What a fresh connection learns of its server. */
enum standing { STANDING_GOOD, STANDING_UNTOLD, STANDING_STANDBY, STANDING_PAST, STANDING_READ_ONLY, STANDING_WAITING };

extern const char fence_question[]; /* on a fresh connection */
/* Within each segment: what costs nothing. $1: fence_name. */
extern const char fence_short_question[];
extern const char fence_short_source[];
extern const char fence_no_question[]; /* ... of a server that does not say */
/* From the answer to the question; raises the fence. The timeline is 0 where the server does not tell it. */
enum standing fence_judge(struct db_fence *fence, const PGresult *result, uint32_t *ret_timeline);
/* The timeline that was seen last, as the short question takes it; 0: none. */
void fence_name(const struct db_fence *fence, char *ret_name, size_t size);
/* Is it this error that the short question ends with? */
bool fence_refused(const PGresult *result);
bool fence_is_past(const struct db_fence *fence, uint32_t timeline);
const char *standing_text(enum standing standing);

struct connection {
	struct db_pool *pool;
	enum lane lane;
	enum connection_state state;
	PGconn *pg;
	int fd; /* as registered with epoll; -1: none */
	unsigned events;
	int64_t retry_at_us, attempt_until_us;
	long backoff_ms;
	enum standing standing; /* while it asks: what it was told */
	uint32_t timeline; /* of its server; 0: not told */
	struct expected *fifo; /* ring */
	size_t fifo_size, fifo_head, fifo_n;
	bool separator; /* a NULL must come before the next result */
	bool retired; /* its server takes no writes any more: no new jobs, dropped when it is empty */
	int64_t heard_us; /* when its last result came, or, if later, its oldest job was sent: silence counts from here */
	size_t in_flight; /* jobs whose Sync has not come back */
	bool dirty; /* sent something this tick */
	bool paused; /* LANE_STREAM: nobody takes rows just now, so none are read */
	bool resumed; /* ... but now again; libpq may hold some, which make no event */
	struct statements statements;
};

struct job_queue {
	struct db_job *first, *last;
	size_t n;
};

struct db_pool {
	struct db_settings settings;
	char *uri;
	char *session[LANES]; /* the settings of a fresh connection */
	char *transaction[LANES]; /* pooled: those of each segment, with the short question; NULL: they are the session's */
	char *transaction_unasked[LANES]; /* ... without the question */
	size_t n_hosts, first_host; /* of the URI; the one that the next attempt begins with */
	unsigned refused; /* bits of `enum standing`: why fresh connections were of no use, since the last that took writes */
	bool no_writes; /* ... the primary takes none just now */
	int epoll;
	struct connection *connections;
	size_t n_connections;
	size_t n_connecting;
	struct job_queue queues[LANES];
	struct pace {
		int64_t since_us; /* when the queue, which was empty, got one */
		int64_t left_us; /* when the last one left it; since_us: none has */
		double mean_us;
	} paces[LANES];
	struct job_queue resting; /* lost a race and wait a moment before they run again; sent_us says until when */
	size_t n_queued;
	int64_t served_us; /* when a read or a write was sent last */
	int64_t block_us; /* when a stream went on last */
	size_t stream_turn; /* the connection that is looked at first for it */
	bool away[LANES]; /* the last attempt failed and nothing is connected */
	bool
	    given_up; /* we have closed connections of LANE_STREAM: until an attempt fails, that there is none does not mean that there is no database */
	uint64_t random;
	struct db_stats stats;
};

/* A moment that grows with the tries, so that those who met do not meet again. */
void job_rest(struct db_pool *pool, struct db_job *job);
void queue_push(struct job_queue *queue, struct db_job *job);
void queue_push_front(struct job_queue *queue, struct db_job *job);
struct db_job *queue_pop(struct job_queue *queue);

/* settings.c: what sets a session, or, as the one SELECT from `question` to `source`, a transaction; malloc'd, NULL: no memory. */
char *settings_of_session(const struct db_settings *settings, enum lane lane);
char *settings_of_transaction(const struct db_settings *settings, enum lane lane, const char *question, const char *source);

/* Starts an attempt; its failure is handled like a loss. */
void connection_start(struct connection *connection, int64_t now_us);
/* Socket events. */
void connection_event(struct connection *connection, int64_t now_us);
/* Sends one segment. 0; -EPIPE: the connection is unusable and was dropped; -ENOMEM: nothing was sent. Then the job was not taken. */
int connection_send(struct connection *connection, struct db_job *job, int64_t now_us);
/* send.c: notes what the next result will be. */
void connection_expect(struct connection *connection, struct db_job *job, enum expected_kind kind, size_t step);
/* The result of EXPECT_LOCAL: the segment met a server that is of no use, or an older one. */
void connection_judge(struct connection *connection, struct db_job *job, const PGresult *result);
/* After a segment in BEGIN and COMMIT failed, its transaction is still there: it is ended at once, not by whoever comes next. */
void connection_tidy(struct connection *connection, int64_t now_us);
void connection_flush(struct connection *connection, int64_t now_us);
/* Closes it at once, and what ran on it is for nobody. */
void connection_discard(struct connection *connection, int64_t now_us);
/* No new jobs for any connection of the pool: each is dropped when it is empty, and made anew. */
void pool_retire(struct db_pool *pool);
/* Drops the connection and settles all jobs in flight on it. */
void connection_lose(struct connection *connection, int64_t now_us);
void connection_close(struct connection *connection);
/* Reads what libpq has; called after consuming input. */
void connection_read(struct connection *connection, int64_t now_us);

/* stream.c: the next result is awaited: are its rows to come one by one? False: that could not be had, and they must not come all at once. */
bool stream_begin(struct connection *connection);
/* The cells of a row; how many. */
size_t result_row(const PGresult *result, int row, struct slice *cells);
/* One of them: handed on, and freed. */
void stream_row(struct connection *connection, struct db_job *job, PGresult *result);
/* Reads on where a pause has ended. */
void stream_resume(struct db_pool *pool, int64_t now_us);
/* When it wants to be called again; INT64_MAX: nothing waits for it. */
int64_t stream_due(const struct db_pool *pool, int64_t now_us);

/* The segment's Sync came back: done, or another try. */
void job_settle(struct db_pool *pool, struct connection *connection, struct db_job *job);
/* Finishes a job without a result. */
void job_fail(struct db_pool *pool, struct db_job *job, enum db_outcome outcome);
/* A connection was lost with this job in flight. */
void job_lost(struct db_pool *pool, struct db_job *job);

#endif
