/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The parameters of what has a place: where it lies, in which reference system its coordinates are, and how much of a boundary is wanted. */
#include "query_internal.h"

#include <stdlib.h>

#include "text.h"

/* Has the shape a field of one of these types, of which the caller may know? */
static bool has_place(const struct parse *parse, bool points)
{
	for (size_t i = 0; parse->route->shape != NULL && i < parse->route->shape->n_fields; i++) {
		enum field_type type = parse->route->shape->fields[i]->type;
		if ((type == T_GEOMETRY || (points && type == T_POINT)) && query_knows(parse, i))
			return true;
	}
	return false;
}

/* --- bbox= --- */

bool query_takes_bbox(const struct parse *parse)
{
	return parse->route->operation->verb == V_LIST && has_place(parse, true);
}

void query_parse_bbox(struct parse *parse, struct slice value)
{
	double numbers[4] = { 0 };
	const char *texts[4] = { NULL };
	struct slice item;
	size_t n = 0;
	bool good = true;
	for (; query_next_item(&value, &item); n++) {
		good = good && n < 4 && text_number(item, &numbers[n]) == 0;
		if (good)
			texts[n] = arena_copy(parse->arena, item);
	}
	if (!good || n != 4) {
		query_fault(parse, "format", "bbox must be four numbers: west, south, east, north.");
		return;
	}
	bool on_earth =
	    numbers[0] >= -180 && numbers[0] <= 180 && numbers[2] >= -180 && numbers[2] <= 180 && numbers[1] >= -90 && numbers[3] <= 90;
	if (!on_earth || numbers[1] > numbers[3]) {
		query_fault(parse, "range", "bbox has longitudes from -180 to 180 and latitudes from -90 to 90, the southern one first.");
		return;
	}
	memcpy(parse->query.bbox, texts, sizeof texts);
}

/* --- crs= --- */

bool query_takes_crs(const struct parse *parse)
{
	const struct operation *operation = parse->route->operation;
	bool reads = operation->verb == V_LIST || operation->verb == V_GET;
	return (reads || (operation->flags & OP_GEOMETRY)) && has_place(parse, true);
}

void query_parse_crs(struct parse *parse, struct slice value)
{
	if (slice_is(value, "EPSG:4326"))
		parse->query.srid = SRID_WGS84;
	else if (slice_is(value, "EPSG:27700"))
		parse->query.srid = SRID_NATIONAL;
	else
		query_fault(parse, "enum", "crs must be one of: EPSG:4326, EPSG:27700.");
}

/* --- geometry= --- */

bool query_takes_geometry(const struct parse *parse)
{
	return parse->route->operation->verb == V_LIST && has_place(parse, false);
}

void query_parse_geometry(struct parse *parse, struct slice value)
{
	static const char *const names[] = { [GEOMETRY_FULL] = "full", [GEOMETRY_SIMPLIFIED] = "simplified", [GEOMETRY_NONE] = "none" };
	for (enum geometry_form form = GEOMETRY_FULL; form <= GEOMETRY_NONE; form++) {
		if (slice_is(value, names[form])) {
			parse->query.geometry = form;
			return;
		}
	}
	query_fault(parse, "enum", "geometry must be one of: full, simplified, none.");
}

/* --- positions against the map --- */

static bool lies_in(const double *corners, double longitude, double latitude)
{
	bool west = longitude >= corners[0], east = longitude <= corners[2];
	bool across = corners[0] > corners[2]; /* the antimeridian */
	return (across ? west || east : west && east) && latitude >= corners[1] && latitude <= corners[3];
}

/* "a,b,..." which was checked before. */
static void read_numbers(const char *text, size_t n, double *ret_numbers)
{
	for (size_t i = 0; i < n; i++) {
		char *end;
		ret_numbers[i] = strtod(text, &end);
		text = *end == ',' ? end + 1 : end;
	}
}

static void check_position(const char *extent, const char *name, const char *value, struct faults *faults)
{
	double corners[4], position[2];
	read_numbers(extent, 4, corners);
	read_numbers(value, 2, position);
	if (!lies_in(corners, position[0], position[1]) && lies_in(corners, position[1], position[0]))
		fault_add(faults, FAULT_PARAMETER, name, "axes_swapped",
			  "Longitude comes first: this lies on the map of this installation only when its numbers are changed over.");
}

void query_check_positions(const struct query *query, const struct route *route, const char *extent, struct faults *faults)
{
	if (extent[0] == '\0')
		return;
	const struct clause *clauses = route->shape == NULL ? NULL : route->shape->resource->clauses;
	for (size_t i = 0; clauses != NULL && clauses[i].name != NULL; i++)
		if (clauses[i].type == T_POSITION && query->clauses[i] != NULL)
			check_position(extent, clauses[i].name, query->clauses[i], faults);
	const struct parameter *own = route->operation->parameters;
	for (size_t i = 0; own != NULL && i < OPERATION_VALUES_MAX && own[i].name != NULL; i++)
		if (own[i].type == T_POSITION && query->values[i] != NULL)
			check_position(extent, own[i].name, query->values[i], faults);
}
