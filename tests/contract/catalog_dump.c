/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Prints the catalog as JSON, for test_catalog_db.py: what the descriptors say, to hold against what the tables are. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "wardmote/catalog.h"
#include "wardmote/resources.h"

static const char *const types[] = {
	[T_UUID] = "uuid",   [T_TEXT] = "text",   [T_ENUM] = "enum",           [T_BOOL] = "bool",     [T_INT] = "int",
	[T_DATE] = "date",   [T_TIME] = "time",   [T_TIMESTAMP] = "timestamp", [T_REF] = "ref",       [T_REFS] = "refs",
	[T_CODES] = "codes", [T_TEXTS] = "texts", [T_OBJECTS] = "objects",     [T_OBJECT] = "object", [T_GEOMETRY] = "geometry",
	[T_POINT] = "point", [T_URL] = "url",     [T_DECIMAL] = "decimal",
};

/* The name of the member that refers, of a list of objects. */
static const char *referring_member(const struct field *field)
{
	for (const struct field *member = field->members; member != NULL && member->name != NULL; member++)
		if (member->refers != NULL)
			return member->name;
	return NULL;
}

static const char *referred(const struct field *field)
{
	for (const struct field *member = field->members; member != NULL && member->name != NULL; member++)
		if (member->refers != NULL)
			return member->refers;
	return field->refers;
}

static json_t *dump_field(const struct field *field)
{
	json_t *values = json_array();
	for (const char *const *value = field->values; value != NULL && *value != NULL; value++)
		json_array_append_new(values, json_string(*value));
	return json_pack("{ss ss sb sb sb sb sb si sI sI si so ss* ss*}", "name", field->name, "type", types[field->type], "readonly",
			 (field->flags & F_READONLY) != 0, "nullable", (field->flags & F_NULLABLE) != 0, "filter",
			 (field->flags & F_FILTER) != 0, "selective", (field->flags & F_SELECTIVE) != 0, "search",
			 (field->flags & F_SEARCH) != 0, "audience", (int)field->audience, "min", (json_int_t)field->min, "max",
			 (json_int_t)field->max, "scale", field->scale, "values", values, "refers", referred(field), "member",
			 referring_member(field));
}

static json_t *dump_shape(const struct shape *shape)
{
	const struct resource *resource = shape->resource;
	json_t *fields = json_array();
	for (size_t i = 0; i < shape->n_fields; i++)
		json_array_append_new(fields, dump_field(shape->fields[i]));
	json_t *sorts = json_array();
	for (const struct sort *sort = resource->sorts; sort->name != NULL; sort++)
		json_array_append_new(sorts, json_pack("{ss ss ss}", "name", sort->name, "column",
						       sort->column != NULL ? sort->column : sort->name, "type", sort->type));
	json_t *clauses = json_array();
	for (const struct clause *clause = resource->clauses; clause != NULL && clause->name != NULL; clause++)
		json_array_append_new(clauses, json_pack("{ss sb ss* ss*}", "name", clause->name, "selective", clause->selective, "needs",
							 clause->needs, "example", clause->example));
	return json_pack("{ss ss sb sb so so so}", "name", resource->name, "thing", resource->thing, "owned",
			 (resource->flags & R_OWNED) != 0, "unique", (resource->flags & R_UNIQUE) != 0, "fields", fields, "sorts", sorts,
			 "clauses", clauses);
}

int main(void)
{
	struct catalog *catalog;
	const char *error;
	if (catalog_new(resources_all, resources_general, &catalog, &error) != 0) {
		fprintf(stderr, "catalog: %s\n", error);
		return EXIT_FAILURE;
	}
	size_t n;
	const struct shape *const *shapes = catalog_shapes(catalog, &n);
	json_t *document = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(document, dump_shape(shapes[i]));
	json_dumpf(document, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(document);
	catalog_free(catalog);
	return EXIT_SUCCESS;
}
