/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the API description offers as an example where a descriptor names none is a value that the server would take. */
#include "faults.h"

#include <stdlib.h>

#include "openapi_internal.h"
#include "wardmote/validate.h"

static const char *const states[] = { "open", "closed", NULL };

static const struct field members[] = {
	{ .name = "right", .type = T_ENUM, .flags = F_REQUIRED, .values = states },
	{ .name = "until", .type = T_DATE, .flags = F_REQUIRED },
	{ 0 },
};

static const struct field rows[] = {
	{ .name = "uuid", .type = T_UUID, .flags = F_REQUIRED },
	{ .name = "text", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = 20 },
	{ .name = "enum", .type = T_ENUM, .flags = F_REQUIRED, .values = states },
	{ .name = "bool", .type = T_BOOL, .flags = F_REQUIRED },
	{ .name = "int", .type = T_INT, .flags = F_REQUIRED, .min = 3, .max = 5 },
	{ .name = "score", .type = T_INT, .flags = F_REQUIRED, .min = -5, .max = 5 },
	{ .name = "date", .type = T_DATE, .flags = F_REQUIRED },
	{ .name = "time", .type = T_TIME, .flags = F_REQUIRED },
	{ .name = "timestamp", .type = T_TIMESTAMP, .flags = F_REQUIRED },
	{ .name = "ref", .type = T_REF, .flags = F_REQUIRED, .refers = "partners" },
	{ .name = "refs", .type = T_REFS, .flags = F_REQUIRED, .refers = "partners", .max = 3 },
	{ .name = "codes", .type = T_CODES, .flags = F_REQUIRED, .code_list = "topic", .max = 3 },
	{ .name = "texts", .type = T_TEXTS, .flags = F_REQUIRED, .max = 3 },
	{ .name = "objects", .type = T_OBJECTS, .flags = F_REQUIRED, .members = members, .max = 3 },
	{ .name = "url", .type = T_URL, .flags = F_REQUIRED },
	{ .name = "own", .type = T_TEXT, .flags = F_REQUIRED, .max = 20, .example = "\"its own\"" },
	{ .name = "initial", .type = T_INT, .flags = F_REQUIRED, .initial = "7" },
	{ .name = "maybe", .type = T_TEXT, .flags = F_NULLABLE, .max = 20 },
	{ 0 },
};

enum { N_ROWS = sizeof rows / sizeof *rows - 1 };

static const char *example_text(struct arena *arena, const struct shape *shape)
{
	json_t *example = openapi_example(shape);
	assert_int_equal(json_object_size(example), shape->n_fields);
	char *text = json_dumps(example, JSON_COMPACT);
	const char *copy = arena_copy(arena, slice_of(text));
	free(text);
	json_decref(example);
	return copy;
}

static void examples_by_type_are_taken(void **state)
{
	(void)state;
	struct shape shape = { .n_fields = N_ROWS };
	for (size_t i = 0; i < N_ROWS; i++)
		shape.fields[i] = &rows[i];
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct body body;
	const char *text = example_text(&arena, &shape);
	body_validate_fields(&arena, rows, slice_of(text), &body, &faults);
	assert_string_equal(faults_text(&faults), "");
	assert_non_null(strstr(text, "\"own\":\"its own\""));
	assert_non_null(strstr(text, "\"initial\":7"));
	assert_non_null(strstr(text, "\"maybe\":null"));
	arena_done(&arena);
}

static void examples_of_places_are_taken(void **state)
{
	(void)state;
	static const struct field places[] = { { .name = "polygon", .type = T_GEOMETRY, .flags = F_REQUIRED },
					       { .name = "point", .type = T_POINT, .flags = F_REQUIRED } };
	static const struct resource resource = { .name = "places", .thing = "place" };
	for (size_t i = 0; i < 2; i++) {
		struct shape shape = { .resource = &resource, .fields = { &places[i] }, .n_fields = 1 };
		struct arena arena;
		arena_init(&arena);
		struct faults faults = { .arena = &arena };
		struct body body;
		body_validate(&arena, &shape, MODE_CREATE, slice_of(example_text(&arena, &shape)), &body, &faults);
		assert_string_equal(faults_text(&faults), "");
		assert_true(body.geometry.len > 0);
		arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_by_type_are_taken),
		cmocka_unit_test(examples_of_places_are_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
