/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Rendering: a row `r` as JSON, as a GeoJSON feature, as a line of CSV. Who may not see a field does not see its name either: where a row can be
 * the caller's own or somebody else's there are two renderings, and the row picks. */
#include "sql_internal.h"

#define BIT(i) (UINT64_C(1) << (i))

uint64_t sql_visible_to_others(const struct sql *sql)
{
	return sql->shape->visible[sql->call->caller == CALLER_ANONYMOUS ? A_PUBLIC : A_PARTNER];
}

uint64_t sql_shown(const struct sql *sql)
{
	const struct shape *shape = sql->shape;
	const struct query *query = &sql->call->query;
	uint64_t visible = sql->call->caller == CALLER_ANONYMOUS ? shape->visible[A_PUBLIC] : shape->visible[A_OWNER];
	if (query->fields != 0)
		return visible & (query->fields | BIT(0)); /* id is always there */
	return sql->call->route->operation->verb == V_LIST ? visible & ~shape->heavy : visible;
}

static void render_value(struct sql *sql, const char *alias, const struct field *field)
{
	if (field->type == T_TIMESTAMP)
		sql_add(sql, "to_char(%s.%s AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')", alias, field->name);
	else if (field->type == T_TIME)
		sql_add(sql, "to_char(%s.%s, 'HH24:MI')", alias, field->name);
	else if (field_is_geometry(field))
		sql_add(sql, "ST_AsGeoJSON(%s.%s, 6)::json", alias, field->name);
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
		sql_add(sql, ", (SELECT row_to_json(s) FROM (SELECT ");
		render_summary_columns(sql, target);
		sql_add(sql, " FROM %s i WHERE i.id = r.%s%s) s) AS %s", source, field->name, moment, field->include_name);
		return;
	}
	sql_add(sql, ", (SELECT coalesce(json_agg(row_to_json(s) ORDER BY u.n), '[]') FROM ");
	if (field->type == T_REFS)
		sql_add(sql, "unnest(r.%s) WITH ORDINALITY u (id, n)", field->name);
	else
		sql_add(sql, "(SELECT (e ->> '%s')::uuid, n FROM jsonb_array_elements(r.%s) WITH ORDINALITY v (e, n)) u (id, n)",
			reference->name, field->name);
	sql_add(sql, " CROSS JOIN LATERAL (SELECT ");
	render_summary_columns(sql, target);
	sql_add(sql, " FROM %s i WHERE i.id = u.id%s) s) AS %s", source, moment, field->include_name);
}

/* --- JSON --- */

static void render_row(struct sql *sql, uint64_t fields, uint64_t visible)
{
	const struct shape *shape = sql->shape;
	sql_add(sql, "(SELECT row_to_json(o) FROM (SELECT ");
	const char *comma = "";
	for (size_t i = 0; i < shape->n_fields; i++) {
		if (!(fields & BIT(i)))
			continue;
		buffer_text(&sql->text, comma);
		render_value(sql, "r", shape->fields[i]);
		sql_add(sql, " AS \"%s\"", shape->fields[i]->name);
		comma = ", ";
	}
	for (size_t i = 0; i < shape->n_fields; i++)
		if (sql->call->query.include & visible & BIT(i))
			render_include(sql, shape->fields[i]);
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

void sql_render_feature(struct sql *sql, uint64_t fields)
{
	int geometry = shape_geometry(sql->shape);
	sql_add(sql, "json_build_object('type', 'Feature', 'id', r.id, 'geometry', ");
	render_value(sql, "r", sql->shape->fields[geometry]);
	sql_add(sql, ", 'properties', ");
	sql_render_object(sql, fields & ~BIT((size_t)geometry));
	sql_add(sql, ")");
}

/* --- CSV --- */

bool sql_is_csv_column(const struct shape *shape, uint64_t fields, size_t i)
{
	return (fields & BIT(i)) && !field_is_geometry(shape->fields[i]);
}

void sql_render_csv_header(struct sql *sql, uint64_t fields)
{
	const char *comma = "'";
	for (size_t i = 0; i < sql->shape->n_fields; i++) {
		if (!sql_is_csv_column(sql->shape, fields, i))
			continue;
		sql_add(sql, "%s%s", comma, sql->shape->fields[i]->name);
		comma = ",";
	}
	sql_add(sql, "'");
}

static void render_csv_value(struct sql *sql, const struct field *field)
{
	switch (field->type) {
	case T_TEXT:
	case T_ENUM:
	case T_URL:
		sql_add(sql, "wardmote.csv(r.%s)", field->name);
		break;
	case T_REFS:
	case T_CODES:
	case T_TEXTS:
		sql_add(sql, "wardmote.csv(array_to_string(r.%s, ';'))", field->name);
		break;
	case T_OBJECTS:
		sql_add(sql, "wardmote.csv(r.%s::text)", field->name);
		break;
	case T_UUID:
	case T_REF:
	case T_BOOL:
	case T_INT:
	case T_DATE:
	case T_TIME:
	case T_TIMESTAMP:
	case T_GEOMETRY:
	case T_POINT:
		sql_add(sql, "coalesce((");
		render_value(sql, "r", field);
		sql_add(sql, ")::text, '')");
		break;
	}
}

void sql_render_csv(struct sql *sql, uint64_t fields)
{
	uint64_t others = sql_visible_to_others(sql);
	const char *join = "";
	for (size_t i = 0; i < sql->shape->n_fields; i++) {
		if (!sql_is_csv_column(sql->shape, fields, i))
			continue;
		sql_add(sql, "%s", join);
		if (!(others & BIT(i)))
			sql_add(sql, "CASE WHEN %s THEN ", sql_is_own(sql, "r"));
		render_csv_value(sql, sql->shape->fields[i]);
		if (!(others & BIT(i)))
			sql_add(sql, " ELSE '' END");
		join = " || ',' || ";
	}
}
