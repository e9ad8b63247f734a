/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Requests whose body is a file to import: the body goes into a file, the statement notes the import, the thread of imports takes it over. Who asked for it with
 * `Prefer: wait` is told what came of it, all others that it was accepted. */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "imports.h"
#include "request.h"
#include "wardmote/clock.h"

enum { WAIT_MAX_S = 60, US_PER_S = 1000000 };

/* A request between its spooled body and its answer. */
struct spool {
	struct import_place *place;
	const char *id, *location; /* of the import, once there is one */
	const char *preference; /* that is followed; NULL: none */
	int64_t until_us; /* waits for the end; 0: does not */
	bool waits; /* is in the worker's list */
	bool over; /* as it is told */
};

/* wait=N among the preferences; 0 where there is none. What is not understood is passed over (RFC 7240). */
static long preferred_wait(struct slice field)
{
	for (size_t at = 0; at < field.len;) {
		size_t end = at;
		while (end < field.len && field.ptr[end] != ',' && field.ptr[end] != ';')
			end++;
		while (at < end && field.ptr[at] == ' ')
			at++;
		long seconds = 0;
		bool wait = end - at > 5 && end - at <= 10 && strncasecmp(field.ptr + at, "wait=", 5) == 0;
		for (size_t i = at + 5; wait && i < end; i++) {
			wait = field.ptr[i] >= '0' && field.ptr[i] <= '9';
			seconds = seconds * 10 + (field.ptr[i] - '0');
		}
		if (wait)
			return seconds > WAIT_MAX_S ? WAIT_MAX_S : seconds;
		at = end + 1;
	}
	return 0;
}

bool stage_spool(struct request *request)
{
	struct imports *imports = request->worker->server->imports;
	if (!(request_operation(request)->flags & OP_SPOOL) || request->probe)
		return true;
	if (!request_query(request)) /* before a long body is sent for nothing */
		return false;
	struct spool *spool = arena_alloc(request->arena, sizeof *spool);
	spool->place = imports_reserve(imports, request->claims.account);
	if (spool->place == NULL) {
		bool busy = errno == EBUSY;
		respond_problem(request, PROBLEM_UNAVAILABLE,
				busy ? "Too many imports are under way. Nothing was done; try again."
				     : "The server has no room for the file.");
		return false;
	}
	long seconds = preferred_wait(http_header(request->exchange, "prefer"));
	if (seconds > 0) {
		spool->until_us = seconds * US_PER_S;
		spool->preference = arena_printf(request->arena, "wait=%ld", seconds);
	}
	request->spool = spool;
	http_spool(request->exchange, spool->place->fd);
	return true;
}

void spool_body(struct request *request)
{
	request->call.body.json =
	    slice_of(arena_printf(request->arena, "{\"bytes\":%llu}", (unsigned long long)http_body_bytes(request->exchange)));
}

/* --- the answer: the import as GET shows it --- */

static const struct route *import_route(const struct catalog *catalog)
{
	size_t n;
	const struct route *routes = catalog_routes(catalog, &n);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(routes[i].operation->id, "get_import") == 0)
			return &routes[i];
	}
	return NULL;
}

static void read_done(struct db_job *job, const struct db_result *result)
{
	struct request *request = request_of(job);
	segment_over(request);
	request->worker->replied = true;
	if (result->outcome == DB_ROW || result->outcome == DB_NO_ROW)
		respond_result(request, result);
	else
		respond_failure(request, result);
}

static void read_back(struct request *request)
{
	const struct route *route = import_route(request->call.catalog);
	request->spool->over = atomic_load(&request->spool->place->over);
	request->match.route = route;
	request->call =
	    (struct call){ .route = route, .catalog = request->call.catalog, .caller = request->caller, .id = request->spool->id };
	sql_release(&request->statement);
	if (route == NULL || sql_build_cached(request->worker->texts, request->arena, &request->call, &request->statement) < 0) {
		respond_problem(request, PROBLEM_INTERNAL, NULL);
		return;
	}
	segment_begin(request, LANE_READ, false);
	segment_add_statement(request);
	segment_send(request, read_done);
}

void spool_fields(struct request *request, struct http_answer *answer)
{
	const struct spool *spool = request->spool;
	answer->status = spool->over ? 200 : 202;
	respond_field(answer, "Location", spool->location);
	respond_field(answer, "Preference-Applied", spool->preference);
}

/* --- waiting --- */

static void unlist(struct request *request)
{
	struct request **at = &request->worker->waiters;
	while (*at != NULL && *at != request)
		at = &(*at)->next_waiter;
	if (*at != NULL)
		*at = request->next_waiter;
	request->spool->waits = false;
}

bool spool_accepted(struct request *request, const struct db_result *result)
{
	struct spool *spool = request->spool;
	if (spool == NULL || result->outcome != DB_ROW || result->status != 202)
		return false;
	const char *link = arena_copy(request->arena, slice_of(result->link));
	spool->id = strrchr(link, '/') + 1;
	spool->location = arena_printf(request->arena, "%s%s", request->worker->server->config->public_url, link);
	db_result_release(result->owner);
	bool waits = spool->until_us > 0;
	imports_submit(request->worker->server->imports, spool->place, spool->id, &request->claims, waits ? request->worker : NULL);
	if (!waits) {
		read_back(request);
		return true;
	}
	spool->until_us += clock_monotonic_us();
	spool->waits = true;
	request->next_waiter = request->worker->waiters;
	request->worker->waiters = request;
	return true;
}

void spool_tick(struct worker *worker)
{
	int64_t now_us = worker->waiters == NULL ? 0 : clock_monotonic_us();
	bool stopping = atomic_load(&worker->server->stopping);
	for (struct request *request = worker->waiters, *next; request != NULL; request = next) {
		next = request->next_waiter;
		const struct spool *spool = request->spool;
		if (!atomic_load(&spool->place->over) && now_us < spool->until_us && !stopping)
			continue;
		unlist(request);
		read_back(request);
	}
}

void spool_end(struct request *request)
{
	if (request->spool == NULL)
		return;
	if (request->spool->waits)
		unlist(request);
	imports_release(request->worker->server->imports, request->spool->place);
}
