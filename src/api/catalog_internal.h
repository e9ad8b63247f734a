/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by catalog.c (shapes and operations), catalog_check.c (the self-check) and route.c (paths). */
#ifndef WARDMOTE_API_CATALOG_INTERNAL_H
#define WARDMOTE_API_CATALOG_INTERNAL_H

#include "wardmote/catalog.h"

enum { SEGMENTS_MAX = 6, METHODS_MAX = 5 };

/* One path template with the routes of its methods. */
struct path {
	struct slice segments[SEGMENTS_MAX]; /* of the template; a parameter keeps its braces */
	size_t n_segments;
	uint32_t mark; /* tells most others apart at a glance; 0: none */
	const struct route *routes[METHODS_MAX];
	size_t n_routes;
	const char *allow;
	bool lists_geometry; /* .geojson is a suffix of it */
	bool has_formats; /* .csv is */
};

struct catalog {
	struct arena arena;
	struct shape *shapes;
	const struct shape **shape_list;
	size_t n_shapes;
	struct route *routes;
	size_t n_routes;
	struct path *paths; /* literal segments before parameters */
	size_t n_paths;
};

/* 0, or -EINVAL with the first fault. */
int catalog_check(const struct catalog *catalog, struct arena *arena, const char **ret_error);
/* Joins the routes into paths; needs all routes. 0, or -EINVAL. */
int catalog_index(struct catalog *catalog, const char **ret_error);

static inline bool field_is_geometry(const struct field *field)
{
	return field->type == T_GEOMETRY || field->type == T_POINT;
}

#endif
