/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A geometry that passes is one in the eyes of a second checker, which works on jansson's tree. */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>

#include "geojson.h"

static void check_position(const json_t *position)
{
	HOLDS(json_array_size(position) == 2);
	double x = json_number_value(json_array_get(position, 0)), y = json_number_value(json_array_get(position, 1));
	HOLDS(json_is_number(json_array_get(position, 0)) && x >= -180 && x <= 180);
	HOLDS(json_is_number(json_array_get(position, 1)) && y >= -90 && y <= 90);
}

static void check_ring(const json_t *ring)
{
	size_t n = json_array_size(ring);
	HOLDS(n >= 4);
	for (size_t i = 0; i < n; i++)
		check_position(json_array_get(ring, i));
	for (size_t i = 0; i < 2; i++)
		HOLDS(json_number_value(json_array_get(json_array_get(ring, 0), i)) ==
		      json_number_value(json_array_get(json_array_get(ring, n - 1), i)));
}

static void check_polygon(const json_t *polygon)
{
	HOLDS(json_array_size(polygon) >= 1);
	for (size_t i = 0; i < json_array_size(polygon); i++)
		check_ring(json_array_get(polygon, i));
}

static void check_geometry(enum field_type type, struct slice text)
{
	json_t *tree = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	HOLDS(json_is_object(tree));
	const char *name = json_string_value(json_object_get(tree, "type"));
	const json_t *coordinates = json_object_get(tree, "coordinates");
	HOLDS(name != NULL && (type == T_POINT) == (strcmp(name, "Point") == 0));
	HOLDS(json_object_size(tree) == 2 + (json_object_get(tree, "bbox") != NULL));
	if (strcmp(name, "Point") == 0) {
		check_position(coordinates);
	} else if (strcmp(name, "Polygon") == 0) {
		check_polygon(coordinates);
	} else {
		HOLDS(strcmp(name, "MultiPolygon") == 0 && json_array_size(coordinates) >= 1);
		for (size_t i = 0; i < json_array_size(coordinates); i++)
			check_polygon(json_array_get(coordinates, i));
	}
	json_decref(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum field_type types[] = { T_GEOMETRY, T_POINT };
	struct slice text = { (const char *)data, size };
	for (size_t i = 0; i < 2; i++) {
		struct arena arena;
		arena_init(&arena);
		struct faults faults = { .arena = &arena };
		int r = geojson_check(&arena, types[i], "geometry", text, &faults);
		HOLDS((r == 0) == (faults.n == 0));
		if (r == 0)
			check_geometry(types[i], text);
		arena_done(&arena);
	}
	return 0;
}
