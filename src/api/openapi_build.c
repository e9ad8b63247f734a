/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* jansson for a builder that cannot go on without memory: each call succeeds or ends the process. */
#include "openapi_internal.h"

#include <stdio.h>
#include <stdlib.h>

void *openapi_must(void *value, const char *what, const char *why)
{
	if (value == NULL) {
		fprintf(stderr, "wardmote: cannot build the OpenAPI document: %s: %s\n", what, why);
		abort();
	}
	return value;
}

json_t *openapi_pack(const char *format, ...)
{
	json_error_t error = { .text = "out of memory" };
	va_list arguments;
	va_start(arguments, format);
	json_t *value = json_vpack_ex(&error, 0, format, arguments);
	va_end(arguments);
	return openapi_must(value, format, error.text);
}

json_t *openapi_load(const char *text, const char *what)
{
	json_error_t error = { .text = "out of memory" };
	return openapi_must(json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error), what, error.text);
}

void openapi_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) != 0)
		openapi_must(NULL, key, "cannot be set");
}

void openapi_add(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		openapi_must(NULL, "array", "cannot grow");
}

json_t *openapi_ref(struct arena *arena, const char *kind, const char *name)
{
	return openapi_pack("{ss}", "$ref", arena_printf(arena, "#/components/%s/%s", kind, name));
}

const char *openapi_name(struct arena *arena, const char *thing, const char *suffix)
{
	struct buffer name = { .arena = arena };
	bool upper = true;
	for (const char *c = thing; *c != '\0'; c++) {
		if (*c != '_') {
			char letter = upper && *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
			buffer_add(&name, (struct slice){ &letter, 1 });
		}
		upper = *c == '_';
	}
	buffer_text(&name, suffix);
	return name.ptr;
}
