/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/validate.h"

#include <errno.h>
#include <jansson.h>

#include "geojson.h"
#include "json_gate.h"
#include "text.h"
#include "value.h"
#include "wardmote/memory.h"
#include "wardmote/query.h"

/* --- from bytes to a tree --- */

static void release(json_t **tree)
{
	json_decref(*tree);
}

/* The offset in the body as received of one in the body without its geometry. */
static size_t original_offset(struct slice bytes, const struct json_gate *gate, size_t offset)
{
	if (gate->cut.ptr == NULL)
		return offset;
	size_t cut = (size_t)(gate->cut.ptr - bytes.ptr);
	return offset <= cut + 4 ? offset : offset - 4 + gate->cut.len;
}

/* jansson's own texts quote the body: only its code and place are told. */
static void tell_parse_error(const struct check *check, const json_error_t *error, struct slice bytes, const struct json_gate *gate)
{
	const char *code = "syntax", *what = "The body is not JSON";
	switch (json_error_code(error)) {
	case json_error_duplicate_key:
		code = "duplicate";
		what = "An object has a member twice";
		break;
	case json_error_numeric_overflow:
		code = "number";
		what = "A number is too large";
		break;
	case json_error_null_character:
	case json_error_null_byte_in_key:
		code = "characters";
		what = "A string holds the character NUL";
		break;
	case json_error_invalid_utf8:
		code = "encoding";
		what = "The body is not UTF-8";
		break;
	default:
		break;
	}
	size_t consumed = error->position > 0 ? (size_t)error->position - 1 : 0;
	const char *place = json_place(check->arena, bytes, original_offset(bytes, gate, consumed));
	check_fault(check, NULL, code, arena_printf(check->arena, "%s (near %s).", what, place));
}

static json_t *parse(const struct check *check, struct slice bytes, const struct json_gate *gate)
{
	if (gate->json.len > BODY_MAX) {
		check_fault(check, NULL, "too_large", "Without its geometry a body has at most 1 MiB.");
		return NULL;
	}
	json_error_t error;
	uint64_t lacks = memory_lacks();
	json_t *tree = json_loadb(gate->json.ptr, gate->json.len, JSON_REJECT_DUPLICATES, &error);
	if (memory_lacks() != lacks)
		arena_lack(check->arena); /* the tree may lack characters, too */
	if (tree == NULL) {
		tell_parse_error(check, &error, bytes, gate);
	} else if (!json_is_object(tree)) {
		check_fault(check, NULL, "type", "The body must be an object.");
		json_decref(tree);
		tree = NULL;
	}
	return tree;
}

/* --- the parts of a resource's body that are no single field --- */

/* A text by which two values of a type can be compared; NULL where the value is absent or not good. */
static const char *comparable(struct arena *arena, enum field_type type, const json_t *value)
{
	struct slice text = { json_string_value(value), json_string_length(value) };
	const char *utc;
	if (text.ptr == NULL)
		return NULL;
	if (type == T_DATE)
		return text_is_date(text) ? text.ptr : NULL;
	if (type == T_TIME)
		return text_is_time(text) ? arena_printf(arena, "%s%s", text.ptr, text.len == 5 ? ":00" : "") : NULL;
	return type == T_TIMESTAMP && text_timestamp(arena, text, &utc) == 0 ? utc : NULL;
}

static bool is_before(struct arena *arena, const struct field *field, const json_t *value, const json_t *other)
{
	if (field->type == T_INT)
		return json_is_integer(value) && json_is_integer(other) && json_integer_value(value) < json_integer_value(other);
	if (field->type == T_DECIMAL)
		return json_is_number(value) && json_is_number(other) && json_number_value(value) < json_number_value(other);
	const char *a = comparable(arena, field->type, value), *b = comparable(arena, field->type, other);
	return a != NULL && b != NULL && strcmp(a, b) < 0;
}

