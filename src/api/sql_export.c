/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the rows of an export have, and the bytes that they become. The rules for CSV are those of wardmote.csv() and sql_render_csv(). */
#include <errno.h>

#include "sql_internal.h"
#include "wardmote/export.h"

#define BIT(i) (UINT64_C(1) << (i))

enum cell {
	CELL_PLAIN, /* as PostgreSQL writes it, which needs no quotes */
	CELL_TEXT,
	CELL_BOOLEAN,
	CELL_TIME,
	CELL_TIMESTAMP,
};

static enum cell cell_of(const struct field *field)
{
	switch (field->type) {
	case T_TEXT:
	case T_ENUM:
	case T_URL:
	case T_REFS:
	case T_CODES:
	case T_TEXTS:
	case T_OBJECTS:
		return CELL_TEXT;
	case T_BOOL:
		return CELL_BOOLEAN;
	case T_TIME:
		return CELL_TIME;
	case T_TIMESTAMP:
		return CELL_TIMESTAMP;
	case T_UUID:
	case T_REF:
	case T_INT:
	case T_DATE:
	case T_GEOMETRY:
	case T_POINT:
		return CELL_PLAIN;
	}
	return CELL_TEXT;
}

static void add_columns(struct sql *sql, uint64_t fields)
{
	uint64_t others = sql_visible_to_others(sql);
	const char *comma = "";
	for (size_t i = 0; i < sql->shape->n_fields; i++) {
		if (!sql_is_csv_column(sql->shape, fields, i))
			continue;
		const struct field *field = sql->shape->fields[i];
		bool is_list = field->type == T_REFS || field->type == T_CODES || field->type == T_TEXTS;
		bool is_owners = !(others & BIT(i));
		buffer_text(&sql->text, comma);
		if (is_owners)
			sql_add(sql, "CASE WHEN %s THEN ", sql_is_own(sql, "r"));
		sql_add(sql, is_list ? "array_to_string(r.\"%s\", ';')" : "r.\"%s\"", field->name);
		/* libpq copies the names of all columns for each row. */
		sql_add(sql, is_owners ? " END AS c" : " AS c");
		comma = ", ";
	}
}

void sql_render_all(struct sql *sql, uint64_t fields)
{
	if (sql->call->format == FORMAT_CSV) {
		add_columns(sql, fields);
		return;
	}
	sql_add(sql, "(");
	if (sql->call->format == FORMAT_JSON)
		sql_render_object(sql, fields);
	else
		sql_render_feature(sql, fields);
	sql_add(sql, ")::text");
}

static void describe_csv(struct arena *arena, const struct call *call, struct export *export)
{
	const struct sql sql = { .arena = arena, .call = call, .shape = call->route->shape };
	struct buffer head = { .arena = arena };
	for (size_t i = 0; i < sql.shape->n_fields; i++) {
		if (!sql_is_csv_column(sql.shape, sql_shown(&sql), i))
			continue;
		buffer_format(&head, "%s%s", export->n_cells == 0 ? "" : ",", sql.shape->fields[i]->name);
		export->cells[export->n_cells++] = (unsigned char)cell_of(sql.shape->fields[i]);
	}
	buffer_text(&head, "\r\n");
	export->head = buffer_slice(&head);
	export->between = "";
}

int export_build(struct arena *arena, const struct call *call, struct export *ret_export)
{
	*ret_export = (struct export){ .between = ",", .tail = SLICE("]") };
	switch (call->format) {
	case FORMAT_CSV:
		ret_export->tail = SLICE("");
		describe_csv(arena, call, ret_export);
		break;
	case FORMAT_JSON:
		ret_export->head = SLICE("{\"items\":[");
		break;
	case FORMAT_GEOJSON:
		ret_export->head = SLICE("{\"type\":\"FeatureCollection\",\"features\":[");
		break;
	}
	return sql_build(arena, call, &ret_export->statement);
}

/* --- bytes --- */

/* A value that a spreadsheet would take for a formula. */
static bool is_formula(struct slice text)
{
	return text.len > 0 && memchr("=+@\t\r-", text.ptr[0], 6) != NULL;
}

