/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "faults.h"

#include <jansson.h>
#include <string.h>

static const struct problem_context context = { .base_url = "https://w.example", .request_id = "0af7651916cd43dd8448eb211c80319c" };

static void members_come_in_one_order(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	fault_add(&faults, FAULT_POINTER, "/a\"b", "required", "This must be there.");
	fault_add(&faults, FAULT_PARAMETER, "limit", "range", "At most %d.", 500);
	fault_add(&faults, FAULT_HEADER, "If-Match", "format", "Not \\ a tag.");
	struct slice text = problem_render(&arena, PROBLEM_INVALID_REQUEST, &context, NULL, &faults, NULL);
	assert_string_equal(
	    text.ptr, "{\"type\":\"https://w.example/problems/invalid-request\",\"title\":\"The request is not valid\",\"status\":400,"
		      "\"detail\":\"3 faults, all listed.\",\"instance\":\"urn:wardmote:request:0af7651916cd43dd8448eb211c80319c\","
		      "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"errors\":["
		      "{\"pointer\":\"/a\\\"b\",\"code\":\"required\",\"detail\":\"This must be there.\"},"
		      "{\"parameter\":\"limit\",\"code\":\"range\",\"detail\":\"At most 500.\"},"
		      "{\"header\":\"If-Match\",\"code\":\"format\",\"detail\":\"Not \\\\ a tag.\"}]}");
	assert_int_equal(text.len, strlen(text.ptr));
	struct problem_context unknown = context;
	unknown.outcome = "unknown";
	text = problem_render(&arena, PROBLEM_OUTCOME_UNKNOWN, &unknown, "Try again.", NULL, "[{\"pointer\":\"/x\"}]");
	const char *outcome = strstr(text.ptr, ",\"outcome\":\"unknown\",\"errors\":[{\"pointer\":\"/x\"}]}");
	assert_non_null(outcome);
	assert_true(strstr(text.ptr, "\"status\":503,\"detail\":\"Try again.\",\"instance\"") != NULL);
	text = problem_render(&arena, PROBLEM_NOT_FOUND, &context, NULL, NULL, NULL);
	assert_non_null(strstr(text.ptr, "\"detail\":\"No such path")); /* what is always true of its kind */
	assert_null(strstr(text.ptr, "errors"));
	arena_done(&arena);
}

static void every_problem_is_documented_and_found(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	const char *registry = problem_registry(&arena).ptr;
	for (enum problem problem = 0; problem < PROBLEMS; problem++) {
		const struct problem_kind *kind = problem_kind(problem);
		assert_non_null(kind->slug);
		assert_true(kind->status >= 400 && kind->status < 600);
		assert_true(strlen(kind->title) > 5 && strlen(kind->doc) > 40);
		assert_int_equal(problem_find(slice_of(kind->slug)), problem);
		assert_non_null(strstr(registry, arena_printf(&arena, "\n## %s\n", kind->slug)));
		assert_non_null(strstr(registry, kind->doc));
		json_t *tree = json_loads(problem_render(&arena, problem, &context, NULL, NULL, NULL).ptr, JSON_REJECT_DUPLICATES, NULL);
		assert_int_equal(json_integer_value(json_object_get(tree, "status")), kind->status);
		json_decref(tree);
	}
	assert_int_equal(problem_find(SLICE("nothing")), PROBLEMS);
	assert_int_equal(problem_find(SLICE("")), PROBLEMS);
	arena_done(&arena);
}

static void faults_past_the_cap_are_counted(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	for (int i = 0; i < FAULTS_MAX + 7; i++)
		fault_add(&faults, FAULT_POINTER, "/x", "type", "%d", i);
	assert_int_equal(faults.n, FAULTS_MAX);
	assert_int_equal(faults.more, 7);
	struct slice text = problem_render(&arena, PROBLEM_INVALID_REQUEST, &context, NULL, &faults, NULL);
	assert_non_null(strstr(text.ptr, "\"detail\":\"107 faults; the first 100 are listed.\""));
	arena_done(&arena);
}

static void a_long_detail_is_cut_between_characters(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct buffer text = { .arena = &arena };
	for (int i = 0; i < 1000; i++)
		buffer_text(&text, "\xc3\xa9");
	fault_add(&faults, FAULT_POINTER, "/x", "type", "%s", text.ptr);
	json_t *tree = json_loads(problem_render(&arena, PROBLEM_INVALID_REQUEST, &context, NULL, &faults, NULL).ptr, 0, NULL);
	assert_non_null(tree);
	json_decref(tree);
	arena_done(&arena);
}

/* Wherever the cut falls in characters of two, three and four bytes, what is left is whole. */
static void no_cut_leaves_part_of_a_character(void **state)
{
	(void)state;
	static const char *const characters[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8c\xb3" };
	struct arena arena;
	arena_init(&arena);
	for (size_t c = 0; c < 3; c++) {
		size_t width = strlen(characters[c]);
		for (size_t shift = 0; shift < width; shift++) {
			struct faults faults = { .arena = &arena };
			struct buffer text = { .arena = &arena };
			for (size_t i = 0; i < shift; i++)
				buffer_text(&text, "a");
			while (text.len < 2000)
				buffer_text(&text, characters[c]);
			fault_add(&faults, FAULT_POINTER, "/x", "type", "%s", text.ptr);
			size_t len = strlen(faults.rows[0].detail);
			assert_in_range(len, 1000, 1023);
			assert_int_equal((len - shift) % width, 0);
		}
	}
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_come_in_one_order),         cmocka_unit_test(every_problem_is_documented_and_found),
		cmocka_unit_test(faults_past_the_cap_are_counted),   cmocka_unit_test(a_long_detail_is_cut_between_characters),
		cmocka_unit_test(no_cut_leaves_part_of_a_character),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
