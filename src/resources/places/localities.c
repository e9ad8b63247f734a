/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Localities: the places of a boundary set, with or without their boundary. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char locality_check_sql[];

/* clang-format off */
static const struct field fields[] = {
	{ .name = "boundary_set_id", .type = T_REF, .refers = "boundary-sets", .include_name = "boundary_set",
	  .flags = F_REQUIRED | F_CREATE_ONLY | F_FILTER | F_OWNED_REF | F_INCLUDE, .doc = "Boundary set that the locality is a member of.",
	  .example = "\"01976f3a-1111-7000-8000-000000000001\"" },
	{ .name = "code", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .doc = "Code of the locality, unique in its boundary set; the official one where there is one.", .example = "\"EX000001\"" },
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .doc = "Name of the locality.", .example = "\"Example Ward\"" },
	{ .name = "parent_id", .type = T_REF, .refers = "localities", .include_name = "parent", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality that this one is a part of; parents form a tree." },
	{ .name = "population", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .min = 0, .max = 100000000,
	  .doc = "Usual residents, in persons.", .example = "9000" },
	{ .name = "population_as_at", .type = T_DATE, .flags = F_NULLABLE, .doc = "Day that the population was counted or estimated for." },
	{ .name = "households", .type = T_INT, .flags = F_NULLABLE, .min = 0, .max = 100000000, .doc = "Households.", .example = "4000" },
	{ .name = "valid_from", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "First day on which the locality exists." },
	{ .name = "valid_to", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Last day on which it exists; null while it is current." },
	{ .name = "successor_ids", .type = T_REFS, .refers = "localities", .include_name = "successors", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .max = 100, .initial = "[]", .doc = "Localities that took its place when it was abolished." },
	{ .name = "geometry", .type = T_GEOMETRY, .flags = F_NULLABLE | F_HEAVY,
	  .doc = "Boundary as GeoJSON, WGS 84, longitude first; left out of lists unless named by fields=." },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "code", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const char *const ordered[] = { "valid_from", "valid_to", NULL };

const struct resource locality_resource = {
	.name = "localities",
	.thing = "locality",
	.doc = "A locality is a place of one boundary set: a ward, a small area, a neighbourhood. Its boundary may be unknown. When "
	       "boundaries change, the locality ends and names its successors; it is never redrawn.",
	.flags = R_OWNED | R_ADMIN | R_UNIQUE,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_ADMINISTRATOR,
	.visibility = "public",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = locality_check_sql,
	.ordered = ordered,
	.example = "{\"boundary_set_id\":\"01976f3a-1111-7000-8000-000000000001\",\"code\":\"EX000001\",\"name\":\"Example Ward\","
		   "\"population\":9000,\"population_as_at\":\"2021-03-21\"}",
};
