/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The jobs thread: it gives changes their positions in the feed, watches whether the database answers and is migrated, and prunes what expired.
 * Each round runs everywhere; what only one process may do is led by an advisory lock inside the owner's functions. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "server.h"
#include "wardmote/clock.h"
#include "wardmote/log.h"

enum { ROUND_MS = 100, CHECK_MS = 1000, PRUNE_MS = 60000, FIRST_PRUNE_MS = 1000, PATIENCE_MS = 10000, RESERVE = 4 << 20 };

struct jobs {
	struct server *server;
	struct arena_reserve *reserve;
	int stop_fd;
	struct db_session *session;
	struct db_session *given; /* by the start, to be the first session */
	size_t first_host; /* that the next session begins with */
	int64_t checked_us, prune_us; /* when the last check was, when the next pruning is */
	bool checked; /* a database that is away from the start is told of as well */
};

static void close_session(struct jobs *jobs)
{
	db_session_free(jobs->session);
	jobs->session = NULL;
}

static bool connect_session(struct jobs *jobs, struct arena *arena, const char **ret_error)
{
	if (jobs->given != NULL) {
		jobs->session = jobs->given;
		jobs->given = NULL;
		db_session_limit(jobs->session, PATIENCE_MS, jobs->stop_fd);
		return true;
	}
	char *uri = db_uri_from(jobs->server->config->database_direct, jobs->first_host);
	*ret_error = "out of memory";
	bool opened = uri != NULL && db_session_new_within(uri, arena, PATIENCE_MS, jobs->stop_fd, &jobs->session, ret_error) == 0;
	free(uri);
	return opened;
}

/* With the host after the last one that was of no use. A database that is silent is away, and must not hold up the end of the process. */
static bool open_session(struct jobs *jobs, struct arena *arena, const char **ret_error)
{
	if (connect_session(jobs, arena, ret_error) && db_session_check(jobs->session, &jobs->server->fence, ret_error) == 0)
		return true;
	jobs->first_host++;
	close_session(jobs);
	return false;
}

static bool ask(struct jobs *jobs, struct arena *arena, const char *text, struct db_rows *ret_rows, const char **ret_error)
{
	if (jobs->session == NULL) {
		if (!open_session(jobs, arena, ret_error))
			return false;
		/* Without it a clean-up would go by the database's defaults. A statement ends before we give it up, and soon after we are gone. */
		if (db_session_query(jobs->session, arena, jobs->server->database_setup, 0, NULL, ret_rows, ret_error) < 0 ||
		    db_session_query(jobs->session, arena, "SET statement_timeout = '9s'; SET client_connection_check_interval = '1s'", 0,
				     NULL, ret_rows, ret_error) < 0) {
			close_session(jobs);
			return false;
		}
	}
	if (db_session_query(jobs->session, arena, text, 0, NULL, ret_rows, ret_error) == 0)
		return true;
	if (!atomic_load(&jobs->server->stopping)) /* an end of the process cuts it short */
		log_message(LOG_LEVEL_WARNING, "a background statement failed", "error", *ret_error);
	close_session(jobs);
	return false;
}

static long first_number(const struct db_rows *rows)
{
	return rows->rows > 0 && rows->cells[0] != NULL ? strtol(rows->cells[0], NULL, 10) : 0;
}

static void check(struct jobs *jobs, struct arena *arena)
{
	struct db_rows rows;
	const char *error = NULL;
	if (jobs->session != NULL && db_session_check(jobs->session, &jobs->server->fence, &error) < 0)
		close_session(jobs);
	bool answered = ask(jobs, arena, "SELECT coalesce(max(number), 0) FROM meta.migration", &rows, &error);
	bool was = atomic_exchange(&jobs->server->database_ok, answered);
	if (answered)
		atomic_store(&jobs->server->migrations_current, first_number(&rows) >= migrations_newest());
	if (answered && !was)
		log_message(LOG_LEVEL_INFO, "the database answers", NULL, NULL);
	if (!answered && (was || !jobs->checked))
		log_message(LOG_LEVEL_ERROR, "the database does not answer", "error", error);
	jobs->checked = true;
}

