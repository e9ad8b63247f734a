/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shapes, derived operations, the self-check and routing, on the resources of tests/contract/demo.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "demo.h"
#include "wardmote/catalog.h"

#define ID "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708"

struct world {
	struct arena arena;
	struct catalog *catalog;
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	const char *error = NULL;
	arena_init(&world->arena);
	assert_int_equal(catalog_new(demo_resources, demo_general, &world->catalog, &error), 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	catalog_free(world->catalog);
	arena_done(&world->arena);
	free(world);
	return 0;
}

/* --- routing --- */

struct target {
	const char *method, *path;
	int result;
	const char *operation, *suffix, *id, *name, *allow;
};

#define NOTES "GET, HEAD, POST, PUT, OPTIONS"
#define NOTE "GET, HEAD, PATCH, DELETE, OPTIONS"
#define READ "GET, HEAD, OPTIONS"
#define REFUSED(target, error)                                                                                                             \
	{                                                                                                                                  \
		.method = "GET", .path = target, .result = error                                                                           \
	}

static const struct target targets[] = {
	{ "GET", "/", 0, "get_root", NULL, NULL, NULL, READ },
	{ "GET", "/v1/notes", 0, "list_notes", NULL, NULL, NULL, NOTES },
	{ "HEAD", "/v1/notes", 0, "list_notes", NULL, NULL, NULL, NOTES },
	{ "POST", "/v1/notes", 0, "create_note", NULL, NULL, NULL, NOTES },
	{ "PUT", "/v1/notes", 0, "put_note", NULL, NULL, NULL, NOTES },
	{ "OPTIONS", "/v1/notes", 0, NULL, NULL, NULL, NULL, NOTES },
	{ "get", "/v1/notes", 0, NULL, NULL, NULL, NULL, NOTES },
	{ "GET", "/v1/notes/" ID, 0, "get_note", NULL, ID, NULL, NOTE },
	{ "GET", "/v1/notes/019AB3C4-5D6E-7F80-91A2-B3C4D5E6F708", 0, "get_note", NULL, ID, NULL, NOTE },
	{ "POST", "/v1/notes/" ID, 0, NULL, NULL, ID, NULL, NOTE },
	{ "GET", "/v1/notes/" ID "/history", 0, "list_note_history", NULL, ID, NULL, READ },
	{ "POST", "/v1/notes/" ID "/finish", 0, "finish_note", NULL, ID, NULL, "POST, OPTIONS" },
	{ "GET", "/problems/not-found", 0, "get_problem", NULL, NULL, "not-found", READ },
	{ "GET", "/problems/caf%C3%A9", 0, "get_problem", NULL, NULL, "caf\xc3\xa9", READ },
	/* several names, and what follows one */
	{ "GET", "/v1/words/noun/tree.txt", 0, "list_words", NULL, NULL, "tree", READ },
	{ "GET", "/v1/words/noun/tree.txt.txt", 0, "list_words", NULL, NULL, "tree.txt", READ },
	{ "POST", "/v1/words/noun/tree.txt", 0, NULL, NULL, NULL, "tree", READ },
	REFUSED("/v1/words/noun/tree", -ENOENT),
	REFUSED("/v1/words/noun/.txt", -ENOENT),
	REFUSED("/v1/words/noun/tree.TXT", -ENOENT),
	REFUSED("/v1/words/noun/tree.txt.csv", -ENOENT),
	REFUSED("/v1/words/noun/tree.tx%74", -EILSEQ),
	REFUSED("/v1/words/tree.txt", -ENOENT),
	/* formats */
	{ "GET", "/v1/notes.csv", 0, "list_notes", "csv", NULL, NULL, READ },
	{ "GET", "/v1/notes/" ID ".csv", 0, "get_note", "csv", ID, NULL, READ },
	{ "GET", "/v1/places.geojson", 0, "list_places", "geojson", NULL, NULL, READ },
	{ "POST", "/v1/notes.csv", 0, NULL, "csv", NULL, NULL, READ },
	{ "DELETE", "/v1/notes/" ID ".csv", 0, NULL, "csv", ID, NULL, READ },
	REFUSED("/v1/notes.geojson", -ENOENT),
	REFUSED("/v1/notes/" ID "/history.csv", -ENOENT),
	REFUSED("/v1/notes.CSV", -ENOENT),
	REFUSED("/v1/.csv", -ENOENT),
	/* nowhere */
	REFUSED("/v1/nothing", -ENOENT),
	REFUSED("/V1/notes", -ENOENT),
	REFUSED("/v1/notes/42", -ENOENT),
	REFUSED("/v1/notes/" ID "/", -EILSEQ),
	REFUSED("/a/b/c/d/e/f/g/h", -ENOENT),
	/* other spellings of a path */
	REFUSED("/v1//notes", -EILSEQ),
	REFUSED("//v1/notes", -EILSEQ),
	REFUSED("/v1/./notes", -EILSEQ),
	REFUSED("/v1/x/../notes", -EILSEQ),
	REFUSED("/v1/%2e%2e/notes", -EILSEQ),
	REFUSED("/v1/n%6Ftes", -EILSEQ),
	REFUSED("/v1%2Fnotes", -EILSEQ),
	REFUSED("/v1/notes%00", -EILSEQ),
	REFUSED("/v1/notes%0A", -EILSEQ),
	REFUSED("/v1/notes%5C", -EILSEQ),
	REFUSED("/v1/notes\\", -EILSEQ),
	REFUSED("/v1/notes%", -EILSEQ),
	REFUSED("/v1/notes%4", -EILSEQ),
	REFUSED("/v1/notes%zz", -EILSEQ),
	REFUSED("/problems/%FF", -EILSEQ),
	REFUSED("/problems/a b", -EILSEQ),
	REFUSED("/problems/\xc3\xa9", -EILSEQ),
	REFUSED("v1/notes", -EILSEQ),
	REFUSED("", -EILSEQ),
};

static void assert_text(const char *got, const char *wanted)
{
	if (wanted == NULL)
		assert_null(got);
	else
		assert_string_equal(got, wanted);
}

static void test_match(void **state)
{
	struct world *world = *state;
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		const struct target *target = &targets[i];
		struct match match = { 0 };
		int r = catalog_match(world->catalog, &world->arena, slice_of(target->method), slice_of(target->path), &match);
		if (r != target->result)
			fail_msg("%s %s: %d instead of %d", target->method, target->path, r, target->result);
		assert_text(match.route == NULL ? NULL : match.route->operation->id, target->operation);
		assert_text(match.suffix, target->suffix);
		assert_text(match.id, target->id);
		assert_text(match.name, target->name);
		assert_text(match.allow, target->allow);
	}
}

