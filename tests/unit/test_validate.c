/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "faults.h"

#include <errno.h>

#include "tickets.h"
#include "wardmote/validate.h"

#define ID "\"0190f5fe-7c00-7a00-8abc-012345678901\""
#define ID_UPPER "\"0190F5FE-7C00-7A00-8ABC-012345678901\""
#define RING "[[1.2,52.6],[1.3,52.6],[1.3,52.7],[1.2,52.6]]"

struct row {
	enum body_mode mode;
	const char *body, *faults;
};

static const struct row rows[] = {
	/* the whole */
	{ MODE_CREATE, "", " syntax" },
	{ MODE_CREATE, "{", " syntax" },
	{ MODE_CREATE, "{\"title\":\"x\"} {}", " syntax" },
	{ MODE_CREATE, "[]", " type" },
	{ MODE_CREATE, "\"x\"", " syntax" },
	{ MODE_CREATE, "{\"title\":\"x\",\"title\":\"y\"}", " duplicate" },
	{ MODE_CREATE, "{\"title\":\"x\",\"titl\\u0065\":\"y\"}", " duplicate" },
	{ MODE_CREATE, "{\"title\":\"x\\u0000\"}", " characters" },
	{ MODE_CREATE, "{\"title\\u0000\":\"x\"}", " characters" },
	{ MODE_CREATE, "{\"title\":\"\xff\"}", " encoding" },
	{ MODE_CREATE, "{\"title\":\"\\ud800\"}", " syntax" },
	{ MODE_CREATE, "\xef\xbb\xbf{\"title\":\"x\"}", " syntax" },
	{ MODE_CREATE, "{\"title\":\"x\",\"score\":9223372036854775808}", " number" },
	{ MODE_CREATE, "{\"title\":\"x\",}", " syntax" },
	/* members */
	{ MODE_CREATE, "{}", "/title required" },
	{ MODE_REPLACE, "{}", "/title required" },
	{ MODE_MERGE, "{}", "" },
	{ MODE_MERGE, "{\"title\":null}", "/title not_nullable" },
	{ MODE_MERGE, "{\"status\":null}", "/status not_nullable" },
	{ MODE_MERGE, "{\"summary\":null}", "" },
	{ MODE_CREATE, "{\"title\":null,\"status\":null}", "/title not_nullable; /status not_nullable" },
	{ MODE_MERGE, "{\"id\":" ID ",\"updated_at\":null}", "/id read_only; /updated_at read_only" },
	{ MODE_MERGE, "{\"titel\":1,\"a/b~c\":2,\"\":3}", "/titel unknown_field; /a~1b~0c unknown_field; / unknown_field" },
	{ MODE_MERGE, "{\"tab\\tbed\":1}", " unknown_field" },
	/* texts */
	{ MODE_MERGE, "{\"title\":7,\"summary\":[],\"status\":true}", "/title type; /summary type; /status type" },
	{ MODE_MERGE, "{\"title\":\"\"}", "/title length" },
	{ MODE_MERGE, "{\"title\":\" \\t\"}", "/title characters" },
	{ MODE_MERGE, "{\"title\":\"  \"}", "/title blank" },
	{ MODE_MERGE, "{\"title\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}",
	  "" },
	{ MODE_MERGE, "{\"title\":\"123456789012345678901\"}", "/title length" },
	{ MODE_MERGE, "{\"title\":\"two\\nlines\"}", "/title characters" },
	{ MODE_MERGE, "{\"summary\":\"two\\nlines\"}", "" },
	{ MODE_MERGE, "{\"summary\":\"\\u202e\"}", "/summary characters" },
	{ MODE_MERGE, "{\"status\":\"opened\"}", "/status enum" },
	{ MODE_MERGE, "{\"link\":\"javascript:alert(1)\"}", "/link format" },
	{ MODE_MERGE, "{\"link\":\"https://example.org/x\"}", "" },
	/* numbers and truth */
	{ MODE_MERGE, "{\"score\":1.0}", "/score type" },
	{ MODE_MERGE, "{\"score\":1e0}", "/score type" },
	{ MODE_MERGE, "{\"score\":\"1\"}", "/score type" },
	{ MODE_MERGE, "{\"score\":-5}", "" },
	{ MODE_MERGE, "{\"score\":6}", "/score range" },
	{ MODE_MERGE, "{\"total\":2147483647}", "" },
	{ MODE_MERGE, "{\"total\":2147483648}", "/total range" },
	{ MODE_MERGE, "{\"urgent\":1}", "/urgent type" },
	{ MODE_MERGE, "{\"weight\":\"1\"}", "/weight type" },
	{ MODE_MERGE, "{\"weight\":100}", "" },
	{ MODE_MERGE, "{\"weight\":-2.0}", "" },
	{ MODE_MERGE, "{\"weight\":1.23456e1}", "" },
	{ MODE_MERGE, "{\"weight\":100.001}", "/weight range" },
	{ MODE_MERGE, "{\"weight\":-2.5}", "/weight range" },
	{ MODE_MERGE, "{\"weight\":101}", "/weight range" },
	{ MODE_MERGE, "{\"weight\":null}", "" },
	{ MODE_MERGE, "{\"urgent\":false}", "" },
	/* dates and times */
	{ MODE_MERGE, "{\"open_on\":\"2026-02-30\",\"start_time\":\"24:00\",\"due_at\":\"2026-11-21\"}",
	  "/open_on format; /start_time format; /due_at format" },
	{ MODE_MERGE, "{\"open_on\":\"today\"}", "/open_on format" },
	{ MODE_MERGE, "{\"open_on\":\"2026-05-02\",\"close_on\":\"2026-05-01\"}", "/close_on order" },
	{ MODE_MERGE, "{\"open_on\":\"2026-05-02\",\"close_on\":\"2026-05-02\"}", "" },
	{ MODE_MERGE, "{\"open_on\":\"2026-05-02\",\"close_on\":null}", "" },
	{ MODE_MERGE, "{\"open_on\":\"2026-05-02\",\"close_on\":\"junk\"}", "/close_on format" },
	{ MODE_MERGE, "{\"start_time\":\"09:00:00\",\"end_time\":\"09:00\"}", "" },
	{ MODE_MERGE, "{\"start_time\":\"09:00:01\",\"end_time\":\"09:00\"}", "/end_time order" },
	/* lists */
	{ MODE_MERGE, "{\"partner_id\":\"x\",\"locality_ids\":" ID "}", "/partner_id format; /locality_ids type" },
	{ MODE_MERGE, "{\"locality_ids\":[" ID ",7,\"x\"]}", "/locality_ids/1 type; /locality_ids/2 format" },
	{ MODE_MERGE, "{\"locality_ids\":[" ID "," ID_UPPER "]}", "/locality_ids/1 duplicate" },
	{ MODE_MERGE, "{\"locality_ids\":[" ID "," ID "," ID "," ID "]}", "/locality_ids length" },
	{ MODE_MERGE, "{\"topics\":[\"housing\",\"Housing\"]}", "" },
	{ MODE_MERGE, "{\"topics\":[\"b\",\"a\",\"b\",\"b\"]}", "/topics length" },
	{ MODE_MERGE, "{\"topics\":[\"b\",\"a\",\"b\"]}", "/topics/2 duplicate" },
	{ MODE_MERGE, "{\"topics\":[\"\"]}", "/topics/0 length" },
	{ MODE_MERGE, "{\"notes\":[\"a\",\"a\"]}", "" },
	/* objects */
	{ MODE_MERGE, "{\"grants\":[{\"partner_id\":" ID ",\"right\":\"read\"}]}", "" },
	{ MODE_MERGE, "{\"grants\":[{\"partner_id\":" ID ",\"right\":\"read\",\"until\":null}]}", "" },
	{ MODE_MERGE, "{\"grants\":[{\"right\":\"raed\",\"who\":1},[]]}",
	  "/grants/0/right enum; /grants/0/who unknown_field; /grants/0/partner_id required; /grants/1 type" },
	{ MODE_MERGE, "{\"grants\":{}}", "/grants type" },
	/* geometry */
	{ MODE_MERGE, "{\"geometry\":null}", "" },
	{ MODE_MERGE, "{\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[" RING "]}}", "" },
	{ MODE_MERGE, "{\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[1,2]]]}}", "/geometry/coordinates/0 length" },
	{ MODE_MERGE, "{\"geometry\":\"x\"}", "/geometry type" },
	{ MODE_MERGE, "{\"geometry\":{},\"geometry\":{}}", " duplicate" },
	/* all at once */
	{ MODE_CREATE, "{\"colour\":1,\"score\":9,\"open_on\":\"x\",\"geometry\":[],\"id\":1}",
	  "/colour unknown_field; /score range; /open_on format; /geometry type; /id read_only; /title required" },
};

