/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* From the rows of a segment, uniform or records, to an answer: ETag, caching, links, and what a failed segment means. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "request.h"
#include "wardmote/log.h"
#include "wardmote/memory.h"
#include "wardmote/view.h"

_Static_assert(VIEW_LEAD + (int)VIEW_COLUMNS_MAX < (int)DB_COLUMNS_MAX, "all columns of a view arrive, and one more would");

static bool is_write(const struct request *request)
{
	return request_operation(request)->lane == LANE_WRITE;
}

/* Of records the body is the owner: it was made here (view_render). */
static void result_release(const struct request *request, void *owner)
{
	if (request->job.records)
		memory_give(owner);
	else
		db_result_release(owner);
}

/* Was a personal field asked for? Whether the caller may see it does not matter: at worst a cache stores less than it could. */
static bool asks_for_personal(const struct request *request)
{
	const struct shape *shape = request->match.route->shape;
	uint64_t fields = request->call.query.fields;
	return shape != NULL && (fields == 0 ? shape->personal : shape->personal & fields) != 0;
}

const char *respond_cache_control(const struct request *request)
{
	const struct operation *operation = request_operation(request);
	if (is_write(request) || asks_for_personal(request) || (operation->flags & OP_NO_STORE))
		return "no-store";
	return request->authenticated ? "private, no-cache" : "public, no-cache";
}

/* What a representation depends on beside the record's version. */
static uint64_t representation_hash(const struct request *request, bool gzip)
{
	enum { MANNER = 2 }; /* another one when the same record gets other bytes */
	const struct query *query = &request->call.query;
	const uint64_t form[] = { MANNER, (uint64_t)request->format, gzip, query->fields, (uint64_t)query->srid };
	const struct slice parts[] = { { (const char *)form, sizeof form }, slice_of(request->claims.partner), SLICE(WARDMOTE_VERSION) };
	return auth_hash(parts, sizeof parts / sizeof *parts);
}

static const char *on_timeline(struct request *request, const char *version, uint32_t timeline)
{
	return timeline > 1 ? arena_printf(request->arena, "%s.%" PRIu32, version, timeline) : version;
}

/* Records: version and representation. Lists, and records that show others (include): a hash of the whole body. */
static const char *etag_of(struct request *request, const struct db_result *result, const struct http_answer *answer, bool gzip)
{
	uint64_t hash = representation_hash(request, gzip);
	bool whole = result->etag == NULL || request->call.query.include != 0;
	if (whole) {
		struct slice parts[4] = { { (const char *)&hash, sizeof hash } };
		for (size_t i = 0; i < answer->n_body; i++)
			parts[1 + i] = answer->body[i];
		hash = auth_tag(request->worker->keys, parts, 1 + answer->n_body);
	}
	const char *version = result->etag == NULL ? NULL : on_timeline(request, result->etag, result->timeline);
	return etag_compose(request->arena, version, hash);
}

/* --- operations whose statement gives the tag --- */

/* "<the statement's text>-<representation>". Whether gzip would be used is asked of the client alone: the tag is there before there is anything to compress. */
static uint64_t conditional_hash(const struct request *request)
{
	return representation_hash(request, http_accepts_gzip(request->exchange));
}

void respond_known(struct request *request)
{
	struct slice field = http_header(request->exchange, "if-none-match");
	struct tags tags;
	if (!(request_operation(request)->flags & OP_CONDITIONAL) || field.ptr == NULL || tags_parse(field, &tags) < 0)
		return;
	const char *tail = arena_printf(request->arena, "-%016" PRIx64, conditional_hash(request));
	size_t len = strlen(tail);
	struct buffer known = { .arena = request->arena };
	for (size_t i = 0; i < tags.n; i++) {
		struct slice text = tags.rows[i].text;
		if (text.len <= len || memcmp(text.ptr + text.len - len, tail, len) != 0)
			continue;
		buffer_text(&known, known.len > 0 ? " " : "");
		buffer_add(&known, (struct slice){ text.ptr, text.len - len });
	}
	if (known.len > 0)
		request->call.known = buffer_slice(&known).ptr;
}

