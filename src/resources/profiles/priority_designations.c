/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Priority designations: neighbourhoods and communities that a partner puts first, why, and from when to when. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char priority_designation_check_sql[];

enum { INDEX_MAX_CHARS = 60, RANK_MAX = 1000000, SCORE_MAX = 1000000 };

static const char *const statuses[] = { "priority", "targeted", NULL };
static const char *const reasons[] = { "deprivation_index", "profile",        "remoteness", "service_exclusion",
				       "rural_isolation",   "poor_transport", "other",      NULL };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Neighbourhood that is designated; either this or community_id.",
	  .example = "\"01976f3a-1111-7000-8000-000000000002\"" },
	{ .name = "community_id", .type = T_REF, .refers = "communities", .include_name = "community",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Community that is designated; either this or locality_id." },
	{ .name = "status", .type = T_ENUM, .flags = F_FILTER | F_SUMMARY, .values = statuses, .initial = "\"priority\"",
	  .doc = "priority: it counts toward the share of work in priority neighbourhoods. targeted: work is aimed at it, and it does not count.",
	  .example = "\"priority\"" },
	{ .name = "reason", .type = T_ENUM, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .values = reasons,
	  .doc = "Why it is designated. deprivation_index takes index_name, evidence_date, and rank or score; other takes reason_text.",
	  .example = "\"deprivation_index\"" },
	{ .name = "reason_text", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "The reason in words.",
	  .example = "\"In the most deprived tenth of England\"" },
	{ .name = "index_name", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER, .min = 1, .max = INDEX_MAX_CHARS, .names = NAMES_NOBODY, .doc = "Index that is the evidence.",
	  .example = "\"imd\"" },
	{ .name = "rank", .type = T_INT, .flags = F_NULLABLE, .min = 1, .max = RANK_MAX, .doc = "Rank in that index; 1 is the most deprived.", .example = "1204" },
	{ .name = "score", .type = T_DECIMAL, .scale = 4, .flags = F_NULLABLE, .min = -SCORE_MAX, .max = SCORE_MAX, .doc = "Score in that index.",
	  .example = "51.27" },
	{ .name = "decile", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .min = 1, .max = 10, .doc = "Tenth of that index; 1 is the most deprived.",
	  .example = "1" },
	{ .name = "evidence_date", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day of the evidence.", .example = "\"2025-10-30\"" },
	{ .name = "set_by", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Board or post that decided it, never a person's name.", .example = "\"Neighbourhoods board\"" },
	{ .name = "valid_from", .type = T_DATE, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .doc = "First day of the designation." },
	{ .name = "valid_to", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Last day of it; null while it is current." },
};

static const struct clause clauses[] = {
	{ .name = "in_force_on", .type = T_DATE, .sql = "t.valid_from <= @ AND coalesce(t.valid_to, 'infinity') >= @",
	  .doc = "Only designations that are in force on this day.", .example = "2026-01-01" },
	{ 0 },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "valid_from", .type = "date" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const char *const ordered[] = { "valid_from", "valid_to", NULL };

const struct resource priority_designation_resource = {
	.name = "priority-designations",
	.thing = "priority_designation",
	.doc =
	    "A priority designation says that a partner puts a neighbourhood or a community first, for what reason and on what evidence, "
	    "and from when to when. The past is kept: a designation ends, and the next one begins.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.clauses = clauses,
	.check_sql = priority_designation_check_sql,
	.ordered = ordered,
	.example = "{\"locality_id\":\"01976f3a-1111-7000-8000-000000000002\",\"reason\":\"deprivation_index\",\"index_name\":\"imd\","
		   "\"rank\":1204,\"decile\":1,\"evidence_date\":\"2025-10-30\",\"valid_from\":\"2026-01-01\"}",
};
