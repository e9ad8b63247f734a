/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From bytes to a statement: the stages of a request in the order in which they run. */
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "wardmote/clock.h"
#include "wardmote/log.h"

/* A stage lets the request on, or answers it and returns false. */
typedef bool (*stage_fn)(struct request *request);

static bool stage_route(struct request *request)
{
	const struct catalog *catalog = request->worker->server->catalog;
	struct slice method = http_method(request->exchange);
	int error = catalog_match(catalog, request->arena, method, http_path(request->exchange), &request->match);
	bool stray = error < 0 || request->match.route == NULL || slice_is(method, "OPTIONS");
	if (stray && !request_stray_allowed(request))
		return false;
	if (error == -EILSEQ) {
		respond_problem(request, PROBLEM_MALFORMED_HTTP,
				"The path ends with a slash, or has a dot segment, an empty segment or an escape in no canonical form.");
		return false;
	}
	if (error < 0) {
		respond_problem(request, PROBLEM_NOT_FOUND, NULL);
		return false;
	}
	if (slice_is(method, "OPTIONS")) {
		respond_options(request);
		return false;
	}
	if (request->match.route == NULL) {
		respond_problem(request, PROBLEM_METHOD_NOT_ALLOWED,
				arena_printf(request->arena, "Allowed here: %s.", request->match.allow));
		return false;
	}
	size_t n;
	request->route_index = (size_t)(request->match.route - catalog_routes(catalog, &n));
	request->call.route = request->match.route;
	request->call.catalog = catalog;
	request->call.id = request->match.id;
	memcpy(request->call.names, request->match.names, sizeof request->match.names);
	return true;
}

static bool stage_authorise(struct request *request)
{
	const struct operation *operation = request_operation(request);
	bool scope = operation->scope == NULL || !request->authenticated || auth_has_scope(&request->claims, operation->scope);
	if (request->caller >= operation->least && scope)
		return true;
	if (!request->authenticated) {
		respond_problem(request, PROBLEM_UNAUTHENTICATED, NULL);
		return false;
	}
	if ((operation->flags & OP_ITEM) && operation->resource != NULL) {
		request->probe = true; /* 403 where the record can be seen, else the 404 of any absent one */
		return true;
	}
	if (scope)
		respond_problem(request, PROBLEM_FORBIDDEN, "The account's role does not allow this.");
	else
		respond_problem(request, PROBLEM_INSUFFICIENT_SCOPE,
				arena_printf(request->arena, "The token lacks the scope %s.", operation->scope));
	return false;
}

static bool has_geometry(const struct shape *shape)
{
	for (size_t i = 0; shape != NULL && i < shape->n_fields; i++) {
		if (shape->fields[i]->type == T_GEOMETRY || shape->fields[i]->type == T_POINT)
			return true;
	}
	return false;
}

static const char *offers_text(struct arena *arena, unsigned offers)
{
	struct buffer text = { .arena = arena };
	const char *separator = "Offered here: ";
	for (int format = FORMAT_JSON; format <= FORMAT_GEOJSON; format++) {
		if ((offers & 1u << format) == 0)
			continue;
		buffer_format(&text, "%s%s", separator, negotiate_type((enum format)format));
		separator = ", ";
	}
	buffer_text(&text, ".");
	return buffer_slice(&text).ptr;
}

/* An operation with a type of its own offers that one. */
static bool negotiate_own(struct request *request)
{
	const char *media = request_operation(request)->media;
	if (negotiate_media(request->arena, http_header(request->exchange, "accept"), media) == 0)
		return true;
	respond_problem(request, PROBLEM_NOT_ACCEPTABLE, arena_printf(request->arena, "Offered here: %s.", media));
	return false;
}

static bool stage_negotiate(struct request *request)
{
	const struct operation *operation = request_operation(request);
	bool record = operation->verb == V_LIST || operation->verb == V_GET;
	if (operation->native != NATIVE_NONE || operation->body_kind == BODY_FORM) {
		if (request->match.suffix == NULL)
			return true;
		respond_problem(request, PROBLEM_NOT_FOUND, NULL);
		return false;
	}
	if (operation->media != NULL && request->match.suffix == NULL)
		return negotiate_own(request);
	bool geometry = record && has_geometry(request->match.route->shape);
	unsigned offers = 1u << FORMAT_JSON | (record ? 1u << FORMAT_CSV : 0) | (geometry ? 1u << FORMAT_GEOJSON : 0);
	int error = negotiate_format(http_header(request->exchange, "accept"), request->match.suffix, offers, &request->format);
	if (error < 0 && request->match.suffix != NULL) {
		respond_problem(request, PROBLEM_NOT_FOUND, NULL);
		return false;
	}
	if (error < 0) {
		respond_problem(request, PROBLEM_NOT_ACCEPTABLE, offers_text(request->arena, offers));
		return false;
	}
	request->call.format = request->format;
	return true;
}

