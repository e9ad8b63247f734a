/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Component schemas from shapes. */
#include "openapi_internal.h"

#include <string.h>

#include "catalog_internal.h"
#include "clause.h"
#include "scalar.h"

/* What text_is_utf8 and text_is_line refuse, as far as a regular expression that every tool understands can say it. */
#define TEXT_PATTERN "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]*$"
#define LINE_PATTERN "^[^\\x00-\\x1f\\x7f-\\x9f]*$"

/* Longitude and latitude in degrees; a height. As scalar.c takes them. */
#define DECIMALS_PATTERN "(\\.\\d{1,15})?"
#define POSITION_PATTERN "-?(180(\\.0{1,15})?|(1[0-7]\\d|[1-9]?\\d)" DECIMALS_PATTERN "),-?(90(\\.0{1,15})?|[1-8]?\\d" DECIMALS_PATTERN ")"
#define HEIGHT_PATTERN "-?(0|[1-9]\\d{0,9})" DECIMALS_PATTERN
enum { POSITION_LENGTH = 40 };

static const char *const audience_names[] = { [A_PUBLIC] = "public", [A_PARTNER] = "partner", [A_OWNER] = "owner" };

static json_t *string_schema(const char *format, int length)
{
	return openapi_pack("{ss,ss,si}", "type", "string", "format", format, "maxLength", length);
}

static json_t *text_schema(int64_t min, int64_t max)
{
	return openapi_pack("{ss,sI,sI,ss}", "type", "string", "minLength", (json_int_t)min, "maxLength", (json_int_t)max, "pattern",
			    max <= LINE_MAX_MAX ? LINE_PATTERN : TEXT_PATTERN);
}

static json_t *enum_schema(const char *const *values)
{
	json_t *list = openapi_pack("[]");
	for (size_t i = 0; values[i] != NULL; i++)
		openapi_add(list, openapi_pack("s", values[i]));
	return openapi_pack("{ss,so}", "type", "string", "enum", list);
}

static json_t *array_schema(const struct field *field, json_t *items, bool unique)
{
	json_t *schema = openapi_pack("{ss,sI,sI,so}", "type", "array", "minItems", (json_int_t)field->min, "maxItems",
				      (json_int_t)field_max(field), "items", items);
	if (unique)
		openapi_set(schema, "uniqueItems", json_true());
	return schema;
}

static json_t *place_schema(const struct openapi *doc, const struct field *field, enum purpose purpose)
{
	const char *name = field->type == T_POINT ? "Point" : purpose == FOR_ANSWER ? "MultiPolygon" : "Area";
	return openapi_ref(doc->arena, "schemas", name);
}

