/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Plans of localities: profiles, neighbourhood plans and community plans, with the needs that come first and who contributes. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char locality_plan_check_sql[];

static const char *const kinds[] = { "profile", "neighbourhood", "community", NULL };
static const char *const statuses[] = { "draft", "agreed", "published", "superseded", NULL };
static const char *const parts[] = { "producing", "delivering", NULL };

/* clang-format off */
static const struct field partner_contributors[] = {
	{ .name = "partner_id", .type = T_REF, .refers = "partners", .flags = F_REQUIRED, .doc = "The partner.",
	  .example = "\"01976f3a-2222-7000-8000-000000000001\"" },
	{ .name = "role", .type = T_ENUM, .flags = F_REQUIRED, .values = parts, .doc = "Whether it makes the plan or carries it out.",
	  .example = "\"producing\"" },
	{ 0 },
};

static const struct field group_contributors[] = {
	{ .name = "community_group_id", .type = T_REF, .refers = "community-groups", .flags = F_REQUIRED, .doc = "The group.",
	  .example = "\"01976f3a-4444-7000-8000-000000000001\"" },
	{ .name = "role", .type = T_ENUM, .flags = F_REQUIRED, .values = parts, .doc = "Whether it makes the plan or carries it out.",
	  .example = "\"delivering\"" },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Title of the plan.", .example = "\"Community plan of the estate\"" },
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality", .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality that it is for.", .example = "\"01976f3a-3333-7000-8000-000000000001\"" },
	{ .name = "kind", .type = T_ENUM, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .values = kinds,
	  .doc = "A profile, a neighbourhood plan or a community plan.", .example = "\"community\"" },
	{ .name = "edition", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Which edition of the plan it is.", .example = "\"second draft\"" },
	{ .name = "description", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What it is about.",
	  .example = "\"What residents and partners will do by 2028\"" },
	{ .name = "status", .type = T_ENUM, .flags = F_FILTER | F_SUMMARY, .values = statuses, .initial = "\"draft\"", .doc = "How far it is.",
	  .example = "\"draft\"" },
	{ .name = "due_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day by which it is to be published." },
	{ .name = "published_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day on which it was published; a published plan has it." },
	{ .name = "mapping_exercise_id", .type = T_REF, .refers = "mapping-exercises", .include_name = "mapping_exercise",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Mapping exercise that it came of." },
	{ .name = "priority_need_ids", .type = T_REFS, .refers = "needs", .include_name = "priority_needs", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .max = 100, .initial = "[]", .doc = "Needs that it puts first, the most pressing one first." },
	{ .name = "partner_contributors", .type = T_OBJECTS, .members = partner_contributors, .refers = "partners", .include_name = "contributing_partners",
	  .flags = F_INCLUDE, .max = 50, .initial = "[]", .doc = "Partners that contribute, each once for a role.",
	  .example = "[{\"partner_id\":\"01976f3a-2222-7000-8000-000000000001\",\"role\":\"producing\"}]" },
	{ .name = "group_contributors", .type = T_OBJECTS, .members = group_contributors, .refers = "community-groups", .include_name = "contributing_groups",
	  .flags = F_INCLUDE, .max = 50, .initial = "[]", .doc = "Groups that contribute, each once for a role." },
	{ .name = "url", .type = T_URL, .flags = F_NULLABLE, .names = NAMES_PERHAPS, .doc = "Where to read it.", .example = "\"https://example.org/plan\"" },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "title", .type = "text" },
	{ .name = "due_on", .column = "due_on_sort", .type = "date" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource locality_plan_resource = {
	.name = "locality-plans",
	.thing = "locality_plan",
	.doc = "A plan of a locality: its profile, its neighbourhood plan or its community plan, with the needs that come first and who "
	       "makes it and "
	       "carries it out.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = locality_plan_check_sql,
	.example =
	    "{\"title\":\"Community plan of the estate\",\"locality_id\":\"01976f3a-3333-7000-8000-000000000001\",\"kind\":\"community\","
	    "\"due_on\":\"2027-03-31\",\"visibility\":\"public\"}",
};
