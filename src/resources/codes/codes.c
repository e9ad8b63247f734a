/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Codes: the words of the lists topic, audience, method, community and mapping_role. A code without a partner is shared by the network. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char code_check_sql[];
extern const char code_gate_sql[];
extern const char code_delete_sql[];

static const char *const lists[] = { "topic", "audience", "method", "community", "mapping_role", NULL };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "list", .type = T_ENUM, .flags = F_REQUIRED | F_CREATE_ONLY | F_FILTER | F_SUMMARY, .values = lists,
	  .doc = "The list that the code belongs to.", .example = "\"topic\"" },
	{ .name = "code", .type = T_TEXT, .flags = F_REQUIRED | F_CREATE_ONLY | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "What records hold: unique in its list among the partner's own codes and the shared ones.", .example = "\"transport\"" },
	{ .name = "label", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "The code in words.", .example = "\"Transport and streets\"" },
	{ .name = "description", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_NOBODY, .doc = "When to use it.",
	  .example = "\"Roads, paths, buses and crossings\"" },
	{ .name = "maps_to", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Shared code of the same list that a partner's own code counts as; a shared code has none.", .example = "\"transport\"" },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "code", .type = "text" },
	{ .name = "label", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource code_resource = {
	.name = "codes",
	.thing = "code",
	.doc = "A code is a word of a list: topics, audiences and methods of consultations, what communities count as, roles in mapping. "
	       "Partners keep their own words and map them"
	       " to the codes that the network shares (partner_id null, run by administrators), so that figures still add up.",
	.flags = R_OWNED | R_SHAREABLE | R_UNIQUE,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "public",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = code_check_sql,
	.gate_sql = code_gate_sql,
	.delete_sql = code_delete_sql,
	.example = "{\"list\":\"topic\",\"code\":\"transport\",\"label\":\"Transport and streets\"}",
};
