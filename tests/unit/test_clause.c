/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the text of a clause refers to, and what a document says of clauses and of hand-written pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "clause.h"
#include "demo.h"
#include "wardmote/openapi.h"
#include "wardmote/sql.h"

/* The text with [] around its marks. */
static const char *marked(struct arena *arena, const char *text)
{
	struct buffer out = { .arena = arena };
	struct slice before, name;
	while (clause_next_mark(&text, &before, &name)) {
		buffer_add(&out, before);
		buffer_text(&out, "[");
		buffer_add(&out, name);
		buffer_text(&out, "]");
	}
	buffer_add(&out, before);
	buffer_text(&out, "");
	return out.ptr;
}

static void operators_are_no_marks(void **state)
{
	(void)state;
	static const struct {
		const char *text, *wanted;
	} cases[] = {
		{ "", "" },
		{ "true", "true" },
		{ "@", "[]" },
		{ "@a @b_2", "[a] [b_2]" },
		{ "f(@,@radius)", "f([],[radius])" },
		{ "t.a @> x AND x <@ t.a", "t.a @> x AND x <@ t.a" },
		{ "t.s @@ q AND t.j @? p", "t.s @@ q AND t.j @? p" },
		{ "t.a @> ARRAY[@]", "t.a @> ARRAY[[]]" },
		{ "t.a = '@' AND @ = 'it''s @x'", "t.a = '@' AND [] = 'it''s @x'" },
		{ "t.a && @", "t.a && []" },
	};
	struct arena arena;
	arena_init(&arena);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(marked(&arena, cases[i].text), cases[i].wanted);
	arena_done(&arena);
}

static void document(struct arena *arena, const char *const *wanted, size_t n)
{
	struct catalog *catalog;
	const char *error = NULL;
	assert_int_equal(catalog_new(demo_resources, demo_general, &catalog, &error), 0);
	struct slice text = openapi_render(arena, catalog, "https://example.org", "1");
	json_t *tree = json_loadb(text.ptr, text.len, 0, NULL);
	char *compact = json_dumps(tree, JSON_COMPACT);
	for (size_t i = 0; i < n; i++) {
		if (strstr(compact, wanted[i]) == NULL)
			fail_msg("%s is missing", wanted[i]);
	}
	free(compact);
	json_decref(tree);
	catalog_free(catalog);
}

static void hand_written_pages_are_documented(void **state)
{
	(void)state;
	static const char *const wanted[] = {
		"\"/v1/words/{kind}/{word}.txt\":{\"get\":{\"operationId\":\"list_words\"",
		"{\"$ref\":\"#/components/parameters/kind\"},{\"$ref\":\"#/components/parameters/word\"},{\"$ref\":\"#/components/"
		"parameters/limit\"},"
		"{\"$ref\":\"#/components/parameters/cursor\"},{\"name\":\"from\"",
		"{\"$ref\":\"#/components/parameters/If-None-Match\"}],\"responses\":{\"200\":{\"description\":\"The answer.\"",
		"\"content\":{\"application/vnd.words+json\":{\"schema\":{\"type\":\"object\",\"title\":\"Words\"}}}},\"304\"",
	};
	struct arena arena;
	arena_init(&arena);
	document(&arena, wanted, sizeof wanted / sizeof *wanted);
	arena_done(&arena);
}

static void clauses_are_documented(void **state)
{
	(void)state;
	static const char *const wanted[] = {
		"\"name\":\"near\",\"in\":\"query\",\"description\":\"Only notes on places near this. Together with `reach`.\"",
		"\"example\":\"0.5,1.5\",\"x-needs\":\"reach\"",
		"\"example\":2,\"x-needs\":\"near\"",
		"\"enum\":[\"exact\",\"wide\"],\"default\":\"exact\"},\"example\":\"wide\",\"x-needs\":\"place_ids\"",
		"\"matched_places\":{\"type\":\"array\",\"items\":{\"type\":\"object\"},\"description\":\"Only in lists with match=.\"}",
	};
	struct arena arena;
	arena_init(&arena);
	document(&arena, wanted, sizeof wanted / sizeof *wanted);
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operators_are_no_marks),
		cmocka_unit_test(clauses_are_documented),
		cmocka_unit_test(hand_written_pages_are_documented),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
