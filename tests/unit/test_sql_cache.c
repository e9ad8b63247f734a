/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A statement whose text comes from the cache is the one that would be built, whatever was asked before: calls of all operations of the product are drawn at
 * random, most of them like the one before in all but one part, and built in both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "demo.h"
#include "wardmote/hash.h"
#include "wardmote/resources.h"
#include "wardmote/sql.h"

enum { CALLS = 30000, FEW_CALLS = 5000, HELD = 64, SMALL = 256 << 10, LARGE = 8 << 20 };

struct world {
	struct catalog *catalog;
	uint64_t random;
	size_t calls;
	struct call call; /* the one before */
};

static uint64_t draw(struct world *world, uint64_t below)
{
	world->random = world->random * 6364136223846793005u + 1442695040888963407u;
	return (world->random >> 33) % below;
}

static bool one_in(struct world *world, uint64_t n)
{
	return draw(world, n) == 0;
}

static const char *value(struct world *world)
{
	static const char *const values[] = { "1", "two", "{3}", "2026-11-21", "" };
	return values[draw(world, sizeof values / sizeof *values)];
}

static const char *maybe(struct world *world)
{
	return one_in(world, 2) ? value(world) : NULL;
}

static uint64_t some_fields(struct world *world, const struct shape *shape)
{
	uint64_t fields = 0;
	for (size_t n = draw(world, 4); n > 0; n--)
		fields |= UINT64_C(1) << draw(world, shape->n_fields);
	return fields;
}

static uint64_t some_includes(struct world *world, const struct shape *shape)
{
	uint64_t include = 0;
	for (size_t i = 0; i < shape->n_fields; i++) {
		if ((shape->fields[i]->flags & F_INCLUDE) && one_in(world, 3))
			include |= UINT64_C(1) << i;
	}
	return include;
}

static void draw_sort(struct world *world, const struct shape *shape, struct query *query)
{
	query->sort = shape->n_sorts > 0 && one_in(world, 2) ? &shape->resource->sorts[draw(world, shape->n_sorts)] : NULL;
}

static void draw_bbox(struct world *world, const struct shape *shape, struct query *query)
{
	bool wanted = false;
	for (size_t i = 0; i < shape->n_fields; i++)
		wanted = wanted || shape->fields[i]->type == T_GEOMETRY || shape->fields[i]->type == T_POINT;
	wanted = wanted && one_in(world, 2);
	for (size_t i = 0; i < 4; i++)
		query->bbox[i] = wanted ? value(world) : NULL;
}

static void draw_coordinates(struct world *world, struct query *query)
{
	static const int systems[] = { 0, SRID_WGS84, SRID_NATIONAL };
	query->srid = systems[draw(world, 3)];
	query->geometry = (enum geometry_form)draw(world, GEOMETRY_NONE + 1);
}

/* Another field or operator of a filter that is there, or one more. */
static void draw_filter(struct world *world, const struct shape *shape, struct query *query)
{
	size_t at = draw(world, query->n_filters + 1);
	const struct field *field = shape->fields[draw(world, shape->n_fields)];
	if (at == 4)
		query->n_filters = 0;
	else if (at == query->n_filters)
		query->filters[query->n_filters++] = (struct filter){ .field = field, .value = value(world) };
	else if (one_in(world, 2))
		query->filters[at].field = field;
	else
		query->filters[at].op = (enum filter_op)draw(world, FILTER_NOT_NULL + 1);
}

static void draw_clauses(struct world *world, const struct shape *shape, struct query *query)
{
	for (size_t i = 0; i < CLAUSES_MAX; i++)
		query->clauses[i] = NULL;
	const struct clause *clauses = shape->resource->clauses;
	for (size_t i = 0; clauses != NULL && clauses[i].name != NULL; i++)
		query->clauses[i] = maybe(world);
}

/* Draws one part of a list anew. */
static void vary_list(struct world *world, const struct shape *shape, struct query *query)
{
	switch (draw(world, 9)) {
	case 0:
		draw_sort(world, shape, query);
		break;
	case 1:
		query->descending = one_in(world, 2);
		break;
	case 2:
		query->count = (enum count_kind)draw(world, COUNT_ESTIMATED + 1);
		break;
	case 3:
		query->search = maybe(world);
		break;
	case 4:
		draw_bbox(world, shape, query);
		break;
	case 6:
		draw_clauses(world, shape, query);
		break;
	case 7:
		draw_coordinates(world, query);
		break;
	case 5:
		query->all = one_in(world, 2);
		break;
	default:
		draw_filter(world, shape, query);
		break;
	}
}

