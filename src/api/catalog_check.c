/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The self-check of the descriptors at start: what the rest of the code takes for granted. It stops at the first fault. */
#include <ctype.h>
#include <errno.h>

#include <jansson.h>

#include "catalog_internal.h"

struct check {
	const struct catalog *catalog;
	struct arena *arena;
	const char **ret_error;
	const char *where; /* "consultations", "consultations.title" */
	bool failed;
};

static void fail(struct check *check, const char *what)
{
	if (!check->failed)
		*check->ret_error = arena_printf(check->arena, "%s: %s", check->where, what);
	check->failed = true;
}

static void expect(struct check *check, bool holds, const char *what)
{
	if (!holds)
		fail(check, what);
}

static bool is_snake(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '_')
			return false;
	return islower((unsigned char)*name);
}

static bool is_kebab(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (!islower((unsigned char)*c) && *c != '-')
			return false;
	return islower((unsigned char)*name);
}

static bool is_json(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	json_decref(value);
	return value != NULL;
}

static bool refers_somewhere(const struct check *check, const struct field *field)
{
	return field->refers != NULL && catalog_shape(check->catalog, field->refers) != NULL;
}

static void check_type(struct check *check, const struct field *field)
{
	switch (field->type) {
	case T_ENUM:
		expect(check, field->values != NULL && field->values[0] != NULL, "an enum without values");
		break;
	case T_REF:
	case T_REFS:
		expect(check, refers_somewhere(check, field), "refers to an unknown resource");
		break;
	case T_CODES:
		expect(check, field->code_list != NULL, "codes without a list");
		break;
	case T_OBJECTS:
		expect(check, field->members != NULL && field->members[0].name != NULL, "objects without members");
		break;
	case T_UUID:
	case T_TEXT:
	case T_BOOL:
	case T_INT:
	case T_DATE:
	case T_TIME:
	case T_TIMESTAMP:
	case T_TEXTS:
	case T_GEOMETRY:
	case T_POINT:
	case T_URL:
		break;
	}
}

static bool has_value(const struct field *field, const char *wanted)
{
	const char *const *value = field->values;
	while (value != NULL && *value != NULL && strcmp(*value, wanted) != 0)
		value++;
	return value != NULL && *value != NULL;
}

static void check_field(struct check *check, const struct field *field, const char *owner)
{
	check->where = arena_printf(check->arena, "%s.%s", owner, field->name);
	expect(check, is_snake(field->name), "a field's name is in snake_case");
	expect(check, field->doc != NULL && field->doc[0] != '\0', "no doc");
	expect(check, field->max == 0 || field->min <= field->max, "min > max");
	expect(check, !(field->flags & F_REQUIRED) || field->initial == NULL, "required, so it has no initial value");
	expect(check, !(field->flags & F_REQUIRED) || !(field->flags & (F_READONLY | F_NULLABLE)), "required and read-only or nullable");
	expect(check, !(field->flags & F_PERSONAL) || (field->purpose != NULL && field->retention != NULL),
	       "personal without purpose and retention");
	expect(check, field->initial == NULL || strcmp(field->initial, "@partner") == 0 || is_json(field->initial), "initial is not JSON");
	expect(check, field->example == NULL || is_json(field->example), "example is not JSON");
	expect(check, !(field->flags & F_SEARCH) || field->audience == A_PUBLIC, "q= would search a field that not everyone sees");
	expect(check, !(field->flags & F_SUMMARY) || field->audience == A_PUBLIC, "include= would show a field that not everyone sees");
	expect(check, !(field->flags & F_SUMMARY) || !(field->flags & F_PERSONAL),
	       "include= would show a personal field in what caches store");
	expect(check, field->common == NULL || (field->type == T_ENUM && has_value(field, field->common)),
	       "a common value that it cannot have");
	check_type(check, field);
	const char *name = check->where;
	for (const struct field *member = field->members; member != NULL && member->name != NULL; member++) {
		check_field(check, member, name);
		expect(check, member->members == NULL, "objects within objects");
		expect(check, !(member->flags & F_PERSONAL) || field->flags & F_PERSONAL, "personal within a field that is not");
	}
	check->where = name;
}

static void check_include(struct check *check, const struct shape *shape, const struct field *field)
{
	if (!(field->flags & F_INCLUDE))
		return;
	const struct field *reference = field_reference(field);
	expect(check, reference != NULL && refers_somewhere(check, reference), "include= of what refers to nothing");
	expect(check, field->include_name != NULL, "include= without a name");
	if (check->failed)
		return;
	expect(check, shape_field(shape, slice_of(field->include_name)) < 0, "the name for include= is a field's");
	for (size_t i = 0; i < shape->n_fields; i++)
		expect(check,
		       shape->fields[i] == field || shape->fields[i]->include_name == NULL || !(shape->fields[i]->flags & F_INCLUDE) ||
			   strcmp(shape->fields[i]->include_name, field->include_name) != 0,
		       "two includes of one name");
}

