/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Parameters of an operation: filters as query.c takes them, and the standard ones that its verb has. */
#include "openapi_internal.h"

#include <string.h>

#include "clause.h"
#include "text.h"
#include "wardmote/query.h"

/* What each operator adds to the field's name, and what it keeps. */
static const struct {
	const char *suffix, *doc;
} operators[] = {
	[FILTER_ANY_OF] = { "", "one of these; of a list: at least one" },
	[FILTER_NONE_OF] = { ".ne", "none of these" },
	[FILTER_EQUAL] = { "", "this" },
	[FILTER_NOT_EQUAL] = { ".ne", "not this" },
	[FILTER_GT] = { ".gt", "more or later than this" },
	[FILTER_GTE] = { ".gte", "this, more or later" },
	[FILTER_LT] = { ".lt", "less or earlier than this" },
	[FILTER_LTE] = { ".lte", "this, less or earlier" },
	[FILTER_CONTAINS] = { ".contains", "text with this in it, in upper or lower case" },
	[FILTER_NULL] = { ".null", "null (true) or not null (false)" },
};

static void add_shared(const struct openapi *doc, json_t *list, const char *name)
{
	openapi_add(list, openapi_ref(doc->arena, "parameters", name));
}

/* The schema of one value of a filter: an element where the field is a list. What is compared with a text need not be one that could be stored. */
static json_t *filter_value(const struct openapi *doc, const struct field *field)
{
	static const struct field text = { .type = T_TEXT, .min = 1, .max = URL_MAX };
	if (field->type == T_TEXT || field->type == T_URL)
		return openapi_value(doc, &text, FOR_INPUT, false);
	json_t *schema = openapi_value(doc, field, FOR_INPUT, false);
	json_t *items = json_object_get(schema, "items");
	if (items == NULL)
		return schema;
	json_incref(items);
	json_decref(schema);
	return items;
}

static json_t *query_parameter(const char *name, const char *text, json_t *schema)
{
	return openapi_pack("{ss,ss,ss,so}", "name", name, "in", "query", "description", text, "schema", schema);
}

/* A comma-separated list of values. */
static json_t *list_parameter(const char *name, const char *text, json_t *items, int max)
{
	json_t *schema = openapi_pack("{ss,si,si,so}", "type", "array", "minItems", 1, "maxItems", max, "items", items);
	json_t *parameter = query_parameter(name, text, schema);
	openapi_set(parameter, "style", openapi_pack("s", "form"));
	openapi_set(parameter, "explode", json_false());
	return parameter;
}

static json_t *filter(const struct openapi *doc, const struct field *field, enum filter_op op)
{
	const char *name = arena_printf(doc->arena, "%s%s", field->name, operators[op].suffix);
	const char *text = arena_printf(doc->arena, "Only records whose %s is %s.", field->name, operators[op].doc);
	json_t *parameter;
	if (op == FILTER_NULL)
		parameter = query_parameter(name, text, openapi_pack("{ss}", "type", "boolean"));
	else if (op == FILTER_ANY_OF || op == FILTER_NONE_OF)
		parameter = list_parameter(name, text, filter_value(doc, field), FILTER_VALUES_MAX);
	else
		parameter = query_parameter(name, text, filter_value(doc, field));
	if (field->audience == A_PARTNER)
		openapi_set(parameter, "x-audience", openapi_pack("s", "partner"));
	if (field->audience == A_OWNER)
		openapi_set(parameter, "x-audience", openapi_pack("s", "owner"));
	return parameter;
}

static void add_filters(const struct openapi *doc, json_t *list, const struct shape *shape)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		const struct field *field = shape->fields[i];
		unsigned ops = query_operators(field);
		for (enum filter_op op = FILTER_ANY_OF; op <= FILTER_NULL; op++)
			if (ops & 1U << op)
				openapi_add(list, filter(doc, field, op));
	}
}

static json_t *clause_example(const struct clause *clause)
{
	bool is_json = clause->type == T_INT || clause->type == T_DECIMAL || clause->type == T_BOOL;
	return is_json ? openapi_load(clause->example, clause->name) : openapi_pack("s", clause->example);
}

static void add_clause(const struct openapi *doc, json_t *list, const struct clause *clause)
{
	const struct field field = clause_field(clause);
	const char *needed = clause->needs != NULL ? clause->needs : clause->widens, *text = clause->doc;
	json_t *schema = openapi_value(doc, &field, FOR_INPUT, false);
	if (clause->neutral != NULL && clause->type == T_ENUM)
		openapi_set(schema, "default", openapi_pack("s", clause->neutral));
	if (needed != NULL)
		text = arena_printf(doc->arena, "%s Together with `%s`.", clause->doc, needed);
	json_t *parameter = query_parameter(clause->name, text, schema);
	openapi_set(parameter, "example", clause_example(clause));
	if (needed != NULL)
		openapi_set(parameter, "x-needs", openapi_pack("s", needed));
	openapi_add(list, parameter);
}

static void add_clauses(const struct openapi *doc, json_t *list, const struct shape *shape)
{
	for (size_t i = 0; i < clause_count(shape->resource); i++)
		add_clause(doc, list, &shape->resource->clauses[i]);
}

