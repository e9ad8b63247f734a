/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The bytes of values, as PostgreSQL writes them and as they are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wardmote/view.h"

static const struct field field = { .name = "value" };

static const char *shown(struct arena *arena, enum format format, enum cell cell, struct slice value)
{
	struct view view = {
		.format = format, .geometry = -1, .n = 1, .columns = { { .field = &field, .key = SLICE("\"value\":"), .cell = cell } }
	};
	struct slice row[VIEW_LEAD + 1] = { [VIEW_LEAD] = value };
	struct view_bytes out = { .len = 0 };
	assert_int_equal(view_put(&view, row, &out), 0);
	const char *text = arena_copy(arena, (struct slice){ out.ptr, out.len });
	free(out.ptr);
	return text;
}

struct expected {
	enum cell cell;
	const char *value, *json, *csv;
};

static void test_values(void **state)
{
	static const struct expected rows[] = {
		{ CELL_TEXT, "plain", "\"plain\"", "plain" },
		{ CELL_TEXT, "", "\"\"", "" },
		{ CELL_TEXT, "sixteen letters!", "\"sixteen letters!\"", "sixteen letters!" },
		{ CELL_TEXT, "a \"b\" \\ c, long enough", "\"a \\\"b\\\" \\\\ c, long enough\"", "\"a \"\"b\"\" \\ c, long enough\"" },
		{ CELL_TEXT, "\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"", "\"\b\f\n\r\t\x01\x1f\x7f\"" },
		{ CELL_TEXT, "\xc3\xa9\xf0\x9f\x98\x80 and more of it", "\"\xc3\xa9\xf0\x9f\x98\x80 and more of it\"",
		  "\xc3\xa9\xf0\x9f\x98\x80 and more of it" },
		{ CELL_TEXT, "=1+1", "\"=1+1\"", "\"'=1+1\"" },
		{ CELL_TEXT, " edge", "\" edge\"", "\" edge\"" },
		{ CELL_PLAIN, "-12", "-12", "-12" },
		{ CELL_WORD, "2026-05-01", "\"2026-05-01\"", "2026-05-01" },
		{ CELL_BOOLEAN, "t", "true", "true" },
		{ CELL_BOOLEAN, "f", "false", "false" },
		{ CELL_TIME, "09:30:00", "\"09:30\"", "09:30" },
		{ CELL_TIMESTAMP, "2026-05-01 09:00:00+00", "\"2026-05-01T09:00:00.000000Z\"", "2026-05-01T09:00:00.000000Z" },
		{ CELL_TIMESTAMP, "2026-05-01 09:00:00.25+00", "\"2026-05-01T09:00:00.250000Z\"", "2026-05-01T09:00:00.250000Z" },
		{ CELL_ARRAY, "{}", "[]", "{}" },
		{ CELL_ARRAY, "{a}", "[\"a\"]", "{a}" },
		{ CELL_ARRAY, "{a,b}", "[\"a\",\"b\"]", "\"{a,b}\"" },
		{ CELL_ARRAY, "{\"a,b\",\"c}\",NULL,\"NULL\",\"\"}", "[\"a,b\",\"c}\",null,\"NULL\",\"\"]", NULL },
		{ CELL_ARRAY, "{\"q\\\"q\",\"b\\\\b\",\"tab\there\"}", "[\"q\\\"q\",\"b\\\\b\",\"tab\\there\"]", NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena;
		arena_init(&arena);
		const char *json = arena_printf(&arena, "{\"value\":%s}", rows[i].json);
		assert_string_equal(shown(&arena, FORMAT_JSON, rows[i].cell, slice_of(rows[i].value)), json);
		if (rows[i].csv != NULL)
			assert_string_equal(shown(&arena, FORMAT_CSV, rows[i].cell, slice_of(rows[i].value)),
					    arena_printf(&arena, "%s\r\n", rows[i].csv));
		arena_done(&arena);
	}
	(void)state;
}

static void test_null(void **state)
{
	struct arena arena;
	arena_init(&arena);
	for (enum cell cell = CELL_PLAIN; cell <= CELL_ARRAY; cell++) {
		assert_string_equal(shown(&arena, FORMAT_JSON, cell, (struct slice){ NULL, 0 }), "{\"value\":null}");
		assert_string_equal(shown(&arena, FORMAT_CSV, cell, (struct slice){ NULL, 0 }), "\r\n");
	}
	arena_done(&arena);
	(void)state;
}

/* What is broken off anywhere is not read past its end (the sanitizers look), and makes no more bytes than there is room for. */
static void test_arrays_that_are_cut(void **state)
{
	static const char whole[] = "{\"a\\\\b\",NULL,c,\"\x01\x01\x01\x01\"}";
	for (size_t len = 0; len < sizeof whole; len++) {
		struct arena arena;
		arena_init(&arena);
		char *part = malloc(len == 0 ? 1 : len);
		assert_non_null(part);
		memcpy(part, whole, len);
		shown(&arena, FORMAT_JSON, CELL_ARRAY, (struct slice){ part, len });
		free(part);
		arena_done(&arena);
	}
	(void)state;
}

/* Only the owner sees the name of a field that is his alone. */
static void test_fields_of_the_owner(void **state)
{
	struct arena arena;
	arena_init(&arena);
	struct view view = { .format = FORMAT_JSON,
			     .geometry = -1,
			     .n = 2,
			     .columns = { { .key = SLICE("\"id\":"), .cell = CELL_WORD },
					  { .key = SLICE("\"notes\":"), .cell = CELL_TEXT, .owners = true } } };
	struct view_bytes out = { .len = 0 };
	struct slice row[] = { [VIEW_OWN] = SLICE("t"), [VIEW_LEAD] = SLICE("1"), SLICE("x") };
	view_put(&view, row, &out);
	row[VIEW_OWN] = SLICE("f");
	view_put(&view, row, &out);
	assert_string_equal(arena_copy(&arena, (struct slice){ out.ptr, out.len }), "{\"id\":\"1\",\"notes\":\"x\"}{\"id\":\"1\"}");
	free(out.ptr);
	arena_done(&arena);
	(void)state;
}

static void test_white_space_between_tokens(void **state)
{
	static const struct {
		const char *given, *kept;
	} rows[] = {
		{ "", "" },
		{ "{}", "{}" },
		{ " { \"a b\" : [ 1 , \n {\"c\":\t\"d  e\"} ] }\r\n", "{\"a b\":[1,{\"c\":\"d  e\"}]}" },
		{ "[\"a \\\" : b\", \"\\\\\", \" \"]", "[\"a \\\" : b\",\"\\\\\",\" \"]" },
		{ "\"cut  off", "\"cut  off" },
		{ "\"cut off\\", "\"cut off\\" },
		{ "\\x00ff", "\\x00ff" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *text = strdup(rows[i].given);
		assert_non_null(text);
		text[json_compact(text, strlen(text))] = '\0';
		assert_string_equal(text, rows[i].kept);
		free(text);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_values), cmocka_unit_test(test_null),
					    cmocka_unit_test(test_arrays_that_are_cut), cmocka_unit_test(test_fields_of_the_owner),
					    cmocka_unit_test(test_white_space_between_tokens) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