static bool stage_media_type(struct request *request)
{
	const struct operation *operation = request_operation(request);
	if (operation->body_kind == BODY_NONE || request->probe)
		return true;
	struct slice type = http_header(request->exchange, "content-type");
	if (negotiate_body(operation->body_kind, type) == 0)
		return true;
	respond_problem(request, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
			arena_printf(request->arena, "The body must be %s.", negotiate_accepted(operation->body_kind)));
	return false;
}

/* If-Match holds for the tag of any representation of the version. */
static bool take_if_match(struct request *request, struct slice field)
{
	struct tags tags;
	int error = tags_parse(field, &tags);
	if (error == 0)
		error = tags_version(request->arena, &tags, &request->call.expected_version);
	if (error == 0) {
		segment_expect(request);
		return true;
	}
	fault_add(&request->faults, FAULT_HEADER, "If-Match", "format", "%s",
		  error == -E2BIG ? "At most 32 tags, all of one version." : "This is no list of entity tags.");
	return false;
}

/* Of a write the condition is known in one form only: make it, do not replace it. Another one is not passed over as if it were met. */
static bool take_if_none_match(struct request *request, struct slice field)
{
	request->call.create_only = slice_is(field, "*");
	if (!request->call.create_only)
		fault_add(&request->faults, FAULT_HEADER, "If-None-Match", "format",
			  "With PUT this is *: create the record, but do not replace it.");
	return request->call.create_only;
}

/* A key is a structured-field string or the bare text: 1 to 255 visible ASCII characters. Clients make keys of all kinds of things, so the database is
 * told a hash. */
static bool take_key(struct request *request, struct slice field)
{
	if (field.len >= 2 && field.ptr[0] == '"' && field.ptr[field.len - 1] == '"')
		field = (struct slice){ field.ptr + 1, field.len - 2 };
	bool good = field.len >= 1 && field.len <= 255;
	for (size_t i = 0; good && i < field.len; i++)
		good = field.ptr[i] > ' ' && field.ptr[i] < 0x7f && field.ptr[i] != '"' && field.ptr[i] != '\\';
	if (good)
		request->call.idempotency_key = auth_sha256(request->arena, field); /* clients make keys of all kinds of things */
	else
		fault_add(&request->faults, FAULT_HEADER, "Idempotency-Key", "format",
			  "A key is 1 to 255 visible ASCII characters without quotes and backslashes, in quotes or not.");
	return good;
}

static bool stage_preconditions(struct request *request)
{
	const struct operation *operation = request_operation(request);
	struct slice match = http_header(request->exchange, "if-match"), none = http_header(request->exchange, "if-none-match");
	struct slice key = http_header(request->exchange, "idempotency-key");
	if (request->probe)
		return true;
	if (match.ptr == NULL && (operation->flags & OP_IF_MATCH)) {
		respond_problem(request, PROBLEM_PRECONDITION_REQUIRED, "Send If-Match with the ETag that you read, or If-Match: *.");
		return false;
	}
	respond_known(request);
	bool good = true;
	if (match.ptr != NULL && ((operation->flags & OP_IF_MATCH) || operation->verb == V_PUT))
		good = take_if_match(request, match);
	if (none.ptr != NULL && operation->verb == V_PUT)
		good = take_if_none_match(request, none) && good;
	if (key.ptr != NULL && (operation->flags & OP_IDEMPOTENT))
		good = take_key(request, key) && good;
	if (!good)
		respond_faults(request, PROBLEM_INVALID_REQUEST, NULL, NULL);
	return good;
}

static bool run_stages(struct request *request, const stage_fn *stages)
{
	for (size_t i = 0; stages[i] != NULL; i++) {
		if (!stages[i](request))
			return false;
	}
	return true;
}

static size_t body_cap(const struct request *request)
{
	const struct operation *operation = request_operation(request);
	if (operation->body_kind == BODY_NONE)
		return 0;
	if (!request->authenticated)
		return ANONYMOUS_BODY_MAX;
	if (request->spool != NULL)
		return (size_t)request->worker->server->config->import_max_mb << 20;
	return (operation->flags & OP_GEOMETRY) && !request->probe ? GEOMETRY_BODY_MAX : BODY_MAX;
}

