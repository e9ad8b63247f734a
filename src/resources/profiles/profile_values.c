/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Profile values: how many people of a place are of a category, as published or as partners counted. */
#include "wardmote/resources.h"

#include "../vocabulary.h"
#include "operations.h"

extern const char profile_value_check_sql[];

const char *const profile_source_kinds[] = {
	"resident_profiling", "core", "census", "population_estimate", "published_statistics", "needs_data", "survey", "other", NULL
};

enum { PEOPLE_MAX = 1000000000 };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality", .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality whose people are counted.", .example = "\"01976f3a-3333-7000-8000-000000000001\"" },
	{ .name = "dimension", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "By what people are counted.", .example = "\"ethnicity\"" },
	{ .name = "category", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Which of them this is.", .example = "\"Asian, Asian British or Asian Welsh\"" },
	{ .name = "count", .type = T_INT, .flags = F_REQUIRED | F_SUMMARY, .min = 0, .max = PEOPLE_MAX,
	  .doc = "People or households of the category; never a percentage.", .example = "120" },
	{ .name = "base", .type = T_INT, .flags = F_NULLABLE | F_SUMMARY, .min = 0, .max = PEOPLE_MAX,
	  .doc = "How many were counted in all: what a percentage is of. Null where it is not known.", .example = "1500" },
	{ .name = "source_kind", .type = T_ENUM, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .values = profile_source_kinds,
	  .doc = "Where the count comes from. Census, population_estimate and published_statistics are published; all others are a partner's own, are seen by "
		 "that partner alone, and have a purpose and a day until which they are kept.", .example = "\"census\"" },
	{ .name = "as_at", .type = T_DATE, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .doc = "Day that the count is of.", .example = "\"2021-03-21\"" },
	{ .name = "purpose", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = LINE_MAX_CHARS, .names = NAMES_NOBODY, .doc = "What a partner's own count was collected for.",
	  .example = "\"Planning of visits to tenants\"" },
	{ .name = "retain_until", .type = T_DATE, .flags = F_NULLABLE | F_FILTER,
	  .doc = "Last day on which the count is kept: it is deleted then, with all of its versions. Null: without an end." },
	{ .name = "estimated", .type = T_BOOL, .flags = F_FILTER, .initial = "false", .doc = "Whether it was estimated rather than counted." },
};

static const struct clause clauses[] = {
	{ .name = "boundary_set_id", .type = T_UUID, .sql = "t.locality_id IN (SELECT l.id FROM api.locality l WHERE l.boundary_set_id = @)",
	  .doc = "Only values of the localities of this boundary set.", .example = "01976f3a-1111-7000-8000-000000000001" },
	{ 0 },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "dimension", .type = "text" },
	{ .name = "as_at", .type = "date" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource profile_value_resource = {
	.name = "profile-values",
	.thing = "profile_value",
	.doc = "A profile value is a count of people or households of a locality by one characteristic, with its source and its day. "
	       "Values are "
	       "never summed over overlapping boundary sets or over communities.",
	.flags = R_OWNED | R_UNIQUE,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.clauses = clauses,
	.check_sql = profile_value_check_sql,
	.operations = profile_value_operations,
	.example = "{\"locality_id\":\"01976f3a-3333-7000-8000-000000000001\",\"dimension\":\"ethnicity\",\"category\":\"Asian, Asian "
		   "British or Asian "
		   "Welsh\",\"count\":120,\"base\":1500,\"source_kind\":\"census\",\"as_at\":\"2021-03-21\",\"visibility\":\"public\"}",
};
