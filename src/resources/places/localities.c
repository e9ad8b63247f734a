/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Localities: the places of a boundary set, with or without their boundary. */
#include "wardmote/resources.h"

#include "../by_place.h"
#include "../vocabulary.h"
#include "operations.h"

extern const char locality_check_sql[];
extern const char locality_lineage_sql[];
extern const char locality_lineage_answer[];
extern const char locality_overlaps_sql[];
extern const char locality_overlaps_answer[];
extern const char locality_profile_sql[];
extern const char locality_profile_answer[];

static const char *const wants[] = { "plan", "contact", "map", "need", "profile", NULL };
static const char *const change_kinds[] = { "unchanged", "renamed", "split", "merged", "irregular", NULL };

enum { SCHEME_MAX_CHARS = 40, CODES_MAX = 20 };

/* clang-format off */
static const struct field code_members[] = {
	{ .name = "scheme", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = SCHEME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Short name of the scheme, without a colon.", .example = "\"ons\"" },
	{ .name = "code", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = CODE_MAX_CHARS, .names = NAMES_NOBODY, .doc = "The locality's code in it.",
	  .example = "\"E05012902\"" },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "boundary_set_id", .type = T_REF, .refers = "boundary-sets", .include_name = "boundary_set",
	  .flags = F_REQUIRED | F_CREATE_ONLY | F_FILTER | F_OWNED_REF | F_INCLUDE, .doc = "Boundary set that the locality is a member of.",
	  .example = "\"01976f3a-1111-7000-8000-000000000001\"" },
	{ .name = "code", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Code of the locality, unique in its boundary set; the official one where there is one.", .example = "\"EX000001\"" },
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Name of the locality.", .example = "\"Example Ward\"" },
	{ .name = "codes", .type = T_OBJECTS, .members = code_members, .max = CODES_MAX, .initial = "[]",
	  .doc = "Its codes in other schemes, each scheme once; scheme_code= finds it by one.", .example = "[{\"scheme\":\"ons\",\"code\":\"E05012902\"}]" },
	{ .name = "parent_id", .type = T_REF, .refers = "localities", .include_name = "parent", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality that this one is a part of; parents form a tree." },
	{ .name = "population", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .min = 0, .max = 100000000,
	  .doc = "Usual residents, in persons.", .example = "9000" },
	{ .name = "population_as_at", .type = T_DATE, .flags = F_NULLABLE, .doc = "Day that the population was counted or estimated for." },
	{ .name = "households", .type = T_INT, .flags = F_NULLABLE, .min = 0, .max = 100000000, .doc = "Households.", .example = "4000" },
	{ .name = "valid_from", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "First day on which the locality exists; null: as its boundary set." },
	{ .name = "valid_to", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Last day on which it exists; null: until the day before changed_on, else as its boundary set." },
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

/* What lies within another, give or take 1 % of its area: the boundaries of different makers never nest exactly. */
#define OTHER "(SELECT l.geometry FROM api.locality l WHERE l.id = @)"
#define OTHERS(relation) "t.geometry && " OTHER " AND t.id <> @ AND " relation

/* clang-format off */
static const struct clause clauses[] = {
	{ .name = "point", .type = T_POSITION, .selective = true,
	  .sql = "t.geometry && (SELECT wardmote.position(@)) AND ST_Covers(t.geometry, (SELECT wardmote.position(@)))",
	  .doc = "Only localities in which this position (longitude,latitude) lies, or on whose edge: of every boundary set, unless others are named.",
	  .example = "1.2974,52.6309" },
	{ .name = "near", .type = T_POSITION, .needs = "radius", .selective = true,
	  .sql = "t.geometry && (SELECT wardmote.around(wardmote.position(@), @radius::float8)) AND "
		 "ST_DWithin(t.geometry::geography, (SELECT wardmote.position(@)::geography), @radius::float8)",
	  .doc = "Only localities that come within `radius` of this position (longitude,latitude).", .example = "1.2974,52.6309" },
	RADIUS_CLAUSE,
	{ .name = "postcode", .type = T_TEXT, .min = POSTCODE_MIN, .max = POSTCODE_MAX, .selective = true,
	  .sql = "t.geometry && (SELECT wardmote.postcode_point(@)) AND ST_Covers(t.geometry, (SELECT wardmote.postcode_point(@)))",
	  .doc = "Only localities in which the point of this postcode lies. None has a postcode that is not known.", .example = "NR1 1AA" },
	{ .name = "within", .type = T_UUID, .selective = true,
	  .sql = OTHERS("EXISTS (SELECT FROM api.locality l WHERE l.id = @ AND (ST_CoveredBy(t.geometry, l.geometry) OR "
			"ST_Area(ST_Intersection(t.geometry, l.geometry)) >= 0.99 * ST_Area(t.geometry)))"),
	  .doc = "Only localities that lie in this one (an id) with at least 99 % of their area: lines of different makers never nest exactly.",
	  .example = "01976f3a-1111-7000-8000-000000000001" },
	{ .name = "intersects", .type = T_UUID, .selective = true,
	  .sql = OTHERS("ST_Intersects(t.geometry, " OTHER ") AND NOT ST_Touches(t.geometry, " OTHER ")"),
	  .doc = "Only localities that share ground with this one (an id), however little.", .example = "01976f3a-1111-7000-8000-000000000001" },
	{ .name = "touches", .type = T_UUID, .selective = true, .sql = OTHERS("ST_Touches(t.geometry, " OTHER ")"),
	  .doc = "Only localities that have a border or a corner with this one (an id), but no ground.",
	  .example = "01976f3a-1111-7000-8000-000000000001" },
	{ .name = "descendants_of", .type = T_UUID, .selective = true, .sql = "t.id = ANY ((SELECT wardmote.descendants(@))::uuid[])",
	  .doc = "Only localities below this one (an id) by parent_id, at any depth.", .example = "01976f3a-1111-7000-8000-000000000001" },
	{ .name = "as_at", .type = T_DATE,
	  .sql = "coalesce(t.valid_from, '-infinity') <= @ AND coalesce(t.valid_to, t.changed_on - 1, 'infinity') >= @ AND NOT EXISTS ("
		 "SELECT FROM api.boundary_set s WHERE s.id = t.boundary_set_id AND ((t.valid_from IS NULL AND s.valid_from > @) OR "
		 "(coalesce(t.valid_to, t.changed_on) IS NULL AND s.valid_to < @)))",
	  .doc = "Only localities in force on this day. (as_of asks something else: what the records said at a moment.)", .example = "2026-05-07" },
	{ .name = "scheme_code", .type = T_TEXT, .min = 3, .max = SCHEME_MAX_CHARS + 1 + CODE_MAX_CHARS, .selective = true,
	  .sql = "t.codes @> jsonb_build_array(jsonb_build_object('scheme', split_part(@, ':', 1), 'code', substring(@ FROM position(':' IN @) + 1)))",
	  .doc = "Only localities with this code in `codes`: the scheme, a colon, the code.", .example = "ons:E05012902" },
	{ .name = "lacking", .type = T_ENUM, .values = wants, .sql = "wardmote.lacks(t.id, @, wardmote.today())",
	  .doc = "Only localities that have no plan (agreed or published), no contact (an assignment in force today), no map (a mapping exercise that was held, or a map item), "
		 "no need, or no profile (a count of its people of the last 24 months) of their own, as far as the caller sees. None where the token's scopes do not let "
		 "it read what would tell.", .example = "plan" },
	{ 0 },
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
static const struct parameter overlap_parameters[] = {
	{ .name = "boundary_set_id", .type = T_UUID, .doc = "Only localities of this boundary set; without it, of every other one." },
	{ .name = "min_share", .type = T_DECIMAL, .max = 1, .doc = "Only those with an area_share of at least this." },
	{ 0 },
};

static const struct parameter profile_parameters[] = {
	{ .name = "as_at", .type = T_DATE,
	  .doc = "The day that is asked about: counts up to it, designations, groups and contacts of it; today where this is left out. `readiness` uses the plans, needs and "
		 "maps of today." },
	{ 0 },
};

static const struct operation operations[] = {
	{ .id = "get_locality_lineage", .method = "GET", .path = "/v1/localities/{id}/lineage", .verb = V_SQL, .resource = &locality_resource,
	  .least = CALLER_ANONYMOUS, .scope = "localities:read", .lane = LANE_READ, .flags = OP_ITEM | OP_TRIED, .sql = locality_lineage_sql,
	  .answer = locality_lineage_answer,
	  .summary = "What a locality was and what became of it",
	  .doc = "Its predecessors and successors by successor_ids, up to ten steps away, each once, the nearest first. Those that the caller cannot see are "
		 "left out, and so is what lies behind them." },
	{ .id = "list_locality_overlaps", .method = "GET", .path = "/v1/localities/{id}/overlaps", .verb = V_SQL, .resource = &locality_resource,
	  .least = CALLER_ANONYMOUS, .scope = "localities:read", .lane = LANE_READ, .flags = OP_ITEM | OP_PAGED | OP_TRIED, .parameters = overlap_parameters,
	  .sql = locality_overlaps_sql, .answer = locality_overlaps_answer,
	  .summary = "What a locality shares with others",
	  .doc = "Localities of other boundary sets that share ground with it, each with the part of its area, and where it is known of its people, that lies there. "
		 "This is calculated in the background after each change of a boundary or a population; `state` says how far it is." },
	{ .id = "get_locality_profile", .method = "GET", .path = "/v1/localities/{id}/profile", .verb = V_SQL, .resource = &locality_resource,
	  .least = CALLER_ANONYMOUS, .scope = "localities:read", .lane = LANE_HEAVY, .flags = OP_ITEM | OP_NO_STORE, .parameters = profile_parameters,
	  .sql = locality_profile_sql, .answer = locality_profile_answer,
	  .summary = "What is known of a locality",
	  .doc = "Its people, how deprived it is, its designations, needs and map, who works there, what was asked there and what came of it, and what it lacks, each with "
		 "its source and day. Counts are its own, the newest of each dimension and kind of source; where it has none, those of the newest and finest set that covers "
		 "nine tenths of it are converted by what the two share, and marked. A token with scopes needs those of each section, named in `left_out` where it lacks "
		 "them." },
#include "locality_imports.inc"
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
	.clauses = clauses,
	.operations = operations,
	.example = "{\"boundary_set_id\":\"01976f3a-1111-7000-8000-000000000001\",\"code\":\"EX000001\",\"name\":\"Example Ward\","
		   "\"population\":9000,\"population_as_at\":\"2021-03-21\"}",
};