/* What one call leaves over is done in the next round: the sequencer comes in between. */
static void prune(struct jobs *jobs, struct arena *arena)
{
	struct db_rows rows;
	const char *error = NULL;
	const char *called = "";
	if (!ask(jobs, arena, "SELECT wardmote.forget_keys(), auth.sweep()", &rows, &error))
		return;
	while (called != NULL) {
		const char *text = arena_printf(arena, "SELECT called, more, fault FROM wardmote.prune_next('%s')", called);
		if (!ask(jobs, arena, text, &rows, &error))
			return;
		called = rows.cells[0];
		if (rows.cells[2] != NULL)
			log_message(LOG_LEVEL_WARNING, "not everything that ended was tidied away", "error", rows.cells[2]);
		if (strcmp(rows.cells[1], "t") == 0)
			jobs->prune_us = 0;
	}
}

/* Milliseconds until the next round: what failed is not tried, and logged, ten times a second. */
static int run_round(struct jobs *jobs)
{
	struct arena arena;
	int wait_ms = ROUND_MS;
	arena_init_reserved(&arena, jobs->reserve);
	struct db_rows rows;
	const char *error = NULL;
	int64_t now_us = clock_monotonic_us();
	if (jobs->checked_us == 0 || now_us - jobs->checked_us > CHECK_MS * 1000) {
		jobs->checked_us = now_us;
		check(jobs, &arena);
	}
	if (atomic_load(&jobs->server->database_ok) && atomic_load(&jobs->server->migrations_current)) {
		int64_t started_us = clock_monotonic_us();
		if (ask(jobs, &arena, "SELECT wardmote.sequence_changes()", &rows, &error))
			atomic_store(&jobs->server->sequenced_us, started_us);
		else
			wait_ms = CHECK_MS;
		if (now_us >= jobs->prune_us) {
			jobs->prune_us = now_us + PRUNE_MS * 1000;
			prune(jobs, &arena);
		}
	}
	arena_done(&arena);
	return wait_ms;
}

static void jobs_free(struct jobs *jobs)
{
	db_session_free(jobs->session);
	db_session_free(jobs->given);
	arena_reserve_free(jobs->reserve);
	free(jobs);
}

/* Waits for the next round. A poll that fails is no reason to go on at once. */
static bool is_over(const struct jobs *jobs, int wait_ms)
{
	struct pollfd stop = { .fd = jobs->stop_fd, .events = POLLIN };
	int n = poll(&stop, 1, wait_ms);
	if (n >= 0)
		return n > 0;
	nanosleep(&(struct timespec){ .tv_nsec = ROUND_MS * 1000000 }, NULL);
	return atomic_load(&jobs->server->stopping);
}

static void *jobs_main(void *context)
{
	struct jobs *jobs = context;
	pthread_setname_np(pthread_self(), "jobs");
	while (!is_over(jobs, run_round(jobs)))
		;
	jobs_free(jobs);
	return NULL;
}

int jobs_start(struct server *server, pthread_t *ret_thread, int stop_fd)
{
	struct jobs *jobs = calloc(1, sizeof *jobs);
	if (jobs == NULL)
		return -ENOMEM;
	jobs->server = server;
	jobs->stop_fd = stop_fd;
	jobs->given = server->first_session;
	server->first_session = NULL;
	jobs->prune_us = clock_monotonic_us() + FIRST_PRUNE_MS * 1000; /* the start's own connections go first */
	atomic_store(&server->sequenced_us, clock_monotonic_us());
	int error = arena_reserve_new(RESERVE, &jobs->reserve);
	if (error == 0)
		error = -pthread_create(ret_thread, NULL, jobs_main, jobs);
	if (error != 0)
		jobs_free(jobs);
	return error;
}