static json_t *plain_value(const struct openapi *doc, const struct field *field, enum purpose purpose)
{
	switch (field->type) {
	case T_UUID:
	case T_REF:
		return string_schema("uuid", 36);
	case T_TEXT:
		return text_schema(field->min, field_max(field));
	case T_ENUM:
		return enum_schema(field->values);
	case T_BOOL:
		return openapi_pack("{ss}", "type", "boolean");
	case T_INT:
		return openapi_pack("{ss,ss,sI,sI}", "type", "integer", "format", "int64", "minimum", (json_int_t)field->min, "maximum",
				    (json_int_t)field_max(field));
	case T_DECIMAL:
		return openapi_pack("{ss,sI,sI}", "type", "number", "minimum", (json_int_t)field->min, "maximum",
				    (json_int_t)field_max(field));
	case T_DATE:
		return string_schema("date", 10);
	case T_TIME:
		return openapi_pack("{ss,si,ss}", "type", "string", "maxLength", 8, "pattern",
				    purpose == FOR_ANSWER ? "^([01]\\d|2[0-3]):[0-5]\\d$" : "^([01]\\d|2[0-3]):[0-5]\\d(:[0-5]\\d)?$");
	case T_TIMESTAMP:
		return string_schema("date-time", 40);
	case T_REFS:
		return array_schema(field, string_schema("uuid", 36), true);
	case T_CODES:
		return array_schema(field, text_schema(1, ITEM_MAX), true);
	case T_TEXTS:
		return array_schema(field, text_schema(1, ITEM_MAX), false);
	case T_OBJECTS:
		return array_schema(field, openapi_object(doc, field->members, purpose == FOR_PATCH ? FOR_INPUT : purpose), false);
	case T_OBJECT: /* as it was sent: what was left out stays out */
		return openapi_object(doc, field->members, FOR_INPUT);
	case T_GEOMETRY:
	case T_POINT:
		return place_schema(doc, field, purpose);
	case T_URL:
		return openapi_pack("{ss,ss,si,ss}", "type", "string", "format", "uri", "maxLength", (int)field_max(field), "pattern",
				    "^[Hh][Tt][Tt][Pp][Ss]?://");
	case T_POSITION:
		return openapi_pack("{ss,si,ss}", "type", "string", "maxLength", POSITION_LENGTH, "pattern", "^" POSITION_PATTERN "$");
	case T_BOX:
		return openapi_pack("{ss,si,ss}", "type", "string", "maxLength", 3 * POSITION_LENGTH, "pattern",
				    field->max == 0 ? "^" POSITION_PATTERN "," POSITION_PATTERN "$"
						    : "^" POSITION_PATTERN "(," HEIGHT_PATTERN "," POSITION_PATTERN "," HEIGHT_PATTERN
						      "|," POSITION_PATTERN ")$");
	}
	return openapi_pack("{}");
}

json_t *openapi_value(const struct openapi *doc, const struct field *field, enum purpose purpose, bool nullable)
{
	json_t *schema = plain_value(doc, field, purpose);
	if (!nullable)
		return schema;
	json_t *type = json_object_get(schema, "type");
	if (type == NULL)
		return openapi_pack("{s[o{ss}]}", "anyOf", schema, "type", "null");
	openapi_set(schema, "type", openapi_pack("[Os]", type, "null"));
	json_t *values = json_object_get(schema, "enum");
	if (values != NULL)
		openapi_add(values, json_null());
	return schema;
}

/* What JSON Schema has no word for. */
static void add_extensions(json_t *schema, const struct field *field)
{
	if (field->flags & F_PERSONAL)
		openapi_set(schema, "x-personal-data", openapi_pack("{ss,ss}", "purpose", field->purpose, "retention", field->retention));
	if (field->flags & F_LOGGED)
		openapi_set(schema, "x-logged", json_true());
	if (field->audience != A_PUBLIC)
		openapi_set(schema, "x-audience", openapi_pack("s", audience_names[field->audience]));
	if (field->code_list != NULL)
		openapi_set(schema, "x-code-list", openapi_pack("s", field->code_list));
	if (field->refers != NULL)
		openapi_set(schema, "x-refers", openapi_pack("s", field->refers));
}

/* A member with all that is known of it. */
static json_t *member(const struct openapi *doc, const struct field *field, enum purpose purpose)
{
	/* What an erasure blanks is null in earlier versions. */
	bool nullable = field->flags & F_NULLABLE || (purpose == FOR_ANSWER && field->flags & F_PERSONAL);
	json_t *schema = openapi_value(doc, field, purpose, nullable);
	const char *text = field->doc;
	if (purpose == FOR_PATCH && field->flags & F_CREATE_ONLY)
		text = arena_printf(doc->arena, "%s Cannot be changed: only the stored value may be sent.", field->doc);
	openapi_set(schema, "description", openapi_pack("s", text));
	if (purpose == FOR_ANSWER && field->flags & F_READONLY)
		openapi_set(schema, "readOnly", json_true());
	if (purpose == FOR_INPUT && field->initial != NULL && field->initial[0] != '@')
		openapi_set(schema, "default", openapi_load(field->initial, field->name));
	if (field->example != NULL)
		openapi_set(schema, "examples", openapi_pack("[o]", openapi_load(field->example, field->name)));
	add_extensions(schema, field);
	return schema;
}

