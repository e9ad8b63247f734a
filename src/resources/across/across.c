/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the reads across resources are asked with. */
#include "operations.h"

enum { NEARBY_MAX_METRES = 20000, NEARBY_MAX_ITEMS = 100, VOICES_MAX = 500 };

/* clang-format off */
const struct parameter nearby_parameters[] = {
	{ .name = "point", .type = T_POSITION, .required = true, .doc = "The place: longitude,latitude in degrees." },
	{ .name = "radius", .type = T_INT, .min = 1, .max = NEARBY_MAX_METRES, .doc = "How near, in metres: 1 to 20,000; 1,000 where this is left out." },
	{ .name = "limit", .type = T_INT, .min = 1, .max = NEARBY_MAX_ITEMS, .doc = "How many of each section, at most 100; 20 where this is left out." },
	{ .name = "as_at", .type = T_DATE,
	  .doc = "The day that localities, groups and assignments of contacts are of; today where this is left out. Consultations are open, and activities planned, as of now." },
	{ 0 },
};

const struct parameter missing_voices_parameters[] = {
	{ .name = "from", .type = T_DATE, .required = true, .doc = "First day of the period." },
	{ .name = "to", .type = T_DATE, .required = true, .doc = "Last day of the period; localities are those in force on it." },
	{ .name = "boundary_set_id", .type = T_UUID,
	  .doc = "Whose localities are looked at. Where this is left out, those of the sets that partners hold in common (`is_common`), and of every set where none is." },
	{ .name = "limit", .type = T_INT, .min = 1, .max = VOICES_MAX, .doc = "How many localities and how many communities, at most 500; 50 where this is left out." },
	{ 0 },
};
/* clang-format on */
