/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the localities of two boundary sets share: calculated in the background, read here. */
#include "operations.h"

/* clang-format off */
const struct parameter overlaps_parameters[] = {
	{ .name = "from_boundary_set_id", .type = T_UUID, .required = true, .doc = "Boundary set whose localities are divided." },
	{ .name = "to_boundary_set_id", .type = T_UUID, .required = true, .doc = "Boundary set that they are divided among." },
	{ 0 },
};
/* clang-format on */
