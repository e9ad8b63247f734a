/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The change feed: positions are handed out in commit order by the jobs thread, so that nothing ever appears before a position already read. */
#include <stdlib.h>
#include <time.h>

#include "native.h"
#include "wardmote/clock.h"

static const char changes_sql[] =
    "WITH page AS (SELECT c.position, json_build_object('resource', c.resource, 'id', c.record_id, 'version', c.version, 'operation', "
    "c.operation, "
    "'at', to_char(c.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')) AS item "
    "FROM api.change c WHERE c.position > $1::bigint AND ($3::text[] IS NULL OR c.resource = ANY ($3::text[])) "
    "ORDER BY c.position LIMIT $2::bigint) "
    "SELECT CASE WHEN $4::bigint <> wardmote.era() THEN 410 ELSE 200 END, '{\"items\":' || coalesce(json_agg(item ORDER BY position), "
    "'[]'::json)::text, "
    "CASE WHEN count(*) = $2::bigint THEN 'more' END, coalesce(max(position), $1::bigint)::text || coalesce('.' || nullif(wardmote.era(), "
    "0), '') FROM page";

enum { LIMIT_DEFAULT = 50, LIMIT_MAX = 500 };

const char *native_year_ahead(struct arena *arena)
{
	time_t then = (time_t)clock_wall_seconds() + 365 * 86400;
	struct tm day;
	gmtime_r(&then, &day);
	return arena_printf(arena, "%04d-%02d-%02dT00:00:00Z", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday);
}

/* `cursor` in the body is where to go on later, also when there is nothing more now; the link `next` is there only when the page was full. */
static void respond_page(struct request *request, const struct db_result *result)
{
	const char *base = request->worker->server->config->public_url;
	struct slice plain = slice_of(arena_printf(request->arena, "changes|%s", result->link));
	const char *cursor = arena_copy(request->arena, auth_seal(request->arena, request->worker->keys, plain));
	const char *limit = request->call.query.values[1];
	const char *tail = limit == NULL ? "" : arena_printf(request->arena, "&limit=%s", limit);
	const char *next = arena_printf(request->arena, "%s/v1/changes?after=%s%s", base, cursor, tail);
	struct http_answer answer;
	struct buffer links = { .arena = request->arena };
	bool more = result->etag != NULL;
	buffer_format(&links, ",\"cursor\":\"%s\",\"links\":[", cursor);
	if (more)
		buffer_format(&links, "{\"rel\":\"next\",\"href\":\"%s\",\"type\":\"application/json\"}", next);
	buffer_text(&links, "]}");
	respond_start(request, &answer, 200);
	respond_field(&answer, "Content-Type", "application/json");
	respond_field(&answer, "Cache-Control", request->authenticated ? "private, no-cache" : "public, no-cache");
	if (more)
		respond_field(&answer, "Link", arena_printf(request->arena, "<%s>; rel=\"next\"", next));
	answer.body[0] = respond_compact(result->body);
	answer.body[1] = buffer_slice(&links);
	answer.n_body = 2;
	answer.compress = true;
	answer.release = db_result_release;
	answer.release_data = result->owner;
	respond_send(request, &answer);
}

static void refuse_cursor(struct request *request, const char *detail)
{
	fault_add(&request->faults, FAULT_PARAMETER, "after", "cursor", "%s", detail);
	respond_faults(request, PROBLEM_INVALID_REQUEST, NULL, NULL);
}

static void changes_done(struct db_job *job, const struct db_result *result)
{
	struct request *request = request_of(job);
	segment_over(request);
	request->worker->replied = true;
	if (result->outcome == DB_ROW && result->status == 410) {
		db_result_release(result->owner);
		refuse_cursor(request, "This cursor is of before a restore of the database. Start again without it.");
	} else if (result->outcome == DB_ROW)
		respond_page(request, result);
	else
		respond_failure(request, result);
}

/* "changes|<position>", and ".<era>" where the database has one. */
static bool read_position(struct request *request, const char *after, const char **ret_position, const char **ret_era)
{
	struct slice plain;
	*ret_position = "0";
	*ret_era = NULL;
	if (after == NULL)
		return true;
	if (auth_unseal(request->arena, request->worker->keys, slice_of(after), &plain) < 0 || plain.len < 9 ||
	    memcmp(plain.ptr, "changes|", 8) != 0)
		return false;
	const char *dot = memchr(plain.ptr, '.', plain.len);
	size_t end = dot == NULL ? plain.len : (size_t)(dot - plain.ptr);
	*ret_position = arena_copy(request->arena, (struct slice){ plain.ptr + 8, end - 8 });
	*ret_era = dot == NULL ? "0" : arena_copy(request->arena, (struct slice){ dot + 1, plain.len - end - 1 });
	return true;
}

/* A token with scopes hears of the resources that it may read: an array literal, or NULL for all. */
static const char *heard_resources(struct request *request)
{
	if (!request->authenticated || !request->claims.scoped)
		return NULL;
	size_t n;
	const struct shape *const *shapes = catalog_shapes(request->worker->server->catalog, &n);
	struct buffer names = { .arena = request->arena };
	buffer_text(&names, "{");
	for (size_t i = 0; i < n; i++) {
		const char *name = shapes[i]->resource->name;
		if (auth_has_scope(&request->claims, arena_printf(request->arena, "%s:read", name)))
			buffer_format(&names, "%s%s", names.len > 1 ? "," : "", name);
	}
	buffer_text(&names, "}");
	return buffer_slice(&names).ptr;
}

void native_changes(struct request *request)
{
	const char **parameters = arena_alloc(request->arena, 4 * sizeof *parameters);
	const char *limit = request->call.query.values[1];
	if (!read_position(request, request->call.query.values[0], &parameters[0], &parameters[3])) {
		refuse_cursor(request, "This is no cursor of the change feed. Start again without it.");
		return;
	}
	long wanted = limit == NULL ? LIMIT_DEFAULT : strtol(limit, NULL, 10);
	parameters[1] = arena_printf(request->arena, "%ld", wanted > LIMIT_MAX ? LIMIT_MAX : wanted);
	segment_begin(request, LANE_READ, false);
	parameters[2] = heard_resources(request);
	segment_add(request, changes_sql, 4, parameters, true);
	segment_send(request, changes_done);
}
