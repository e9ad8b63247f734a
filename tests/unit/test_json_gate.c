/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "faults.h"

#include <errno.h>

#include "json_gate.h"

static void run(const char *text, const char *name, const char *json, const char *cut, const char *wanted)
{
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct json_gate gate = { 0 };
	int r = json_gate(&arena, slice_of(text), name, &gate, &faults);
	if (strcmp(faults_text(&faults), wanted) != 0)
		print_error("%s\n", text);
	assert_string_equal(faults_text(&faults), wanted);
	assert_int_equal(r, faults.n == 0 ? 0 : -EINVAL);
	if (r == 0) {
		assert_string_equal(arena_copy(&arena, gate.json), json);
		assert_int_equal(gate.cut.ptr == NULL, cut == NULL);
		if (cut != NULL)
			assert_string_equal(arena_copy(&arena, gate.cut), cut);
	}
	arena_done(&arena);
}

static void the_value_is_cut_out(void **state)
{
	(void)state;
	run("{\"a\":1,\"g\":{\"x\":[1,2]},\"b\":2}", "g", "{\"a\":1,\"g\":null,\"b\":2}", "{\"x\":[1,2]}", "");
	run("{\"g\" : [ \"]}\", \"\\\"]\" ] }", "g", "{\"g\" : null }", "[ \"]}\", \"\\\"]\" ]", "");
	run("{\"\\u0067\":{}}", "g", "{\"\\u0067\":null}", "{}", "");
	run("{\"g\":null}", "g", "{\"g\":null}", "null", "");
	run("{\"g\":5,\"b\":1}", "g", "{\"g\":null,\"b\":1}", "5", "");
	run("{\"g\":\"x\"}", "g", "{\"g\":null}", "\"x\"", "");
	/* only that member of the body itself */
	run("{\"a\":{\"g\":{}}}", "g", "{\"a\":{\"g\":{}}}", NULL, "");
	run("{\"a\":\"g\"}", "g", "{\"a\":\"g\"}", NULL, "");
	run("{\"gg\":{},\"G\":{}}", "g", "{\"gg\":{},\"G\":{}}", NULL, "");
	run("{\"g\":{}}", NULL, "{\"g\":{}}", NULL, "");
	run("{\"g\":{},\"\\u0067\":1}", "g", NULL, NULL, " duplicate");
	run("{\"g\":}", "g", NULL, NULL, " syntax");
	run("{\"g\":{", "g", NULL, NULL, " syntax");
	run("{\"g\":\"x", "g", NULL, NULL, " syntax");
	/* no position of a value: stays wrong without the cut, so that jansson refuses it */
	run("[\"g\":{}]", "g", "[\"g\":null]", "{}", "");
}

static void literals_are_bounded(void **state)
{
	(void)state;
	run("[1,-0.5,1e30,12345678901234567890123456789012]", NULL, "[1,-0.5,1e30,12345678901234567890123456789012]", NULL, "");
	run("[123456789012345678901234567890123]", NULL, NULL, NULL, " number");
	run("[1e31]", NULL, NULL, NULL, " number");
	run("[1e-300000]", NULL, NULL, NULL, " number");
	run("[01]", NULL, NULL, NULL, " number");
	run("[\"1e99999\"]", NULL, "[\"1e99999\"]", NULL, "");
	run("[\"unfinished]", NULL, NULL, NULL, " syntax");
}

/* `open`, then `middle`, then `close`, the outer ones n times. */
static const char *nest(struct arena *arena, size_t n, const char *open, const char *middle, const char *close)
{
	struct buffer text = { .arena = arena };
	for (size_t i = 0; i < n; i++)
		buffer_text(&text, open);
	buffer_text(&text, middle);
	for (size_t i = 0; i < n; i++)
		buffer_text(&text, close);
	return text.ptr;
}

static void depth_is_bounded(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	const char *deepest = nest(&arena, JSON_DEPTH_MAX, "[", "", "]");
	run(deepest, NULL, deepest, NULL, "");
	run(nest(&arena, JSON_DEPTH_MAX + 1, "[", "", "]"), NULL, NULL, NULL, " too_deep");
	run(nest(&arena, 100000, "{\"a\":", "1", "}"), NULL, NULL, NULL, " too_deep");
	/* what is cut out counts too */
	run(nest(&arena, 1, "{\"g\":", nest(&arena, JSON_DEPTH_MAX, "[", "", "]"), "}"), "g", NULL, NULL, " too_deep");
	arena_done(&arena);
}

static void values_are_counted(void **state)
{
	(void)state;
	static const char *const items[] = { "1,", "\"\",", "null,", "{},", "[]," };
	struct arena arena;
	arena_init(&arena);
	for (size_t i = 0; i < sizeof items / sizeof *items; i++) {
		/* the array itself is one value */
		const char *most = nest(&arena, 1, "[", nest(&arena, JSON_NODES_MAX - 2, items[i], "0", ""), "]");
		run(most, NULL, most, NULL, "");
		run(nest(&arena, 1, "[", nest(&arena, JSON_NODES_MAX - 1, items[i], "0", ""), "]"), NULL, NULL, NULL, " too_many");
	}
	/* names are no values; a geometry is counted by its own scanner */
	const char *object = nest(&arena, 1, "{", nest(&arena, JSON_NODES_MAX - 2, "\"a\":1,", "\"b\":2", ""), "}");
	run(object, NULL, object, NULL, "");
	const char *geometry = nest(&arena, 1, "[", nest(&arena, 50000, "1,", "1", ""), "]");
	run(nest(&arena, 1, "{\"g\":", geometry, "}"), "g", "{\"g\":null}", geometry, "");
	arena_done(&arena);
}

static void a_fault_names_its_line(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct json_gate gate;
	assert_int_equal(json_gate(&arena, SLICE("{\n \"a\": 1e99\n}"), NULL, &gate, &faults), -EINVAL);
	assert_non_null(strstr(faults.rows[0].detail, "(line 2, column 7)"));
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_value_is_cut_out), cmocka_unit_test(literals_are_bounded),   cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(values_are_counted),   cmocka_unit_test(a_fault_names_its_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