static void check_ordered(const struct check *check, const struct shape *shape, const json_t *tree)
{
	for (const char *const *pair = shape->resource->ordered; pair != NULL && pair[0] != NULL && pair[1] != NULL; pair += 2) {
		int field = shape_field(shape, slice_of(pair[1]));
		if (field < 0 ||
		    !is_before(check->arena, shape->fields[field], json_object_get(tree, pair[1]), json_object_get(tree, pair[0])))
			continue;
		struct path path = { .name = pair[1] };
		check_fault(check, &path, "order", arena_printf(check->arena, "This may not be before %s.", pair[0]));
	}
}

static const struct field *find_geometry(const struct shape *shape)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		if (shape->fields[i]->type == T_GEOMETRY || shape->fields[i]->type == T_POINT)
			return shape->fields[i];
	}
	return NULL;
}

/* --- bodies --- */

/* Both kinds of body: the gate, the tree, its members. NULL after faults were added; else the tree is the caller's. */
static json_t *read_body(struct check *check, const struct fieldset *fields, enum body_mode mode, struct slice bytes, struct body *body)
{
	struct json_gate gate;
	if (json_gate(check->arena, bytes, check->cut_field == NULL ? NULL : check->cut_field->name, &gate, check->faults) < 0)
		return NULL;
	json_t *tree = parse(check, bytes, &gate);
	if (tree == NULL)
		return NULL;
	check->cut = gate.cut;
	check_object(check, fields, mode, tree, NULL, &body->present);
	body->json = gate.json;
	body->hash = text_hash(HASH_START, bytes);
	body->geometry = gate.cut;
	if (slice_is(gate.cut, "null"))
		body->geometry.len = 0;
	return tree;
}

int body_validate(struct arena *arena, const struct shape *shape, enum body_mode mode, struct slice bytes, struct body *ret_body,
		  struct faults *faults)
{
	return body_validate_in(arena, shape, mode, SRID_WGS84, bytes, ret_body, faults);
}

int body_validate_in(struct arena *arena, const struct shape *shape, enum body_mode mode, int srid, struct slice bytes,
		     struct body *ret_body, struct faults *faults)
{
	size_t before = faults->n + faults->more;
	struct check check = { .arena = arena, .faults = faults, .cut_field = find_geometry(shape), .srid = srid };
	const struct fieldset fields = { shape->fields, shape->n_fields };
	struct body body = { 0 };
	__attribute__((cleanup(release))) json_t *tree = read_body(&check, &fields, mode, bytes, &body);
	if (tree == NULL)
		return -EINVAL;
	check_ordered(&check, shape, tree);
	if (faults->n + faults->more > before)
		return -EINVAL;
	if (srid == SRID_NATIONAL) /* the same bytes are another place */
		body.hash = text_hash(body.hash, SLICE("27700"));
	const char *visibility = json_string_value(json_object_get(tree, "visibility"));
	body.visibility = visibility == NULL ? NULL : arena_copy(arena, slice_of(visibility));
	*ret_body = body;
	return 0;
}

int body_validate_fields(struct arena *arena, const struct field *fields, struct slice bytes, struct body *ret_body, struct faults *faults)
{
	size_t before = faults->n + faults->more;
	struct check check = { .arena = arena, .faults = faults };
	const struct field *rows[FIELDS_MAX];
	struct fieldset set = { rows, 0 };
	for (const struct field *field = fields; field != NULL && field->name != NULL && set.n < FIELDS_MAX; field++)
		rows[set.n++] = field;
	struct body body = { 0 };
	__attribute__((cleanup(release))) json_t *tree = read_body(&check, &set, MODE_CREATE, bytes, &body);
	if (tree == NULL || faults->n + faults->more > before)
		return -EINVAL;
	*ret_body = body;
	return 0;
}

const char *body_text(struct arena *arena, const struct body *body, const char *name)
{
	/* kept as bytes, not as a tree: only the few small bodies that C itself reads are parsed a second time */
	uint64_t lacks = memory_lacks();
	__attribute__((cleanup(release))) json_t *tree = json_loadb(body->json.ptr, body->json.len, JSON_REJECT_DUPLICATES, NULL);
	if (memory_lacks() != lacks)
		arena_lack(arena);
	const json_t *value = json_object_get(tree, name);
	if (!json_is_string(value))
		return NULL;
	return arena_copy(arena, (struct slice){ json_string_value(value), json_string_length(value) });
}
