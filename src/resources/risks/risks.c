/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Risks: what could go wrong, scored on the scale of their register. The score is computed by the database and never taken from a client. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char risk_check_sql[];

static const char *const statuses[] = { "open", "closed", "occurred", NULL };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "risk_register_id", .type = T_REF, .refers = "risk-registers", .include_name = "risk_register",
	  .flags = F_REQUIRED | F_CREATE_ONLY | F_FILTER | F_SELECTIVE | F_OWNED_REF | F_INCLUDE, .doc = "Register that the risk is in.",
	  .example = "\"01976f3a-4444-7000-8000-000000000001\"" },
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = LINE_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "What could go wrong.", .example = "\"Difficulties in recruiting and retaining staff\"" },
	{ .name = "code", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Short name of the risk, unique in its register.", .example = "\"NR-01\"" },
	{ .name = "objective", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Objective that it puts at risk.", .example = "\"The strategy is carried out\"" },
	{ .name = "consequences", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "What happens then.", .example = "\"The programme will be patchy\"" },
	{ .name = "mitigation", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "What is done against it; may be missing.", .example = "\"A robust recruitment process\"" },
	{ .name = "likelihood", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .min = 0, .max = 1000,
	  .doc = "How likely it is: a value of the register's scale. With impact, or not at all.", .example = "3" },
	{ .name = "impact", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .min = 0, .max = 1000,
	  .doc = "How bad it would be: a value of the register's scale. With likelihood, or not at all.", .example = "3" },
	{ .name = "score", .type = T_INT, .flags = F_NULLABLE | F_READONLY | F_FILTER, .min = 0, .max = 1000000,
	  .doc = "likelihood x impact; null while the risk is not assessed.", .example = "9" },
	{ .name = "status", .type = T_ENUM, .flags = F_FILTER | F_SUMMARY, .values = statuses, .initial = "\"open\"",
	  .doc = "Whether it can still happen, cannot any more, or did.", .example = "\"open\"" },
	{ .name = "note", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What is uncertain about the record.",
	  .example = "\"The cell breaks over a page in the source\"" },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "score", .column = "score_sort", .type = "integer" },
	{ .name = "code", .column = "code_sort", .type = "text" },
	{ .name = "title", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource risk_resource = {
	.name = "risks",
	.thing = "risk",
	.doc =
	    "A risk is something that could keep an undertaking from its objective. It may be recorded before it is assessed or mitigated.",
	.flags = R_OWNED | R_UNIQUE,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = risk_check_sql,
	.example =
	    "{\"risk_register_id\":\"01976f3a-4444-7000-8000-000000000001\",\"title\":\"Difficulties in recruiting and retaining staff\","
	    "\"likelihood\":3,\"impact\":3}",
};
