/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The look-up of postcodes. They are no records of anybody: a publisher's table is loaded whole. */
#include "../by_place.h"
#include "operations.h"

/* clang-format off */
const struct parameter postcode_parameters[] = {
	{ .name = "postcode", .type = T_TEXT, .required = true, .min = POSTCODE_MIN, .max = POSTCODE_MAX,
	  .doc = "The postcode, with or without its space." },
	{ .name = "as_at", .type = T_DATE, .doc = "Only localities in force on this day." },
	{ 0 },
};
/* clang-format on */

const int postcode_statuses[] = { 404, 0 };
