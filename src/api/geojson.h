/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The scanner of GeoJSON geometries (RFC 7946). PostGIS takes unclosed rings, reads "a" as 0 and 1e400 as infinity, so everything is
 * checked on the bytes before it sees them, without a tree and in one pass. Whether the polygon is valid (self-intersection) is for PostGIS. */
#ifndef WARDMOTE_API_GEOJSON_H
#define WARDMOTE_API_GEOJSON_H

#include "wardmote/validate.h"

/* Checks one value: T_GEOMETRY takes Polygon and MultiPolygon, T_POINT takes Point. `name` is the member it came from; faults point into it
 * ("/geometry/coordinates/0/3"). 0, or -EINVAL when faults were added. */
int geojson_check(struct arena *arena, enum field_type type, const char *name, struct slice text, struct faults *faults);
/* The same for positions of another reference system (wardmote/query.h: SRID_*). */
int geojson_check_in(struct arena *arena, int srid, enum field_type type, const char *name, struct slice text, struct faults *faults);

#endif