static unsigned char nibble(char c)
{
	return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The bytes that \x and hexadecimal digits stand for. */
static struct slice bytes_of(struct request *request, struct slice text)
{
	size_t len = text.len < 2 ? 0 : (text.len - 2) / 2;
	unsigned char *bytes = arena_alloc(request->arena, len + 1);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(nibble(text.ptr[2 + 2 * i]) << 4 | nibble(text.ptr[3 + 2 * i]));
	return (struct slice){ (const char *)bytes, len };
}

static const char *type_of(const struct request *request)
{
	const char *media = request_operation(request)->media;
	return media != NULL ? media : negotiate_type(request->format);
}

void respond_links(struct request *request, const char *more, struct http_answer *answer)
{
	const char *base = request->worker->server->config->public_url;
	struct slice path = http_path(request->exchange), query = http_query(request->exchange);
	struct buffer header = { .arena = request->arena }, body = { .arena = request->arena };
	const char *type = type_of(request);
	const char *self = query_link(request->arena, path, query, NULL);
	buffer_format(&header, "<%s%s>; rel=\"self\"", base, self);
	buffer_text(&body, ",\"links\":[{\"rel\":\"self\",\"href\":");
	buffer_json(&body, slice_of(arena_printf(request->arena, "%s%s", base, self)));
	buffer_format(&body, ",\"type\":\"%s\"}", type);
	if (more != NULL) {
		struct slice plain = cursor_encode(request->arena, &request->call.query, slice_of(more));
		struct slice sealed = auth_seal(request->arena, request->worker->keys, plain);
		const char *next = query_link(request->arena, path, query, arena_copy(request->arena, sealed));
		buffer_format(&header, ", <%s%s>; rel=\"next\"", base, next);
		buffer_text(&body, ",{\"rel\":\"next\",\"href\":");
		buffer_json(&body, slice_of(arena_printf(request->arena, "%s%s", base, next)));
		buffer_format(&body, ",\"type\":\"%s\"}", type);
	}
	buffer_text(&body, "]}");
	respond_field(answer, "Link", buffer_slice(&header).ptr);
	if (request->format != FORMAT_CSV)
		answer->body[answer->n_body++] = buffer_slice(&body);
}

#define CRS84 "http://www.opengis.net/def/crs/OGC/1.3/CRS84"

/* Of an operation that has a parameter crs of its own: what it was given, or what it has without. */
static const char *own_crs(const struct request *request)
{
	const struct parameter *own = request_operation(request)->parameters;
	for (size_t i = 0; own != NULL && own[i].name != NULL; i++) {
		if (strcmp(own[i].name, "crs") == 0)
			return request->call.query.values[i] == NULL ? CRS84 : request->call.query.values[i];
	}
	return NULL;
}

void respond_crs(struct request *request, struct http_answer *answer)
{
	const char *own = own_crs(request);
	if (own != NULL)
		respond_field(answer, "Content-Crs", arena_printf(request->arena, "<%s>", own));
	int srid = request->call.query.srid;
	if (srid == SRID_NATIONAL)
		respond_field(answer, "Content-Crs", "<http://www.opengis.net/def/crs/EPSG/0/27700>");
	else if (srid == SRID_WGS84) /* longitude first, as always in GeoJSON, which is not EPSG's own order */
		respond_field(answer, "Content-Crs", "<" CRS84 ">");
}

const char *respond_disposition(const struct request *request)
{
	return arena_printf(request->arena, "attachment; filename=\"%s.csv\"", request->match.route->shape->resource->name);
}

static bool is_list(const struct request *request)
{
	const struct operation *operation = request_operation(request);
	return operation->verb == V_LIST || operation->verb == V_HISTORY || (operation->flags & OP_PAGED) != 0;
}

bool respond_unchanged(struct request *request, const char *etag)
{
	struct slice field = http_header(request->exchange, "if-none-match");
	struct tags tags;
	return field.ptr != NULL && tags_parse(field, &tags) == 0 && tags_match(&tags, etag);
}

/* Where the client has the ETag that an answer to this GET would carry if the record still has the version that the tag names, its boundary, which may be long, need not
 * be read. */
void respond_expect_known(struct request *request)
{
	struct slice field = http_header(request->exchange, "if-none-match");
	const struct shape *shape = request->match.route->shape;
	struct tags tags;
	const char *version;
	bool get = request_operation(request)->verb == V_GET && request->call.query.include == 0 && shape_geometry(shape) >= 0;
	if (!get || field.ptr == NULL || tags_parse(field, &tags) < 0 || tags_version(request->arena, &tags, &version) < 0 ||
	    version == NULL)
		return;
	const char *count = arena_copy(request->arena, (struct slice){ version, strcspn(version, ".") });
	const char *today = on_timeline(request, count, atomic_load(&request->worker->server->fence.timeline));
	/* Of the coding that a long answer would have; where the answer is too short for it the body decides, as ever. */
	const char *etag = etag_compose(request->arena, today, representation_hash(request, http_accepts_gzip(request->exchange)));
	if (!tags_match(&tags, etag))
		return;
	request->known_etag = etag;
	request->call.known_version = count;
}

static void respond_not_modified(struct request *request, const char *etag, const struct db_result *result)
{
	struct http_answer answer;
	respond_start(request, &answer, 304);
	respond_field(&answer, "ETag", etag);
	respond_field(&answer, "Cache-Control", respond_cache_control(request));
	answer.compress = true; /* it varies as the whole answer would */
	result_release(request, result->owner);
	respond_send(request, &answer);
}

/* The record has the version that the client knows, and was not read whole. */
static void respond_unread(struct request *request, const struct db_result *result)
{
	const char *version = on_timeline(request, result->etag, result->timeline);
	const char *etag = etag_compose(request->arena, version, representation_hash(request, http_accepts_gzip(request->exchange)));
	if (strcmp(etag, request->known_etag) == 0) {
		respond_not_modified(request, request->known_etag, result);
		return;
	}
	/* The database moved to its standby in this very moment: there the version is another one. */
	result_release(request, result->owner);
	respond_problem(request, PROBLEM_UNAVAILABLE, "The database has just moved to its standby. Try again.");
}

static enum problem problem_of(int status)
{
	switch (status) {
	case 400:
		return PROBLEM_INVALID_REQUEST;
	case 403:
		return PROBLEM_FORBIDDEN;
	case 404:
		return PROBLEM_NOT_FOUND;
	case 409:
		return PROBLEM_CONFLICT;
	case 412:
		return PROBLEM_PRECONDITION_FAILED;
	case 422:
		return PROBLEM_UNPROCESSABLE;
	default:
		return PROBLEM_INTERNAL;
	}
}

static void respond_refusal(struct request *request, const struct db_result *result)
{
	const char *errors = result->body.len > 2 ? arena_copy(request->arena, result->body) : NULL;
	int status = result->status;
	result_release(request, result->owner);
	respond_faults(request, problem_of(status), NULL, errors);
}

/* NULL: the answer has no tag. */
static const char *tag_of(struct request *request, const struct db_result *result, const struct http_answer *answer)
{
	const struct operation *operation = request_operation(request);
	if (operation->flags & OP_CONDITIONAL)
		return etag_compose(request->arena, result->etag, conditional_hash(request));
	bool get = operation->verb == V_GET || is_list(request);
	if (answer->n_body == 0 || request->call.query.dry_run || (result->etag == NULL && !get))
		return NULL;
	size_t total = 0;
	for (size_t i = 0; i < answer->n_body; i++)
		total += answer->body[i].len;
	return etag_of(request, result, answer, http_accepts_gzip(request->exchange) && total > HTTP_COMPRESS_MIN);
}

static void respond_success(struct request *request, const struct db_result *result)
{
	const struct operation *operation = request_operation(request);
	struct http_answer answer;
	bool dry = request->call.query.dry_run;
	respond_start(request, &answer, result->status);
	bool empty = result->body.len == 0;
	if (!empty) {
		answer.body[answer.n_body++] = operation->flags & OP_BINARY ? bytes_of(request, result->body) : result->body;
		respond_field(&answer, "Content-Type", type_of(request));
	}
	respond_crs(request, &answer);
	if (is_list(request))
		respond_links(request, result->link, &answer);
	if ((operation->flags & OP_SECRET) && !empty)
		secret_append(request, &answer);
	bool get = operation->verb == V_GET || is_list(request) || (operation->flags & OP_CONDITIONAL);
	const char *etag = tag_of(request, result, &answer);
	if (request->spool != NULL) {
		spool_fields(request, &answer);
	} else if (get && etag != NULL && (result->status == 304 || respond_unchanged(request, etag))) {
		respond_not_modified(request, etag, result);
		return;
	}
	respond_field(&answer, "ETag", etag);
	respond_field(&answer, "Cache-Control", respond_cache_control(request));
	if (request->replaying)
		respond_field(&answer, "Idempotency-Replayed", "true");
	if (result->status == 201 && !dry && result->link != NULL)
		respond_field(&answer, "Location",
			      arena_printf(request->arena, "%s%s", request->worker->server->config->public_url, result->link));
	if (request->format == FORMAT_CSV)
		respond_field(&answer, "Content-Disposition", respond_disposition(request));
	answer.compress = true;
	answer.release = request->job.records ? memory_give : db_result_release;
	answer.release_data = result->owner;
	respond_send(request, &answer);
}

/* Rows of records become the body of the answer. */
static void render(struct request *request, struct db_result *result)
{
	struct db_extent extent = db_result_extent(result->owner);
	struct view_rows rows = { extent.rows, extent.columns, extent.bytes, db_result_row, result->owner };
	struct view_answer answer;
	int error = view_render(request->arena, &request->call, &rows, &answer);
	db_result_release(result->owner);
	*result = (struct db_result){ .outcome = DB_ROW, .status = 200, .timeline = result->timeline };
	if (error == -ENOMEM)
		arena_lack(request->arena);
	if (error == -ENOENT)
		result->outcome = DB_NO_ROW;
	if (error == -EINVAL) /* a statement and a view that do not fit: a mistake of ours */
		*result = (struct db_result){ .outcome = DB_ERROR, .sqlstate = "XX000" };
	if (error < 0)
		return;
	result->owner = answer.body.ptr;
	result->body = (struct slice){ answer.body.ptr, answer.body.len };
	result->etag = answer.etag;
	result->link = answer.link;
}

struct slice respond_compact(struct slice json)
{
	return (struct slice){ json.ptr, json.len == 0 ? 0 : json_compact((char *)(uintptr_t)json.ptr, json.len) };
}

void respond_result(struct request *request, const struct db_result *result)
{
	struct db_result answer = *result;
	if (request->job.records && result->outcome == DB_ROW)
		render(request, &answer);
	else if (result->outcome == DB_ROW && !(request_operation(request)->flags & OP_BINARY))
		answer.body = respond_compact(result->body);
	if (answer.outcome == DB_ERROR) {
		respond_failure(request, &answer);
	} else if (answer.outcome == DB_NO_ROW) {
		result_release(request, answer.owner);
		respond_problem(request, PROBLEM_NOT_FOUND, NULL);
	} else if (request->probe || answer.status >= 400) {
		respond_refusal(request, &answer);
	} else if (request->known_etag != NULL && answer.etag != NULL && strcmp(answer.etag, request->call.known_version) == 0) {
		respond_unread(request, &answer);
	} else {
		respond_success(request, &answer);
	}
}

/* --- failed segments --- */

/* A constraint is named <thing>_<field>_...: the field it guards is the longest that fits. */
static const char *guarded_field(struct request *request, const char *constraint)
{
	const struct shape *shape = request->match.route->shape;
	if (shape == NULL || constraint == NULL)
		return NULL;
	size_t skip = strlen(shape->resource->thing);
	if (strncmp(constraint, shape->resource->thing, skip) != 0 || constraint[skip] != '_')
		return NULL;
	const char *rest = constraint + skip + 1, *best = NULL;
	for (size_t i = 0; i < shape->n_fields; i++) {
		size_t len = strlen(shape->fields[i]->name);
		bool fits = strncmp(rest, shape->fields[i]->name, len) == 0 && (rest[len] == '_' || rest[len] == '\0');
		if (fits && (best == NULL || len > strlen(best)))
			best = shape->fields[i]->name;
	}
	return best;
}

static void respond_constraint(struct request *request, const struct db_result *result)
{
	bool unique = strcmp(result->sqlstate, "23505") == 0 || strcmp(result->sqlstate, "23P01") == 0;
	bool reference = strcmp(result->sqlstate, "23503") == 0;
	const char *field = guarded_field(request, result->constraint);
	const char *name = field == NULL ? "" : arena_printf(request->arena, "/%s", field);
	fault_add(&request->faults, FAULT_POINTER, name,
		  unique      ? "not_unique"
		  : reference ? "in_use"
			      : "constraint",
		  "%s",
		  unique      ? "Another record has this value already."
		  : reference ? "A record that is referred to is gone, or others refer to this one."
			      : "The record would break a rule of its kind.");
	respond_faults(request, PROBLEM_CONFLICT, NULL, NULL);
}

struct mapping {
	const char *prefix;
	enum problem problem;
	const char *detail;
};

static const struct mapping mappings[] = {
	{ "WM403", PROBLEM_FORBIDDEN, "Only the owner's officers set visibility, its managers grants, and nobody the owner." },
	{ "42501", PROBLEM_FORBIDDEN, NULL },
	{ "WM409", PROBLEM_IN_FLIGHT, NULL },
	{ "WM412", PROBLEM_PRECONDITION_FAILED, "The database has moved to another server since. Read the record again." },
	{ "WM422", PROBLEM_KEY_REUSED, NULL },
	{ "22", PROBLEM_INVALID_REQUEST, "A value is outside what the database can hold." },
};

static void respond_error(struct request *request, const struct db_result *result)
{
	if (!result->early && strncmp(result->sqlstate, "23", 2) == 0) {
		respond_constraint(request, result);
		return;
	}
	if (strcmp(result->sqlstate, "WM400") == 0 && result->constraint != NULL && result->detail_code != NULL) {
		/* what a parameter asks for is too much, which the data showed */
		fault_add(&request->faults, FAULT_PARAMETER, result->constraint, "too_many", "%s", result->detail_code);
		respond_faults(request, PROBLEM_INVALID_REQUEST, NULL, NULL);
		return;
	}
	for (size_t i = 0; !result->early && i < sizeof mappings / sizeof mappings[0]; i++) {
		if (strncmp(result->sqlstate, mappings[i].prefix, strlen(mappings[i].prefix)) == 0) {
			respond_problem(request, mappings[i].problem, mappings[i].detail);
			return;
		}
	}
	struct log_line line;
	log_begin(&line, LOG_LEVEL_ERROR, "statement failed");
	log_text(&line, "request_id", request->id);
	log_text(&line, "route", request->match.pattern);
	log_text(&line, "sqlstate", result->sqlstate);
	log_text(&line, "constraint", result->constraint);
	log_end(&line);
	respond_problem(request, PROBLEM_INTERNAL, NULL);
}

void respond_failure(struct request *request, const struct db_result *result)
{
	switch (result->outcome) {
	case DB_NO_ACTOR:
		auth_cache_drop(request->worker->tokens, request->token);
		respond_problem(request, PROBLEM_INVALID_TOKEN, NULL);
		break;
	case DB_ERROR:
		respond_error(request, result);
		break;
	case DB_TIMEOUT:
		respond_problem(request, PROBLEM_TIMEOUT, NULL);
		break;
	case DB_BUSY:
		respond_problem(request, PROBLEM_UNAVAILABLE, "Others were changing the same records. Nothing was done; try again.");
		break;
	case DB_UNKNOWN:
		respond_problem(request, PROBLEM_OUTCOME_UNKNOWN, NULL);
		break;
	case DB_UNAVAILABLE:
	case DB_ROW:
	case DB_NO_ROW:
		respond_problem(request, PROBLEM_UNAVAILABLE, NULL);
		break;
	}
	db_result_release(result->owner);
}