/* `always`: the widest audience that everyone who sees the object belongs to. In a GeoJSON feature the place is not among the properties. */
static bool is_required(const struct field *field, enum purpose purpose, enum audience always)
{
	switch (purpose) {
	case FOR_ANSWER:
		return field->audience <= always && !(field->flags & F_HEAVY) && field->type != T_GEOMETRY && field->type != T_POINT;
	case FOR_INPUT:
		return (field->flags & F_REQUIRED) != 0;
	case FOR_PATCH:
		return false;
	}
	return false;
}

struct object {
	enum purpose purpose;
	enum audience always;
	json_t *properties, *required;
};

static struct object object_of(enum purpose purpose, enum audience always)
{
	return (struct object){ purpose, always, openapi_pack("{}"), openapi_pack("[]") };
}

static enum audience always_of(const struct shape *shape)
{
	return shape->resource->read > CALLER_ANONYMOUS ? A_PARTNER : A_PUBLIC;
}

static void add_member(const struct openapi *doc, struct object *object, const struct field *field)
{
	if (object->purpose != FOR_ANSWER && field->flags & F_READONLY)
		return;
	openapi_set(object->properties, field->name, member(doc, field, object->purpose));
	if (is_required(field, object->purpose, object->always))
		openapi_add(object->required, openapi_pack("s", field->name));
}

static json_t *finish(struct object *object)
{
	json_t *schema = openapi_pack("{ss}", "type", "object");
	if (json_array_size(object->required) > 0)
		openapi_set(schema, "required", object->required);
	else
		json_decref(object->required);
	openapi_set(schema, "properties", object->properties);
	if (object->purpose != FOR_ANSWER)
		openapi_set(schema, "additionalProperties", json_false());
	return schema;
}

json_t *openapi_object(const struct openapi *doc, const struct field *fields, enum purpose purpose)
{
	struct object object = object_of(purpose, A_PUBLIC);
	for (const struct field *field = fields; field != NULL && field->name != NULL; field++)
		add_member(doc, &object, field);
	return finish(&object);
}

/* The resource that include= embeds of a field. */
static const struct shape *included(const struct openapi *doc, const struct field *field)
{
	return catalog_shape(doc->catalog, field_reference(field)->refers);
}

/* What include= embeds: a record's summary, or a list of them. */
static void add_included(const struct openapi *doc, struct object *object, const struct field *field)
{
	const struct shape *target = included(doc, field);
	json_t *summary = openapi_ref(doc->arena, "schemas", openapi_name(doc->arena, target->resource->thing, "Summary"));
	json_t *schema = field->type == T_REF
			     ? openapi_pack("{s[o{ss}]}", "anyOf", summary, "type", "null")
			     : openapi_pack("{ss,sI,so}", "type", "array", "maxItems", (json_int_t)field_max(field), "items", summary);
	openapi_set(schema, "description",
		    openapi_pack("s", arena_printf(doc->arena, "Only with include=%s: what the caller may see of %s.", field->include_name,
						   field->name)));
	openapi_set(object->properties, field->include_name, schema);
}

/* What a clause shows of each record of a list. */
static void add_shown(const struct openapi *doc, struct object *object, const struct clause *clause)
{
	json_t *schema = openapi_load(clause->shows_schema, clause->shows);
	if (json_object_get(schema, "description") == NULL)
		openapi_set(schema, "description", openapi_pack("s", arena_printf(doc->arena, "Only in lists with %s=.", clause->name)));
	openapi_set(object->properties, clause->shows, schema);
}