static void every_fault_is_told_at_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena;
		arena_init(&arena);
		struct faults faults = { .arena = &arena };
		struct body body;
		int r = body_validate(&arena, &ticket_shape, rows[i].mode, slice_of(rows[i].body), &body, &faults);
		if (strcmp(faults_text(&faults), rows[i].faults) != 0)
			print_error("%s\n", rows[i].body);
		assert_string_equal(faults_text(&faults), rows[i].faults);
		assert_int_equal(r, faults.n == 0 ? 0 : -EINVAL);
		arena_done(&arena);
	}
}

static void a_good_body_is_handed_over(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct body body, other;
	const char *text =
	    "{ \"geometry\":{\"type\":\"Polygon\",\"coordinates\":[" RING "]}, \"title\":\"caf\\u00e9\", \"visibility\":\"public\"}";
	assert_int_equal(body_validate(&arena, &ticket_shape, MODE_CREATE, slice_of(text), &body, &faults), 0);
	assert_string_equal(arena_copy(&arena, body.json), "{ \"geometry\":null, \"title\":\"caf\\u00e9\", \"visibility\":\"public\"}");
	assert_string_equal(arena_copy(&arena, body.geometry), "{\"type\":\"Polygon\",\"coordinates\":[" RING "]}");
	assert_string_equal(body.visibility, "public");
	assert_string_equal(body_text(&arena, &body, "title"), "caf\xc3\xa9");
	assert_null(body_text(&arena, &body, "geometry"));
	assert_null(body_text(&arena, &body, "link"));
	uint64_t wanted = 0;
	static const char *const names[] = { "geometry", "title", "visibility" };
	for (size_t i = 0; i < 3; i++)
		wanted |= UINT64_C(1) << shape_field(&ticket_shape, slice_of(names[i]));
	assert_true(body.present == wanted);
	/* the hash is of all bytes, those of the geometry too */
	assert_int_equal(body_validate(&arena, &ticket_shape, MODE_CREATE, SLICE("{\"title\":\"x\",\"geometry\":null}"), &other, &faults),
			 0);
	assert_true(other.geometry.ptr != NULL && other.geometry.len == 0);
	assert_true(other.hash != body.hash);
	assert_null(other.visibility);
	assert_int_equal(body_validate(&arena, &ticket_shape, MODE_CREATE, SLICE("{\"title\":\"x\"}"), &other, &faults), 0);
	assert_null(other.geometry.ptr);
	arena_done(&arena);
}

