/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rendering: a row `r` as columns for a view, or as one value of JSON, which writes answer and keep. Who may not see a field does not see its name either: where a
 * row can be the caller's own or somebody else's there are two renderings of that, and the row picks; a column is null, and the view leaves it out. */
#include "sql_internal.h"

#define BIT(i) (UINT64_C(1) << (i))

uint64_t sql_visible_to_others(const struct sql *sql)
{
	return sql->shape->visible[sql->call->caller == CALLER_ANONYMOUS ? A_PUBLIC : A_PARTNER];
}

static uint64_t areas_of(const struct shape *shape)
{
	uint64_t areas = 0;
	for (size_t i = 0; i < shape->n_fields; i++)
		areas |= shape->fields[i]->type == T_GEOMETRY ? BIT(i) : 0;
	return areas;
}

uint64_t sql_shown(const struct sql *sql)
{
	const struct shape *shape = sql->shape;
	const struct query *query = &sql->call->query;
	uint64_t visible = sql->call->caller == CALLER_ANONYMOUS ? shape->visible[A_PUBLIC] : shape->visible[A_OWNER];
	uint64_t areas = query->geometry == GEOMETRY_FULL || query->geometry == GEOMETRY_SIMPLIFIED ? areas_of(shape) : 0;
	if (query->fields != 0)
		return visible & (query->fields | areas | BIT(0)); /* id is always there */
	return sql->call->route->operation->verb == V_LIST ? visible & ~(shape->heavy & ~areas) : visible;
}

/* The expression for a geometry as GeoJSON, as the call wants it: its reference system, and how much of an area. What lies off the national grid has no
 * coordinates there. */
static const char *geojson(const struct sql *sql, const char *alias, const struct field *field)
{
	const struct query *query = &sql->call->query;
	bool national = query->srid == SRID_NATIONAL, simple = query->geometry == GEOMETRY_SIMPLIFIED && field->type == T_GEOMETRY;
	const char *value = arena_printf(sql->arena, "%s.%s", alias, field->name);
	if (query->geometry == GEOMETRY_NONE && field->type == T_GEOMETRY)
		return "NULL::text";
	if (simple)
		value = arena_printf(sql->arena, "wardmote.simplified(%s)", value);
	if (national)
		value = arena_printf(sql->arena, "wardmote.national(%s)", value);
	int places = national ? (simple ? 0 : 2) : simple ? 5 : 6;
	return arena_printf(sql->arena, "ST_AsGeoJSON(%s, %d, 0)", value, places);
}

/* Of a read that is noted nothing is withheld. */
uint64_t sql_withheld(const struct sql *sql)
{
	return sql_notes(sql->call) ? 0 : sql->shape->logged;
}

const char *sql_is_open(const struct sql *sql)
{
	if (sql->as_of == 0 && !sql->versions)
		return "r.visibility = 'public'";
	return arena_printf(sql->arena,
			    "(r.visibility = 'public' AND EXISTS (SELECT FROM api.%s n WHERE n.id = r.id AND n.visibility = 'public'))",
			    sql->shape->resource->thing);
}

static void render_value(struct sql *sql, const char *alias, const struct field *field)
{
	if (field->type == T_TIMESTAMP)
		sql_add(sql, "to_char(%s.%s AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')", alias, field->name);
	else if (field->type == T_TIME)
		sql_add(sql, "to_char(%s.%s, 'HH24:MI')", alias, field->name);
	else if (field_is_geometry(field))
		sql_add(sql, "%s::json", geojson(sql, alias, field));
	else
		sql_add(sql, "%s.%s", alias, field->name);
}

/* --- include= --- */

/* The fields of the target that stand for it, as columns of alias `i`. */
static void render_summary_columns(struct sql *sql, const struct shape *target)
{
	sql_add(sql, "i.id");
	for (size_t i = 1; i < target->n_fields; i++) {
		if (!(target->fields[i]->flags & F_SUMMARY))
			continue;
		sql_add(sql, ", ");
		render_value(sql, "i", target->fields[i]);
		sql_add(sql, " AS %s", target->fields[i]->name);
	}
}

static void render_include(struct sql *sql, const struct field *field)
{
	const struct field *reference = field_reference(field);
	const struct shape *target = catalog_shape(sql->call->catalog, reference->refers);
	const char *source = sql_source(sql, target->resource), *moment = sql_moment(sql, "i");
	if (field->type == T_REF) {
		sql_add(sql, "(SELECT row_to_json(s) FROM (SELECT ");
		render_summary_columns(sql, target);
		sql_add(sql, " FROM %s i WHERE i.id = r.%s%s) s)", source, field->name, moment);
		return;
	}
	sql_add(sql, "(SELECT coalesce(json_agg(row_to_json(s) ORDER BY u.n), '[]') FROM ");
	if (field->type == T_REFS)
		sql_add(sql, "unnest(r.%s) WITH ORDINALITY u (id, n)", field->name);
	else
		sql_add(sql, "(SELECT (e ->> '%s')::uuid, n FROM jsonb_array_elements(r.%s) WITH ORDINALITY v (e, n)) u (id, n)",
			reference->name, field->name);
	sql_add(sql, " CROSS JOIN LATERAL (SELECT ");
	render_summary_columns(sql, target);
	/* One after another by its id: joined as a whole, a table of few rows would be read once for each record. */
	sql_add(sql, " FROM %s i WHERE i.id = u.id%s OFFSET 0) s)", source, moment);
}

