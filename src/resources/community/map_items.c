/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Map items: what the community map shows. The one place where a private person may be recorded, with consent, purpose and end. */
#include "wardmote/resources.h"

#include "clauses.h"
#include "consent.h"

extern const char map_item_check_sql[];

static const char *const kinds[] = { "key_player_individual", "key_player_group", "key_player_partner", "facility", "activity", NULL };
static const char *const aspects[] = { "strength", "gap", "aspiration", "neutral", NULL };
static const char *const ownerships[] = { "partner", "community", "private", NULL };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "What it is called; of a person what people come to them for, never the name.", .example = "\"Example Hall\"" },
	{ .name = "kind", .type = T_ENUM, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .values = kinds,
	  .doc = "A key player (a person, a group or a partner), a facility, or an activity.", .example = "\"facility\"" },
	{ .name = "aspect", .type = T_ENUM, .flags = F_FILTER | F_SUMMARY, .values = aspects, .initial = "\"neutral\"",
	  .doc = "Whether it is a strength of the place, a gap in it, or what people wish for. A gap can raise a need.", .example = "\"strength\"" },
	{ .name = "mapping_exercise_id", .type = T_REF, .refers = "mapping-exercises", .include_name = "mapping_exercise",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Mapping exercise that found it." },
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality in which it is; an item has a locality, a point, or both.", .example = "\"01976f3a-3333-7000-8000-000000000001\"" },
	{ .name = "point", .type = T_POINT, .flags = F_NULLABLE,
	  .names = NAMES_PERHAPS, .doc = "Where it is, as a GeoJSON point, WGS 84, longitude first; a person has a locality only." },
	{ .name = "use", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "How it is used, and by whom.",
	  .example = "\"Lunch club on Tuesdays\"" },
	{ .name = "extension_idea", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "How it might be extended.",
	  .example = "\"Open in the evening, too\"" },
	{ .name = "ownership", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .values = ownerships, .doc = "Whose it is.", .example = "\"community\"" },
	{ .name = "venue", .type = T_BOOL, .flags = F_NULLABLE | F_FILTER, .doc = "Whether meetings can be held there; null while it is not known." },
	{ .name = "step_free", .type = T_BOOL, .flags = F_NULLABLE | F_FILTER, .doc = "Whether one gets in without a step; null while it is not known." },
	{ .name = "hearing_loop", .type = T_BOOL, .flags = F_NULLABLE | F_FILTER, .doc = "Whether there is a hearing loop; null while it is not known." },
	{ .name = "public_transport", .type = T_BOOL, .flags = F_NULLABLE | F_FILTER,
	  .doc = "Whether public transport stops nearby; null while it is not known." },
	{ .name = "interpreter", .type = T_BOOL, .flags = F_NULLABLE | F_FILTER, .doc = "Whether interpreters can be had; null while it is not known." },
	{ .name = "accessibility", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What else to know about getting in.",
	  .example = "\"Ramp at the back\"" },
	{ .name = "community_group_id", .type = T_REF, .refers = "community-groups", .include_name = "community_group",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "The group that is the key player, or that runs the facility or activity." },
	{ .name = "key_partner_id", .type = T_REF, .refers = "partners", .include_name = "key_partner", .flags = F_NULLABLE | F_FILTER | F_INCLUDE,
	  .doc = "The partner that is the key player, or that runs the facility or activity." },

	/* a person: only with kind key_player_individual */
	{ .name = "person_name", .type = T_TEXT, .flags = PERSON_FIELD, .min = 1, .max = NAME_MAX_CHARS,
	  .purpose = PERSON_PURPOSE, .retention = PERSON_RETENTION, .subjects = PERSON_SUBJECTS, .basis = PERSON_BASIS,
	  .doc = "Name of the person: only of one in a public role, or with consent.", .example = "\"Example Person\"" },
	{ .name = "person_role", .type = T_TEXT, .flags = PERSON_FIELD, .min = 1, .max = NAME_MAX_CHARS,
	  .purpose = PERSON_PURPOSE, .retention = PERSON_RETENTION, .subjects = PERSON_SUBJECTS, .basis = PERSON_BASIS, .doc = "What the person does in the community.",
	  .example = "\"Opens the allotments\"" },
	{ .name = "person_contact", .type = T_TEXT, .flags = PERSON_FIELD, .min = 1, .max = LINE_MAX_CHARS,
	  .purpose = PERSON_PURPOSE, .retention = PERSON_RETENTION, .subjects = PERSON_SUBJECTS, .basis = PERSON_BASIS, .doc = "How to reach the person.", .example = "\"person@example.org\"" },
	CONSENT_FIELDS,
	VERIFIED_FIELDS,
};
/* clang-format on */

static const struct clause clauses[] = { MAP_CLAUSES("items"), { 0 } };

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "last_verified_on", .column = "last_verified_sort", .type = "date" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource map_item_resource = {
	.name = "map-items",
	.thing = "map_item",
	.doc = "A map item is something on the community map: a key player, a facility or an activity, as a strength, a gap or an "
	       "aspiration. A "
	       "private person is recorded with consent only, is public only where the consent says so, and is erased when it ends.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.clauses = clauses,
	.check_sql = map_item_check_sql,
	.example = "{\"name\":\"Example "
		   "Hall\",\"kind\":\"facility\",\"aspect\":\"strength\",\"locality_id\":\"01976f3a-3333-7000-8000-000000000001\","
		   "\"use\":\"Lunch club on Tuesdays\",\"step_free\":true,\"visibility\":\"public\"}",
};