static json_t *shape_schema(const struct openapi *doc, const struct shape *shape, enum purpose purpose)
{
	struct object object = object_of(purpose, always_of(shape));
	for (size_t i = 0; i < shape->n_fields; i++)
		add_member(doc, &object, shape->fields[i]);
	for (size_t i = 0; purpose == FOR_ANSWER && i < shape->n_fields; i++)
		if (shape->fields[i]->flags & F_INCLUDE)
			add_included(doc, &object, shape->fields[i]);
	for (size_t i = 0; purpose == FOR_ANSWER && i < clause_count(shape->resource); i++)
		if (shape->resource->clauses[i].shows != NULL)
			add_shown(doc, &object, &shape->resource->clauses[i]);
	json_t *schema = finish(&object);
	openapi_set(schema, "description", openapi_pack("s", shape->resource->doc));
	return schema;
}

static json_t *summary_schema(const struct openapi *doc, const struct shape *shape)
{
	struct object object = object_of(FOR_ANSWER, always_of(shape));
	for (size_t i = 0; i < shape->n_fields; i++)
		if (shape->fields[i]->flags & F_SUMMARY || strcmp(shape->fields[i]->name, "id") == 0)
			add_member(doc, &object, shape->fields[i]);
	return finish(&object);
}

static bool is_included(const struct openapi *doc, const struct shape *shape)
{
	size_t n;
	const struct shape *const *shapes = catalog_shapes(doc->catalog, &n);
	for (size_t s = 0; s < n; s++)
		for (size_t f = 0; f < shapes[s]->n_fields; f++)
			if (shapes[s]->fields[f]->flags & F_INCLUDE && included(doc, shapes[s]->fields[f]) == shape)
				return true;
	return false;
}

static void add_schema(struct openapi *doc, const struct shape *shape, const char *suffix, json_t *schema)
{
	openapi_set(doc->schemas, openapi_name(doc->arena, shape->resource->thing, suffix), schema);
}

/* Adds the schemas of a template, whose text has {Thing} where the resource's name goes. */
static void add_template(struct openapi *doc, const struct shape *shape, const char *template)
{
	static const char mark[] = "{Thing}";
	struct buffer text = { .arena = doc->arena };
	const char *name = openapi_name(doc->arena, shape->resource->thing, "");
	const char *rest = template;
	for (const char *hit = strstr(rest, mark); hit != NULL; hit = strstr(rest, mark)) {
		buffer_add(&text, (struct slice){ rest, (size_t)(hit - rest) });
		buffer_text(&text, name);
		rest = hit + sizeof(mark) - 1;
	}
	buffer_text(&text, rest);
	json_t *schemas = openapi_load(text.ptr, "schemas of a resource");
	const char *key;
	json_t *schema;
	json_object_foreach(schemas, key, schema)
	{
		openapi_set(doc->schemas, key, json_incref(schema));
	}
	json_decref(schemas);
}

const struct field *openapi_place(const struct shape *shape)
{
	int place = shape_geometry(shape);
	return place < 0 ? NULL : shape->fields[place];
}

void openapi_shape(struct openapi *doc, const struct shape *shape)
{
	json_t *record = shape_schema(doc, shape, FOR_ANSWER);
	openapi_set(record, "examples", openapi_pack("[o]", openapi_example(shape)));
	add_schema(doc, shape, "", record);
	if (is_included(doc, shape))
		add_schema(doc, shape, "Summary", summary_schema(doc, shape));
	if (!(shape->resource->flags & R_READ_ONLY)) {
		add_schema(doc, shape, "Input", shape_schema(doc, shape, FOR_INPUT));
		add_schema(doc, shape, "Patch", shape_schema(doc, shape, FOR_PATCH));
	}
	add_template(doc, shape, openapi_resource);
	const struct field *place = openapi_place(shape);
	if (place == NULL)
		return;
	add_template(doc, shape, openapi_features);
	json_t *feature = json_object_get(doc->schemas, openapi_name(doc->arena, shape->resource->thing, "Feature"));
	openapi_set(json_object_get(feature, "properties"), "geometry", openapi_value(doc, place, FOR_ANSWER, true));
}
