/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One import: its file is read in blocks and cut into rows (import_features.c, import_table.c), which go to the database in batches, each in a transaction of its own that acts as
 * the account that asked. What was staged becomes visible in the last one, or not at all. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "import_run.h"
#include "wardmote/clock.h"
#include "wardmote/log.h"

enum {
	BLOCK = 64 << 10,
	BATCH_ROWS = 200,
	BATCH_BYTES = 1 << 20,
	PATIENCE_MS = 600000,
	GIVE_UP_MS = 3000, /* for the last word of a server that stops */
	TRIES = 30,
};

#define ACT                                                                                                                                \
	"SELECT set_config('wardmote.account', a.id::text, true), set_config('wardmote.partner', a.partner_id::text, true), "              \
	"set_config('wardmote.rank', a.rank::text, true), set_config('wardmote.scopes', '', true) "                                        \
	"FROM api.acting a WHERE a.id = $1::uuid AND a.epoch = $2::int"

static bool stopping(const struct run *run)
{
	struct pollfd stop = { .fd = run->imports->stop_fd, .events = POLLIN };
	return poll(&stop, 1, 0) > 0;
}

bool run_fail(struct run *run, const char *outcome, const char *reason)
{
	if (run->outcome == NULL) {
		run->outcome = outcome;
		run->reason = reason;
	}
	return false;
}

bool run_short_of_memory(struct run *run)
{
	return run_fail(run, "failed", "The server was short of memory.");
}

/* --- the database --- */

/* Soon after we are gone the database ends what we had begun: its locks must not outlive us. */
static bool open_session(struct run *run, long patience_ms, int stop_fd)
{
	/* The database ends a statement before we give it up, and soon after we are gone. */
	const char *watch = arena_printf(&run->arena, "SET statement_timeout = %ld; SET client_connection_check_interval = '1s'",
					 patience_ms - patience_ms / 20);
	const struct server *server = run->imports->server;
	struct db_rows rows;
	const char *error = "out of memory";
	for (size_t i = 0; i < db_hosts(server->config->database_direct); i++) {
		char *uri = db_uri_from(server->config->database_direct, i);
		bool opened = uri != NULL && db_session_new_within(uri, &run->arena, patience_ms, stop_fd, &run->session, &error) == 0;
		free(uri);
		if (opened && db_session_check(run->session, &run->imports->server->fence, &error) == 0 &&
		    db_session_query(run->session, &run->arena, server->database_setup, 0, NULL, &rows, &error) == 0 &&
		    db_session_query(run->session, &run->arena, watch, 0, NULL, &rows, &error) == 0)
			return true;
		db_session_free(run->session);
		run->session = NULL;
	}
	return false;
}

/* A database that is away for a moment is waited for. */
static bool connect_patiently(struct run *run)
{
	for (int i = 0; i < TRIES; i++) {
		if (open_session(run, PATIENCE_MS, run->imports->stop_fd))
			return true;
		struct pollfd stop = { .fd = run->imports->stop_fd, .events = POLLIN };
		if (poll(&stop, 1, 1000) > 0)
			break;
	}
	return run_fail(run, "failed", "The database could not be reached.");
}

static bool query(struct run *run, struct arena *arena, const char *text, size_t n, const char *const *parameters, struct db_rows *ret_rows)
{
	const char *error = NULL;
	if (db_session_query(run->session, arena, text, n, parameters, ret_rows, &error) == 0)
		return true;
	struct log_line line;
	log_begin(&line, LOG_LEVEL_WARNING, "an import failed");
	log_text(&line, "import_id", run->place->id);
	log_text(&line, "error", error == NULL ? "" : error);
	log_end(&line);
	if (error != NULL && strncmp(error, "WM403", 5) == 0)
		return run_fail(run, "failed", "The account may not do this any more.");
	return run_fail(run, "failed", "The database refused the rows; the server's log says why.");
}

/* One statement, in a transaction of its own that acts as the account. */
static bool act(struct run *run, struct arena *arena, const char *text, size_t n, const char *const *parameters, struct db_rows *ret_rows)
{
	struct db_rows rows;
	char epoch[24];
	snprintf(epoch, sizeof epoch, "%ld", run->place->epoch);
	const char *actor[] = { run->place->account, epoch };
	if (!query(run, arena, "BEGIN", 0, NULL, &rows) || !query(run, arena, ACT, 2, actor, &rows))
		return false;
	if (rows.rows == 0)
		return run_fail(run, "failed", "The account may not act any more.");
	return query(run, arena, text, n, parameters, ret_rows) && query(run, arena, "COMMIT", 0, NULL, &rows);
}

/* All imports that this process holds are still under way. */
static bool touch(struct run *run)
{
	enum { EVERY_US = 30000000 };
	struct db_rows rows;
	int64_t now_us = clock_monotonic_us();
	if (run->touched_us != 0 && now_us - run->touched_us < EVERY_US)
		return true;
	run->touched_us = now_us;
	struct buffer ids = { .arena = &run->batch_arena };
	buffer_text(&ids, "{");
	pthread_mutex_lock(&run->imports->lock);
	for (size_t i = 0; i < IMPORT_PLACES; i++) {
		const struct import_place *place = &run->imports->places[i];
		if (place->taken && place->queued)
			buffer_format(&ids, "%s%s", ids.len > 1 ? "," : "", place->id);
	}
	pthread_mutex_unlock(&run->imports->lock);
	buffer_text(&ids, "}");
	const char *parameters[] = { ids.ptr };
	return query(run, &run->batch_arena, "SELECT wardmote.import_touch($1::uuid[])", 1, parameters, &rows);
}