static void a_point_that_must_be_there(void **state)
{
	(void)state;
	static const struct row points[] = {
		{ MODE_CREATE, "{\"point\":{\"type\":\"Point\",\"coordinates\":[1.3,52.6]}}", "" },
		{ MODE_CREATE, "{}", "/point required" },
		{ MODE_CREATE, "{\"point\":null}", "/point not_nullable" },
		{ MODE_MERGE, "{\"point\":null}", "/point not_nullable" },
		{ MODE_CREATE, "{\"point\":{\"type\":\"Point\",\"coordinates\":[1.3]}}", "/point/coordinates type" },
	};
	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		struct arena arena;
		arena_init(&arena);
		struct faults faults = { .arena = &arena };
		struct body body;
		body_validate(&arena, &place_shape, points[i].mode, slice_of(points[i].body), &body, &faults);
		assert_string_equal(faults_text(&faults), points[i].faults);
		arena_done(&arena);
	}
}

static void the_nearest_field_is_offered(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct body body;
	assert_int_equal(body_validate(&arena, &ticket_shape, MODE_MERGE, SLICE("{\"sumary\":\"x\",\"status\":\"opne\"}"), &body, &faults),
			 -EINVAL);
	assert_string_equal(faults.rows[0].detail, "There is no such field. Did you mean \"summary\"?");
	assert_string_equal(faults.rows[1].detail, "This must be one of: open, planned, closed. Did you mean \"open\"?");
	arena_done(&arena);
}