static void test_match_names(void **state)
{
	struct world *world = *state;
	struct match match;
	assert_int_equal(catalog_match(world->catalog, &world->arena, SLICE("GET"), SLICE("/v1/words/caf%C3%A9/b.txt"), &match), 0);
	assert_int_equal(match.n_names, 2);
	assert_string_equal(match.names[0], "caf\xc3\xa9");
	assert_string_equal(match.names[1], "b");
	assert_int_equal(operation_names(match.route->operation), 2);
	assert_int_equal(catalog_match(world->catalog, &world->arena, SLICE("GET"), SLICE("/v1/notes/" ID), &match), 0);
	assert_int_equal(match.n_names, 0);
	assert_int_equal(operation_names(match.route->operation), 0);
}

/* The most exact template wins, whichever comes first. */
static void test_exact_paths_win(void **state)
{
	(void)state;
	static const struct operation operations[] = {
		{ .id = "any", .method = "GET", .path = "/x/{any}", .verb = V_NATIVE, .native = NATIVE_ROOT, .summary = "x" },
		{ .id = "tailed", .method = "GET", .path = "/x/{some}.mvt", .verb = V_NATIVE, .native = NATIVE_ROOT, .summary = "x" },
		{ .id = "literal", .method = "GET", .path = "/x/a.mvt", .verb = V_NATIVE, .native = NATIVE_ROOT, .summary = "x" },
		{ 0 },
	};
	static const char *const cases[][2] = {
		{ "/x/a.mvt", "literal" }, { "/x/b.mvt", "tailed" }, { "/x/b.mvts", "any" }, { "/x/.mvt", "any" }
	};
	struct catalog *catalog = NULL;
	const char *error = NULL;
	struct arena arena;
	arena_init(&arena);
	assert_int_equal(catalog_new(demo_resources, operations, &catalog, &error), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct match match;
		assert_int_equal(catalog_match(catalog, &arena, SLICE("GET"), slice_of(cases[i][0]), &match), 0);
		assert_string_equal(match.route->operation->id, cases[i][1]);
	}
	catalog_free(catalog);
	arena_done(&arena);
}

