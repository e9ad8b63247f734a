/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "faults.h"

#include <errno.h>

#include "geojson.h"
#include "wardmote/query.h"

struct row {
	enum field_type type;
	const char *text, *faults;
};

#define RING "[[1.2,52.6],[1.3,52.6],[1.3,52.7],[1.2,52.6]]"
#define POLYGON(coordinates) "{\"type\":\"Polygon\",\"coordinates\":" coordinates "}"

static const struct row rows[] = {
	{ T_GEOMETRY, POLYGON("[" RING "]"), "" },
	{ T_GEOMETRY, POLYGON("[" RING "," RING "]"), "" },
	{ T_GEOMETRY, " { \"coordinates\" : [ [" RING "] , [" RING "] ] ,\n \"type\" : \"MultiPolygon\" } ", "" },
	{ T_GEOMETRY, "{\"type\":\"Polyg\\u006fn\",\"coordinates\":[" RING "],\"bbox\":[1.2,52.6,1.3,52.7]}", "" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[1.29,52.63]}", "" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[-1.8e2,-90]}", "" },
	/* the object */
	{ T_GEOMETRY, "\"Polygon\"", "/g type" },
	{ T_GEOMETRY, "5", "/g type" },
	{ T_GEOMETRY, "[]", "/g type" },
	{ T_GEOMETRY, "", "/g type" },
	{ T_GEOMETRY, "{}", "/g/type required; /g/coordinates required" },
	{ T_GEOMETRY, "{} x", "/g syntax" },
	{ T_GEOMETRY, "{\"type\":\"Polygon\",}", "/g syntax" },
	{ T_GEOMETRY, "{\"type\":\"Polygon\" \"coordinates\":[]}", "/g syntax" },
	{ T_GEOMETRY, "{type:\"Polygon\"}", "/g syntax" },
	{ T_GEOMETRY, "{\"type\":\"Polygon", "/g syntax" },
	{ T_GEOMETRY, POLYGON("[" RING "]") "}", "/g syntax" },
	{ T_GEOMETRY, "{\"type\":\"Point\",\"coordinates\":[1,2]}", "/g/type enum" },
	{ T_POINT, POLYGON("[" RING "]"), "/g/type enum" },
	{ T_GEOMETRY, "{\"type\":\"polygon\",\"coordinates\":[" RING "]}", "/g/type enum" },
	{ T_GEOMETRY, "{\"type\":7,\"coordinates\":[" RING "]}", "/g/type enum" },
	{ T_GEOMETRY, "{\"type\":\"GeometryCollection\",\"geometries\":[]}", "/g unknown_field; /g/type enum; /g/coordinates required" },
	{ T_GEOMETRY, "{\"type\":\"Polygon\",\"coordinates\":[" RING "],\"crs\":{\"a\":[1,{}]}}", "/g/crs unknown_field" },
	{ T_GEOMETRY, "{\"type\":\"Polygon\",\"type\":\"Polygon\",\"coordinates\":[" RING "]}", "/g/type duplicate" },
	{ T_GEOMETRY, "{\"type\":\"Polygon\",\"coordinates\":[" RING "],\"bbox\":[1,2,3,\"4\"]}", "/g/bbox type" },
	{ T_GEOMETRY, "{\"type\":\"Polygon\",\"coordinates\":[" RING "],\"bbox\":[1,2,3]}", "/g/bbox type" },
	{ T_GEOMETRY, "{\"type\":\"Polygon\",\"coordinates\":[" RING "],\"bbox\":null}", "/g/bbox type" },
	/* positions */
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[1]}", "/g/coordinates type" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[]}", "/g/coordinates type" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[1,2,3]}", "/g/coordinates dimension" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[\"a\",2]}", "/g/coordinates type" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[1e400,2]}", "/g/coordinates type" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[NaN,2]}", "/g/coordinates type" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[1,2}}", "/g/coordinates type" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[52.6,181]}", "/g/coordinates range" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[623000,308000]}", "/g/coordinates range" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[180.1,0]}", "/g/coordinates range" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[-180.1,0]}", "/g/coordinates range" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":[0,-90.1]}", "/g/coordinates range" },
	{ T_POINT, "{\"type\":\"Point\",\"coordinates\":null}", "/g/coordinates type" },
	/* rings */
	{ T_GEOMETRY, POLYGON("[]"), "/g/coordinates length" },
	{ T_GEOMETRY, POLYGON("[[]]"), "/g/coordinates/0 length" },
	{ T_GEOMETRY, POLYGON("[[[1,2],[3,4],[1,2]]]"), "/g/coordinates/0 length" },
	{ T_GEOMETRY, POLYGON("[[[1,2],[3,4],[5,6],[1,3]]]"), "/g/coordinates/0 unclosed" },
	{ T_GEOMETRY, POLYGON("[[[1,2],[3,4],[5,6],[1.0,2e0]]]"), "" },
	{ T_GEOMETRY, POLYGON("[" RING ",[[1,91],[3,92],[5,6],[1,91]],[[1,2]]]"), "/g/coordinates/1/0 range; /g/coordinates/2 length" },
	{ T_GEOMETRY, POLYGON("[[[1,2,0],[3,4,0],[5,6,0],[1,2,0]]]"), "/g/coordinates/0/0 dimension" },
	{ T_GEOMETRY, POLYGON("[[[1,2],[3,4],[5,\"6\"],[1,2]]]"), "/g/coordinates/0/2 type" },
	{ T_GEOMETRY, POLYGON("[[[1,2] [3,4]]]"), "/g syntax" },
	{ T_GEOMETRY, POLYGON(RING), "/g/coordinates/0/0 type" },
	{ T_GEOMETRY, POLYGON("[[" RING "]]"), "/g/coordinates/0/0 type" },
	{ T_GEOMETRY, POLYGON("{}"), "/g/coordinates type" },
	{ T_GEOMETRY, "{\"type\":\"MultiPolygon\",\"coordinates\":[]}", "/g/coordinates length" },
	{ T_GEOMETRY, "{\"type\":\"MultiPolygon\",\"coordinates\":[[" RING "],[]]}", "/g/coordinates/1 length" },
	{ T_GEOMETRY, "{\"type\":\"MultiPolygon\",\"coordinates\":[[" RING "],[[[1,2],[3,4],[5,6],[7,8]]]]}",
	  "/g/coordinates/1/0 unclosed" },
};

