/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the reads across resources are asked with. */
#include "operations.h"

enum { NEARBY_MAX_METRES = 20000, NEARBY_MAX_ITEMS = 100 };

/* clang-format off */
const struct parameter nearby_parameters[] = {
	{ .name = "point", .type = T_POSITION, .required = true, .doc = "The place: longitude,latitude in degrees." },
	{ .name = "radius", .type = T_INT, .min = 1, .max = NEARBY_MAX_METRES, .doc = "How near, in metres: 1 to 20,000; 1,000 where this is left out." },
	{ .name = "limit", .type = T_INT, .min = 1, .max = NEARBY_MAX_ITEMS, .doc = "How many of each section, at most 100; 20 where this is left out." },
	{ .name = "as_at", .type = T_DATE, .doc = "The day that is asked about; today where this is left out." },
	{ 0 },
};
/* clang-format on */
