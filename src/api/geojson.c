/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "geojson.h"

#include <errno.h>

#include "json_gate.h"
#include "text.h"
#include "wardmote/query.h"

/* coordinates of a MultiPolygon: polygon, ring, position */
enum { LEVELS_MAX = 3 };

struct scan {
	struct arena *arena;
	struct faults *faults;
	int srid;
	const char *name;
	struct slice text;
	size_t at;
	size_t index[LEVELS_MAX]; /* where in the coordinates we are */
	size_t n_index;
	size_t vertices;
	bool deep_told; /* a third number was reported: it is wrong everywhere for the same reason */
};

struct position {
	double x, y;
};

/* The pointer of the place in the coordinates that the scan has reached. */
static const char *coordinates_pointer(const struct scan *scan)
{
	struct buffer pointer = { .arena = scan->arena };
	buffer_format(&pointer, "/%s/coordinates", scan->name);
	for (size_t i = 0; i < scan->n_index; i++)
		buffer_format(&pointer, "/%zu", scan->index[i]);
	return pointer.ptr;
}

static const char *member_pointer(const struct scan *scan, const char *member)
{
	return arena_printf(scan->arena, "/%s/%s", scan->name, member);
}

/* Only the first place where the bytes are no JSON can be told. */
static int broken(const struct scan *scan)
{
	fault_add(scan->faults, FAULT_POINTER, arena_printf(scan->arena, "/%s", scan->name), "syntax",
		  "This is not JSON (%s of the geometry).", json_place(scan->arena, scan->text, scan->at));
	return -EINVAL;
}

static char peek(struct scan *scan)
{
	scan->at = json_skip_space(scan->text, scan->at);
	return scan->at < scan->text.len ? scan->text.ptr[scan->at] : '\0';
}

static bool take(struct scan *scan, char c)
{
	if (peek(scan) != c || c == '\0')
		return false;
	scan->at++;
	return true;
}

static bool take_number(struct scan *scan, double *ret_number)
{
	peek(scan);
	size_t end = scan->at;
	while (end < scan->text.len && json_is_number_character(scan->text.ptr[end]))
		end++;
	if (text_number((struct slice){ scan->text.ptr + scan->at, end - scan->at }, ret_number) < 0)
		return false;
	scan->at = end;
	return true;
}

static int expected(struct scan *scan, const char *what)
{
	fault_add(scan->faults, FAULT_POINTER, coordinates_pointer(scan), "type", "This must be %s.", what);
	return -EINVAL;
}

/* --- coordinates --- */

/* [longitude, latitude]; the bracket was seen. -EINVAL: scanning cannot go on. */
static int scan_position(struct scan *scan, struct position *ret_position)
{
	struct position at;
	if (!take(scan, '[') || !take_number(scan, &at.x) || !take(scan, ',') || !take_number(scan, &at.y))
		return expected(scan, "a position: an array of two numbers, longitude and latitude");
	double height;
	while (take(scan, ',')) {
		if (!take_number(scan, &height))
			return expected(scan, "a position: an array of two numbers, longitude and latitude");
		if (!scan->deep_told)
			fault_add(scan->faults, FAULT_POINTER, coordinates_pointer(scan), "dimension",
				  "A position has two numbers, longitude and latitude; heights are not kept.");
		scan->deep_told = true;
	}
	if (!take(scan, ']'))
		return expected(scan, "a position: an array of two numbers, longitude and latitude");
	if (++scan->vertices > GEOMETRY_VERTICES_MAX) {
		fault_add(scan->faults, FAULT_POINTER, member_pointer(scan, "coordinates"), "too_many_positions",
			  "A geometry has at most 250,000 positions.");
		return -EINVAL;
	}
	*ret_position = at;
	return 0;
}

/* What the axes of a reference system can hold. */
struct range {
	double west, south, east, north;
	const char *detail;
};

static const struct range *range_of(int srid)
{
	static const struct range degrees = { -180, -90, 180, 90,
					      "A position is longitude (-180 to 180), then latitude (-90 to 90), in degrees of WGS 84." };
	static const struct range metres = {
		0, 0, 800000, 1400000,
		"A position is easting (0 to 800,000), then northing (0 to 1,400,000), in metres of British National Grid."
	};
	return srid == SRID_NATIONAL ? &metres : &degrees;
}

static bool is_in_range(const struct scan *scan, struct position at)
{
	const struct range *range = range_of(scan->srid);
	return at.x >= range->west && at.x <= range->east && at.y >= range->south && at.y <= range->north;
}

static void tell_range(struct scan *scan)
{
	fault_add(scan->faults, FAULT_POINTER, coordinates_pointer(scan), "range", "%s", range_of(scan->srid)->detail);
}