/* The place is that in the bytes received, with the geometry in them. */
static void many_unknown_fields_are_offered_little(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct buffer text = { .arena = &arena };
	buffer_text(&text, "{\"title\":\"x\"");
	for (int i = 0; i < 50; i++)
		buffer_format(&text, ",\"summar%02d\":1", i);
	buffer_text(&text, "}");
	struct faults faults = { .arena = &arena };
	struct body body;
	assert_int_equal(body_validate(&arena, &ticket_shape, MODE_CREATE, buffer_slice(&text), &body, &faults), -EINVAL);
	assert_int_equal(faults.n, 50);
	for (size_t i = 0; i < faults.n; i++)
		assert_int_equal(strstr(faults.rows[i].detail, "Did you mean \"summary\"?") != NULL, i < FAULTS_HINTED);
	arena_done(&arena);
}

static void a_syntax_error_has_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *body, *place;
	} cases[] = {
		{ "{\"title\" \"x\"}", "(near line 1, column 12)" },
		{ "{\"geometry\":{\n\n},\n\"title\" \"x\"}", "(near line 4, column 11)" },
		{ "{\n\"title\" \"x\",\"geometry\":{}}", "(near line 2, column 11)" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena arena;
		arena_init(&arena);
		struct faults faults = { .arena = &arena };
		struct body body;
		assert_int_equal(body_validate(&arena, &ticket_shape, MODE_MERGE, slice_of(cases[i].body), &body, &faults), -EINVAL);
		if (strstr(faults.rows[0].detail, cases[i].place) == NULL)
			print_error("%s: %s\n", cases[i].body, faults.rows[0].detail);
		assert_non_null(strstr(faults.rows[0].detail, cases[i].place));
		arena_done(&arena);
	}
}

static void an_operation_has_its_own_fields(void **state)
{
	(void)state;
	static const char *const targets[] = { "planned", "open", NULL };
	static const struct field fields[] = {
		{ .name = "to", .type = T_ENUM, .flags = F_REQUIRED, .values = targets },
		{ .name = "reason", .type = T_TEXT, .flags = F_NULLABLE, .max = 20 },
		{ .name = "by", .type = T_TEXT, .flags = F_NULLABLE | F_REQUIRED, .max = 20 },
		{ 0 },
	};
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct body body;
	assert_int_equal(body_validate_fields(&arena, fields, SLICE("{\"to\":\"open\",\"reason\":null,\"by\":\"me\"}"), &body, &faults), 0);
	assert_int_equal(body.present, 7);
	assert_string_equal(body_text(&arena, &body, "to"), "open");
	assert_null(body_text(&arena, &body, "reason"));
	assert_int_equal(body_validate_fields(&arena, fields, SLICE("{\"reson\":\"x\",\"by\":null}"), &body, &faults), -EINVAL);
	assert_string_equal(faults_text(&faults), "/reson unknown_field; /by not_nullable; /to required");
	arena_done(&arena);
}

static void what_is_no_geometry_is_bounded(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct body body;
	char *text = arena_alloc(&arena, BODY_MAX + 100);
	memset(text, ' ', BODY_MAX + 100);
	memcpy(text, "{\"title\":\"x\"", 12);
	text[BODY_MAX + 99] = '}';
	assert_int_equal(body_validate(&arena, &ticket_shape, MODE_CREATE, (struct slice){ text, BODY_MAX + 100 }, &body, &faults),
			 -EINVAL);
	assert_string_equal(faults_text(&faults), " too_large");
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_is_told_at_once),
		cmocka_unit_test(a_good_body_is_handed_over),
		cmocka_unit_test(a_point_that_must_be_there),
		cmocka_unit_test(the_nearest_field_is_offered),
		cmocka_unit_test(many_unknown_fields_are_offered_little),
		cmocka_unit_test(a_syntax_error_has_its_place),
		cmocka_unit_test(an_operation_has_its_own_fields),
		cmocka_unit_test(what_is_no_geometry_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