/* --- rows --- */

static void batch_start(struct run *run)
{
	arena_init_reserved(&run->batch_arena, run->imports->reserve);
	run->batch = (struct buffer){ .arena = &run->batch_arena };
	run->n_batch = 0;
}

static bool batch_send(struct run *run)
{
	struct db_rows rows;
	bool good = true;
	if (run->n_batch > 0) {
		buffer_text(&run->batch, "]");
		const char *parameters[] = { run->place->id, run->batch.ptr };
		if (arena_lacking(&run->batch_arena))
			good = run_short_of_memory(run);
		good = good && touch(run) &&
		       act(run, &run->batch_arena, "SELECT wardmote.import_stage($1::uuid, $2::json)", 2, parameters, &rows);
	}
	arena_done(&run->batch_arena);
	batch_start(run);
	return good;
}

void run_row(struct run *run, long n)
{
	buffer_format(&run->batch, "%s{\"n\":%ld", run->n_batch == 0 ? "[" : ",", n);
}

void run_member(struct run *run, const char *name, const char *value)
{
	if (value == NULL)
		return;
	buffer_format(&run->batch, ",\"%s\":", name);
	buffer_json(&run->batch, slice_of(value));
}

bool run_row_end(struct run *run)
{
	buffer_text(&run->batch, "}");
	return (++run->n_batch < BATCH_ROWS && run->batch.len < BATCH_BYTES) || batch_send(run);
}

/* --- the file --- */

static bool read_all(struct run *run, const struct reader *reader)
{
	char *block = arena_alloc(&run->arena, BLOCK);
	int r = 0;
	ssize_t n = 1;
	for (off_t at = 0; r == 0 && n > 0; at += n) {
		while ((n = pread(run->place->fd, block, BLOCK, at)) < 0 && errno == EINTR)
			;
		if (n < 0)
			return run_fail(run, "failed", "The file could not be read again.");
		r = n > 0 ? reader->feed(reader->scan, (struct slice){ block, (size_t)n }) : reader->end(reader->scan);
	}
	if (r == -EINVAL)
		return run_fail(run, "rejected", reader->fault(reader->scan, &run->arena));
	if (r == -ENOMEM)
		return run_short_of_memory(run);
	return r == 0 && batch_send(run);
}

bool run_read(struct run *run, const struct reader *reader)
{
	batch_start(run);
	bool good = read_all(run, reader);
	arena_done(&run->batch_arena);
	return good;
}

/* What the request asked for lies with the import. */
static bool read_settings(struct run *run)
{
	static const char text[] =
	    "SELECT i.kind, i.settings ->> 'code_property', i.settings ->> 'name_property', i.settings ->> 'parent_property', "
	    "i.settings ->> 'population_property', coalesce(i.settings ->> 'srid', '4326'), i.settings ->> 'columns', "
	    "i.settings ->> 'required' FROM api.import i WHERE i.id = $1::uuid";
	const char *parameters[] = { run->place->id };
	struct db_rows rows;
	if (!act(run, &run->arena, text, 1, parameters, &rows))
		return false;
	if (rows.rows == 0 || rows.columns != SETTINGS)
		return run_fail(run, "failed", "The import is gone.");
	run->settings = rows.cells;
	return true;
}

static bool read_file(struct run *run)
{
	return strcmp(run->settings[SET_KIND], "boundaries") == 0 ? import_features(run) : import_table(run);
}

static bool carry_out(struct run *run)
{
	const char *parameters[] = { run->place->id };
	struct db_rows rows;
	return connect_patiently(run) && act(run, &run->arena, "SELECT wardmote.import_begin($1::uuid)", 1, parameters, &rows) &&
	       read_settings(run) && read_file(run) &&
	       act(run, &run->arena, "SELECT wardmote.import_apply($1::uuid)", 1, parameters, &rows);
}

/* Until the planner knows how much was stored, reads of it may take seconds. What was stored is, whatever comes of this. */
static void analyse(struct run *run)
{
	const char *parameters[] = { run->place->id, run->place->account }, *error = NULL;
	struct db_rows rows;
	if (db_session_query(run->session, &run->arena, "SELECT wardmote.import_analyse($1::uuid, $2::uuid)", 2, parameters, &rows,
			     &error) < 0)
		log_message(LOG_LEVEL_WARNING, "the statistics of what was imported were not made", "error", error == NULL ? "" : error);
}

/* On a connection of its own: the other one may be in the middle of a transaction that failed. Where this does not succeed either the database finds out by
 * itself, after a while. */
static void tell_failure(struct run *run, bool ends)
{
	const char *reason = ends ? "The server stopped before it was done." : run->reason;
	const char *parameters[] = { run->place->id, run->place->account, ends || run->outcome == NULL ? "failed" : run->outcome, reason };
	struct db_rows rows;
	const char *error;
	db_session_free(run->session);
	run->session = NULL;
	if (open_session(run, GIVE_UP_MS, -1) &&
	    db_session_query(run->session, &run->arena, "SELECT wardmote.import_fail($1::uuid, $2::uuid, $3, $4)", 4, parameters, &rows,
			     &error) < 0)
		log_message(LOG_LEVEL_WARNING, "an import's end could not be told", "error", error);
}

bool import_run(struct imports *imports, struct import_place *place)
{
	struct run run = { .imports = imports, .place = place };
	arena_init_reserved(&run.arena, imports->reserve);
	bool good = carry_out(&run), ends = stopping(&run);
	if (good)
		analyse(&run);
	else
		tell_failure(&run, ends);
	db_session_free(run.session);
	arena_done(&run.arena);
	return !ends;
}
