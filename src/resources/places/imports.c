/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Imports: files that become many records at once. The server reads them in src/server/imports.c; what becomes of the rows is in migrations/0022_imports.sql. */
#include "wardmote/resources.h"

#include "../vocabulary.h"
#include "operations.h"

extern const char import_boundaries_sql[], import_lineage_sql[], import_rejected_sql[], import_rejected_answer[];

static const char *const kinds[] = { "boundaries", "lineage", "postcodes", "profile_values", "deprivation_values", NULL };
static const char *const states[] = { "queued", "running", "done", "rejected", "failed", NULL };
static const char *const reference_systems[] = { "EPSG:4326", "EPSG:27700", NULL };
static const char *const treatments[] = { "repair", "reject", NULL };
static const char *const layouts[] = { "code-point-open", "onspd", NULL };
static const char *const collisions[] = { "reject", "update", NULL };

const char import_answer[] = "{\"$ref\":\"#/components/schemas/Import\"}";

enum { FEATURES_MOST = 1 << 24 };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "kind", .type = T_ENUM, .values = kinds, .flags = F_READONLY | F_FILTER, .doc = "What the file holds." },
	{ .name = "boundary_set_id", .type = T_REF, .refers = "boundary-sets", .include_name = "boundary_set",
	  .flags = F_READONLY | F_NULLABLE | F_FILTER | F_INCLUDE, .doc = "Boundary set that it is for; null where it is for none.",
	  .example = "\"01976f3a-1111-7000-8000-000000000001\"" },
	{ .name = "state", .type = T_ENUM, .values = states, .flags = F_READONLY | F_FILTER,
	  .doc = "queued and running: under way; done: stored; rejected: nothing was stored because of what the file holds; failed: nothing was stored "
		 "for another reason." },
	{ .name = "reason", .type = T_TEXT, .min = 1, .max = LINE_MAX_CHARS, .flags = F_READONLY | F_NULLABLE, .names = NAMES_NOBODY, .doc = "Why nothing was stored, for people.",
	  .example = "\"The document ends too early. (byte 4711, after feature 12)\"" },
	{ .name = "bytes", .type = T_INT, .max = (int64_t)1 << 40, .flags = F_READONLY, .doc = "Length of the file.", .example = "48213" },
	{ .name = "features", .type = T_INT, .max = FEATURES_MOST, .flags = F_READONLY, .doc = "Features or rows in the file; 0 until it has ended.", .example = "13" },
	{ .name = "created_count", .type = T_INT, .max = FEATURES_MOST, .flags = F_READONLY, .doc = "Records that were made.", .example = "12" },
	{ .name = "updated_count", .type = T_INT, .max = FEATURES_MOST, .flags = F_READONLY, .doc = "Records that were changed.", .example = "0" },
	{ .name = "unchanged_count", .type = T_INT, .max = FEATURES_MOST, .flags = F_READONLY, .doc = "Records that were as the file has them.", .example = "1" },
	{ .name = "repaired_count", .type = T_INT, .max = FEATURES_MOST, .flags = F_READONLY, .doc = "Geometries that were not valid and were repaired.", .example = "0" },
	{ .name = "rejected_count", .type = T_INT, .max = FEATURES_MOST, .flags = F_READONLY, .doc = "Features or rows that could not be taken; the first 10,000 are listed.",
	  .example = "0" },
	{ .name = "overlapping_count", .type = T_INT, .max = FEATURES_MOST, .flags = F_READONLY | F_NULLABLE,
	  .doc = "Of an import of boundaries that was stored: pairs of localities of the set, one of them in the file and both in force on some day, that share a hundredth of "
		 "the area of either; null where it took longer than 20 seconds to tell, and for other imports.", .example = "0" },
	{ .name = "started_at", .type = T_TIMESTAMP, .flags = F_READONLY | F_NULLABLE, .doc = "When its turn came.", .example = "\"2026-05-12T09:30:00.000000Z\"" },
	{ .name = "ended_at", .type = T_TIMESTAMP, .flags = F_READONLY | F_NULLABLE, .doc = "When it was over.", .example = "\"2026-05-12T09:30:00.000000Z\"" },
};

