/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A list that is asked for whole (limit=all). Rows go from the database's lane for exports through one block of memory to the client: when the block is full no
 * more are read, when it is empty the client's connection waits. What cannot be finished is cut off where the client can tell, never short and well-formed. */
#include <errno.h>
#include <stdlib.h>

#include "request.h"
#include "wardmote/log.h"
#include "wardmote/view.h"

struct export_flow {
	struct view view;
	struct statement statement;
	struct view_bytes row; /* of one, again and again */
	struct slice links; /* the end of a JSON body */
	bool running; /* its job is the database's */
	bool begun; /* answered */
	bool followed; /* a record was put */
	bool stranger; /* counted among those of the worker */
};

void export_check(struct request *request)
{
	const struct query *query = &request->call.query;
	if (query->cursor.len > 0)
		fault_add(&request->faults, FAULT_PARAMETER, "cursor", "not_with_all", "limit=all begins at the beginning.");
	if (query->count != COUNT_NONE && request->format != FORMAT_CSV)
		fault_add(&request->faults, FAULT_PARAMETER, "count", "not_with_all", "limit=all has no count.");
}

static bool put(struct request *request, struct slice text)
{
	char *to = http_stream_room(request->exchange, text.len);
	if (to == NULL)
		return false;
	if (text.len > 0)
		memcpy(to, text.ptr, text.len);
	http_stream_add(request->exchange, text.len);
	return true;
}

/* The first row is there, or the end of none: now it is known that the caller may, and that the statement can be run. */
static bool begin(struct request *request)
{
	struct export_flow *flow = request->export;
	struct http_answer answer;
	flow->begun = true;
	segment_over(request);
	respond_start(request, &answer, 200);
	respond_field(&answer, "Content-Type", negotiate_type(request->format));
	respond_field(&answer, "Cache-Control", respond_cache_control(request));
	respond_crs(request, &answer);
	respond_links(request, NULL, &answer);
	if (answer.n_body > 0)
		flow->links = answer.body[--answer.n_body];
	if (request->format == FORMAT_CSV)
		respond_field(&answer, "Content-Disposition", respond_disposition(request));
	answer.stream = true;
	respond_send(request, &answer);
	atomic_fetch_add_explicit(&request->worker->metrics.exports, 1, memory_order_relaxed);
	return put(request, flow->view.head);
}

static bool take_row(struct db_job *job, const struct slice *cells, size_t n)
{
	struct request *request = request_of(job);
	struct export_flow *flow = request->export;
	request->worker->replied = true;
	bool good = n == VIEW_LEAD + flow->view.n && (flow->begun || begin(request));
	flow->row.len = 0;
	if (good && flow->followed)
		good = view_add(&flow->row, flow->view.between) == 0;
	good = good && view_put(&flow->view, cells, &flow->row) == 0;
	flow->followed = true;
	char *to = good ? http_stream_room(request->exchange, flow->row.len) : NULL;
	if (to != NULL) {
		memcpy(to, flow->row.ptr, flow->row.len);
		return http_stream_add(request->exchange, flow->row.len);
	}
	request->cut = true;
	http_stream_end(request->exchange, false);
	return false; /* the end of the exchange drops the job */
}

/* HEAD asks whether there would be an answer. */
static bool ignore_row(struct db_job *job, const struct slice *cells, size_t n)
{
	(void)job, (void)cells, (void)n;
	return true;
}

static void leave(struct request *request)
{
	struct export_flow *flow = request->export;
	flow->running = false;
	if (flow->stranger)
		request->worker->strangers--;
	flow->stranger = false;
}

static void cut_off(struct request *request, const struct db_result *result)
{
	struct log_line line;
	log_begin(&line, LOG_LEVEL_WARNING, "export cut short");
	log_text(&line, "request_id", request->id);
	log_text(&line, "route", request->match.pattern);
	log_text(&line, "sqlstate", result->sqlstate);
	log_end(&line);
	request->cut = true;
	http_stream_end(request->exchange, false);
}

static void export_done(struct db_job *job, const struct db_result *result)
{
	struct request *request = request_of(job);
	struct export_flow *flow = request->export;
	request->worker->replied = true;
	leave(request);
	if (!flow->begun && result->outcome != DB_ROW) {
		segment_over(request);
		respond_failure(request, result);
		return;
	}
	bool whole = result->outcome == DB_ROW && (flow->begun || begin(request));
	if (whole && put(request, flow->view.tail) && put(request, flow->links))
		http_stream_end(request->exchange, true);
	else
		cut_off(request, result);
	db_result_release(result->owner);
}

/* Whoever has not signed in leaves a lane to those who have. */
static bool has_lane(const struct request *request)
{
	long lanes = request->worker->server->config->lane_stream;
	return request->authenticated || lanes == 1 || request->worker->strangers < (size_t)lanes - 1;
}

void export_start(struct request *request)
{
	struct export_flow *flow = arena_alloc(request->arena, sizeof *flow);
	bool head = slice_is(http_method(request->exchange), "HEAD");
	if (!has_lane(request)) {
		respond_problem(request, PROBLEM_UNAVAILABLE, "Others who have not signed in are taking whole lists just now.");
		return;
	}
	if (head)
		request->call.query.limit = 1;
	if (sql_build(request->arena, &request->call, &flow->statement) < 0) {
		respond_problem(request, PROBLEM_INVALID_REQUEST, "The request has more filters than one statement takes.");
		return;
	}
	view_of(request->arena, &request->call, &flow->view);
	const struct statement *statement = &flow->statement;
	request->export = flow;
	segment_begin(request, LANE_STREAM, false);
	segment_add(request, statement->text, statement->n_parameters, statement->parameters, true);
	request->job.take_row = head ? ignore_row : take_row;
	segment_send(request, export_done);
	flow->running = !request->answered;
	flow->stranger = flow->running && !request->authenticated;
	request->worker->strangers += flow->stranger ? 1 : 0;
}

void export_wanted(void *context)
{
	struct request *request = context;
	if (request->export != NULL && request->export->running)
		db_stream_go(request->worker->pool, &request->job);
}

void export_end(struct request *request, bool sent)
{
	struct export_flow *flow = request->export;
	if (flow == NULL)
		return;
	free(flow->row.ptr);
	flow->row = (struct view_bytes){ .len = 0 };
	if (flow->running) {
		leave(request);
		db_stream_drop(request->worker->pool, &request->job);
	}
	struct metrics *metrics = &request->worker->metrics;
	if (!flow->begun)
		return;
	if (!sent)
		atomic_fetch_add_explicit(&metrics->exports_cut, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&metrics->export_bytes, http_answer_bytes(request->exchange), memory_order_relaxed);
}
