/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A page of boundaries is bounded by what they hold: a hundred of the longest would be gigabytes. What a boundary takes where it is stored is known without reading it,
 * and is at most what it is whole: only as many are read and counted as might fit. */
#include "sql_internal.h"

#define BIT(i) (UINT64_C(1) << (i))

/* A position takes 16 bytes, and a ring some more; where there are more bytes than this for each there are too many positions. */
enum { POSITION_BYTES = 32 };

static const struct field *area_of(const struct shape *shape)
{
	for (size_t i = 0; i < shape->n_fields; i++) {
		if (shape->fields[i]->type == T_GEOMETRY)
			return shape->fields[i];
	}
	return NULL;
}

int sql_positions_most(const struct sql *sql, uint64_t fields)
{
	const struct shape *shape = sql->shape;
	const struct query *query = &sql->call->query;
	const struct field *area = area_of(shape);
	bool feature = sql->call->format == FORMAT_GEOJSON;
	if (area == NULL || query->geometry == GEOMETRY_NONE)
		return 0;
	if (!feature && !(fields & BIT(shape_field(shape, slice_of(area->name)))))
		return 0;
	return query->geometry == GEOMETRY_SIMPLIFIED ? PAGE_POSITIONS_SIMPLIFIED_MAX : PAGE_POSITIONS_MAX;
}

void sql_weigh_begin(struct sql *sql, int most)
{
	const char *area = area_of(sql->shape)->name;
	sql_add(sql,
		"(SELECT w.*, CASE WHEN w.at = 1 OR w.through <= %d THEN w.at END AS row_n FROM (SELECT v.*, sum(v.positions) OVER (ORDER "
		"BY v.at) AS "
		"through FROM (SELECT u.*, CASE WHEN u.stored <= %lld THEN coalesce(ST_NPoints(u.%s), 0) ELSE %d END AS positions FROM "
		"(SELECT p.*, "
		"coalesce(sum(pg_column_size(p.%s)) OVER (ORDER BY p.at), 0) AS stored FROM ",
		most, (long long)most * POSITION_BYTES, area, most + 1, area);
}

void sql_weigh_end(struct sql *sql, int most)
{
	sql_add(sql, " p) u OFFSET 0) v) w WHERE w.through - w.positions <= %d)", most);
}
