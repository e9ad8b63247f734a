/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "value.h"

#include <inttypes.h>
#include <stdlib.h>

#include "geojson.h"
#include "scalar.h"
#include "text.h"

enum { KEY_QUOTED_MAX = 100 };

/* --- faults --- */

static void add_token(struct buffer *pointer, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name == '~')
			buffer_text(pointer, "~0");
		else if (*name == '/')
			buffer_text(pointer, "~1");
		else
			buffer_add(pointer, (struct slice){ name, 1 });
	}
}

static void add_path(struct buffer *pointer, const struct path *path)
{
	if (path == NULL)
		return;
	add_path(pointer, path->up);
	buffer_text(pointer, "/");
	if (path->name != NULL)
		add_token(pointer, path->name);
	else
		buffer_format(pointer, "%zu", path->index);
}

void check_fault(const struct check *check, const struct path *path, const char *code, const char *detail)
{
	struct buffer pointer = { .arena = check->arena };
	add_path(&pointer, path);
	fault_add(check->faults, FAULT_POINTER, pointer.ptr == NULL ? "" : pointer.ptr, code, "%s", detail);
}

static void check_verdict(const struct check *check, const struct path *path, struct verdict verdict)
{
	if (verdict.code != NULL)
		check_fault(check, path, verdict.code, verdict.detail);
}

/* --- one value --- */

static struct slice string_of(const json_t *value)
{
	return (struct slice){ json_string_value(value), json_string_length(value) };
}

static void check_string(const struct check *check, const struct field *field, const json_t *value, const struct path *path)
{
	if (json_is_string(value))
		check_verdict(check, path, scalar_verdict(check->arena, field, string_of(value)));
	else
		check_fault(check, path, "type", "This must be a string.");
}

static void check_integer(const struct check *check, const struct field *field, const json_t *value, const struct path *path)
{
	if (json_is_integer(value))
		check_verdict(check, path, integer_verdict(check->arena, field, json_integer_value(value)));
	else
		check_fault(check, path, "type", "This must be an integer, written without fraction and exponent.");
}

static void check_decimal(const struct check *check, const struct field *field, const json_t *value, const struct path *path)
{
	if (json_is_number(value))
		check_verdict(check, path, decimal_verdict(check->arena, field, json_number_value(value)));
	else
		check_fault(check, path, "type", "This must be a number.");
}

static bool check_items(const struct check *check, const struct field *field, const json_t *value, const struct path *path)
{
	if (!json_is_array(value)) {
		check_fault(check, path, "type", "This must be an array.");
		return false;
	}
	int64_t n = (int64_t)json_array_size(value), max = field_max(field);
	if (n >= field->min && n <= max)
		return true;
	check_fault(check, path, "length", arena_printf(check->arena, "This must have %" PRId64 " to %" PRId64 " items.", field->min, max));
	return false;
}

struct item {
	const char *text;
	size_t index;
};

/* UUIDs are equal in any case of their letters; codes are not. */
static int compare_texts(enum field_type type, const char *a, const char *b)
{
	return type == T_REFS ? strcasecmp(a, b) : strcmp(a, b);
}

static int compare_items(const void *a, const void *b, void *type)
{
	const struct item *x = a, *y = b;
	int order = compare_texts(*(const enum field_type *)type, x->text, y->text);
	return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/* Sorted rather than compared pairwise: there may be hundreds. */
static void check_repeats(const struct check *check, enum field_type type, const json_t *array, const struct path *path)
{
	size_t n = json_array_size(array);
	struct item *items = arena_alloc(check->arena, (n + 1) * sizeof *items);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(array, i));
		if (text == NULL)
			return;
		items[i] = (struct item){ text, i };
	}
	qsort_r(items, n, sizeof *items, compare_items, &type);
	for (size_t i = 1; i < n; i++) {
		struct path item = { .up = path, .index = items[i].index };
		if (compare_texts(type, items[i - 1].text, items[i].text) == 0)
			check_fault(check, &item, "duplicate", "This item is there twice.");
	}
}

static void check_strings(const struct check *check, const struct field *field, const json_t *value, const struct path *path)
{
	if (!check_items(check, field, value, path))
		return;
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct path item = { .up = path, .index = i };
		check_string(check, field, json_array_get(value, i), &item);
	}
	if (field->type != T_TEXTS)
		check_repeats(check, field->type, value, path);
}

/* The members of an object; `rows` has room for them. */
static struct fieldset fieldset_of(const struct field *field, const struct field **rows)
{
	struct fieldset members = { rows, 0 };
	for (const struct field *row = field->members; row->name != NULL && members.n < FIELDS_MAX; row++)
		rows[members.n++] = row;
	return members;
}

