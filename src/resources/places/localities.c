/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Localities: the places of a boundary set, with or without their boundary. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char locality_check_sql[];
extern const char locality_lineage_sql[];
extern const char locality_lineage_answer[];

static const char *const change_kinds[] = { "unchanged", "renamed", "split", "merged", "irregular", NULL };

enum { SCHEME_MAX_CHARS = 40, CODES_MAX = 20 };

/* clang-format off */
static const struct field code_members[] = {
	{ .name = "scheme", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = SCHEME_MAX_CHARS,
	  .doc = "Short name of the scheme, without a colon.", .example = "\"ons\"" },
	{ .name = "code", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = CODE_MAX_CHARS, .doc = "The locality's code in it.",
	  .example = "\"E05012902\"" },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "boundary_set_id", .type = T_REF, .refers = "boundary-sets", .include_name = "boundary_set",
	  .flags = F_REQUIRED | F_CREATE_ONLY | F_FILTER | F_OWNED_REF | F_INCLUDE, .doc = "Boundary set that the locality is a member of.",
	  .example = "\"01976f3a-1111-7000-8000-000000000001\"" },
	{ .name = "code", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .doc = "Code of the locality, unique in its boundary set; the official one where there is one.", .example = "\"EX000001\"" },
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .doc = "Name of the locality.", .example = "\"Example Ward\"" },
	{ .name = "codes", .type = T_OBJECTS, .members = code_members, .max = CODES_MAX, .initial = "[]",
	  .doc = "Its codes in other schemes, each scheme once; scheme_code= finds it by one.", .example = "[{\"scheme\":\"ons\",\"code\":\"E05012902\"}]" },
	{ .name = "parent_id", .type = T_REF, .refers = "localities", .include_name = "parent", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality that this one is a part of; parents form a tree." },
	{ .name = "population", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .min = 0, .max = 100000000,
	  .doc = "Usual residents, in persons.", .example = "9000" },
	{ .name = "population_as_at", .type = T_DATE, .flags = F_NULLABLE, .doc = "Day that the population was counted or estimated for." },
	{ .name = "households", .type = T_INT, .flags = F_NULLABLE, .min = 0, .max = 100000000, .doc = "Households.", .example = "4000" },
	{ .name = "valid_from", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "First day on which the locality exists; null: as its boundary set." },
	{ .name = "valid_to", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Last day on which it exists; null while it is current, or as its boundary set says." },
	{ .name = "successor_ids", .type = T_REFS, .refers = "localities", .include_name = "successors", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .max = 100, .initial = "[]", .doc = "Localities that took its place when it was abolished, of the same set or the next edition. The change was on changed_on, else on the "
		 "day after valid_to." },
	{ .name = "changed_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER,
	  .doc = "Day on which its successors took its place, where that is not the day after valid_to." },
	{ .name = "change_kind", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .values = change_kinds,
	  .doc = "How it became its successors: unchanged or renamed (one, with the same boundary), split (several, all within it), merged (one, of which it "
		 "is a part), irregular (anything else).", .example = "\"split\"" },
	{ .name = "neighbourhood_managed", .type = T_BOOL, .flags = F_FILTER, .initial = "false",
	  .doc = "Whether services are managed together for this neighbourhood." },
	{ .name = "geometry", .type = T_GEOMETRY, .flags = F_NULLABLE | F_HEAVY,
	  .doc = "Boundary as GeoJSON, WGS 84, longitude first (crs= names another system); left out of lists unless named by fields= or asked for by "
		 "geometry=." },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "code", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const char *const ordered[] = { "valid_from", "valid_to", "valid_from", "changed_on", NULL };

/* clang-format off */
static const struct operation operations[] = {
	{ .id = "get_locality_lineage", .method = "GET", .path = "/v1/localities/{id}/lineage", .verb = V_SQL, .resource = &locality_resource,
	  .least = CALLER_ANONYMOUS, .scope = "localities:read", .lane = LANE_READ, .flags = OP_ITEM, .sql = locality_lineage_sql,
	  .answer = locality_lineage_answer,
	  .summary = "What a locality was and what became of it",
	  .doc = "Its predecessors and successors by successor_ids, up to ten steps away, each once, the nearest first. Those that the caller cannot see are "
		 "left out, and so is what lies behind them." },
	{ 0 },
};
/* clang-format on */

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
	.operations = operations,
	.example = "{\"boundary_set_id\":\"01976f3a-1111-7000-8000-000000000001\",\"code\":\"EX000001\",\"name\":\"Example Ward\","
		   "\"population\":9000,\"population_as_at\":\"2021-03-21\"}",
};
