/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Mapping exercises: when partners and residents of a locality set down together what is there. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char mapping_exercise_check_sql[];

static const char *const statuses[] = { "planned", "held", NULL };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "What the exercise is called.", .example = "\"Map of the estate\"" },
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality", .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality that is mapped.", .example = "\"01976f3a-3333-7000-8000-000000000001\"" },
	{ .name = "status", .type = T_ENUM, .flags = F_FILTER | F_SUMMARY, .values = statuses, .initial = "\"planned\"",
	  .doc = "Whether it is to come or took place.", .example = "\"planned\"" },
	{ .name = "held_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER | F_SUMMARY,
	  .doc = "Day on which it takes or took place; one that was held has it." },
	{ .name = "held_on_precision", .type = T_ENUM, .values = date_precisions, .initial = "\"day\"", .doc = "How exactly held_on is known.",
	  .example = "\"day\"" },
	{ .name = "partner_ids", .type = T_REFS, .refers = "partners", .include_name = "partners", .flags = F_FILTER | F_INCLUDE,
	  .max = 50, .initial = "[]", .doc = "Partners that take part." },
	{ .name = "roles", .type = T_CODES, .code_list = "mapping_role", .flags = F_FILTER, .max = 20, .initial = "[]",
	  .doc = "Codes of the list mapping_role: in which roles people take part.", .example = "[\"residents\"]" },
	{ .name = "method", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "How the map is made.",
	  .example = "\"A walk, then a large map on a table\"" },
	{ .name = "notes", .type = T_TEXT, .flags = F_NULLABLE, .audience = A_OWNER, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Working notes of the partner that owns it.", .example = "\"Bring the large prints\"" },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "title", .type = "text" },
	{ .name = "held_on", .column = "held_on_sort", .type = "date" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource mapping_exercise_resource = {
	.name = "mapping-exercises",
	.thing = "mapping_exercise",
	.doc =
	    "A mapping exercise is an occasion on which partners and people of a locality set down what is there: key players, facilities "
	    "and activities, strengths, gaps and aspirations. What it finds are map items.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = mapping_exercise_check_sql,
	.example = "{\"title\":\"Map of the estate\",\"locality_id\":\"01976f3a-3333-7000-8000-000000000001\",\"status\":\"held\","
		   "\"held_on\":\"2026-03-07\",\"visibility\":\"public\"}",
};
