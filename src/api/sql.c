/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Statements: names, the tail that all share, and hand-written statements. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>

#include "clause.h"
#include "sql_internal.h"

enum { ANSWER_KEPT_MAX = 32768 };

void sql_add(struct sql *sql, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	buffer_vformat(&sql->text, format, args);
	va_end(args);
}

void sql_literal(struct sql *sql, const char *text)
{
	buffer_text(&sql->text, "'");
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '\'')
			buffer_text(&sql->text, "'");
		buffer_add(&sql->text, (struct slice){ c, 1 });
	}
	buffer_text(&sql->text, "'");
}

const char *sql_source(const struct sql *sql, const struct resource *resource)
{
	return arena_printf(sql->arena, "api.%s%s", resource->thing, sql->as_of > 0 ? "_version" : "");
}

const char *sql_moment(const struct sql *sql, const char *alias)
{
	if (sql->as_of == 0)
		return "";
	return arena_printf(
	    sql->arena,
	    " AND %1$s.version_from <= $%2$d::timestamptz AND $%2$d::timestamptz < %1$s.version_to AND %1$s.operation <> 'delete'", alias,
	    sql->as_of);
}

const char *sql_type(const struct field *field)
{
	switch (field->type) {
	case T_UUID:
	case T_REF:
	case T_REFS:
		return "uuid";
	case T_TEXT:
	case T_ENUM:
	case T_URL:
	case T_CODES:
	case T_TEXTS:
	case T_POSITION:
	case T_BOX:
		return "text";
	case T_BOOL:
		return "boolean";
	case T_INT:
		return "bigint";
	case T_DECIMAL:
		return "numeric";
	case T_DATE:
		return "date";
	case T_TIME:
		return "time";
	case T_TIMESTAMP:
		return "timestamptz";
	case T_OBJECTS:
	case T_OBJECT:
		return "jsonb";
	case T_GEOMETRY:
	case T_POINT:
		return "geometry";
	}
	return "text";
}

/* A record that belongs to no partner by a field is one (the partners themselves). What the network shares is nobody's. */
const char *sql_is_own(const struct sql *sql, const char *alias)
{
	bool has_partner = shape_field(sql->shape, SLICE("partner_id")) >= 0;
	return arena_printf(sql->arena, "%s.%s = (SELECT wardmote.ctx_partner())", alias, has_partner ? "partner_id" : "id");
}

void sql_tail(struct sql *sql)
{
	if (sql->saved.key != 0)
		sql_add(
		    sql,
		    ", saved AS (INSERT INTO wardmote.idempotency (key, method, path, hash, status, body, etag, link, record_id, version)"
		    " SELECT $%d::text, $%d::text, $%d::text, $%d::text, a.status, CASE WHEN octet_length(a.body) <= %d THEN a.body END, "
		    "a.etag, a.link,"
		    " coalesce(substring(a.link FROM '[0-9a-f-]{36}$')::uuid, $%d::uuid), a.etag::integer FROM answer a WHERE a.status < "
		    "300)",
		    sql->saved.key, sql->saved.method, sql->saved.path, sql->saved.hash, ANSWER_KEPT_MAX, sql->saved.id);
	sql_add(sql, " SELECT status, body, etag, link FROM answer");
}

static struct sql sql_begin(struct arena *arena, const struct call *call, struct statement *statement)
{
	enum verb verb = call->route->operation->verb;
	*statement = (struct statement){ .records = verb == V_LIST || verb == V_GET };
	return (
	    struct sql){ .arena = arena, .call = call, .shape = call->route->shape, .text = { .arena = arena }, .statement = statement };
}

static int sql_end(struct sql *sql)
{
	if (sql->overflow)
		return -E2BIG;
	sql->statement->text = sql->text.ptr;
	return 0;
}