static void test_match_pattern(void **state)
{
	struct world *world = *state;
	struct match match;
	assert_int_equal(catalog_match(world->catalog, &world->arena, SLICE("GET"), SLICE("/v1/notes/" ID), &match), 0);
	assert_string_equal(match.pattern, "/v1/notes/{id}");
}

/* --- shapes and operations --- */

static const struct operation *find_operation(const struct catalog *catalog, const char *id)
{
	size_t n;
	const struct route *routes = catalog_routes(catalog, &n);
	for (size_t i = 0; i < n; i++)
		if (strcmp(routes[i].operation->id, id) == 0)
			return routes[i].operation;
	return NULL;
}

static void test_operations(void **state)
{
	struct world *world = *state;
	const struct operation *patch = find_operation(world->catalog, "patch_note");
	assert_non_null(patch);
	assert_int_equal(patch->flags, OP_ITEM | OP_IF_MATCH | OP_DRY_RUN);
	assert_int_equal(patch->least, CALLER_OFFICER);
	assert_string_equal(patch->scope, "notes:write");
	assert_int_equal(patch->body_kind, BODY_MERGE_PATCH);
	assert_int_equal(find_operation(world->catalog, "list_notes")->least, CALLER_ANONYMOUS);
	assert_true(find_operation(world->catalog, "create_place")->flags & OP_GEOMETRY);
	assert_false(find_operation(world->catalog, "list_places")->flags & OP_GEOMETRY);
	assert_null(find_operation(world->catalog, "put_partner"));
	assert_string_equal(find_operation(world->catalog, "list_note_history")->path, "/v1/notes/{id}/history");
}

static void test_shape(void **state)
{
	struct world *world = *state;
	const struct shape *shape = catalog_shape(world->catalog, "notes");
	static const char *const first[] = { "id", "partner_id", "visibility", "grants", "external_id", "source", "title" };
	for (size_t i = 0; i < sizeof first / sizeof *first; i++)
		assert_string_equal(shape->fields[i]->name, first[i]);
	assert_string_equal(shape->fields[shape->n_fields - 1]->name, "version");
	size_t internal = (size_t)shape_field(shape, SLICE("internal")), seen_at = (size_t)shape_field(shape, SLICE("seen_at"));
	assert_false(shape->visible[A_PUBLIC] >> seen_at & 1);
	assert_true(shape->visible[A_PARTNER] >> seen_at & 1);
	assert_false(shape->visible[A_PARTNER] >> internal & 1);
	assert_int_equal(shape->visible[A_OWNER], (UINT64_C(1) << shape->n_fields) - 1);
	assert_int_equal(shape_field(shape, SLICE("nothing")), -1);
	assert_int_equal(shape->n_sorts, 3);
	const struct shape *place = catalog_shape(world->catalog, "places");
	assert_int_equal(place->heavy, UINT64_C(1) << shape_field(place, SLICE("geometry")));
	const struct shape *partner = catalog_shape(world->catalog, "partners");
	assert_int_equal(shape_field(partner, SLICE("visibility")), -1);
	assert_null(catalog_shape(world->catalog, "nothing"));
}

/* --- the self-check --- */

static const struct sort good_sorts[] = { { .name = "updated_at", .type = "timestamptz" }, { 0 } };
static const char *const no_values[] = { NULL };
static const struct field personal_members[] = {
	{ .name = "who", .type = T_TEXT, .flags = F_PERSONAL, .purpose = "x", .retention = "x", .doc = "x" },
	{ 0 },
};