static void vary_fields(struct world *world, const struct shape *shape, struct query *query)
{
	if (one_in(world, 2))
		query->fields = one_in(world, 2) ? some_fields(world, shape) : 0;
	else
		query->include = some_includes(world, shape);
}

static void vary_call(struct world *world, struct call *call)
{
	struct query *query = &call->query;
	switch (draw(world, 8)) {
	case 0:
		call->caller = (enum caller)draw(world, CALLER_ADMINISTRATOR + 1);
		break;
	case 1:
		call->format = (enum format)draw(world, FORMAT_GEOJSON + 1);
		break;
	case 2:
		call->create_only = one_in(world, 2);
		break;
	case 3:
		call->idempotency_key = maybe(world);
		break;
	case 4:
		query->dry_run = one_in(world, 2);
		break;
	case 5:
		query->as_of = maybe(world);
		break;
	case 6:
		query->keys[0] = maybe(world);
		break;
	default:
		call->known_version = maybe(world);
		call->expected_version = maybe(world);
		break;
	}
}

/* Any call of a route, also such as no request would make. */
static void draw_call(struct world *world, struct call *call)
{
	size_t n;
	const struct route *routes = catalog_routes(world->catalog, &n);
	*call = (struct call){ .catalog = world->catalog, .route = &routes[draw(world, n)] };
	for (size_t i = 0; i < OPERATION_VALUES_MAX; i++)
		call->query.values[i] = maybe(world);
	call->id = one_in(world, 20) ? NULL : value(world);
	call->body.json = one_in(world, 2) ? SLICE("{}") : (struct slice){ NULL, 0 };
	call->body.geometry = one_in(world, 2) ? SLICE("{\"type\":\"Point\"}") : (struct slice){ NULL, 0 };
	call->query.limit = (long)draw(world, 500) + 1;
	call->query.external_id = maybe(world);
	call->query.keys[1] = value(world);
}

/* Now and then another one; else the one before with a part of it drawn anew. */
static void next_call(struct world *world)
{
	if (world->call.route == NULL || one_in(world, 30))
		draw_call(world, &world->call);
	struct call *call = &world->call;
	const struct shape *shape = call->route->shape;
	if (shape == NULL || one_in(world, 3))
		vary_call(world, call);
	else if (call->route->operation->verb == V_LIST && !one_in(world, 4))
		vary_list(world, shape, &call->query);
	else
		vary_fields(world, shape, &call->query);
}

static void assert_same(const struct statement *a, const struct statement *b)
{
	assert_string_equal(a->text, b->text);
	assert_int_equal(a->n_parameters, b->n_parameters);
	for (size_t i = 0; i < a->n_parameters; i++) {
		assert_int_equal(a->parameters[i] == NULL, b->parameters[i] == NULL);
		if (a->parameters[i] != NULL)
			assert_string_equal(a->parameters[i], b->parameters[i]);
	}
}

/* Builds the next call in both ways; the statement of the cache stays held. */
static bool compare(struct world *world, struct sql_cache *cache, struct arena *arena, struct statement *ret_cached)
{
	struct statement fresh;
	next_call(world);
	int built = sql_build(arena, &world->call, &fresh);
	assert_int_equal(sql_build_cached(cache, arena, &world->call, ret_cached), built);
	if (built < 0)
		return false;
	assert_same(&fresh, ret_cached);
	assert_true(ret_cached->hash == 0 || ret_cached->hash == hash_bytes(fresh.text, strlen(fresh.text)));
	return true;
}