/* Goes through the elements of an array, [ element, ... ]. Each scan_* of a level leaves the index of its elements as it found it. */
static int scan_array(struct scan *scan, int (*element)(struct scan *scan, void *state), void *state, size_t *ret_n)
{
	if (!take(scan, '['))
		return expected(scan, "an array");
	size_t level = scan->n_index++, n = 0;
	int r = 0;
	if (peek(scan) != ']') {
		do {
			scan->index[level] = n++;
			r = element(scan, state);
		} while (r == 0 && take(scan, ','));
	}
	scan->n_index = level;
	if (r < 0)
		return r;
	*ret_n = n;
	return take(scan, ']') ? 0 : broken(scan);
}

struct ring {
	struct position first, last;
	bool any;
	bool range_told; /* wrong axes or another reference system spoil every position: one fault a ring is enough */
};

static int scan_vertex(struct scan *scan, void *state)
{
	struct ring *ring = state;
	int r = scan_position(scan, &ring->last);
	if (r < 0)
		return r;
	if (!ring->any)
		ring->first = ring->last;
	ring->any = true;
	if (!is_in_range(scan, ring->last) && !ring->range_told) {
		tell_range(scan);
		ring->range_told = true;
	}
	return 0;
}

static int scan_ring(struct scan *scan, void *state)
{
	(void)state;
	struct ring ring = { 0 };
	size_t n;
	int r = scan_array(scan, scan_vertex, &ring, &n);
	if (r < 0)
		return r;
	if (n < 4)
		fault_add(scan->faults, FAULT_POINTER, coordinates_pointer(scan), "length", "A ring has at least 4 positions.");
	else if (ring.first.x != ring.last.x || ring.first.y != ring.last.y)
		fault_add(scan->faults, FAULT_POINTER, coordinates_pointer(scan), "unclosed",
			  "The last position of a ring must repeat the first.");
	return 0;
}

static int scan_polygon(struct scan *scan, void *state)
{
	(void)state;
	size_t n;
	int r = scan_array(scan, scan_ring, NULL, &n);
	if (r == 0 && n == 0)
		fault_add(scan->faults, FAULT_POINTER, coordinates_pointer(scan), "length", "A polygon has at least one ring.");
	return r;
}

static int scan_multipolygon(struct scan *scan)
{
	size_t n;
	int r = scan_array(scan, scan_polygon, NULL, &n);
	if (r == 0 && n == 0)
		fault_add(scan->faults, FAULT_POINTER, coordinates_pointer(scan), "length", "A multipolygon has at least one polygon.");
	return r;
}

static int scan_point(struct scan *scan)
{
	struct position at;
	int r = scan_position(scan, &at);
	if (r == 0 && !is_in_range(scan, at))
		tell_range(scan);
	return r;
}

static int count_number(struct scan *scan, void *state)
{
	(void)state;
	double number;
	return take_number(scan, &number) ? 0 : -EINVAL;
}

/* bbox says nothing that the coordinates do not: allowed and ignored, but PostGIS must not choke on it. */
static void check_bbox(struct scan *scan)
{
	size_t n, before = scan->faults->n + scan->faults->more;
	int r = peek(scan) == '[' ? scan_array(scan, count_number, NULL, &n) : -EINVAL;
	if (before == scan->faults->n + scan->faults->more && (r < 0 || (n != 4 && n != 6)))
		fault_add(scan->faults, FAULT_POINTER, member_pointer(scan, "bbox"), "type", "bbox must be an array of four numbers.");
}

/* --- the object around them --- */

enum member { MEMBER_TYPE, MEMBER_COORDINATES, MEMBER_BBOX, MEMBERS };

static const char *const member_names[MEMBERS] = { "type", "coordinates", "bbox" };

/* Moves behind a value by its brackets; the values that matter are scanned again with their own rules. */
static int skip_value(struct scan *scan)
{
	size_t depth = 0, start = json_skip_space(scan->text, scan->at);
	for (scan->at = start; scan->at < scan->text.len;) {
		char c = scan->text.ptr[scan->at];
		if (depth == 0 && scan->at > start && (c == ',' || c == '}' || c == ']'))
			return 0;
		if (c == '"') {
			scan->at = json_string_end(scan->text, scan->at);
			if (scan->at == 0 || depth == 0)
				return scan->at == 0 ? broken(scan) : 0;
			continue;
		}
		scan->at++;
		if (c == '{' || c == '[')
			depth++;
		if (c != '}' && c != ']')
			continue;
		if (depth == 0)
			return broken(scan);
		if (--depth == 0)
			return 0;
	}
	return broken(scan);
}

static enum member find_member(struct slice key)
{
	for (enum member i = 0; i < MEMBERS; i++) {
		if (json_string_is(key, member_names[i]))
			return i;
	}
	return MEMBERS;
}

static void tell_unknown(const struct scan *scan, struct slice key)
{
	const char *pointer = arena_printf(scan->arena, "/%s", scan->name);
	if (json_string_is(key, "crs"))
		fault_add(scan->faults, FAULT_POINTER, member_pointer(scan, "crs"), "unknown_field",
			  "crs is not part of RFC 7946: other coordinates than those of WGS 84 are named by the parameter crs=.");
	else
		fault_add(scan->faults, FAULT_POINTER, pointer, "unknown_field",
			  "A geometry has type, coordinates and optionally bbox, nothing else.");
}

