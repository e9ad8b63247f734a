/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Example records, made of the examples of their fields. */
#include "openapi_internal.h"

static const char example_id[] = "019a7d2c-3c1e-7c55-9b1e-0d3c1f6a2b10";

static json_t *example_object(const struct field *members)
{
	json_t *object = openapi_pack("{}");
	for (const struct field *m = members; m != NULL && m->name != NULL; m++)
		openapi_set(object, m->name, openapi_field_example(m));
	return object;
}

static json_t *by_type(const struct field *field)
{
	switch (field->type) {
	case T_UUID:
	case T_REF:
		return openapi_pack("s", example_id);
	case T_TEXT:
		return openapi_pack("s", "Text");
	case T_ENUM:
		return openapi_pack("s", field->values[0]);
	case T_BOOL:
		return json_false();
	case T_INT:
	case T_DECIMAL:
		return openapi_pack("I", (json_int_t)(field->min > 1 ? field->min : 1));
	case T_DATE:
		return openapi_pack("s", "2026-05-01");
	case T_TIME:
		return openapi_pack("s", "18:30");
	case T_TIMESTAMP:
		return openapi_pack("s", "2026-05-01T09:30:00.000000Z");
	case T_REFS:
		return openapi_pack("[s]", example_id);
	case T_CODES:
	case T_TEXTS:
		return openapi_pack("[s]", "text");
	case T_OBJECTS:
		return openapi_pack("[o]", example_object(field->members));
	case T_OBJECT:
		return example_object(field->members);
	case T_GEOMETRY:
		return openapi_load("{\"type\":\"MultiPolygon\",\"coordinates\":[[[[1.2,52.6],[1.3,52.6],[1.3,52.7],[1.2,52.6]]]]}",
				    "geometry");
	case T_POINT:
		return openapi_load("{\"type\":\"Point\",\"coordinates\":[1.2926,52.6287]}", "point");
	case T_URL:
		return openapi_pack("s", "https://example.org/");
	case T_POSITION:
		return openapi_pack("s", "1.2926,52.6287");
	case T_BOX:
		return openapi_pack("s", "1.2,52.6,1.35,52.7");
	}
	return json_null();
}

json_t *openapi_field_example(const struct field *field)
{
	if (field->example != NULL)
		return openapi_load(field->example, field->name);
	if (field->flags & F_NULLABLE)
		return json_null();
	if (field->initial != NULL && field->initial[0] != '@')
		return openapi_load(field->initial, field->name);
	return by_type(field);
}

json_t *openapi_example(const struct shape *shape)
{
	json_t *record = openapi_pack("{}");
	for (size_t i = 0; i < shape->n_fields; i++)
		openapi_set(record, shape->fields[i]->name, openapi_field_example(shape->fields[i]));
	return record;
}
