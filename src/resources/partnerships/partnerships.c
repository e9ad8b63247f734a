/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Partnerships: bodies that partners form together. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char partnership_check_sql[];

static const char *const kinds[] = { "cpp", "lsp", "city_partnership", "other", NULL };
static const char *const roles[] = { "lead", "member", "observer", NULL };
static const char *const tiers[] = { "strategic", "area", "local", NULL };

/* clang-format off */
static const struct field members[] = {
	{ .name = "partner_id", .type = T_REF, .refers = "partners", .flags = F_REQUIRED, .doc = "The member.",
	  .example = "\"01976f3a-2222-7000-8000-000000000001\"" },
	{ .name = "role", .type = T_ENUM, .flags = F_NULLABLE, .values = roles, .doc = "Its part; null where it is not known.",
	  .example = "\"member\"" },
	{ .name = "tier", .type = T_ENUM, .flags = F_NULLABLE, .values = tiers, .doc = "Level of the partnership at which it sits.",
	  .example = "\"strategic\"" },
	{ .name = "from", .type = T_DATE, .flags = F_NULLABLE, .doc = "First day of its membership." },
	{ .name = "to", .type = T_DATE, .flags = F_NULLABLE, .doc = "Last day; null while it is a member." },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Name of the partnership.", .example = "\"Example City Partnership\"" },
	{ .name = "kind", .type = T_ENUM, .flags = F_FILTER, .values = kinds, .initial = "\"other\"",
	  .doc = "Community planning partnership (cpp), local strategic partnership (lsp), city partnership, or another.",
	  .example = "\"city_partnership\"" },
	{ .name = "description", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What it is for.",
	  .example = "\"Brings the public bodies of the city together\"" },
	{ .name = "members", .type = T_OBJECTS, .members = members, .refers = "partners", .include_name = "member_partners", .flags = F_INCLUDE,
	  .max = 200, .initial = "[]", .doc = "Its members, each as often as it joined.",
	  .example = "[{\"partner_id\":\"01976f3a-2222-7000-8000-000000000001\",\"role\":\"lead\",\"tier\":null,\"from\":null,\"to\":null}]" },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource partnership_resource = {
	.name = "partnerships",
	.thing = "partnership",
	.doc = "A partnership is a body that partners form together. A partner may be in several.",
	.flags = R_OWNED | R_ADMIN,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_ADMINISTRATOR,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = partnership_check_sql,
	.example = "{\"name\":\"Example City Partnership\",\"kind\":\"city_partnership\",\"visibility\":\"public\"}",
};