static void each_fault_has_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct arena arena;
		arena_init(&arena);
		struct faults faults = { .arena = &arena };
		int r = geojson_check(&arena, rows[i].type, "g", slice_of(rows[i].text), &faults);
		if (strcmp(faults_text(&faults), rows[i].faults) != 0)
			print_error("%s\n", rows[i].text);
		assert_string_equal(faults_text(&faults), rows[i].faults);
		assert_int_equal(r, faults.n == 0 ? 0 : -EINVAL);
		arena_done(&arena);
	}
}

/* Metres east and north of a false origin: what is good there is off the world in degrees, and the other way round. */
static void another_system_has_other_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *text, *grid, *degrees;
	} systems[] = {
		{ POLYGON("[[[0,0],[800000,0],[800000,1400000],[0,0]]]"), "", "/g/coordinates/0/1 range" },
		{ POLYGON("[[[0,0],[800000.1,0],[8,1],[0,0]]]"), "/g/coordinates/0/1 range", "/g/coordinates/0/1 range" },
		{ POLYGON("[[[0,0],[8,1400001],[8,1],[0,0]]]"), "/g/coordinates/0/1 range", "/g/coordinates/0/1 range" },
		{ POLYGON("[[[-1,52],[2,52],[2,53],[-1,52]]]"), "/g/coordinates/0/0 range", "" },
		{ POLYGON("[[[1,-52],[2,52],[2,53],[1,-52]]]"), "/g/coordinates/0/0 range", "" },
	};
	for (size_t i = 0; i < sizeof systems / sizeof *systems; i++) {
		struct arena arena;
		arena_init(&arena);
		struct faults grid = { .arena = &arena }, degrees = { .arena = &arena };
		geojson_check_in(&arena, SRID_NATIONAL, T_GEOMETRY, "g", slice_of(systems[i].text), &grid);
		geojson_check_in(&arena, SRID_WGS84, T_GEOMETRY, "g", slice_of(systems[i].text), &degrees);
		assert_string_equal(faults_text(&grid), systems[i].grid);
		assert_string_equal(faults_text(&degrees), systems[i].degrees);
		arena_done(&arena);
	}
}

static int check_ring_of(size_t n, struct faults *faults)
{
	struct buffer text = { .arena = faults->arena };
	buffer_text(&text, "{\"type\":\"Polygon\",\"coordinates\":[[[0,0]");
	for (size_t i = 1; i < n - 1; i++)
		buffer_text(&text, ",[1,2]");
	buffer_text(&text, ",[0,0]]]}");
	return geojson_check(faults->arena, T_GEOMETRY, "g", buffer_slice(&text), faults);
}

static void vertices_are_counted(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	assert_int_equal(check_ring_of(GEOMETRY_VERTICES_MAX, &faults), 0);
	assert_int_equal(check_ring_of(GEOMETRY_VERTICES_MAX + 1, &faults), -EINVAL);
	assert_string_equal(faults_text(&faults), "/g/coordinates too_many_positions");
	arena_done(&arena);
}

static void faults_are_capped(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena);
	struct faults faults = { .arena = &arena };
	struct buffer text = { .arena = &arena };
	buffer_text(&text, "{\"type\":\"Polygon\",\"coordinates\":[[]");
	for (size_t i = 1; i < 150; i++)
		buffer_text(&text, ",[]");
	buffer_text(&text, "]}");
	assert_int_equal(geojson_check(&arena, T_GEOMETRY, "g", buffer_slice(&text), &faults), -EINVAL);
	assert_int_equal(faults.n, FAULTS_MAX);
	assert_int_equal(faults.more, 50);
	arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_has_its_place),
		cmocka_unit_test(another_system_has_other_ranges),
		cmocka_unit_test(vertices_are_counted),
		cmocka_unit_test(faults_are_capped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