/* Shown only while the version that was answered may still be seen; rendered again where it was too long to keep. */
int sql_replay(struct arena *arena, const struct call *call, struct statement *ret_statement)
{
	struct sql sql = sql_begin(arena, call, ret_statement);
	int key = sql_parameter(&sql, call->idempotency_key);
	int method = sql_parameter(&sql, call->route->operation->method);
	int path = sql_parameter(&sql, sql_keyed_path(arena, call));
	const char *own = "s.partner_id = (SELECT wardmote.ctx_partner())";
	sql.versions = true;
	sql_add(&sql, "SELECT s.status, ");
	if (sql.shape != NULL) {
		sql_add(&sql, "coalesce(s.body, CASE WHEN s.status <> 204 THEN ");
		sql_render_object(&sql, sql_shown(&sql));
		sql_add(&sql,
			"::text END) AS body, s.etag, s.link FROM wardmote.idempotency s LEFT JOIN api.%s_version r ON r.id = s.record_id "
			"AND r.version = s.version",
			sql.shape->resource->thing);
	} else {
		sql_add(&sql, "s.body, s.etag, s.link FROM wardmote.idempotency s");
	}
	sql_add(&sql, " WHERE %s AND s.method = $%d::text AND s.path = $%d::text AND s.key = $%d::text", own, method, path, key);
	if (sql.shape != NULL)
		sql_add(&sql, " AND (r.id IS NOT NULL OR (s.version IS NULL AND EXISTS (SELECT FROM api.%s n WHERE n.id = s.record_id)))",
			sql.shape->resource->thing);
	return sql_end(&sql);
}

/* --- hand-written statements --- */

/* The text after the leading comments and WITH. */
static const char *after_with(const char *text)
{
	for (;;) {
		while (isspace((unsigned char)*text))
			text++;
		if (strncmp(text, "--", 2) != 0)
			break;
		text += strcspn(text, "\n");
	}
	return strncmp(text, "WITH", 4) == 0 ? text + 4 : text;
}

/* Where a hand-written statement shows a record of the resource: the row `r`, as GET renders it. */
#define RECORD_MARK "@record"

/* A CTE in front gives each parameter its type, also those that the text does not use. */
static void sql_hand_written(struct sql *sql)
{
	const char *rest = after_with(sql->call->route->operation->sql);
	sql_add(sql, "WITH RECURSIVE given AS (SELECT $%d::jsonb, $%d::uuid, $%d::integer", sql->body, sql->id, sql->expected);
	for (size_t i = 0; i < sql->n_given; i++)
		sql_add(sql, ", $%d::text", sql->given[i]);
	sql_add(sql, "), ");
	while (isspace((unsigned char)*rest))
		rest++;
	rest += strncmp(rest, "RECURSIVE", 9) == 0 ? 9 : 0;
	for (const char *mark = strstr(rest, RECORD_MARK); mark != NULL; mark = strstr(rest, RECORD_MARK)) {
		buffer_add(&sql->text, (struct slice){ rest, (size_t)(mark - rest) });
		sql_render_object(sql, sql_shown(sql));
		rest = mark + strlen(RECORD_MARK);
	}
	buffer_text(&sql->text, rest);
	sql_tail(sql);
}

/* --- entrances --- */

static void add_text(struct sql *sql)
{
	switch (sql->call->route->operation->verb) {
	case V_LIST:
		sql_list(sql);
		break;
	case V_GET:
		sql_get(sql);
		break;
	case V_CREATE:
	case V_PUT:
	case V_PATCH:
		sql_create_or_change(sql);
		break;
	case V_DELETE:
		sql_delete(sql);
		break;
	case V_HISTORY:
		sql_history(sql);
		break;
	case V_SQL:
		sql_hand_written(sql);
		break;
	case V_NATIVE:
		break;
	}
}

static bool has_statement(const struct call *call)
{
	const struct shape *shape = call->route->shape;
	if (call->format == FORMAT_GEOJSON && (shape == NULL || shape_geometry(shape) < 0))
		return false;
	return call->route->operation->verb != V_NATIVE;
}