/* --- JSON --- */

static void render_member(struct sql *sql, size_t i, bool withheld)
{
	const struct field *field = sql->shape->fields[i];
	if (withheld)
		sql_add(sql, "CASE WHEN %s OR %s THEN ", sql_is_own(sql, "r"), sql_is_open(sql));
	render_value(sql, "r", field);
	sql_add(sql, "%s AS \"%s\"", withheld ? " END" : "", field->name);
}

static void render_row(struct sql *sql, uint64_t fields, uint64_t visible)
{
	const struct shape *shape = sql->shape;
	uint64_t withheld = visible == shape->visible[A_OWNER] ? 0 : sql_withheld(sql);
	sql_add(sql, "(SELECT row_to_json(o) FROM (SELECT ");
	const char *comma = "";
	for (size_t i = 0; i < shape->n_fields; i++) {
		if (!(fields & BIT(i)))
			continue;
		buffer_text(&sql->text, comma);
		render_member(sql, i, withheld & BIT(i));
		comma = ", ";
	}
	for (size_t i = 0; i < shape->n_fields; i++) {
		if (!(sql->call->query.include & visible & BIT(i)))
			continue;
		sql_add(sql, ", ");
		render_include(sql, shape->fields[i]);
		sql_add(sql, " AS %s", shape->fields[i]->include_name);
	}
	sql_add(sql, ") o)");
}

void sql_render_object(struct sql *sql, uint64_t fields)
{
	uint64_t others = sql_visible_to_others(sql);
	if (((fields | sql->call->query.include) & ~others) == 0) {
		render_row(sql, fields, others);
		return;
	}
	sql_add(sql, "CASE WHEN %s THEN ", sql_is_own(sql, "r"));
	render_row(sql, fields, sql->shape->visible[A_OWNER]);
	sql_add(sql, " ELSE ");
	render_row(sql, fields & others, others);
	sql_add(sql, " END");
}

/* --- columns --- */

/* As PostgreSQL writes it where that will do: view_put.c makes the rest. */
static void render_cell(struct sql *sql, const struct view *view, const struct view_column *column)
{
	const struct field *field = column->field;
	if (field == NULL) {
		sql_render_shown(sql, column->shown);
		return;
	}
	bool is_list = field->type == T_REFS || field->type == T_CODES || field->type == T_TEXTS;
	if (column->included)
		render_include(sql, field);
	else if (field_is_geometry(field))
		buffer_text(&sql->text, geojson(sql, "r", field));
	else if (is_list && view->format == FORMAT_CSV)
		sql_add(sql, "array_to_string(r.%s, ';')", field->name);
	else
		sql_add(sql, "r.%s", field->name);
}

static bool is_page(const struct sql *sql)
{
	return sql->call->route->operation->verb == V_LIST && !sql->call->query.all;
}

/* To leave what is embedded out of one row of a page is dearer than to have it. */
static bool is_dear(const struct sql *sql, const struct view_column *column)
{
	if (column->included)
		return !is_page(sql);
	return column->shown != NULL || field_is_geometry(column->field);
}

bool view_has_dear(const struct sql *sql, const struct view *view)
{
	bool has = false;
	for (size_t i = 0; i < view->n; i++)
		has = has || is_dear(sql, &view->columns[i]);
	return has;
}

/* Not of a version that the client has, and not in the row that only says that there are more. */
static bool begin_dear(struct sql *sql)
{
	bool page = is_page(sql);
	if (page)
		sql_add(sql, "CASE WHEN r.row_n <= $%d::integer THEN ", sql->limit);
	else if (sql->known > 0)
		sql_add(sql, "CASE WHEN r.version <> $%d::integer THEN ", sql->known);
	return page || sql->known > 0;
}

bool view_has_owners(const struct view *view)
{
	bool has = false;
	for (size_t i = 0; i < view->n; i++)
		has = has || view->columns[i].owners || view->columns[i].withheld;
	return has;
}

/* The names of columns say nothing, and libpq keeps those of each row that comes alone: so they are short. */
void sql_render_columns(struct sql *sql, const struct view *view)
{
	for (size_t i = 0; i < view->n; i++) {
		const struct view_column *column = &view->columns[i];
		const char *condition = column->owners     ? "CASE WHEN r.is_own THEN "
					: column->withheld ? arena_printf(sql->arena, "CASE WHEN r.is_own OR %s THEN ", sql_is_open(sql))
							   : NULL;
		sql_add(sql, ", %s", condition == NULL ? "" : condition);
		bool dear = is_dear(sql, column) && begin_dear(sql);
		render_cell(sql, view, column);
		if (dear)
			sql_add(sql, " END");
		sql_add(sql, "%s AS c", condition == NULL ? "" : " END");
	}
}