void *request_begin(void *context, struct http_exchange *exchange, size_t *ret_body_max)
{
	static const stage_fn stages[] = { stage_route,         stage_authenticate, stage_limit,
					   stage_authorise,     stage_negotiate,    stage_media_type,
					   stage_preconditions, stage_spool,        NULL };
	struct worker *worker = context;
	struct request *request = arena_alloc(http_arena(exchange), sizeof *request);
	size_t n_routes;
	catalog_routes(worker->server->catalog, &n_routes);
	request->worker = worker;
	request->exchange = exchange;
	request->arena = http_arena(exchange);
	request->begun_us = clock_monotonic_us();
	request->route_index = metrics_unmatched(n_routes, http_method(exchange));
	request->faults.arena = request->arena;
	request_identify(request);
	*ret_body_max = 0;
	if (run_stages(request, stages))
		*ret_body_max = body_cap(request);
	return request;
}

/* --- the body is there --- */

/* The history of a record is bound to that record by the id among the cursor's keys. */
static bool open_cursor(struct request *request, struct query *query)
{
	struct slice plain = { NULL, 0 };
	const char *id = request->call.id;
	bool ours = auth_unseal(request->arena, request->worker->keys, query->cursor, &plain) == 0 &&
		    cursor_decode(request->arena, plain, query) == 0;
	return ours && (id == NULL || (query->keys[1] != NULL && strcasecmp(query->keys[1], id) == 0));
}

static void stage_query(struct request *request)
{
	struct query *query = &request->call.query;
	request->call.caller = request->caller;
	if (request->probe)
		return;
	query_parse(request->arena, request->match.route, http_query(request->exchange), request->caller, query, &request->faults);
	query_check_positions(query, request->match.route, request->worker->server->config->map_extent, &request->faults);
	query_bind(query, request->match.names, request->match.n_names);
	if (query->cursor.len > 0 && !open_cursor(request, query))
		fault_add(&request->faults, FAULT_PARAMETER, "cursor", "cursor",
			  "This is no cursor of this list with these filters. Start again without cursor.");
	/* A parameter is never ignored: a table of records has no place for these. */
	if (request->format == FORMAT_CSV && query->include != 0)
		fault_add(&request->faults, FAULT_PARAMETER, "include", "not_in_format", "CSV has no included records.");
	if (request->format == FORMAT_CSV && query->count != COUNT_NONE)
		fault_add(&request->faults, FAULT_PARAMETER, "count", "not_in_format", "CSV has no count.");
	if (request->format == FORMAT_CSV && (query->srid != 0 || query->geometry != GEOMETRY_AS_ASKED))
		fault_add(&request->faults, FAULT_PARAMETER, query->srid != 0 ? "crs" : "geometry", "not_in_format",
			  "CSV has no coordinates.");
	if (query->all)
		export_check(request);
}

bool request_query(struct request *request)
{
	stage_query(request);
	if (request->faults.n > 0)
		respond_faults(request, PROBLEM_INVALID_REQUEST, NULL, NULL);
	return request->faults.n == 0;
}

/* What include= embeds is read like any other record: a token with scopes needs those of the included resources too. */
static bool stage_include(struct request *request)
{
	const struct shape *shape = request->match.route->shape;
	uint64_t include = request->call.query.include;
	for (size_t i = 0; include != 0 && i < shape->n_fields; i++) {
		if (!(include & UINT64_C(1) << i))
			continue;
		const char *scope = arena_printf(request->arena, "%s:read", field_reference(shape->fields[i])->refers);
		if (!request->authenticated || auth_has_scope(&request->claims, scope))
			continue;
		request->missing_scope = scope;
		respond_problem(request, PROBLEM_INSUFFICIENT_SCOPE, arena_printf(request->arena, "The token lacks the scope %s.", scope));
		return false;
	}
	return true;
}

static bool validate_resource(struct request *request, struct slice bytes)
{
	static const enum body_mode modes[] = { [V_CREATE] = MODE_CREATE, [V_PUT] = MODE_REPLACE, [V_PATCH] = MODE_MERGE };
	const struct operation *operation = request_operation(request);
	int srid = request->call.query.srid == 0 ? SRID_WGS84 : request->call.query.srid;
	return body_validate_in(request->arena, request->match.route->shape, modes[operation->verb], srid, bytes, &request->call.body,
				&request->faults) == 0;
}

static bool check_body(struct request *request, struct slice bytes)
{
	const struct operation *operation = request_operation(request);
	bool json = operation->body_kind == BODY_JSON || operation->body_kind == BODY_MERGE_PATCH;
	if (!json || request->probe)
		return true;
	if (operation->body != NULL)
		return body_validate_fields(request->arena, operation->body, bytes, &request->call.body, &request->faults) == 0;
	bool good = validate_resource(request, bytes);
	client_keys_check(request, bytes);
	return good;
}

