/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The conditions that lists of what is on the community map share: by place, and by when somebody last made sure. */
#ifndef WARDMOTE_COMMUNITY_CLAUSES_H
#define WARDMOTE_COMMUNITY_CLAUSES_H

#include "../by_place.h"

/* clang-format off */
/* `records` is their name in the plural. A record with a point of its own is as near as that; one without is as near as its locality. */
#define MAP_CLAUSES(records) \
	{ .name = "point", .type = T_POSITION, .selective = true, \
	  .sql = "t.locality_id = ANY (" LOCALITIES_AT_POINT "::uuid[]) OR (t.point && (SELECT wardmote.around(wardmote.position(@), 50)) AND " \
		 "ST_DWithin(t.point::geography, (SELECT wardmote.position(@)::geography), 50))", \
	  .doc = "Only " records " of a locality, of any boundary set, in which this position (longitude,latitude) lies, or with a point within 50 m of it.", \
	  .example = "1.2974,52.6309" }, \
	{ .name = "near", .type = T_POSITION, .needs = "radius", .selective = true, \
	  .sql = "(t.point IS NULL AND t.locality_id = ANY (" LOCALITIES_NEAR "::uuid[])) OR (t.point && (SELECT wardmote.around(wardmote.position(@), " \
		 "@radius::float8)) AND ST_DWithin(t.point::geography, (SELECT wardmote.position(@)::geography), @radius::float8))", \
	  .doc = "Only " records " within `radius` of this position (longitude,latitude): by their point where they have one, else by their locality.", \
	  .example = "1.2974,52.6309" }, \
	RADIUS_CLAUSE, \
	{ .name = "postcode", .type = T_TEXT, .min = POSTCODE_MIN, .max = POSTCODE_MAX, .selective = true, \
	  .sql = "t.locality_id = ANY (" LOCALITIES_AT_POSTCODE "::uuid[])", \
	  .doc = "Only " records " of a locality, of any boundary set, in which the point of this postcode lies.", .example = "NR1 1AA" }, \
	{ .name = "stale", .type = T_BOOL, \
	  .sql = "@ = (t.last_verified_on IS NULL OR t.last_verified_on < wardmote.today() - coalesce(@stale_days, 365)::integer)", \
	  .doc = "Whether nobody made sure of them within the last `stale_days` days; what was never verified is stale.", .example = "true" }, \
	{ .name = "stale_days", .type = T_INT, .min = 1, .max = 36500, .needs = "stale", \
	  .doc = "After how many days what was verified is stale; 365 where this is left out.", .example = "180" }
/* clang-format on */

#endif
