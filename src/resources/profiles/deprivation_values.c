/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Deprivation values: what a published index says of a place. */
#include "wardmote/resources.h"

#include "../vocabulary.h"
#include "operations.h"

extern const char deprivation_value_check_sql[];

enum { INDEX_MAX_CHARS = 60, YEAR_MIN = 1990, YEAR_MAX = 2100, SCORE_MOST = 1000000, AREAS_MOST = 10000000 };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality", .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality that the index describes.", .example = "\"01976f3a-3333-7000-8000-000000000001\"" },
	{ .name = "index_name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .min = 1, .max = INDEX_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Short name of the index.", .example = "\"imd\"" },
	{ .name = "year", .type = T_INT, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .min = YEAR_MIN, .max = YEAR_MAX, .doc = "Year of the edition of the index.",
	  .example = "2019" },
	{ .name = "domain", .type = T_TEXT, .flags = F_FILTER | F_SUMMARY, .min = 1, .max = INDEX_MAX_CHARS, .initial = "\"overall\"",
	  .names = NAMES_NOBODY, .doc = "Part of the index that this is; overall: the index itself.", .example = "\"overall\"" },
	{ .name = "score", .type = T_DECIMAL, .scale = 4, .flags = F_NULLABLE | F_SUMMARY, .min = -SCORE_MOST, .max = SCORE_MOST,
	  .doc = "Score that the index gives, as published; a value has a score, a rank or a decile.", .example = "31.25" },
	{ .name = "rank", .type = T_INT, .flags = F_NULLABLE | F_FILTER | F_SUMMARY, .min = 1, .max = AREAS_MOST,
	  .doc = "Rank among all areas of the index; 1 is the most deprived.", .example = "4021" },
	{ .name = "decile", .type = T_INT, .flags = F_NULLABLE | F_FILTER | F_SUMMARY, .min = 1, .max = 10,
	  .doc = "Tenth of all areas in which the locality is; 1 is the most deprived.", .example = "2" },
	{ .name = "areas", .type = T_INT, .flags = F_NULLABLE, .min = 1, .max = AREAS_MOST, .doc = "How many areas the index ranks.", .example = "32844" },
};

static const struct clause clauses[] = {
	{ .name = "boundary_set_id", .type = T_UUID, .sql = "t.locality_id IN (SELECT l.id FROM api.locality l WHERE l.boundary_set_id = @)",
	  .doc = "Only values of the localities of this boundary set.", .example = "01976f3a-1111-7000-8000-000000000001" },
	{ 0 },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "year", .type = "integer" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource deprivation_value_resource = {
	.name = "deprivation-values",
	.thing = "deprivation_value",
	.doc = "A deprivation value is what an edition of a published index says of a locality: its score, rank or decile in a domain. "
	       "Scores are no "
	       "counts: they are not added up, averaged or converted.",
	.flags = R_OWNED | R_UNIQUE,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "public",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.clauses = clauses,
	.check_sql = deprivation_value_check_sql,
	.operations = deprivation_value_operations,
	.example =
	    "{\"locality_id\":\"01976f3a-3333-7000-8000-000000000001\",\"index_name\":\"imd\",\"year\":2019,\"score\":31.25,\"rank\":4021,"
	    "\"decile\":2,\"areas\":32844,\"visibility\":\"public\"}",
};