static void check_one_object(const struct check *check, const struct field *field, json_t *value, const struct path *path)
{
	const struct field *rows[FIELDS_MAX];
	struct fieldset members = fieldset_of(field, rows);
	if (json_is_object(value))
		check_object(check, &members, MODE_CREATE, value, path, NULL);
	else
		check_fault(check, path, "type", "This must be an object.");
}

static void check_objects(const struct check *check, const struct field *field, const json_t *value, const struct path *path)
{
	if (!check_items(check, field, value, path))
		return;
	for (size_t i = 0; i < json_array_size(value); i++) {
		struct path item = { .up = path, .index = i };
		check_one_object(check, field, json_array_get(value, i), &item);
	}
}

static void check_value(const struct check *check, const struct field *field, const json_t *value, const struct path *path)
{
	switch (field->type) {
	case T_UUID:
	case T_TEXT:
	case T_ENUM:
	case T_DATE:
	case T_TIME:
	case T_TIMESTAMP:
	case T_REF:
	case T_URL:
		check_string(check, field, value, path);
		return;
	case T_BOOL:
		if (!json_is_boolean(value))
			check_fault(check, path, "type", "This must be true or false.");
		return;
	case T_INT:
		check_integer(check, field, value, path);
		return;
	case T_DECIMAL:
		check_decimal(check, field, value, path);
		return;
	case T_REFS:
	case T_CODES:
	case T_TEXTS:
		check_strings(check, field, value, path);
		return;
	case T_OBJECTS:
		check_objects(check, field, value, path);
		return;
	case T_OBJECT:
		check_one_object(check, field, (json_t *)(uintptr_t)value, path);
		return;
	case T_GEOMETRY:
	case T_POINT:
		if (field == check->cut_field)
			geojson_check_in(check->arena, check->srid, field->type, field->name, check->cut, check->faults);
		else
			check_fault(check, path, "type", "A geometry cannot be given here.");
		return;
	case T_POSITION:
	case T_BOX:
		return; /* no field is of these */
	}
}

/* --- objects --- */

static size_t find_field(const struct fieldset *fields, const char *name)
{
	size_t i = 0;
	while (i < fields->n && strcmp(fields->rows[i]->name, name) != 0)
		i++;
	return i;
}

static void tell_unknown(const struct check *check, const struct fieldset *fields, const char *key, const struct path *up)
{
	struct nearest nearest = { .wanted = slice_of(key) };
	for (size_t i = 0; faults_take_hint(check->faults) && i < fields->n; i++) {
		if (!(fields->rows[i]->flags & F_READONLY))
			nearest_offer(&nearest, fields->rows[i]->name);
	}
	struct path path = { .up = up, .name = key };
	/* a name that is no name is not repeated: the fault then points to the object around it */
	bool quotable = nearest.wanted.len <= KEY_QUOTED_MAX && text_is_line(nearest.wanted);
	check_fault(check, quotable ? &path : up, "unknown_field",
		    arena_printf(check->arena, "There is no such field.%s", nearest_hint(check->arena, &nearest)));
}

static void check_member(const struct check *check, const struct field *field, enum body_mode mode, const json_t *value,
			 const struct path *path)
{
	bool is_null = field == check->cut_field ? slice_is(check->cut, "null") : json_is_null(value);
	if (field->flags & F_READONLY)
		check_fault(check, path, "read_only", "The server sets this; leave it out.");
	else if (!is_null)
		check_value(check, field, value, path);
	else if (field->flags & F_REQUIRED || !(field->flags & F_NULLABLE))
		check_fault(check, path, "not_nullable",
			    mode == MODE_MERGE ? "This cannot be taken away." : "This cannot be null; leave it out for its default.");
}

void check_object(const struct check *check, const struct fieldset *fields, enum body_mode mode, json_t *object, const struct path *path,
		  uint64_t *ret_present)
{
	uint64_t present = 0;
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		size_t i = find_field(fields, key);
		struct path member = { .up = path, .name = key };
		if (i == fields->n) {
			tell_unknown(check, fields, key, path);
			continue;
		}
		present |= UINT64_C(1) << i;
		check_member(check, fields->rows[i], mode, value, &member);
	}
	for (size_t i = 0; i < fields->n; i++) {
		struct path member = { .up = path, .name = fields->rows[i]->name };
		bool is_absent = (present & UINT64_C(1) << i) == 0;
		if (is_absent && mode != MODE_MERGE && fields->rows[i]->flags & F_REQUIRED)
			check_fault(check, &member, "required", "This must be there.");
	}
	if (ret_present != NULL)
		*ret_present = present;
}
