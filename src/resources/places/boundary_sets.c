/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Boundary sets: one way of dividing the ground (the wards of 2025, the LSOAs of 2021), whose members are localities. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char boundary_set_check_sql[];
extern const struct operation import_operations[];

static const char *const tiers[] = { "neighbourhood", "local", "area", "strategic", NULL };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "code", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Short name of the set, unique in the network.", .example = "\"norwich-wards-2025\"" },
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Name as its maker gives it.", .example = "\"Wards of Norwich, 2025\"" },
	{ .name = "vintage", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Edition of the boundaries: the year or the day that they are known by. The next edition is a set of its own.",
	  .example = "\"2025\"" },
	{ .name = "is_common", .type = T_BOOL, .flags = F_FILTER, .initial = "false",
	  .doc = "Whether the partners have agreed on this set for what they report together." },
	{ .name = "tier", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .values = tiers,
	  .doc = "Scale at which partners use the set, from the finest to the coarsest.", .example = "\"local\"" },
	{ .name = "valid_from", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "First day on which the boundaries are in force." },
	{ .name = "valid_to", .type = T_DATE, .flags = F_NULLABLE | F_FILTER,
	  .doc = "Last day on which they are in force; null while they are current." },
	{ .name = "attribution", .type = T_TEXT, .flags = F_NULLABLE | F_SUMMARY, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Statement that the licence asks to be shown with the boundaries.",
	  .example = "\"Source: Office for National Statistics licensed under the Open Government Licence v.3.0\"" },
	{ .name = "licence", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER | F_SUMMARY, .min = 1, .max = LINE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Licence under which the boundaries may be used.", .example = "\"OGL-UK-3.0\"" },
	{ .name = "expected_count", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .min = 0, .max = 1000000,
	  .doc = "Number of localities that the set has according to its source, whether or not they are recorded.", .example = "13" },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "code", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const char *const ordered[] = { "valid_from", "valid_to", NULL };

const struct resource boundary_set_resource = {
	.name = "boundary-sets",
	.thing = "boundary_set",
	.doc = "A boundary set is one way of dividing the ground, such as the wards of a city in a year. Its members are localities. "
	       "Values are read on the set that was in force on their date and are never summed over overlapping sets.",
	.flags = R_OWNED | R_ADMIN | R_UNIQUE,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_ADMINISTRATOR,
	.visibility = "public",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = boundary_set_check_sql,
	.ordered = ordered,
	.operations = import_operations,
	.example = "{\"code\":\"norwich-wards-2025\",\"name\":\"Wards of Norwich, "
		   "2025\",\"vintage\":\"2025\",\"tier\":\"local\",\"licence\":\"OGL-UK-3.0\","
		   "\"expected_count\":13}",
};
