/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Community groups: organised people, from an informal circle to a social enterprise, and how they wish to be engaged. */
#include "wardmote/resources.h"

#include "clauses.h"
#include "consent.h"

extern const char community_group_check_sql[];

static const char *const kinds[] = {
	"residents", "tenants",   "faith",           "youth",  "business",       "voluntary",         "informal", "forum",
	"panel",     "committee", "task_and_finish", "anchor", "infrastructure", "social_enterprise", NULL
};
static const char *const size_bands[] = { "under_10", "10_to_49", "50_to_199", "200_or_more", "unknown", NULL };
static const char *const link_kinds[] = { "works_with", "part_of", "shares_members", "other", NULL };

/* clang-format off */
static const struct field links[] = {
	{ .name = "group_id", .type = T_REF, .refers = "community-groups", .flags = F_REQUIRED, .doc = "The other group.",
	  .example = "\"01976f3a-4444-7000-8000-000000000001\"" },
	{ .name = "kind", .type = T_ENUM, .flags = F_REQUIRED, .values = link_kinds, .doc = "How the two belong together.", .example = "\"works_with\"" },
	{ .name = "since", .type = T_DATE, .flags = F_NULLABLE, .doc = "First day on which they do." },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Name of the group.", .example = "\"Example Residents' Association\"" },
	{ .name = "kind", .type = T_ENUM, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .values = kinds, .doc = "What kind of group it is.",
	  .example = "\"residents\"" },
	{ .name = "description", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What it is, in plain text.",
	  .example = "\"People of the estate who meet every month\"" },
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality in which it is at home." },
	{ .name = "community_ids", .type = T_REFS, .refers = "communities", .include_name = "communities", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .max = COMMUNITIES_MAX, .initial = "[]",
	  .doc = "Communities that its members belong to. Members are in several at once: figures are never summed over communities." },
	{ .name = "size_band", .type = T_ENUM, .flags = F_FILTER, .values = size_bands, .initial = "\"unknown\"", .doc = "How many members it has, in persons.",
	  .example = "\"10_to_49\"" },
	{ .name = "visible", .type = T_BOOL, .flags = F_FILTER, .initial = "true",
	  .doc = "Whether outsiders know of it; false for the smaller and less visible." },
	{ .name = "claims_to_represent", .type = T_BOOL, .flags = F_FILTER, .initial = "false", .doc = "Whether it claims to speak for others." },
	{ .name = "self_led", .type = T_BOOL, .flags = F_FILTER, .initial = "false", .doc = "Whether its own members lead it." },
	{ .name = "led_by_community_id", .type = T_REF, .refers = "communities", .include_name = "led_by_community", .flags = F_NULLABLE | F_FILTER | F_INCLUDE,
	  .doc = "Community whose members lead it." },
	{ .name = "services", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What it offers, and to whom.",
	  .example = "\"Tea and advice on Thursdays\"" },
	{ .name = "preferred_methods", .type = T_CODES, .code_list = "method", .flags = F_FILTER, .max = 20, .initial = "[]",
	  .doc = "Codes of the list method: how it prefers to be engaged.", .example = "[\"workshop\"]" },
	{ .name = "preferred_level", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Code of the level of engagement that it prefers, in the owner's own scale.", .example = "\"norwich-consultation\"" },
	{ .name = "parent_id", .type = T_REF, .refers = "community-groups", .include_name = "parent", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Group that this one is a part of; parents form a tree." },
	{ .name = "links", .type = T_OBJECTS, .members = links, .refers = "community-groups", .include_name = "linked_groups", .flags = F_INCLUDE,
	  .max = 100, .initial = "[]", .doc = "Other groups that it has to do with, each kind of link once." },
	{ .name = "point", .type = T_POINT, .flags = F_NULLABLE, .names = NAMES_PERHAPS, .doc = "Where it meets, as a GeoJSON point, WGS 84, longitude first; never somebody's home." },
	{ .name = "website", .type = T_URL, .flags = F_NULLABLE, .names = NAMES_PERHAPS, .doc = "Its website.", .example = "\"https://example.org/residents\"" },
	{ .name = "valid_from", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "First day on which it exists." },
	{ .name = "valid_to", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Last day on which it exists; null while it does." },

	/* whom to ask */
	{ .name = "contact_name", .type = T_TEXT, .flags = PERSON_FIELD, .min = 1, .max = NAME_MAX_CHARS,
	  .purpose = PERSON_PURPOSE, .retention = PERSON_RETENTION, .subjects = PERSON_SUBJECTS, .basis = PERSON_BASIS,
	  .doc = "Who speaks for the group: only of a person in a public role, or with consent.", .example = "\"Example Person\"" },
	{ .name = "contact_details", .type = T_TEXT, .flags = PERSON_FIELD, .min = 1, .max = LINE_MAX_CHARS,
	  .purpose = PERSON_PURPOSE, .retention = PERSON_RETENTION, .subjects = PERSON_SUBJECTS, .basis = PERSON_BASIS,
	  .doc = "How to reach that person.", .example = "\"person@example.org\"" },
	CONSENT_FIELDS,
	VERIFIED_FIELDS,
};
/* clang-format on */

static const struct clause clauses[] = {
	MAP_CLAUSES("groups"),
	{ .name = "in_force_on",
	  .type = T_DATE,
	  .sql = "coalesce(t.valid_from, '-infinity') <= @ AND coalesce(t.valid_to, 'infinity') >= @",
	  .doc = "Only groups that exist on this day, as far as is known.",
	  .example = "2026-01-01" },
	{ 0 },
};

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const char *const ordered[] = { "valid_from", "valid_to", NULL };

const struct resource community_group_resource = {
	.name = "community-groups",
	.thing = "community_group",
	.doc =
	    "A community group is a set of people who act together: tenants, a faith group, a forum, an informal circle. Groups overlap: "
	    "figures are never summed over them.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.clauses = clauses,
	.check_sql = community_group_check_sql,
	.ordered = ordered,
	.example = "{\"name\":\"Example Residents' Association\",\"kind\":\"residents\",\"size_band\":\"10_to_49\",\"services\":\"Tea and "
		   "advice on "
		   "Thursdays\",\"visibility\":\"public\"}",
};
