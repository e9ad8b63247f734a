/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Partners: the organisations of the network. Everyone sees them; administrators run them. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char partner_check_sql[];
extern const char partner_delete_sql[];

static const char *const kinds[] = {
	"council",   "parish_council",      "housing_association", "social_landlord", "police",    "fire",    "health", "education",
	"voluntary", "infrastructure_body", "business_body",       "contractor",      "regulator", "private", "other",  NULL
};
static const char *const statuses[] = { "active", "suspended", "left", NULL };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Name of the organisation.", .example = "\"Example City Council\"" },
	{ .name = "kind", .type = T_ENUM, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .values = kinds, .doc = "What kind of body it is.",
	  .example = "\"council\"" },
	{ .name = "code", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER | F_SEARCH, .min = 1, .max = 40,
	  .names = NAMES_NOBODY, .doc = "Short code, unique in the network.", .example = "\"example-city-council\"" },
	{ .name = "short_name", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = 60, .names = NAMES_NOBODY, .doc = "Name for narrow places.",
	  .example = "\"Example City\"" },
	{ .name = "parent_id", .type = T_REF, .refers = "partners", .include_name = "parent", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Partner that this one is a part of; parents form a tree." },
	{ .name = "status", .type = T_ENUM, .flags = F_FILTER, .values = statuses, .initial = "\"active\"",
	  .doc = "Whether it takes part; the accounts of a partner that is not active cannot act.", .example = "\"active\"" },
	{ .name = "website", .type = T_URL, .flags = F_NULLABLE, .names = NAMES_NOBODY, .doc = "Its home page.", .example = "\"https://example.org\"" },
	{ .name = "joined_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day on which it joined the network." },
	{ .name = "left_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day on which it left." },
	{ .name = "source", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = 2000, .names = NAMES_NOBODY, .doc = "Where the record comes from.",
	  .example = "\"Register of local authorities\"" },
	{ .name = "host", .type = T_BOOL, .flags = F_READONLY, .doc = "Whether it runs this installation; exactly one does." },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "created_at", .type = "timestamptz" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const char *const ordered[] = { "joined_on", "left_on", NULL };

const struct resource partner_resource = {
	.name = "partners",
	.thing = "partner",
	.doc = "A partner is an organisation of the network: it owns records, and its people and programs have accounts. One of them "
	       "is the host, whose administrators run the installation.",
	.flags = R_UNIQUE,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_ADMINISTRATOR,
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = partner_check_sql,
	.delete_sql = partner_delete_sql,
	.ordered = ordered,
	.example = "{\"name\":\"Example Housing\",\"kind\":\"housing_association\",\"website\":\"https://example.org\"}",
};
