/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One feature of a collection: its geometry is checked on the bytes, the few properties that are asked for are taken from a tree of the rest. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

#include "geojson.h"
#include "json_gate.h"
#include "scalar.h"
#include "text.h"
#include "wardmote/features.h"
#include "wardmote/memory.h"

enum { POPULATION_MAX = 100000000 };

struct reading {
	struct arena *arena;
	struct faults *faults;
	const json_t *properties;
};

static void release(json_t **tree)
{
	json_decref(*tree);
}

static json_t *parse(struct arena *arena, struct slice json, struct faults *faults)
{
	if (json.len > FEATURE_PROPERTIES_MAX) {
		fault_add(faults, FAULT_POINTER, "", "too_large", "Without its geometry a feature has at most 1 MiB.");
		return NULL;
	}
	json_error_t error;
	uint64_t lacks = memory_lacks();
	json_t *tree = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, &error);
	if (memory_lacks() != lacks)
		arena_lack(arena);
	if (tree == NULL && json_error_code(&error) == json_error_duplicate_key)
		fault_add(faults, FAULT_POINTER, "", "duplicate", "An object has a member twice.");
	else if (tree == NULL && json_error_code(&error) == json_error_invalid_utf8)
		fault_add(faults, FAULT_POINTER, "", "encoding", "The feature is not UTF-8.");
	else if (tree == NULL)
		fault_add(faults, FAULT_POINTER, "", "syntax", "The feature is not JSON.");
	return tree;
}

static const char *pointer_of(const struct reading *reading, const char *property)
{
	struct buffer pointer = { .arena = reading->arena };
	buffer_text(&pointer, "/properties/");
	for (const char *c = property; *c != '\0'; c++) {
		if (*c == '~' || *c == '/')
			buffer_text(&pointer, *c == '~' ? "~0" : "~1");
		else
			buffer_add(&pointer, (struct slice){ c, 1 });
	}
	return pointer.ptr;
}

static void tell(const struct reading *reading, const char *property, const char *code, const char *detail)
{
	fault_add(reading->faults, FAULT_POINTER, pointer_of(reading, property), code, "%s", detail);
}

/* A string or a whole number, as one line of text. NULL: absent, null, or not good, which is then told. */
static const char *read_text(const struct reading *reading, const char *property, int64_t max, bool required)
{
	if (property == NULL)
		return NULL;
	const json_t *value = json_object_get(reading->properties, property);
	struct slice text = { json_string_value(value), json_string_length(value) };
	if (json_is_integer(value))
		text = slice_of(arena_printf(reading->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value)));
	if (value == NULL || json_is_null(value)) {
		if (required)
			tell(reading, property, "required", "The feature lacks this property.");
		return NULL;
	}
	if (text.ptr == NULL) {
		tell(reading, property, "type", "This must be a string or a whole number.");
		return NULL;
	}
	struct verdict verdict = text_verdict(reading->arena, text, 1, max);
	if (verdict.code != NULL) {
		tell(reading, property, verdict.code, verdict.detail);
		return NULL;
	}
	return arena_copy(reading->arena, text);
}

static const char *read_population(const struct reading *reading, const char *property)
{
	const json_t *value = property == NULL ? NULL : json_object_get(reading->properties, property);
	struct slice text = { json_string_value(value), json_string_length(value) };
	int64_t number = -1;
	if (value == NULL || json_is_null(value))
		return NULL;
	if (json_is_integer(value))
		number = json_integer_value(value);
	else if (json_is_real(value) && json_real_value(value) >= 0 && json_real_value(value) <= POPULATION_MAX &&
		 json_real_value(value) == (double)(int64_t)json_real_value(value))
		number = (int64_t)json_real_value(value);
	else if (text.ptr != NULL && text_integer(text, &number) < 0)
		number = -1;
	if (number >= 0 && number <= POPULATION_MAX)
		return arena_printf(reading->arena, "%" PRId64, number);
	tell(reading, property, "range", "This must be a whole number from 0 to 100,000,000.");
	return NULL;
}

static void check_place(struct arena *arena, struct slice geometry, int srid, struct faults *faults)
{
	if (geometry.ptr == NULL || slice_is(geometry, "null"))
		fault_add(faults, FAULT_POINTER, "/geometry", "required", "The feature has no geometry.");
	else
		geojson_check_in(arena, srid, T_GEOMETRY, "geometry", geometry, faults);
}

static void read_tree(const struct reading *reading, const struct feature_mapping *mapping, struct feature_row *row)
{
	row->code = read_text(reading, mapping->code, FEATURE_CODE_MAX, true);
	row->name = read_text(reading, mapping->name, FEATURE_NAME_MAX, true);
	row->parent = read_text(reading, mapping->parent, FEATURE_CODE_MAX, false);
	row->population = read_population(reading, mapping->population);
}

int feature_read(struct arena *arena, struct slice bytes, const struct feature_mapping *mapping, struct feature_row *ret_row,
		 struct faults *faults)
{
	size_t before = faults->n + faults->more;
	struct json_gate gate;
	*ret_row = (struct feature_row){ 0 };
	if (bytes.len == 0) {
		fault_add(faults, FAULT_POINTER, "", "too_large", "A feature has at most 16 MiB.");
		return -EINVAL;
	}
	if (json_gate(arena, bytes, "geometry", &gate, faults) < 0)
		return -EINVAL;
	__attribute__((cleanup(release))) json_t *tree = parse(arena, gate.json, faults);
	if (tree == NULL)
		return -EINVAL;
	const char *type = json_string_value(json_object_get(tree, "type"));
	const json_t *properties = json_object_get(tree, "properties");
	if (type == NULL || strcmp(type, "Feature") != 0)
		fault_add(faults, FAULT_POINTER, "/type", "enum", "type must be \"Feature\".");
	if (json_is_object(properties)) {
		const struct reading reading = { arena, faults, properties };
		read_tree(&reading, mapping, ret_row);
	} else {
		fault_add(faults, FAULT_POINTER, "/properties", "type", "The feature has no properties.");
	}
	ret_row->geometry = gate.cut;
	check_place(arena, gate.cut, mapping->srid, faults);
	return faults->n + faults->more == before ? 0 : -EINVAL;
}