static bool needs_quotes(struct slice text)
{
	static const bool special[256] = { ['"'] = true, [','] = true, ['\r'] = true, ['\n'] = true, [';'] = true };
	if (text.len == 0)
		return false;
	bool quotes = text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' ';
	for (size_t i = 0; !quotes && i < text.len; i++)
		quotes = special[(unsigned char)text.ptr[i]];
	return quotes;
}

static char *put(char *to, const char *bytes, size_t len)
{
	if (len > 0)
		memcpy(to, bytes, len);
	return to + len;
}

/* With each quote doubled. */
static char *put_doubled(char *to, struct slice text)
{
	while (text.len > 0) {
		const char *quote = memchr(text.ptr, '"', text.len);
		size_t len = quote == NULL ? text.len : (size_t)(quote - text.ptr) + 1;
		to = put(to, text.ptr, len);
		if (quote != NULL)
			*to++ = '"';
		text = (struct slice){ text.ptr + len, text.len - len };
	}
	return to;
}

static char *put_text(char *to, struct slice text)
{
	bool formula = is_formula(text);
	if (!formula && !needs_quotes(text))
		return put(to, text.ptr, text.len);
	*to++ = '"';
	if (formula)
		*to++ = '\'';
	to = put_doubled(to, text);
	*to++ = '"';
	return to;
}

enum { SECONDS_LEN = sizeof "2026-11-22 08:00:00" - 1, ZONE_LEN = sizeof "+00" - 1, MICROSECONDS = 6 };

/* "2026-11-22 08:00:00.5+00" as "2026-11-22T08:00:00.500000Z": sessions are in UTC. */
static char *put_timestamp(char *to, struct slice text)
{
	if (text.len < SECONDS_LEN + ZONE_LEN)
		return put(to, text.ptr, text.len);
	const char *point = memchr(text.ptr, '.', text.len);
	size_t digits = point == NULL ? 0 : (size_t)(text.ptr + text.len - point) - 1 - ZONE_LEN;
	size_t whole = point == NULL ? text.len - ZONE_LEN : (size_t)(point - text.ptr);
	char *start = to;
	to = put(to, text.ptr, whole);
	char *space = memchr(start, ' ', whole);
	if (space != NULL)
		*space = 'T';
	*to++ = '.';
	for (size_t i = 0; i < MICROSECONDS; i++)
		*to++ = i < digits ? point[1 + i] : '0';
	*to++ = 'Z';
	return to;
}

static char *put_cell(char *to, enum cell cell, struct slice text)
{
	switch (cell) {
	case CELL_TEXT:
		return put_text(to, text);
	case CELL_BOOLEAN:
		return text.ptr[0] == 't' ? put(to, "true", 4) : put(to, "false", 5);
	case CELL_TIME: /* without its seconds */
		return put(to, text.ptr, text.len < 5 ? text.len : 5);
	case CELL_TIMESTAMP:
		return put_timestamp(to, text);
	case CELL_PLAIN:
		break;
	}
	return put(to, text.ptr, text.len);
}

size_t export_room(const struct slice *cells, size_t n)
{
	enum { MOST_MORE = 10 }; /* a cell: two quotes, an apostrophe and a comma, or a fraction */
	size_t room = MOST_MORE;
	for (size_t i = 0; i < n; i++)
		room += 2 * cells[i].len + MOST_MORE;
	return room;
}

size_t export_put(struct export *export, const struct slice *cells, size_t n, char *to)
{
	const char *start = to;
	if (export->begun)
		to = put(to, export->between, strlen(export->between));
	export->begun = true;
	if (export->n_cells == 0)
		return (size_t)(put(to, cells[0].ptr, cells[0].len) - start);
	for (size_t i = 0; i < export->n_cells && i < n; i++) {
		if (i > 0)
			*to++ = ',';
		if (cells[i].ptr != NULL)
			to = put_cell(to, (enum cell) export->cells[i], cells[i]);
	}
	return (size_t)(put(to, "\r\n", 2) - start);
}