static int scan_members(struct scan *scan, struct slice members[MEMBERS])
{
	if (take(scan, '}'))
		return peek(scan) == '\0' && scan->at == scan->text.len ? 0 : broken(scan);
	do {
		if (peek(scan) != '"')
			return broken(scan);
		size_t start = scan->at, end = json_string_end(scan->text, start);
		if (end == 0)
			return broken(scan);
		scan->at = end;
		if (!take(scan, ':'))
			return broken(scan);
		peek(scan);
		size_t value = scan->at;
		int r = skip_value(scan);
		if (r < 0)
			return r;
		struct slice key = { scan->text.ptr + start + 1, end - start - 2 };
		enum member member = find_member(key);
		if (member == MEMBERS)
			tell_unknown(scan, key);
		else if (members[member].ptr != NULL)
			fault_add(scan->faults, FAULT_POINTER, member_pointer(scan, member_names[member]), "duplicate",
				  "The member is there twice.");
		else
			members[member] = (struct slice){ scan->text.ptr + value, scan->at - value };
	} while (take(scan, ','));
	if (!take(scan, '}') || (peek(scan), scan->at != scan->text.len))
		return broken(scan);
	return 0;
}

enum kind { KIND_POINT, KIND_POLYGON, KIND_MULTIPOLYGON, KINDS };

static enum kind find_kind(enum field_type type, struct slice value)
{
	static const char *const names[KINDS] = { "Point", "Polygon", "MultiPolygon" };
	if (value.len < 2 || value.ptr[0] != '"' || value.ptr[value.len - 1] != '"')
		return KINDS;
	for (enum kind i = 0; i < KINDS; i++) {
		if ((i == KIND_POINT) == (type == T_POINT) && json_string_is((struct slice){ value.ptr + 1, value.len - 2 }, names[i]))
			return i;
	}
	return KINDS;
}

static void check_coordinates(struct scan *scan, enum kind kind)
{
	int r = 0;
	switch (kind) {
	case KIND_POINT:
		r = scan_point(scan);
		break;
	case KIND_POLYGON:
		r = scan_polygon(scan, NULL);
		break;
	case KIND_MULTIPOLYGON:
		r = scan_multipolygon(scan);
		break;
	case KINDS:
		return;
	}
	if (r == 0 && (peek(scan), scan->at != scan->text.len))
		broken(scan);
}

/* A fresh scan over one member's value; it keeps the text before it, for the line and column. */
static struct scan inner_scan(const struct scan *scan, struct slice value)
{
	size_t start = (size_t)(value.ptr - scan->text.ptr);
	struct slice text = { scan->text.ptr, start + value.len };
	return (
	    struct scan){ .arena = scan->arena, .faults = scan->faults, .srid = scan->srid, .name = scan->name, .text = text, .at = start };
}

int geojson_check(struct arena *arena, enum field_type type, const char *name, struct slice text, struct faults *faults)
{
	return geojson_check_in(arena, SRID_WGS84, type, name, text, faults);
}

int geojson_check_in(struct arena *arena, int srid, enum field_type type, const char *name, struct slice text, struct faults *faults)
{
	size_t before = faults->n + faults->more;
	struct scan scan = { .arena = arena, .faults = faults, .srid = srid, .name = name, .text = text };
	struct slice members[MEMBERS] = { 0 };
	const char *wanted = type == T_POINT ? "\"Point\"" : "\"Polygon\" or \"MultiPolygon\"";
	if (!take(&scan, '{')) {
		fault_add(faults, FAULT_POINTER, arena_printf(arena, "/%s", name), "type", "This must be a GeoJSON geometry of type %s.",
			  wanted);
		return -EINVAL;
	}
	if (scan_members(&scan, members) < 0)
		return -EINVAL;
	enum kind kind = find_kind(type, members[MEMBER_TYPE]);
	if (kind == KINDS)
		fault_add(faults, FAULT_POINTER, member_pointer(&scan, "type"), members[MEMBER_TYPE].ptr == NULL ? "required" : "enum",
			  "type must be %s.", wanted);
	if (members[MEMBER_COORDINATES].ptr == NULL) {
		fault_add(faults, FAULT_POINTER, member_pointer(&scan, "coordinates"), "required", "A geometry needs coordinates.");
	} else {
		struct scan coordinates = inner_scan(&scan, members[MEMBER_COORDINATES]);
		check_coordinates(&coordinates, kind);
	}
	if (members[MEMBER_BBOX].ptr != NULL) {
		struct scan bbox = inner_scan(&scan, members[MEMBER_BBOX]);
		check_bbox(&bbox);
	}
	return faults->n + faults->more == before ? 0 : -EINVAL;
}
