/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The background thread: it calculates how the localities of different boundary sets overlap, one pair of sets after the other, whenever one has changed and been at
 * rest for a while. Each process has one; an advisory lock in the database lets one of them work at a time. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"
#include "wardmote/clock.h"
#include "wardmote/log.h"

enum { IDLE_MS = 1000, FAILED_MS = 5000, CONNECT_MS = 10000, STATEMENT_MS = 11 * 60 * 1000, RESERVE = 1 << 20 };

struct background {
	struct server *server;
	struct arena_reserve *reserve;
	int stop_fd;
	struct db_session *session;
	size_t first_host; /* that the next session begins with */
};

static void close_session(struct background *background)
{
	db_session_free(background->session);
	background->session = NULL;
}

/* The database ends a statement before we give it up, and soon after we are gone. */
static bool open_session(struct background *background, struct arena *arena, const char **ret_error)
{
	struct db_rows rows;
	char *uri = db_uri_from(background->server->config->database_direct, background->first_host);
	*ret_error = "out of memory";
	bool opened =
	    uri != NULL && db_session_new_within(uri, arena, CONNECT_MS, background->stop_fd, &background->session, ret_error) == 0;
	free(uri);
	if (opened && db_session_query(background->session, arena, background->server->database_setup, 0, NULL, &rows, ret_error) == 0 &&
	    db_session_query(background->session, arena, "SET statement_timeout = '10min'; SET client_connection_check_interval = '1s'", 0,
			     NULL, &rows, ret_error) == 0) {
		db_session_limit(background->session, STATEMENT_MS, background->stop_fd);
		return true;
	}
	return false;
}

static void tell(struct server *server, const struct db_rows *rows)
{
	if (rows->cells[1] != NULL)
		atomic_store(&server->overlaps_pending, strtoll(rows->cells[1], NULL, 10));
	if (rows->cells[2] != NULL)
		atomic_store(&server->overlap_us, (int64_t)(strtod(rows->cells[2], NULL) * 1e6));
	if (rows->cells[3] != NULL)
		log_message(LOG_LEVEL_WARNING, "two boundary sets were not compared", "error", rows->cells[3]);
}

/* One pair of sets. Milliseconds until the next. */
static int step(struct background *background, struct arena *arena)
{
	struct server *server = background->server;
	struct db_rows rows;
	const char *error = NULL;
	const char *settle = arena_printf(arena, "%ld", server->config->overlap_settle_seconds);
	if (!atomic_load(&server->database_ok) || !atomic_load(&server->migrations_current))
		return IDLE_MS;
	bool answered = background->session != NULL || open_session(background, arena, &error);
	/* one that went back in time, or a standby, is of no use */
	answered =
	    answered && db_session_check(background->session, &server->fence, &error) == 0 &&
	    db_session_query(background->session, arena, "SELECT done, pending, seconds, fault FROM wardmote.overlap_step($1::float8)", 1,
			     &settle, &rows, &error) == 0;
	if (!answered) {
		if (!atomic_load(&server->stopping)) /* an end of the process cuts it short */
			log_message(LOG_LEVEL_WARNING, "overlaps of boundary sets were not looked at", "error", error);
		background->first_host++;
		close_session(background);
		return FAILED_MS;
	}
	tell(server, &rows);
	return strcmp(rows.cells[0], "t") == 0 ? 0 : IDLE_MS;
}

static void background_free(struct background *background)
{
	db_session_free(background->session);
	arena_reserve_free(background->reserve);
	free(background);
}

static bool is_over(const struct background *background, int wait_ms)
{
	struct pollfd stop = { .fd = background->stop_fd, .events = POLLIN };
	return poll(&stop, 1, wait_ms) > 0 || atomic_load(&background->server->stopping);
}

static void *background_main(void *context)
{
	struct background *background = context;
	int wait_ms = IDLE_MS;
	pthread_setname_np(pthread_self(), "background");
	while (!is_over(background, wait_ms)) {
		struct arena arena;
		arena_init_reserved(&arena, background->reserve);
		wait_ms = step(background, &arena);
		arena_done(&arena);
	}
	background_free(background);
	return NULL;
}

int background_start(struct server *server, pthread_t *ret_thread, int stop_fd)
{
	struct background *background = calloc(1, sizeof *background);
	if (background == NULL)
		return -ENOMEM;
	background->server = server;
	background->stop_fd = stop_fd;
	int error = arena_reserve_new(RESERVE, &background->reserve);
	if (error == 0)
		error = -pthread_create(ret_thread, NULL, background_main, background);
	if (error != 0)
		background_free(background);
	return error;
}