static const struct sort sorts[] = {
	{ .name = "created_at", .type = "timestamptz" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const struct parameter boundaries_parameters[] = {
	{ .name = "code_property", .type = T_TEXT, .required = true, .min = 1, .max = 100, .doc = "Property of the features that holds the code of the locality." },
	{ .name = "name_property", .type = T_TEXT, .required = true, .min = 1, .max = 100, .doc = "Property that holds its name." },
	{ .name = "parent_property", .type = T_TEXT, .min = 1, .max = 100, .doc = "Property that holds the code of its parent." },
	{ .name = "parent_boundary_set_id", .type = T_UUID, .doc = "Boundary set of the parents; it is another one." },
	{ .name = "population_property", .type = T_TEXT, .min = 1, .max = 100, .doc = "Property that holds its population." },
	{ .name = "population_as_at", .type = T_DATE, .doc = "Day that the population was counted or estimated for." },
	{ .name = "crs", .type = T_ENUM, .values = reference_systems,
	  .doc = "Reference system of the coordinates: EPSG:4326, longitude first (the default), or EPSG:27700, easting first." },
	{ .name = "invalid", .type = T_ENUM, .values = treatments, .doc = "What to do with a geometry that is not valid: repair it (the default) or reject the feature. One of more than 20,000 positions is always rejected." },
	{ .name = "existing", .type = T_ENUM, .values = collisions,
	  .doc = "What to do where the set has a locality with the code that differs: reject the feature (the default) or update the locality." },
	{ .name = "accept_rest", .type = T_BOOL, .doc = "Store the other features when some are rejected; by default none is stored then." },
	{ .name = "valid_from", .type = T_DATE, .doc = "First day on which the new localities exist." },
	{ .name = "source", .type = T_TEXT, .min = 1, .max = 2000, .doc = "Where the new localities come from; by default the source of the boundary set." },
	{ 0 },
};
/* clang-format on */

/* clang-format off */
static const struct parameter lineage_parameters[] = {
	{ .name = "to_boundary_set_id", .type = T_UUID, .required = true, .doc = "Boundary set of the localities that came after." },
	{ .name = "accept_rest", .type = T_BOOL, .doc = "Store the other lines when some are rejected; by default none is stored then." },
	{ 0 },
};

const struct parameter postcodes_parameters[] = {
	{ .name = "layout", .type = T_ENUM, .values = layouts, .required = true,
	  .doc = "code-point-open: no first line of names; postcode, quality, easting, northing, and what follows is passed over. onspd: columns pcds (or pcd), lat and long." },
	{ .name = "as_at", .type = T_DATE, .doc = "Day of the publisher's table." },
	{ .name = "source", .type = T_TEXT, .min = 1, .max = 2000, .required = true, .doc = "The table and its licence." },
	{ .name = "accept_rest", .type = T_BOOL, .doc = "Store the other lines when some are rejected; by default none is stored then." },
	{ 0 },
};
/* clang-format on */

static const int data_faults[] = { 422, 0 };

/* clang-format off */
const struct operation import_operations[] = {
	{ .id = "import_boundaries",
	  .method = "POST",
	  .path = "/v1/boundary-sets/{id}/imports",
	  .verb = V_SQL,
	  .resource = &boundary_set_resource,
	  .least = CALLER_ADMINISTRATOR,
	  .scope = "boundary-sets:write",
	  .lane = LANE_WRITE,
	  .flags = OP_ITEM | OP_SPOOL,
	  .body_kind = BODY_GEOJSON,
	  .body_example = "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"properties\":{\"code\":\"EX000001\",\"name\":\"Example Ward\"},"
			  "\"geometry\":{\"type\":\"Polygon\",\"coordinates\":[[[1.29,52.62],[1.3,52.62],[1.3,52.63],[1.29,52.62]]]}}]}",
	  .answer = import_answer,
	  .parameters = boundaries_parameters,
	  .sql = import_boundaries_sql,
	  .statuses = data_faults,
	  .summary = "Import the localities of a boundary set",
	  .doc = "Takes a GeoJSON feature collection of any number of features, each with a Polygon or MultiPolygon and its code and name in properties "
		 "that the parameters name. All features become localities, or none (see accept_rest); a locality that is there and does not differ is left as "
		 "it is. The answer is the import: 200 when it ended within the seconds of `Prefer: wait`, else 202. A feature has at most 16 MiB and 250,000 "
		 "positions, its properties 1 MiB." },
	{ .id = "import_lineage",
	  .method = "POST",
	  .path = "/v1/boundary-sets/{id}/lineage-imports",
	  .verb = V_SQL,
	  .resource = &boundary_set_resource,
	  .least = CALLER_ADMINISTRATOR,
	  .scope = "boundary-sets:write",
	  .lane = LANE_WRITE,
	  .flags = OP_ITEM | OP_SPOOL,
	  .body_kind = BODY_CSV,
	  .body_example = "from_code,to_code,change_kind,changed_on\r\nEX000001,EX000002,split,2024-05-02\r\nEX000001,EX000003,split,2024-05-02\r\n",
	  .answer = import_answer,
	  .parameters = lineage_parameters,
	  .sql = import_lineage_sql,
	  .statuses = data_faults,
	  .summary = "Import what became of the localities of a boundary set",
	  .doc = "Takes a table with a first line of names: from_code is a locality of this set, to_code one of the set that came after, and change_kind and "
		 "changed_on may follow. Each to_code becomes a successor, beside those that are there. The answer is the import: 200 when it ended within the "
		 "seconds of `Prefer: wait`, else 202." },
	{ 0 },
};
/* clang-format on */

/* clang-format off */
static const struct operation own_operations[] = {
	{ .id = "list_import_rejected",
	  .method = "GET",
	  .path = "/v1/imports/{id}/rejected",
	  .verb = V_SQL,
	  .resource = &import_resource,
	  .least = CALLER_VIEWER,
	  .scope = "imports:read",
	  .lane = LANE_READ,
	  .flags = OP_ITEM | OP_PAGED,
	  .sql = import_rejected_sql,
	  .answer = import_rejected_answer,
	  .summary = "List what an import rejected",
	  .doc = "Each feature or line that could not be taken, with the reason, in the order of the file; the first 10,000, for 30 days. What was stored with a "
		 "repaired geometry is there too, with the reason `repaired`, and what overlaps others of its set with the reason `overlap`." },
	{ 0 },
};
/* clang-format on */

const struct resource import_resource = {
	.name = "imports",
	.thing = "import",
	.doc =
	    "An import is a file that was sent to become many records, and what came of it. Accounts of the partner that sent it see it.",
	.flags = R_OWNED | R_READ_ONLY,
	.read = CALLER_VIEWER,
	.write = CALLER_ADMINISTRATOR,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.operations = own_operations,
	.example = "{}",
};