int sql_build(struct arena *arena, const struct call *call, struct statement *ret_statement)
{
	struct sql sql = sql_begin(arena, call, ret_statement);
	if (!has_statement(call))
		return -EINVAL;
	sql_parameters(&sql);
	if (!sql.overflow)
		add_text(&sql);
	return sql_end(&sql);
}

/* A text of the cache is the one that would be made now. Where speed is no matter, as in the builds that are tested, this is looked at each time. */
static void check_hit(struct arena *arena, const struct call *call, const struct statement *statement)
{
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
	struct statement fresh;
	assert(sql_build(arena, call, &fresh) == 0);
	assert(arena_lacking(arena) || strcmp(fresh.text, statement->text) == 0);
#else
	(void)arena, (void)call, (void)statement;
#endif
}

int sql_build_cached(struct sql_cache *cache, struct arena *arena, const struct call *call, struct statement *ret_statement)
{
	struct sql sql = sql_begin(arena, call, ret_statement);
	if (!has_statement(call))
		return -EINVAL;
	sql_parameters(&sql);
	if (sql.overflow)
		return -E2BIG;
	struct sql_form form;
	sql_form_of(call, &form);
	if (sql_cache_find(cache, &form, ret_statement)) {
		check_hit(arena, call, ret_statement);
		return 0;
	}
	add_text(&sql);
	/* A text for which memory was short may lack something. */
	if (!arena_lacking(arena))
		sql_cache_add(cache, &form, buffer_slice(&sql.text), ret_statement);
	return ret_statement->held != NULL ? 0 : sql_end(&sql);
}

int sql_probe(struct arena *arena, const struct call *call, struct statement *ret_statement)
{
	struct sql sql = sql_begin(arena, call, ret_statement);
	ret_statement->records = false;
	sql_add(&sql, "SELECT 403 AS status, NULL::text AS body, NULL::text AS etag, NULL::text AS link FROM api.%s WHERE id = $%d::uuid",
		sql.shape->resource->thing, sql_parameter(&sql, call->id));
	return sql_end(&sql);
}

static void describe(struct buffer *text, const struct call *call, const char *title)
{
	struct statement statement;
	if (sql_build(text->arena, call, &statement) == 0)
		buffer_format(text, "-- %s%s\n%s;\n\n", call->route->operation->id, title, statement.text);
}

/* The list with all its clauses. */
static void describe_clauses(struct buffer *text, struct call call)
{
	const struct shape *shape = call.route->shape;
	struct query *query = &call.query;
	for (size_t i = 0; i < clause_count(shape->resource); i++) {
		const struct clause *clause = &shape->resource->clauses[i];
		query->clauses[i] = clause->example;
		if (clause->widens != NULL && query->n_filters < FILTERS_MAX)
			query->filters[query->n_filters++] =
			    (struct filter){ shape->fields[shape_field(shape, slice_of(clause->widens))], FILTER_ANY_OF, "{}" };
	}
	if (query_has_clauses(query))
		describe(text, &call, ", with its clauses");
}

struct slice sql_describe(struct arena *arena, const struct catalog *catalog, const struct shape *shape)
{
	static const enum verb verbs[] = { V_LIST, V_GET, V_CREATE, V_PUT, V_PATCH, V_DELETE, V_HISTORY };
	struct buffer text = { .arena = arena };
	size_t n;
	const struct route *routes = catalog_routes(catalog, &n);
	for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++) {
		for (size_t i = 0; i < n; i++) {
			if (routes[i].shape != shape || routes[i].operation->verb != verbs[v])
				continue;
			struct call call = {
				.route = &routes[i], .catalog = catalog, .caller = CALLER_OFFICER, .id = "", .query = { .limit = 50 }
			};
			describe(&text, &call, "");
			if (verbs[v] == V_LIST)
				describe_clauses(&text, call);
		}
	}
	return buffer_slice(&text);
}
