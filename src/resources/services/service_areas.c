/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Service areas: the teams and departments of a partner, and how many people they have. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

enum { FTE_MAX = 9999 };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "code", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Short name of the service area, unique among those of its partner.", .example = "\"neighbourhoods\"" },
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Name of the service area.", .example = "\"Neighbourhood services\"" },
	{ .name = "description", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What it does.",
	  .example = "\"Parks, play areas and street care\"" },
	{ .name = "accountable_contact_id", .type = T_REF, .refers = "contacts", .include_name = "accountable_contact",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Contact who is accountable for it." },
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Locality that it works in: a service area with one is a local team." },
	{ .name = "fte_planned", .type = T_DECIMAL, .scale = 2, .flags = F_NULLABLE, .audience = A_PARTNER, .min = 0, .max = FTE_MAX,
	  .doc = "Posts planned, in full-time equivalents.", .example = "12.5" },
	{ .name = "fte_in_post", .type = T_DECIMAL, .scale = 2, .flags = F_NULLABLE, .audience = A_PARTNER, .min = 0, .max = FTE_MAX,
	  .doc = "Posts filled, in full-time equivalents; planned less filled is vacant.", .example = "11" },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "code", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource service_area_resource = {
	.name = "service-areas",
	.thing = "service_area",
	.doc = "A service area is a department or team of a partner; one with a locality is a local team.",
	.flags = R_OWNED | R_UNIQUE,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "public",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.example = "{\"code\":\"neighbourhoods\",\"name\":\"Neighbourhood services\",\"visibility\":\"public\"}",
};
