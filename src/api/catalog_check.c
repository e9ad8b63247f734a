/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The self-check of the descriptors at start: what the rest of the code takes for granted. It stops at the first fault. */
#include <ctype.h>
#include <errno.h>

#include <jansson.h>

#include "catalog_internal.h"
#include "clause.h"
#include "scalar.h"
#include "wardmote/view.h"

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
	case T_DECIMAL:
		expect(check, field->scale > 0 && field->scale <= 12, "a decimal has 1 to 12 decimals");
		break;
	case T_POSITION:
	case T_BOX:
		fail(check, "a position or box is given in a parameter alone");
		break;
	case T_OBJECTS:
	case T_OBJECT:
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

/* Another partner gets the field of one record at a time, and each reading is noted: nothing else may tell of it. */
static void check_logged(struct check *check, const struct field *field)
{
	if (!(field->flags & F_LOGGED))
		return;
	expect(check, field->flags & F_PERSONAL, "logged, but not personal");
	expect(check, !(field->flags & (F_FILTER | F_SEARCH | F_SUMMARY)), "logged, so nothing may find or embed it");
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
	expect(check, !(field->flags & F_PERSONAL) || field->names == NAMES_UNDECIDED,
	       "personal, and said to name nobody, or somebody perhaps");
	expect(check, field->initial == NULL || strcmp(field->initial, "@partner") == 0 || is_json(field->initial), "initial is not JSON");
	expect(check, field->example == NULL || is_json(field->example), "example is not JSON");
	expect(check, !(field->flags & F_SEARCH) || field->audience == A_PUBLIC, "q= would search a field that not everyone sees");
	expect(check, !(field->flags & F_SUMMARY) || field->audience == A_PUBLIC, "include= would show a field that not everyone sees");
	expect(check, !(field->flags & F_SUMMARY) || !(field->flags & F_PERSONAL),
	       "include= would show a personal field in what caches store");
	expect(check, field->common == NULL || (field->type == T_ENUM && has_value(field, field->common)),
	       "a common value that it cannot have");
	check_logged(check, field);
	check_type(check, field);
	const char *name = check->where;
	for (const struct field *member = field->members; member != NULL && member->name != NULL; member++) {
		check_field(check, member, name);
		expect(check, member->members == NULL || (field->type == T_OBJECT && member->type == T_OBJECTS), "objects within objects");
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

/* --- clauses --- */

static bool is_given_as_text(enum field_type type)
{
	return type == T_UUID || type == T_TEXT || type == T_ENUM || type == T_BOOL || type == T_INT || type == T_DECIMAL ||
	       type == T_DATE || type == T_TIME || type == T_TIMESTAMP || type == T_POSITION || type == T_BOX;
}

/* Does the text have this mark (@ alone: the empty name)? */
static bool has_mark(const char *text, const char *wanted)
{
	struct slice before, name;
	while (text != NULL && clause_next_mark(&text, &before, &name)) {
		if (slice_equal(name, slice_of(wanted)))
			return true;
	}
	return false;
}

static void check_marks(struct check *check, const struct resource *resource, const char *text)
{
	struct slice before, name;
	while (text != NULL && clause_next_mark(&text, &before, &name))
		expect(check, name.len == 0 || clause_find(resource, name) >= 0, "names an unknown clause in its text");
}

/* A name that a list has already: of a filter, or of what lists share. A box may take the place of the list's own bbox. */
static bool is_taken(const struct shape *shape, const char *name)
{
	static const char *const shared[] = {
		"sort", "fields", "include", "limit", "cursor", "count", "q", "as_of", "geometry", "crs", NULL
	};
	int field = shape_field(shape, slice_of(name));
	for (size_t i = 0; shared[i] != NULL; i++) {
		if (strcmp(shared[i], name) == 0)
			return true;
	}
	return field >= 0 && (query_operators(shape->fields[field]) & (1U << FILTER_ANY_OF | 1U << FILTER_EQUAL));
}

static void check_widening(struct check *check, const struct shape *shape, const struct clause *clause)
{
	int at = shape_field(shape, slice_of(clause->widens));
	const struct field *field = at < 0 ? NULL : shape->fields[at];
	expect(check, field != NULL && field->type == T_REFS && (field->flags & F_FILTER) && field->audience == A_PUBLIC,
	       "widens what is no public filter over references");
	expect(check, clause->sql != NULL && clause->type == T_ENUM && clause->neutral != NULL,
	       "what widens is an enum with a neutral value");
}

static void check_shown(struct check *check, const struct shape *shape, const struct clause *clause)
{
	expect(check, is_snake(clause->shows) && shape_field(shape, slice_of(clause->shows)) < 0, "shows a member that is there already");
	for (size_t i = 0; i < shape->n_fields; i++)
		expect(check, !(shape->fields[i]->flags & F_INCLUDE) || strcmp(shape->fields[i]->include_name, clause->shows) != 0,
		       "shows a member that include= embeds");
	expect(check, clause->shows_sql != NULL, "shows nothing");
	expect(check, clause->shows_schema != NULL && is_json(clause->shows_schema), "shows what has no schema");
	check_marks(check, shape->resource, clause->shows_sql);
}

/* Its value is used: by its own text, or by that of the clause that it needs. */
static bool is_used(const struct resource *resource, const struct clause *clause)
{
	if (clause->sql != NULL)
		return has_mark(clause->sql, "");
	int other = clause->needs == NULL ? -1 : clause_find(resource, slice_of(clause->needs));
	return other >= 0 && has_mark(resource->clauses[other].sql, clause->name);
}

static void check_clause(struct check *check, const struct shape *shape, const struct clause *clause)
{
	const struct resource *resource = shape->resource;
	const struct field field = clause_field(clause);
	check->where = arena_printf(check->arena, "%s?%s", resource->name, clause->name);
	expect(check, is_snake(clause->name), "a clause's name is in snake_case");
	expect(check, clause->doc != NULL && clause->doc[0] != '\0' && clause->example != NULL, "no doc or example");
	expect(check, !is_taken(shape, clause->name), "a name that the list has already");
	expect(check, &resource->clauses[clause_find(resource, slice_of(clause->name))] == clause, "a name twice");
	expect(check, is_given_as_text(clause->type), "a type that no parameter has");
	expect(check, clause->type != T_ENUM || (clause->values != NULL && clause->values[0] != NULL), "an enum without values");
	expect(check, clause->needs == NULL || clause_find(resource, slice_of(clause->needs)) >= 0, "needs an unknown clause");
	expect(check, is_used(resource, clause), "its value is not used");
	check_marks(check, resource, clause->sql);
	if (clause->widens != NULL)
		check_widening(check, shape, clause);
	if (clause->shows != NULL)
		check_shown(check, shape, clause);
	/* an example is what a client may send */
	if (!check->failed)
		expect(check, scalar_verdict(check->arena, &field, slice_of(clause->example)).code == NULL, "its example is not good");
}

static void check_clauses(struct check *check, const struct shape *shape)
{
	size_t n = clause_count(shape->resource), shown = 0;
	check->where = shape->resource->name;
	expect(check, n <= CLAUSES_MAX, "too many clauses");
	for (size_t i = 0; i < n && !check->failed; i++) {
		check_clause(check, shape, &shape->resource->clauses[i]);
		shown += shape->resource->clauses[i].shows != NULL;
	}
	check->where = shape->resource->name;
	expect(check, shown <= VIEW_SHOWN_MAX, "more shown members than a view has columns for");
}

/* --- resources and operations --- */

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
	check_clauses(check, shape);
	check->where = resource->name;
	expect(check, geometries <= 1, "more than one geometry");
	expect(check, shape->logged == 0 || (resource->flags & R_OWNED), "logged fields without an owner to tell of their reads");
}

static size_t count_parameters(const struct operation *operation)
{
	size_t n = 0;
	while (operation->parameters != NULL && operation->parameters[n].name != NULL)
		n++;
	return n;
}

static bool has_parameter(const struct operation *operation, const char *name)
{
	for (size_t i = 0; i < count_parameters(operation); i++) {
		if (strcmp(operation->parameters[i].name, name) == 0)
			return true;
	}
	return false;
}

/* What only hand-written operations have, and must have where no resource says it. */
static void check_hand_written(struct check *check, const struct operation *operation)
{
	bool paged = operation->flags & OP_PAGED, hand_written = operation->verb == V_SQL;
	bool bare = operation->flags & (OP_NO_CONTENT | OP_BINARY);
	expect(check, count_parameters(operation) <= OPERATION_VALUES_MAX, "more parameters than a query has values for");
	expect(check, operation_names(operation) <= PATH_NAMES_MAX, "more parameters in its path than a call has names for");
	expect(check, hand_written || (!paged && operation->answer == NULL && operation->media == NULL),
	       "only a hand-written operation says what it answers");
	expect(check, !paged || (operation->method != NULL && strcmp(operation->method, "GET") == 0), "only what is read has pages");
	expect(check, !paged || !(has_parameter(operation, "limit") || has_parameter(operation, "cursor")),
	       "a page has its limit and cursor already");
	expect(check, operation->answer == NULL || is_json(operation->answer), "its answer is no JSON Schema");
	expect(check, !hand_written || bare || operation->answer != NULL || (operation->resource != NULL && !paged),
	       "it does not say what it answers");
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
	check_hand_written(check, operation);
	bool file = operation->body_kind == BODY_GEOJSON || operation->body_kind == BODY_CSV;
	expect(check, !file || operation->body_example != NULL, "a file as body without an example");
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