static void expect_fault_of(const struct field *field, const struct sort *sorts, const struct clause *clauses, const char *wanted)
{
	struct resource resource = {
		.name = "things",
		.thing = "thing",
		.doc = "Things.",
		.read = CALLER_ANONYMOUS,
		.write = CALLER_OFFICER,
		.fields = field,
		.n_fields = 1,
		.sorts = sorts,
		.clauses = clauses,
	};
	const struct resource *const resources[] = { &resource, NULL };
	struct catalog *catalog = NULL;
	const char *error = NULL;
	int r = catalog_new(resources, NULL, &catalog, &error);
	if (wanted == NULL) {
		assert_int_equal(r, 0);
		catalog_free(catalog);
		return;
	}
	assert_int_equal(r, -EINVAL);
	assert_string_equal(error, wanted);
	free((char *)error);
}

static void expect_fault(const struct field *field, const struct sort *sorts, const char *wanted)
{
	expect_fault_of(field, sorts, NULL, wanted);
}

static void test_faulty_fields(void **state)
{
	(void)state;
	static const struct {
		struct field field;
		const char *fault;
	} rows[] = {
		{ { .name = "good", .type = T_TEXT, .min = 1, .max = 2, .doc = "Good." }, NULL },
		{ { .name = "Bad", .type = T_TEXT, .doc = "x" }, "things.Bad: a field's name is in snake_case" },
		{ { .name = "bad", .type = T_TEXT }, "things.bad: no doc" },
		{ { .name = "bad", .type = T_TEXT, .min = 3, .max = 2, .doc = "x" }, "things.bad: min > max" },
		{ { .name = "version", .type = T_TEXT, .doc = "x" }, "things.version: a name twice" },
		{ { .name = "bad", .type = T_ENUM, .values = no_values, .doc = "x" }, "things.bad: an enum without values" },
		{ { .name = "bad", .type = T_REF, .refers = "nowhere", .doc = "x" }, "things.bad: refers to an unknown resource" },
		{ { .name = "bad", .type = T_CODES, .doc = "x" }, "things.bad: codes without a list" },
		{ { .name = "bad", .type = T_OBJECTS, .doc = "x" }, "things.bad: objects without members" },
		{ { .name = "bad", .type = T_TEXT, .flags = F_PERSONAL, .doc = "x" },
		  "things.bad: personal without purpose and retention" },
		{ { .name = "bad", .type = T_TEXT, .flags = F_PERSONAL | F_SUMMARY, .purpose = "x", .retention = "x", .doc = "x" },
		  "things.bad: include= would show a personal field in what caches store" },
		{ { .name = "bad", .type = T_TEXT, .flags = F_LOGGED, .doc = "x" }, "things.bad: logged, but not personal" },
		{ { .name = "bad",
		    .type = T_TEXT,
		    .flags = F_PERSONAL | F_LOGGED | F_FILTER,
		    .purpose = "x",
		    .retention = "x",
		    .doc = "x" },
		  "things.bad: logged, so nothing may find or embed it" },
		{ { .name = "bad", .type = T_TEXT, .flags = F_PERSONAL | F_LOGGED, .purpose = "x", .retention = "x", .doc = "x" },
		  "things: logged fields without an owner to tell of their reads" },
		{ { .name = "bad", .type = T_DECIMAL, .doc = "x" }, "things.bad: a decimal has 1 to 12 decimals" },
		{ { .name = "good", .type = T_DECIMAL, .scale = 2, .doc = "x" }, NULL },
		{ { .name = "bad", .type = T_POSITION, .doc = "x" }, "things.bad: a position or box is given in a parameter alone" },
		{ { .name = "bad", .type = T_BOX, .doc = "x" }, "things.bad: a position or box is given in a parameter alone" },
		{ { .name = "bad", .type = T_OBJECTS, .members = personal_members, .doc = "x" },
		  "things.bad.who: personal within a field that is not" },
		{ { .name = "bad", .type = T_TEXT, .flags = F_REQUIRED | F_NULLABLE, .doc = "x" },
		  "things.bad: required and read-only or nullable" },
		{ { .name = "bad", .type = T_TEXT, .flags = F_SEARCH, .audience = A_OWNER, .doc = "x" },
		  "things.bad: q= would search a field that not everyone sees" },
		{ { .name = "bad", .type = T_TEXT, .initial = "none", .doc = "x" }, "things.bad: initial is not JSON" },
		{ { .name = "bad", .type = T_REF, .refers = "things", .flags = F_INCLUDE, .include_name = "bad", .doc = "x" },
		  "things.bad: the name for include= is a field's" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect_fault(&rows[i].field, good_sorts, rows[i].fault);
}

static void test_faulty_sorts(void **state)
{
	(void)state;
	static const struct field secret = { .name = "secret", .type = T_TEXT, .audience = A_OWNER, .doc = "x" };
	static const struct field maybe = { .name = "maybe", .type = T_DATE, .flags = F_NULLABLE, .doc = "x" };
	static const struct sort none[] = { { 0 } }, unknown[] = { { .name = "nothing", .type = "text" }, { 0 } },
				 telling[] = { { .name = "secret", .type = "text" }, { 0 } },
				 nullable[] = { { .name = "maybe", .type = "date" }, { 0 } },
				 other[] = { { .name = "created_at", .type = "timestamptz" }, { 0 } };
	expect_fault(&secret, none, "things: a list needs a default sort");
	expect_fault(&secret, unknown, "things: sorts by an unknown field");
	expect_fault(&secret, telling, "things: a sort tells of a field to who may not see it");
	expect_fault(&maybe, nullable, "things: a nullable field sorts by a generated column");
	expect_fault(&maybe, other, "things: every list sorts by updated_at");
}

#define GOOD .doc = "x", .example = "1"

static void test_faulty_clauses(void **state)
{
	(void)state;
	static const struct field field = {
		.name = "ids", .type = T_REFS, .refers = "things", .flags = F_FILTER | F_INCLUDE, .include_name = "things", .doc = "x"
	};
	static const char *const values[] = { "1", "2", NULL };
	static const struct {
		struct clause clauses[3];
		const char *fault;
	} rows[] = {
		{ { { .name = "c", .type = T_INT, .max = 5, .sql = "@ > 1", GOOD } }, NULL },
		{ { { .name = "bbox", .type = T_BOX, .sql = "f(@)", .doc = "x", .example = "1,2,3,4" } }, NULL },
		{ { { .name = "C", .type = T_INT, .sql = "@", GOOD } }, "things?C: a clause's name is in snake_case" },
		{ { { .name = "c", .type = T_INT, .sql = "@", .doc = "x" } }, "things?c: no doc or example" },
		{ { { .name = "c", .type = T_INT, .sql = "@", .example = "1" } }, "things?c: no doc or example" },
		{ { { .name = "ids", .type = T_INT, .sql = "@", GOOD } }, "things?ids: a name that the list has already" },
		{ { { .name = "limit", .type = T_INT, .sql = "@", GOOD } }, "things?limit: a name that the list has already" },
		{ { { .name = "c", .type = T_INT, .sql = "@", GOOD }, { .name = "c", .type = T_INT, .sql = "@", GOOD } },
		  "things?c: a name twice" },
		{ { { .name = "c", .type = T_REFS, .sql = "@", GOOD } }, "things?c: a type that no parameter has" },
		{ { { .name = "c", .type = T_ENUM, .sql = "@", GOOD } }, "things?c: an enum without values" },
		{ { { .name = "c", .type = T_INT, .needs = "d", .sql = "@", GOOD } }, "things?c: needs an unknown clause" },
		{ { { .name = "c", .type = T_INT, .sql = "true", GOOD } }, "things?c: its value is not used" },
		{ { { .name = "c", .type = T_INT, GOOD } }, "things?c: its value is not used" },
		{ { { .name = "c", .type = T_INT, .sql = "@ < @d", GOOD } }, "things?c: names an unknown clause in its text" },
		{ { { .name = "c", .type = T_INT, .needs = "d", GOOD }, { .name = "d", .type = T_INT, .sql = "@", GOOD } },
		  "things?c: its value is not used" },
		{ { { .name = "c", .type = T_INT, .needs = "d", .max = 1, GOOD },
		    { .name = "d", .type = T_INT, .max = 1, .sql = "@ < @c", GOOD } },
		  NULL },
		{ { { .name = "c", .type = T_INT, .min = 2, .sql = "@", GOOD } }, "things?c: its example is not good" },
		{ { { .name = "c", .type = T_ENUM, .values = values, .neutral = "2", .widens = "id", .sql = "@", GOOD } },
		  "things?c: widens what is no public filter over references" },
		{ { { .name = "c", .type = T_ENUM, .values = values, .widens = "ids", .sql = "@", GOOD } },
		  "things?c: what widens is an enum with a neutral value" },
		{ { { .name = "c", .type = T_INT, .neutral = "2", .widens = "ids", .sql = "@", GOOD } },
		  "things?c: what widens is an enum with a neutral value" },
		{ { { .name = "c", .type = T_ENUM, .values = values, .neutral = "2", .widens = "ids", .sql = "f(@)", GOOD } }, NULL },
		{ { { .name = "c", .type = T_INT, .sql = "@", .shows = "ids", GOOD } }, "things?c: shows a member that is there already" },
		{ { { .name = "c", .type = T_INT, .sql = "@", .shows = "things", GOOD } },
		  "things?c: shows a member that include= embeds" },
		{ { { .name = "c", .type = T_INT, .sql = "@", .shows = "s", .shows_schema = "{}", GOOD } }, "things?c: shows nothing" },
		{ { { .name = "c", .type = T_INT, .sql = "@", .shows = "s", .shows_sql = "1", GOOD } },
		  "things?c: shows what has no schema" },
		{ { { .name = "c", .type = T_INT, .sql = "@", .shows = "s", .shows_sql = "@e", .shows_schema = "{}", GOOD } },
		  "things?c: names an unknown clause in its text" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect_fault_of(&field, good_sorts, rows[i].clauses, rows[i].fault);
}

static void test_too_many_clauses(void **state)
{
	(void)state;
	static const struct field field = { .name = "good", .type = T_TEXT, .doc = "x" };
	static char names[17][4];
	struct clause clauses[18] = { { 0 } };
	for (size_t i = 0; i < 17; i++) {
		names[i][0] = (char)('a' + i);
		clauses[i] = (struct clause){ .name = names[i], .type = T_INT, .max = 1, .sql = "@", GOOD };
	}
	/* q is taken */
	expect_fault_of(&field, good_sorts, clauses, "things: too many clauses");
	clauses[16].name = NULL;
	expect_fault_of(&field, good_sorts, clauses, NULL);
	for (size_t i = 0; i < 3; i++) {
		clauses[i].shows = names[i];
		clauses[i].shows_sql = "1";
		clauses[i].shows_schema = "{}";
	}
	expect_fault_of(&field, good_sorts, clauses, "things: more shown members than a view has columns for");
}

static void test_read_only(void **state)
{
	(void)state;
	static const struct field field = { .name = "good", .type = T_TEXT, .doc = "x" };
	static const struct resource things = { .name = "things",
						.thing = "thing",
						.doc = "Things.",
						.flags = R_READ_ONLY,
						.read = CALLER_VIEWER,
						.write = CALLER_OFFICER,
						.fields = &field,
						.n_fields = 1,
						.sorts = good_sorts };
	const struct resource *const resources[] = { &things, NULL };
	struct catalog *catalog = NULL;
	const char *error = NULL;
	assert_int_equal(catalog_new(resources, NULL, &catalog, &error), 0);
	size_t n;
	catalog_routes(catalog, &n);
	assert_int_equal(n, 3);
	assert_non_null(find_operation(catalog, "list_things"));
	assert_non_null(find_operation(catalog, "get_thing"));
	assert_non_null(find_operation(catalog, "list_thing_history"));
	catalog_free(catalog);
}

static void test_a_file_has_an_example(void **state)
{
	(void)state;
	static const struct operation upload[] = {
		{ .id = "up",
		  .method = "POST",
		  .path = "/x",
		  .verb = V_NATIVE,
		  .native = NATIVE_ROOT,
		  .body_kind = BODY_CSV,
		  .summary = "x" },
		{ 0 },
	};
	struct catalog *catalog = NULL;
	const char *error = NULL;
	assert_int_equal(catalog_new(demo_resources, upload, &catalog, &error), -EINVAL);
	assert_string_equal(error, "up: a file as body without an example");
	free((char *)error);
}

static void test_faulty_operations(void **state)
{
	(void)state;
	static const struct parameter limit[] = { { .name = "limit", .type = T_INT }, { 0 } };
	static struct parameter many[18];
	for (size_t i = 0; i < 17; i++)
		many[i].name = "x";
	static const struct {
		struct operation operation;
		const char *fault;
	} rows[] = {
		{ { .id = "one", .method = "GET", .path = "/x", .verb = V_SQL, .sql = "x", .answer = "{}", .summary = "x" }, NULL },
		{ { .id = "one", .method = "POST", .path = "/x", .verb = V_SQL, .sql = "x", .flags = OP_NO_CONTENT, .summary = "x" },
		  NULL },
		{ { .id = "one", .method = "GET", .path = "/x", .verb = V_SQL, .sql = "x", .summary = "x" },
		  "one: it does not say what it answers" },
		{ { .id = "one", .method = "GET", .path = "/x", .verb = V_SQL, .sql = "x", .answer = "{", .summary = "x" },
		  "one: its answer is no JSON Schema" },
		{ { .id = "one", .method = "GET", .path = "/x", .verb = V_NATIVE, .native = NATIVE_ROOT, .answer = "{}", .summary = "x" },
		  "one: only a hand-written operation says what it answers" },
		{ { .id = "one",
		    .method = "POST",
		    .path = "/x",
		    .verb = V_SQL,
		    .sql = "x",
		    .flags = OP_PAGED,
		    .answer = "{}",
		    .summary = "x" },
		  "one: only what is read has pages" },
		{ { .id = "one",
		    .method = "GET",
		    .path = "/x",
		    .verb = V_SQL,
		    .sql = "x",
		    .flags = OP_PAGED,
		    .answer = "{}",
		    .parameters = limit,
		    .summary = "x" },
		  "one: a page has its limit and cursor already" },
		{ { .id = "one",
		    .method = "GET",
		    .path = "/x",
		    .verb = V_SQL,
		    .sql = "x",
		    .answer = "{}",
		    .parameters = many,
		    .summary = "x" },
		  "one: more parameters than a query has values for" },
		{ { .id = "one",
		    .method = "GET",
		    .path = "/{a}/{b}/{c}/{d}/{e}",
		    .verb = V_SQL,
		    .sql = "x",
		    .answer = "{}",
		    .summary = "x" },
		  "one: more parameters in its path than a call has names for" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct operation operations[] = { rows[i].operation, { 0 } };
		struct catalog *catalog = NULL;
		const char *error = NULL;
		int r = catalog_new(demo_resources, operations, &catalog, &error);
		assert_int_equal(r, rows[i].fault == NULL ? 0 : -EINVAL);
		if (rows[i].fault != NULL)
			assert_string_equal(error, rows[i].fault);
		free((char *)error);
		catalog_free(catalog);
	}
}

static void test_two_operations_of_one_path(void **state)
{
	(void)state;
	static const struct operation twice[] = {
		{ .id = "one", .method = "GET", .path = "/x", .verb = V_NATIVE, .native = NATIVE_ROOT, .summary = "x" },
		{ .id = "two", .method = "GET", .path = "/x", .verb = V_NATIVE, .native = NATIVE_ROOT, .summary = "x" },
		{ 0 },
	};
	struct catalog *catalog = NULL;
	const char *error = NULL;
	assert_int_equal(catalog_new(demo_resources, twice, &catalog, &error), -EINVAL);
	assert_string_equal(error, "two: its method and path are another operation's");
	free((char *)error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_match, setup, teardown),
		cmocka_unit_test_setup_teardown(test_match_names, setup, teardown),
		cmocka_unit_test(test_exact_paths_win),
		cmocka_unit_test(test_faulty_operations),
		cmocka_unit_test_setup_teardown(test_match_pattern, setup, teardown),
		cmocka_unit_test_setup_teardown(test_operations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shape, setup, teardown),
		cmocka_unit_test(test_faulty_fields),
		cmocka_unit_test(test_faulty_sorts),
		cmocka_unit_test(test_faulty_clauses),
		cmocka_unit_test(test_too_many_clauses),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_a_file_has_an_example),
		cmocka_unit_test(test_two_operations_of_one_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
