/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What joins the modules. `struct server` is the configuration and the few shared atomics; a `struct worker` is one thread with its own HTTP
 * server, database pool and token cache; a `struct request` lives from headers to answer. Workers share nothing else. */
#ifndef WARDMOTE_SERVER_H
#define WARDMOTE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "document.h"
#include "metrics.h"
#include "rate.h"
#include "wardmote/auth.h"
#include "wardmote/catalog.h"
#include "notify.h"
#include "wardmote/config.h"
#include "wardmote/db.h"
#include "wardmote/http.h"
#include "wardmote/log.h"
#include "wardmote/sql.h"

enum { WORKERS_MAX = 16, SERVER_SETTINGS = 8 };

struct worker;
struct imports;
struct request;

struct server {
	const struct config *config;
	int argc; /* the command line, to read the settings again */
	char **argv;
	struct arena arena; /* texts of the start */
	struct arena_reserve *reserve; /* of the main thread */
	struct catalog *catalog;
	struct auth_policy policy;
	struct auth_hasher *hasher;
	struct http_tls *tls; /* of the API's listener; NULL: plain HTTP */
	struct rate_table *rates;
	struct db_fence fence; /* the newest timeline of the database that any thread saw */
	struct db_setting database_settings[SERVER_SETTINGS + 1]; /* what is handed to our SQL functions */
	const char *database_setup; /* the same as SET commands */
	struct slice lacking; /* the problem that is told when there is no memory to tell one */
	struct document openapi;
	struct db_session *first_session; /* that the start asked whether there is room; NULL once the jobs thread has it */
	struct imports *imports;
	struct notifier notifier; /* the supervisor; of the main thread */
	pthread_mutex_t keys_lock; /* guards the pointer below, never held for long */
	struct auth_keys *keys;
	atomic_uint keys_generation; /* bumped when keys are swapped */
	atomic_bool draining; /* readiness is off */
	atomic_bool stopping; /* workers close and finish */
	atomic_bool database_ok; /* seen by the jobs thread */
	atomic_bool migrations_current;
	atomic_llong sequenced_us; /* when the last round began that gave changes their positions in the feed; monotonic */
	atomic_llong overlaps_pending; /* pairs of boundary sets, seen by the background thread */
	atomic_llong overlap_us; /* what the last pair took */
	atomic_int_least64_t stop_deadline_us; /* written before `stopping`; a second signal sets it to now */
	long connections_each; /* client connections of one worker */
	struct worker *workers[WORKERS_MAX];
	size_t n_workers;
};

/* A list that took more than reads should: see effort.c. */
struct effort {
	uint64_t digest; /* of its query */
	int64_t until_us;
};
enum { EFFORTS = 256 };

struct worker {
	struct server *server;
	size_t index;
	pthread_t thread;
	int epoll, wake_fd;
	struct arena_reserve *reserve; /* of the arenas on this thread */
	struct http_server *http;
	struct db_pool *pool;
	struct auth_cache *tokens;
	struct sql_cache *texts; /* of statements */
	struct auth_keys *keys; /* own reference */
	unsigned keys_generation;
	struct effort efforts[EFFORTS];
	bool replied; /* a suspended exchange was answered this tick */
	struct metrics metrics;
	struct log_buffer log; /* lines of this tick */
	struct auth_draw draw; /* for the ids of requests */
	atomic_bool ready; /* every lane has a connection */
	atomic_bool finished; /* drained: ready to be joined */
	_Atomic int64_t beat_us; /* when it last began a tick */
	struct request *waiters; /* for the end of an import */
	size_t strangers; /* exports under way for callers who have not signed in */
	size_t hashes; /* given to the password helper and not yet back: they lie in requests of this worker */
	atomic_size_t active;
	struct db_stats db_stats; /* these three are copied under stats_lock, a few times a second at most */
	uint64_t token_hits, token_misses;
	pthread_mutex_t stats_lock;
};

/* Builds what the workers share; 0, or a negative errno with a message for the user. */
int server_init(struct server *server, const struct config *config, const char **ret_error);
void server_done(struct server *server);
/* Reads the key folder again (SIGHUP, or the folder changed); the message is in the arena. */
int server_reload_keys(struct server *server, struct arena *arena, const char **ret_error);
struct auth_keys *server_keys(struct server *server);

int worker_start(struct server *server, size_t index, int listen_fd);
/* Wakes a worker's loop from another thread. */
void worker_wake(struct worker *worker);
void worker_join(struct worker *worker);

/* The thread that sequences the change feed, watches the database and prunes what expired. */
int jobs_start(struct server *server, pthread_t *ret_thread, int stop_fd);
/* The thread that compares boundary sets. */
int background_start(struct server *server, pthread_t *ret_thread, int stop_fd);

/* The admin listener, on the main thread. */
struct admin;
int admin_new(struct server *server, int listen_fd, struct admin **ret_admin);
int admin_fd(const struct admin *admin);
int admin_timeout(struct admin *admin);
void admin_run(struct admin *admin);
void admin_free(struct admin *admin);

#endif
