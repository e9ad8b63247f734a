/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The conditions of a list beside its filters: their texts, with numbers of parameters in the place of their marks. */
#include "clause.h"
#include "sql_internal.h"

static const struct clause *clauses_of(const struct sql *sql)
{
	return sql->shape->resource->clauses;
}

/* The value of the clause at this position, cast to its type. */
static void add_value(struct sql *sql, size_t at)
{
	const struct field field = clause_field(&clauses_of(sql)[at]);
	if (sql->clauses[at] == 0)
		sql_add(sql, "NULL::%s", sql_type(&field));
	else
		sql_add(sql, "$%d::%s", sql->clauses[at], sql_type(&field));
}

/* The position of the filter that the clause widens; -1: there is none in the call. */
static int widened_filter(const struct sql *sql, const struct clause *clause)
{
	const struct query *query = &sql->call->query;
	for (size_t i = 0; i < query->n_filters; i++) {
		const struct filter *filter = &query->filters[i];
		if (filter->op == FILTER_ANY_OF && strcmp(filter->field->name, clause->widens) == 0)
			return (int)i;
	}
	return -1;
}

/* @ is the array of the filter where the clause widens one. */
static void add_marked(struct sql *sql, size_t at, const char *text)
{
	const struct clause *clause = &clauses_of(sql)[at];
	struct slice before, name;
	while (clause_next_mark(&text, &before, &name)) {
		int other = name.len == 0 ? (int)at : clause_find(sql->shape->resource, name);
		buffer_add(&sql->text, before);
		if (name.len == 0 && clause->widens != NULL)
			sql_add(sql, "$%d::uuid[]", sql->filters[widened_filter(sql, clause)]);
		else
			add_value(sql, (size_t)other);
	}
	buffer_add(&sql->text, before);
}

static bool is_there(const struct sql *sql, size_t at)
{
	const struct clause *clause = &clauses_of(sql)[at];
	return sql->call->query.clauses[at] != NULL && (clause->widens == NULL || widened_filter(sql, clause) >= 0);
}

void sql_clauses(struct sql *sql)
{
	for (size_t i = 0; i < clause_count(sql->shape->resource); i++) {
		const struct clause *clause = &clauses_of(sql)[i];
		if (!is_there(sql, i) || clause->sql == NULL || clause->widens != NULL)
			continue;
		sql_add(sql, " AND (");
		add_marked(sql, i, clause->sql);
		sql_add(sql, ")");
	}
}

bool sql_widened(struct sql *sql, const struct filter *filter)
{
	for (size_t i = 0; filter->op == FILTER_ANY_OF && i < clause_count(sql->shape->resource); i++) {
		const struct clause *clause = &clauses_of(sql)[i];
		if (clause->widens == NULL || !is_there(sql, i) || strcmp(clause->widens, filter->field->name) != 0)
			continue;
		sql_add(sql, "(SELECT ");
		add_marked(sql, i, clause->sql);
		sql_add(sql, ")");
		return true;
	}
	return false;
}

/* --- members that a clause shows --- */

const struct clause *sql_showing(const struct sql *sql, size_t at)
{
	bool is_list = sql->call->route->operation->verb == V_LIST && sql->call->format == FORMAT_JSON;
	if (!is_list || at >= clause_count(sql->shape->resource))
		return NULL;
	const struct clause *clause = &clauses_of(sql)[at];
	return clause->shows != NULL && is_there(sql, at) ? clause : NULL;
}

void sql_render_shown(struct sql *sql, const struct clause *clause)
{
	add_marked(sql, (size_t)(clause - clauses_of(sql)), clause->shows_sql);
}

static bool is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Does the text name the column of `r`? */
static bool names(const char *text, const char *column)
{
	size_t len = strlen(column);
	for (const char *hit = strstr(text, "r."); hit != NULL; hit = strstr(hit + 1, "r.")) {
		bool starts = hit == text || !is_name_character(hit[-1]);
		if (starts && strncmp(hit + 2, column, len) == 0 && !is_name_character(hit[2 + len]))
			return true;
	}
	return false;
}

bool sql_shown_needs(const struct sql *sql, const struct field *field)
{
	for (size_t i = 0; i < clause_count(sql->shape->resource); i++) {
		const struct clause *clause = sql_showing(sql, i);
		if (clause != NULL && names(clause->shows_sql, field->name))
			return true;
	}
	return false;
}
