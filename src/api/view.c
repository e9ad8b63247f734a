/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which columns a reading call has, and what goes around its records. */
#include "sql_internal.h"
#include "wardmote/view.h"

#define BIT(i) (UINT64_C(1) << (i))

static enum cell cell_in_json(enum field_type type)
{
	switch (type) {
	case T_TEXT:
	case T_ENUM:
	case T_URL:
	case T_POSITION:
	case T_BOX:
		return CELL_TEXT;
	case T_REFS:
	case T_CODES:
	case T_TEXTS:
		return CELL_ARRAY;
	case T_BOOL:
		return CELL_BOOLEAN;
	case T_TIME:
		return CELL_TIME;
	case T_TIMESTAMP:
		return CELL_TIMESTAMP;
	case T_UUID:
	case T_REF:
	case T_DATE:
		return CELL_WORD;
	case T_OBJECT:
	case T_OBJECTS:
		return CELL_JSON;
	case T_INT:
	case T_DECIMAL:
	case T_GEOMETRY:
	case T_POINT:
		return CELL_PLAIN;
	}
	return CELL_TEXT;
}

/* Arrays come as text with semicolons. */
static enum cell cell_in_csv(enum field_type type)
{
	enum cell cell = cell_in_json(type);
	return cell == CELL_ARRAY || type == T_OBJECTS || type == T_OBJECT ? CELL_TEXT : cell;
}

static void add_columns(const struct sql *sql, struct view *view)
{
	const struct shape *shape = sql->shape;
	uint64_t fields = sql_shown(sql), others = sql_visible_to_others(sql), withheld = sql_withheld(sql);
	int geometry = view->format == FORMAT_GEOJSON ? shape_geometry(shape) : -1;
	for (size_t i = 0; i < shape->n_fields && view->n < VIEW_COLUMNS_MAX; i++) {
		const struct field *field = shape->fields[i];
		bool shown = (fields & BIT(i)) && !(view->format == FORMAT_CSV && field_is_geometry(field));
		if (!shown && (int)i != geometry)
			continue;
		if ((int)i == geometry)
			view->geometry = (int)view->n;
		enum cell cell = view->format == FORMAT_CSV ? cell_in_csv(field->type) : cell_in_json(field->type);
		view->columns[view->n++] = (struct view_column){
			.field = field, .key = shape->keys[i], .cell = cell, .owners = !(others & BIT(i)), .withheld = withheld & BIT(i)
		};
	}
}

static void add_included(struct arena *arena, const struct sql *sql, struct view *view)
{
	const struct shape *shape = sql->shape;
	uint64_t others = sql_visible_to_others(sql);
	for (size_t i = 0; i < shape->n_fields && view->n < VIEW_COLUMNS_MAX; i++) {
		if (!(sql->call->query.include & BIT(i)))
			continue;
		struct slice key = slice_of(arena_printf(arena, "\"%s\":", shape->fields[i]->include_name));
		view->columns[view->n++] = (struct view_column){
			.field = shape->fields[i], .key = key, .cell = CELL_JSON, .owners = !(others & BIT(i)), .included = true
		};
	}
}

static void add_shown(struct arena *arena, const struct sql *sql, struct view *view)
{
	for (size_t i = 0; i < CLAUSES_MAX && view->n < VIEW_COLUMNS_MAX; i++) {
		const struct clause *clause = sql_showing(sql, i);
		if (clause == NULL)
			continue;
		struct slice key = slice_of(arena_printf(arena, "\"%s\":", clause->shows));
		view->columns[view->n++] = (struct view_column){ .shown = clause, .key = key, .cell = CELL_JSON };
	}
}

static struct slice csv_head(struct arena *arena, const struct view *view)
{
	struct buffer head = { .arena = arena };
	for (size_t i = 0; i < view->n; i++)
		buffer_format(&head, "%s%s", i == 0 ? "" : ",", view->columns[i].field->name);
	buffer_text(&head, "\r\n");
	return buffer_slice(&head);
}

void view_of(struct arena *arena, const struct call *call, struct view *ret_view)
{
	const struct sql sql = { .arena = arena, .call = call, .shape = call->route->shape };
	ret_view->format = call->format;
	ret_view->n = 0;
	ret_view->geometry = -1;
	add_columns(&sql, ret_view);
	add_included(arena, &sql, ret_view);
	add_shown(arena, &sql, ret_view);
	ret_view->between = SLICE(",");
	ret_view->tail = SLICE("]");
	switch (call->format) {
	case FORMAT_CSV:
		ret_view->head = csv_head(arena, ret_view);
		ret_view->between = ret_view->tail = SLICE("");
		break;
	case FORMAT_JSON:
		ret_view->head = SLICE("{\"items\":[");
		break;
	case FORMAT_GEOJSON:
		ret_view->head = SLICE("{\"type\":\"FeatureCollection\",\"features\":[");
		break;
	}
}