static void standard_done(struct db_job *job, const struct db_result *result)
{
	struct request *request = request_of(job);
	segment_over(request);
	request->worker->replied = true;
	bool failed = result->outcome != DB_ROW && result->outcome != DB_NO_ROW;
	if (failed && result->detail_code != NULL && strncmp(result->sqlstate, "WM001", 5) == 0) {
		db_result_release(result->owner);
		replay_start(request);
		return;
	}
	if (failed && effort_again(request, result, standard_done))
		return;
	if (failed)
		respond_failure(request, result);
	else if (!spool_accepted(request, result))
		respond_result(request, result);
}

static void submit(struct request *request)
{
	const struct operation *operation = request_operation(request);
	bool notes = !request->probe && sql_notes(&request->call);
	bool write = notes || (operation->lane == LANE_WRITE && !request->probe);
	respond_expect_known(request);
	int error = request->probe ? sql_probe(request->arena, &request->call, &request->statement)
				   : sql_build_cached(request->worker->texts, request->arena, &request->call, &request->statement);
	if (error < 0) {
		respond_problem(request, PROBLEM_INVALID_REQUEST, "The request has more filters than one statement takes.");
		return;
	}
	segment_begin(request, request->probe ? LANE_READ : notes ? LANE_WRITE : effort_lane(request), write);
	effort_limit(request);
	if (request->call.idempotency_key != NULL && !request->call.query.dry_run)
		replay_claim(request);
	if (request->expected_timeline[0] != NULL)
		segment_add(request, "SELECT wardmote.expect_timeline($1)", 1, request->expected_timeline, false);
	if ((operation->flags & OP_SECRET) && !request->probe)
		secret_prepare(request);
	segment_add_statement(request);
	if (request->call.query.dry_run) {
		segment_add(request, "SET CONSTRAINTS ALL IMMEDIATE", 0, NULL, false);
		segment_add(request, "ROLLBACK", 0, NULL, false);
	}
	segment_send(request, standard_done);
}

void request_body(void *context, struct slice body)
{
	struct request *request = context;
	if (request->answered)
		return;
	if (arena_lacking(request->arena)) {
		respond_problem(request, PROBLEM_UNAVAILABLE, NULL);
		return;
	}
	if (request->spool != NULL)
		spool_body(request);
	else
		stage_query(request);
	check_body(request, body);
	if (request->faults.n > 0)
		respond_faults(request,
			       faults_have(&request->faults, "too_many_positions") ? PROBLEM_CONTENT_TOO_LARGE : PROBLEM_INVALID_REQUEST,
			       NULL, NULL);
	else if (!stage_include(request))
		return;
	else if (request_operation(request)->verb == V_NATIVE && !request->probe)
		native_run(request, body);
	else if (request->call.query.all)
		export_start(request);
	else
		submit(request);
}

/* One line a request: what was asked and how it went, never what was in it. */
static void log_request(const struct request *request, int status, bool sent, int64_t taken_us)
{
	struct log_line line;
	log_begin(&line, LOG_LEVEL_INFO, "request");
	log_text(&line, "request_id", request->id);
	log_slice(&line, "method", http_method(request->exchange)); /* the gate knows seven */
	log_text(&line, "route", request->match.pattern == NULL ? METRICS_UNMATCHED : request->match.pattern);
	log_int(&line, "status", status);
	log_int(&line, "duration_us", taken_us);
	log_int(&line, "bytes", (int64_t)http_answer_bytes(request->exchange));
	if (request->authenticated) {
		log_text(&line, "account_id", request->claims.account);
		log_text(&line, "partner_id", request->claims.partner);
	}
	if (!sent)
		log_text(&line, request->cut ? "answer" : "client", request->cut ? "cut short" : "gone");
	log_end_later(&line, &request->worker->log);
}

void request_end(void *context, bool sent)
{
	struct request *request = context;
	int64_t taken_us = clock_monotonic_us() - request->begun_us;
	int refused = http_refused_status(request->exchange);
	int status = refused != 0 ? refused : request->status;
	metrics_count(&request->worker->metrics, request->route_index, status, taken_us);
	log_request(request, status, sent, taken_us);
	export_end(request, sent);
	spool_end(request);
	sql_release(&request->statement);
	native_free(request);
}

struct slice request_refused(void *context, struct arena *arena, enum problem problem, const char *rule, const char *detail)
{
	struct worker *worker = context;
	atomic_fetch_add_explicit(&worker->metrics.refused, 1, memory_order_relaxed);
	const char *id = auth_uuid(arena);
	struct log_line line;
	log_begin(&line, LOG_LEVEL_INFO, "refused");
	log_text(&line, "request_id", id);
	log_text(&line, "rule", rule);
	log_int(&line, "status", problem_kind(problem)->status);
	log_end_later(&line, &worker->log);
	struct problem_context where = { .base_url = worker->server->config->public_url, .request_id = id };
	return problem_render(arena, problem, &where, detail, NULL, NULL);
}
