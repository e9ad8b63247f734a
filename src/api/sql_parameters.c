/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Parameters: each has its number before any text is made. Which there are depends on nothing that the form of the call does not hold (sql_cache.c);
 * their values depend on the call alone. */
#include <inttypes.h>

#include "clause.h"
#include "sql_internal.h"

int sql_parameter(struct sql *sql, const char *value)
{
	struct statement *statement = sql->statement;
	if (statement->n_parameters == STATEMENT_PARAMETERS_MAX) {
		sql->overflow = true;
		return STATEMENT_PARAMETERS_MAX;
	}
	statement->parameters[statement->n_parameters++] = value;
	return (int)statement->n_parameters;
}

bool sql_has_parameter(const struct filter *filter)
{
	const char *common = filter->field->common;
	if (filter->op == FILTER_EQUAL && common != NULL && strcmp(filter->value, common) == 0)
		return false;
	return filter->op != FILTER_NULL && filter->op != FILTER_NOT_NULL;
}

static int add_limit(struct sql *sql)
{
	return sql_parameter(sql, arena_printf(sql->arena, "%ld", sql->call->query.limit));
}

static void of_list(struct sql *sql)
{
	const struct query *query = &sql->call->query;
	if (query->as_of != NULL)
		sql->as_of = sql_parameter(sql, query->as_of);
	sql->limit = add_limit(sql);
	for (size_t i = 0; i < query->n_filters; i++) {
		const struct filter *filter = &query->filters[i];
		if (sql_has_parameter(filter))
			sql->filters[i] = sql_parameter(sql, filter->value);
	}
	/* What widens a filter has its text, and the filter's value. */
	const struct clause *clauses = sql->shape->resource->clauses;
	for (size_t i = 0; i < clause_count(sql->shape->resource); i++) {
		if (query->clauses[i] != NULL && clauses[i].widens == NULL)
			sql->clauses[i] = sql_parameter(sql, query->clauses[i]);
	}
	if (query->search != NULL)
		sql->search = sql_parameter(sql, query->search);
	for (size_t i = 0; query->bbox[0] != NULL && i < 4; i++)
		sql->corners[i] = sql_parameter(sql, query->bbox[i]);
	for (size_t i = 0; query->keys[0] != NULL && i < SORT_KEYS_MAX; i++)
		sql->keys[i] = sql_parameter(sql, query->keys[i]);
}

static void of_get(struct sql *sql)
{
	if (sql->call->query.as_of != NULL)
		sql->as_of = sql_parameter(sql, sql->call->query.as_of);
	sql->id = sql_parameter(sql, sql->call->id);
	if (sql->call->known_version != NULL)
		sql->known = sql_parameter(sql, sql->call->known_version);
}

static void of_history(struct sql *sql)
{
	sql->id = sql_parameter(sql, sql->call->id);
	sql->limit = add_limit(sql);
	sql->keys[0] = sql_parameter(sql, sql->call->query.keys[0]);
}

static int add_body(struct sql *sql)
{
	struct slice json = sql->call->body.json;
	return sql_parameter(sql, json.ptr == NULL ? NULL : arena_copy(sql->arena, json));
}

static void of_write(struct sql *sql, enum verb verb)
{
	const struct call *call = sql->call;
	sql->body = add_body(sql);
	if (shape_geometry(sql->shape) >= 0)
		sql->geometry = sql_parameter(sql, call->body.geometry.len == 0 ? NULL : arena_copy(sql->arena, call->body.geometry));
	if (verb == V_CREATE)
		return;
	sql->key = sql_parameter(sql, verb == V_PUT ? call->query.external_id : call->id);
	sql->expected = sql_parameter(sql, call->expected_version);
}

static void of_delete(struct sql *sql)
{
	sql->key = sql_parameter(sql, sql->call->id);
	sql->expected = sql_parameter(sql, sql->call->expected_version);
}

static void give(struct sql *sql, int number)
{
	sql->given[sql->n_given++] = number;
}

static void of_hand_written(struct sql *sql)
{
	const struct call *call = sql->call;
	const struct parameter *parameters = call->route->operation->parameters;
	sql->body = add_body(sql);
	sql->id = sql_parameter(sql, call->id);
	sql->expected = sql_parameter(sql, call->expected_version);
	for (size_t i = 0; i < operation_names(call->route->operation); i++)
		give(sql, sql_parameter(sql, call->names[i]));
	for (size_t i = 0; parameters != NULL && parameters[i].name != NULL; i++)
		give(sql, sql_parameter(sql, call->query.values[i]));
	bool paged = call->route->operation->flags & OP_PAGED;
	if (paged)
		give(sql, add_limit(sql));
	for (size_t i = 0; paged && i < SORT_KEYS_MAX; i++)
		give(sql, sql_parameter(sql, call->query.keys[i]));
	if (call->route->operation->flags & OP_CONDITIONAL)
		give(sql, sql_parameter(sql, call->known));
}

const char *sql_keyed_path(struct arena *arena, const struct call *call)
{
	const char *path = call->route->operation->path;
	return call->id == NULL ? path : arena_printf(arena, "%s#%s", path, call->id);
}

static void of_tail(struct sql *sql)
{
	const struct call *call = sql->call;
	/* rows of records have no tail that would store an answer */
	if (sql->statement->records || call->idempotency_key == NULL || call->query.dry_run)
		return;
	sql->saved.key = sql_parameter(sql, call->idempotency_key);
	sql->saved.method = sql_parameter(sql, call->route->operation->method);
	sql->saved.path = sql_parameter(sql, sql_keyed_path(sql->arena, call));
	sql->saved.hash = sql_parameter(sql, arena_printf(sql->arena, "%016" PRIx64, call->body.hash));
	sql->saved.id = sql_parameter(sql, call->id);
}

void sql_parameters(struct sql *sql)
{
	enum verb verb = sql->call->route->operation->verb;
	switch (verb) {
	case V_LIST:
		of_list(sql);
		break;
	case V_GET:
		of_get(sql);
		break;
	case V_CREATE:
	case V_PUT:
	case V_PATCH:
		of_write(sql, verb);
		break;
	case V_DELETE:
		of_delete(sql);
		break;
	case V_HISTORY:
		of_history(sql);
		break;
	case V_SQL:
		of_hand_written(sql);
		break;
	case V_NATIVE:
		break;
	}
	of_tail(sql);
}
