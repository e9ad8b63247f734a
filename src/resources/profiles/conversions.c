/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Counts on other boundaries than those that they were made for. */
#include "operations.h"

/* clang-format off */
const struct parameter conversions_parameters[] = {
	{ .name = "boundary_set_id", .type = T_UUID, .required = true, .doc = "Boundary set whose localities are asked about." },
	{ .name = "dimension", .type = T_TEXT, .required = true, .min = 1, .max = 100, .doc = "Dimension of the profile values." },
	{ .name = "from_boundary_set_id", .type = T_UUID, .doc = "Only from values of this boundary set; else each that has some answers for itself." },
	{ .name = "source_kind", .type = T_ENUM, .values = profile_source_kinds, .doc = "Only from values of this kind." },
	{ .name = "as_at", .type = T_DATE, .doc = "Only from values of this day." },
	{ .name = "category", .type = T_TEXT, .min = 1, .max = 200, .doc = "Only this category." },
	{ 0 },
};
/* clang-format on */
