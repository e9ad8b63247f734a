/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Imports of counts and of indices of deprivation; src/resources/places/imports.c has the rest of them. */
#include "wardmote/resources.h"

#include "operations.h"

extern const char import_answer[], import_profile_values_sql[], import_deprivation_values_sql[];

static const char *const visibilities[] = { "private", "shared", "public", NULL };
static const int data_faults[] = { 422, 0 };

#define ACCEPT_REST                                                                                                                        \
	{                                                                                                                                  \
		.name = "accept_rest", .type = T_BOOL,                                                                                     \
		.doc = "Store the other lines when some are rejected; by default none is stored then.",                                    \
	}

/* clang-format off */
static const struct parameter profile_parameters[] = {
	{ .name = "boundary_set_id", .type = T_UUID, .required = true, .doc = "Boundary set whose codes stand in locality_code." },
	{ .name = "source_kind", .type = T_ENUM, .values = profile_source_kinds, .required = true, .doc = "Where the counts come from, as in the field of that name." },
	{ .name = "as_at", .type = T_DATE, .required = true, .doc = "Day that the counts are of." },
	{ .name = "purpose", .type = T_TEXT, .min = 1, .max = 500, .doc = "What a partner's own counts were collected for; required for those." },
	{ .name = "retain_until", .type = T_DATE, .doc = "Last day on which they are kept; required for a partner's own." },
	{ .name = "visibility", .type = T_ENUM, .values = visibilities, .doc = "Who sees the values that are new; private by default, and always for a partner's own." },
	{ .name = "source", .type = T_TEXT, .min = 1, .max = 2000, .doc = "The table that they are from, and its licence." },
	ACCEPT_REST,
	{ 0 },
};

static const struct parameter deprivation_parameters[] = {
	{ .name = "boundary_set_id", .type = T_UUID, .required = true, .doc = "Boundary set whose codes stand in locality_code." },
	{ .name = "index_name", .type = T_TEXT, .min = 1, .max = 60, .required = true, .doc = "Short name of the index, such as imd." },
	{ .name = "year", .type = T_INT, .min = 1990, .max = 2100, .required = true, .doc = "Year of its edition." },
	{ .name = "areas", .type = T_INT, .min = 1, .max = 10000000, .doc = "How many areas it ranks." },
	{ .name = "visibility", .type = T_ENUM, .values = visibilities, .doc = "Who sees the values that are new; public by default." },
	{ .name = "source", .type = T_TEXT, .min = 1, .max = 2000, .doc = "The table that they are from, and its licence." },
	ACCEPT_REST,
	{ 0 },
};

const struct operation profile_value_operations[] = {
	{ .id = "import_profile_values",
	  .method = "POST",
	  .path = "/v1/profile-values/imports",
	  .verb = V_SQL,
	  .resource = &profile_value_resource,
	  .least = CALLER_OFFICER,
	  .scope = "profile-values:write",
	  .lane = LANE_WRITE,
	  .flags = OP_SPOOL,
	  .body_kind = BODY_CSV,
	  .body_example = "locality_code,dimension,category,count,base\r\nEX000001,tenure,Owned,310,620\r\nEX000001,tenure,Rented,310,620\r\n",
	  .answer = import_answer,
	  .parameters = profile_parameters,
	  .sql = import_profile_values_sql,
	  .statuses = data_faults,
	  .summary = "Import a table of counts",
	  .doc = "Takes a table with a first line of names: locality_code, dimension, category, count, and base if it is known. Each line becomes a value of your "
		 "partner; one that is there, with the same locality, dimension, category, source_kind and as_at, gets the new count. The answer is the import: "
		 "200 when it ended within the seconds of `Prefer: wait`, else 202." },
	{ 0 },
};

const struct operation deprivation_value_operations[] = {
	{ .id = "import_deprivation_values",
	  .method = "POST",
	  .path = "/v1/deprivation-values/imports",
	  .verb = V_SQL,
	  .resource = &deprivation_value_resource,
	  .least = CALLER_OFFICER,
	  .scope = "deprivation-values:write",
	  .lane = LANE_WRITE,
	  .flags = OP_SPOOL,
	  .body_kind = BODY_CSV,
	  .body_example = "locality_code,domain,score,rank,decile\r\nEX000001,overall,31.25,4021,2\r\nEX000001,income,0.21,3980,2\r\n",
	  .answer = import_answer,
	  .parameters = deprivation_parameters,
	  .sql = import_deprivation_values_sql,
	  .statuses = data_faults,
	  .summary = "Import an index of deprivation",
	  .doc = "Takes a table with a first line of names: locality_code, and of domain (overall where there is none), score, rank and decile those that it has. Each "
		 "line becomes a value of your partner; one that is there, with the same locality, index, year and domain, gets the new figures. The answer is "
		 "the import: 200 when it ended within the seconds of `Prefer: wait`, else 202." },
	{ 0 },
};
/* clang-format on */