static void check_includes(struct check *check, const struct shape *shape)
{
	size_t n = 0;
	for (size_t i = 0; i < shape->n_fields; i++)
		n += shape->fields[i]->flags & F_INCLUDE ? 1 : 0;
	expect(check, n <= INCLUDES_MAX, "more includes than a view has columns for");
}

static void check_sorts(struct check *check, const struct shape *shape)
{
	expect(check, shape->n_sorts > 0, "a list needs a default sort");
	bool updated = false;
	for (size_t i = 0; i < shape->n_sorts; i++) {
		const struct sort *sort = &shape->resource->sorts[i];
		int field = shape_field(shape, slice_of(sort->name));
		expect(check, field >= 0, "sorts by an unknown field");
		expect(check, sort->type != NULL, "a sort without a type");
		expect(check, field < 0 || shape->fields[field]->audience <= sort->audience,
		       "a sort tells of a field to who may not see it");
		expect(check, field < 0 || sort->column != NULL || !(shape->fields[field]->flags & F_NULLABLE),
		       "a nullable field sorts by a generated column");
		updated = updated || strcmp(sort->name, "updated_at") == 0;
	}
	expect(check, updated, "every list sorts by updated_at");
}

static void check_ordered(struct check *check, const struct shape *shape)
{
	size_t n = 0;
	for (const char *const *name = shape->resource->ordered; name != NULL && *name != NULL; name++, n++)
		expect(check, shape_field(shape, slice_of(*name)) >= 0, "orders an unknown field");
	expect(check, n % 2 == 0, "ordered fields come in pairs");
}

static void check_shape(struct check *check, const struct shape *shape)
{
	const struct resource *resource = shape->resource;
	check->where = resource->name;
	expect(check, is_kebab(resource->name) && is_snake(resource->thing), "names are kebab-case and snake_case");
	expect(check, resource->doc != NULL && resource->doc[0] != '\0', "no doc");
	expect(check, shape->n_fields < FIELDS_MAX, "too many fields");
	expect(check, resource->read <= resource->write && resource->write != CALLER_ANONYMOUS, "the roles make no sense");
	expect(check, resource->example == NULL || is_json(resource->example), "example is not JSON");
	for (size_t i = 0; i < check->catalog->n_shapes; i++) {
		const struct shape *other = &check->catalog->shapes[i];
		expect(check,
		       other == shape ||
			   (strcmp(other->resource->name, resource->name) != 0 && strcmp(other->resource->thing, resource->thing) != 0),
		       "two resources of one name");
	}
	check_sorts(check, shape);
	check_ordered(check, shape);
	check_includes(check, shape);
	int geometries = 0;
	for (size_t i = 0; i < shape->n_fields; i++) {
		check_field(check, shape->fields[i], resource->name);
		check_include(check, shape, shape->fields[i]);
		expect(check, shape_field(shape, slice_of(shape->fields[i]->name)) == (int)i, "a name twice");
		geometries += field_is_geometry(shape->fields[i]);
		expect(check, !field_is_geometry(shape->fields[i]) || shape->fields[i]->audience == A_PUBLIC,
		       "bbox= would tell where a hidden place is");
	}
	check->where = resource->name;
	expect(check, geometries <= 1, "more than one geometry");
}

static void check_route(struct check *check, const struct route *route)
{
	const struct operation *operation = route->operation;
	check->where = operation->id;
	expect(check, is_snake(operation->id), "an operation's id is in snake_case");
	expect(check, operation->method != NULL && operation->path != NULL && operation->path[0] == '/', "no method or path");
	expect(check, operation->summary != NULL, "no summary");
	expect(check, operation->verb == V_NATIVE || route->shape != NULL || operation->verb == V_SQL, "no resource");
	expect(check, (operation->verb == V_SQL) == (operation->sql != NULL), "exactly hand-written operations have a statement");
	expect(check, operation->verb != V_NATIVE || operation->native != NATIVE_NONE, "a native operation without a handler");
	for (size_t i = 0; i < check->catalog->n_routes; i++) {
		const struct operation *other = check->catalog->routes[i].operation;
		expect(check, other == operation || strcmp(other->id, operation->id) != 0, "an operation's id twice");
	}
}

int catalog_check(const struct catalog *catalog, struct arena *arena, const char **ret_error)
{
	struct check check = { .catalog = catalog, .arena = arena, .ret_error = ret_error };
	for (size_t i = 0; i < catalog->n_shapes && !check.failed; i++)
		check_shape(&check, &catalog->shapes[i]);
	for (size_t i = 0; i < catalog->n_routes && !check.failed; i++)
		check_route(&check, &catalog->routes[i]);
	return check.failed ? -EINVAL : 0;
}
