/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The conditions by place that several lists offer with the same words. */
#ifndef WARDMOTE_RESOURCES_BY_PLACE_H
#define WARDMOTE_RESOURCES_BY_PLACE_H

enum { RADIUS_MAX_METRES = 50000, POSTCODE_MIN = 5, POSTCODE_MAX = 8 };

#define RADIUS_CLAUSE                                                                                                                      \
	{                                                                                                                                  \
		.name = "radius", .type = T_INT, .min = 1, .max = RADIUS_MAX_METRES, .needs = "near",                                      \
		.doc = "How near, in metres: 1 to 50,000.", .example = "1000"                                                              \
	}

/* The localities of every boundary set at a place, so that one question finds the records of all partners; SQL over @, the value of the clause. */
#define LOCALITIES_AT_POINT "(SELECT wardmote.localities_at(wardmote.position(@)))"
#define LOCALITIES_AT_POSTCODE "(SELECT wardmote.localities_at(wardmote.postcode_point(@)))"
#define LOCALITIES_NEAR "(SELECT wardmote.localities_near(wardmote.position(@), @radius::float8))"
#define LOCALITIES_IN_BOX "(SELECT wardmote.localities_meeting(wardmote.box(@)))"

#endif