static void add_sort(const struct openapi *doc, json_t *list, const struct shape *shape)
{
	if (shape->n_sorts == 0)
		return;
	const struct sort *sorts = shape->resource->sorts;
	json_t *names = openapi_pack("[]");
	for (size_t i = 0; i < shape->n_sorts; i++) {
		openapi_add(names, openapi_pack("s", sorts[i].name));
		openapi_add(names, openapi_pack("s", arena_printf(doc->arena, "-%s", sorts[i].name)));
	}
	json_t *schema = openapi_pack("{ss,so,ss}", "type", "string", "enum", names, "default", sorts[0].name);
	openapi_add(list,
		    query_parameter("sort", "Order of the records; with - in front: descending. Records that are equal are ordered by id.",
				    schema));
}

static void add_fields(json_t *list, const struct shape *shape)
{
	json_t *names = openapi_pack("[]");
	for (size_t i = 0; i < shape->n_fields; i++)
		openapi_add(names, openapi_pack("s", shape->fields[i]->name));
	openapi_add(list,
		    list_parameter("fields", "Only these members, and id: the others are left out, also those that the schema requires.",
				   openapi_pack("{ss,so}", "type", "string", "enum", names), FIELDS_MAX));
}

static void add_include(json_t *list, const struct shape *shape)
{
	json_t *names = openapi_pack("[]");
	for (size_t i = 0; i < shape->n_fields; i++)
		if (shape->fields[i]->flags & F_INCLUDE)
			openapi_add(names, openapi_pack("s", shape->fields[i]->include_name));
	int n = (int)json_array_size(names);
	if (n == 0)
		json_decref(names);
	else
		openapi_add(list, list_parameter("include", "Embeds what the caller may see of these related records.",
						 openapi_pack("{ss,so}", "type", "string", "enum", names), n));
}

static bool has_search(const struct shape *shape)
{
	for (size_t i = 0; i < shape->n_fields; i++)
		if (shape->fields[i]->flags & F_SEARCH)
			return true;
	return false;
}

static bool has_area(const struct shape *shape)
{
	for (size_t i = 0; i < shape->n_fields; i++)
		if (shape->fields[i]->type == T_GEOMETRY)
			return true;
	return false;
}

/* Parameters of the path: {id}, {slug}. */
static void add_path(const struct openapi *doc, json_t *list, const char *path)
{
	for (const char *brace = strchr(path, '{'); brace != NULL; brace = strchr(brace + 1, '{'))
		add_shared(doc, list, arena_copy(doc->arena, (struct slice){ brace + 1, strcspn(brace + 1, "}") }));
}

static void add_read(const struct openapi *doc, json_t *list, const struct route *route)
{
	const struct shape *shape = route->shape;
	enum verb verb = route->operation->verb;
	if (verb == V_LIST) {
		add_filters(doc, list, shape);
		add_clauses(doc, list, shape);
		if (has_search(shape))
			add_shared(doc, list, "q");
		if (openapi_place(shape) != NULL && clause_find(shape->resource, SLICE("bbox")) < 0)
			add_shared(doc, list, "bbox");
		if (has_area(shape))
			add_shared(doc, list, "geometry");
		add_sort(doc, list, shape);
		add_shared(doc, list, "count");
	}
	if (verb == V_LIST || verb == V_GET) {
		if (openapi_place(shape) != NULL)
			add_shared(doc, list, "crs");
		add_fields(list, shape);
		add_include(list, shape);
	}
	if (verb == V_LIST || verb == V_HISTORY || route->operation->flags & OP_PAGED) {
		add_shared(doc, list, verb == V_LIST ? "limit-or-all" : "limit");
		add_shared(doc, list, "cursor");
	}
}

static void add_own(const struct openapi *doc, json_t *list, const struct operation *operation)
{
	for (const struct parameter *own = operation->parameters; own != NULL && own->name != NULL; own++) {
		struct field field = { .name = own->name, .type = own->type, .min = own->min, .max = own->max, .values = own->values };
		json_t *parameter = query_parameter(own->name, own->doc, openapi_value(doc, &field, FOR_INPUT, false));
		if (own->required)
			openapi_set(parameter, "required", json_true());
		openapi_add(list, parameter);
	}
}

json_t *openapi_parameters(const struct openapi *doc, const struct route *route)
{
	const struct operation *operation = route->operation;
	json_t *list = openapi_pack("[]");
	add_path(doc, list, operation->path);
	if (operation->verb == V_PUT)
		add_shared(doc, list, "external_id");
	add_read(doc, list, route);
	add_own(doc, list, operation);
	if (operation->flags & OP_GEOMETRY)
		add_shared(doc, list, "crs");
	if (operation->flags & OP_AS_OF)
		add_shared(doc, list, "as_of");
	if (operation->flags & OP_DRY_RUN)
		add_shared(doc, list, "dry_run");
	if (operation->flags & OP_IF_MATCH)
		add_shared(doc, list, "If-Match");
	if (operation->verb == V_PUT) {
		add_shared(doc, list, "If-Match-optional");
		add_shared(doc, list, "If-None-Match-create");
	}
	if (operation->flags & OP_IDEMPOTENT)
		add_shared(doc, list, "Idempotency-Key");
	if (operation->flags & OP_SPOOL)
		add_shared(doc, list, "Prefer");
	if (openapi_is_conditional(operation))
		add_shared(doc, list, "If-None-Match");
	return list;
}