/* Statements stay held for a while: their texts must outlast what the cache drops. */
static size_t compare_many(struct world *world, size_t bytes)
{
	struct sql_cache *cache;
	struct {
		struct arena arena;
		struct statement statement;
		uint64_t hash;
	} held[HELD] = { 0 };
	size_t good = 0;
	assert_int_equal(sql_cache_new(bytes, &cache), 0);
	for (size_t i = 0; i < world->calls; i++) {
		size_t at = i % HELD;
		struct statement *statement = &held[at].statement;
		if (statement->text != NULL)
			assert_int_equal(hash_bytes(statement->text, strlen(statement->text)), held[at].hash);
		sql_release(statement);
		arena_done(&held[at].arena);
		arena_init(&held[at].arena);
		*statement = (struct statement){ 0 };
		good += compare(world, cache, &held[at].arena, statement);
		held[at].hash = statement->text == NULL ? 0 : hash_bytes(statement->text, strlen(statement->text));
	}
	for (size_t i = 0; i < HELD; i++) {
		sql_release(&held[i].statement);
		sql_release(&held[i].statement);
		arena_done(&held[i].arena);
	}
	sql_cache_free(cache);
	return good;
}

static void test_same_as_built(void **state)
{
	assert_true(compare_many(*state, LARGE) > ((struct world *)*state)->calls / 2);
}

static void test_same_where_little_is_kept(void **state)
{
	assert_true(compare_many(*state, SMALL) > ((struct world *)*state)->calls / 2);
}

static const struct route *route_of(const struct world *world, enum verb verb)
{
	size_t n;
	const struct route *routes = catalog_routes(world->catalog, &n);
	for (size_t i = 0; i < n; i++) {
		if (routes[i].operation->verb == verb)
			return &routes[i];
	}
	fail();
	return NULL;
}

static void test_a_text_is_made_once(void **state)
{
	const struct world *world = *state;
	struct sql_cache *cache;
	struct arena arena;
	struct statement first, second, third;
	struct call call = { .catalog = world->catalog, .route = route_of(world, V_GET), .id = "a" };
	arena_init(&arena);
	assert_int_equal(sql_cache_new(LARGE, &cache), 0);
	assert_int_equal(sql_build_cached(cache, &arena, &call, &first), 0);
	call.id = "b";
	assert_int_equal(sql_build_cached(cache, &arena, &call, &second), 0);
	assert_ptr_equal(second.text, first.text);
	assert_string_equal(second.parameters[0], "b");
	call.caller = CALLER_VIEWER;
	assert_int_equal(sql_build_cached(cache, &arena, &call, &third), 0);
	assert_ptr_not_equal(third.text, first.text);
	sql_release(&first);
	sql_release(&second);
	sql_release(&third);
	sql_cache_free(cache);
	arena_done(&arena);
}

/* A text for which memory was short may lack a condition: it serves nobody else. */
static void test_a_text_made_in_need_is_not_kept(void **state)
{
	const struct world *world = *state;
	struct sql_cache *cache;
	struct arena poor, rich;
	struct statement statement;
	struct call call = { .catalog = world->catalog, .route = route_of(world, V_GET), .id = "a" };
	arena_init(&poor);
	arena_init(&rich);
	assert_int_equal(sql_cache_new(LARGE, &cache), 0);
	arena_lack(&poor);
	assert_int_equal(sql_build_cached(cache, &poor, &call, &statement), 0);
	assert_null(statement.held);
	assert_int_equal(sql_build_cached(cache, &rich, &call, &statement), 0);
	assert_non_null(statement.held);
	sql_release(&statement);
	sql_cache_free(cache);
	arena_done(&poor);
	arena_done(&rich);
}

int main(void)
{
	struct world world = { .random = 20260307, .calls = CALLS };
	const char *error = NULL;
	if (catalog_new(resources_all, resources_general, &world.catalog, &error) < 0) {
		fprintf(stderr, "%s\n", error);
		return EXIT_FAILURE;
	}
	struct CMUnitTest tests[] = {
		{ "same_as_built", test_same_as_built, NULL, NULL, &world },
		{ "same_where_little_is_kept", test_same_where_little_is_kept, NULL, NULL, &world },
		{ "a_text_is_made_once", test_a_text_is_made_once, NULL, NULL, &world },
		{ "a_text_made_in_need_is_not_kept", test_a_text_made_in_need_is_not_kept, NULL, NULL, &world },
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	catalog_free(world.catalog);
	/* and of resources that have all there is */
	if (catalog_new(demo_resources, demo_general, &world.catalog, &error) < 0) {
		fprintf(stderr, "%s\n", error);
		return EXIT_FAILURE;
	}
	world.call.route = NULL;
	world.calls = FEW_CALLS;
	failed += cmocka_run_group_tests(tests, NULL, NULL);
	catalog_free(world.catalog);
	return failed;
}
