/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Communities: people who share a place, an identity or an interest. They overlap, so nothing is ever summed over them. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char community_check_sql[];

static const char *const kinds[] = { "place", "identity", "interest", NULL };
static const char *const place_bases[] = { "live", "work", "social", NULL };
static const char *const support_needs[] = { "low", "medium", "high", NULL };
static const char *const barrier_kinds[] = { "accessibility", "transport",  "language", "digital", "time",
					     "childcare",     "confidence", "trust",    "other",   NULL };
static const char *const barrier_states[] = { "open", "mitigated", NULL };

/* clang-format off */
static const struct field barriers[] = {
	{ .name = "kind", .type = T_ENUM, .flags = F_REQUIRED, .values = barrier_kinds, .doc = "What keeps its members from taking part.",
	  .example = "\"language\"" },
	{ .name = "text", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "The barrier in words.",
	  .example = "\"Letters come in English only\"" },
	{ .name = "mitigation", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What helps against it.",
	  .example = "\"An interpreter at each meeting\"" },
	{ .name = "status", .type = T_ENUM, .values = barrier_states, .initial = "\"open\"",
	  .doc = "Whether the barrier still stands or the mitigation is in place.", .example = "\"open\"" },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Name of the community.", .example = "\"Allotment holders\"" },
	{ .name = "kind", .type = T_ENUM, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .values = kinds,
	  .doc = "What its members share; a community of place names its locality.", .example = "\"interest\"" },
	{ .name = "code", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Short name that the owner uses for it.", .example = "\"allotments\"" },
	{ .name = "codes", .type = T_CODES, .code_list = "community", .flags = F_FILTER, .max = 20, .initial = "[]",
	  .doc = "Codes of the list community: what the community counts as. An owner's own codes map to shared ones by their maps_to.",
	  .example = "[\"allotment-holders\"]" },
	{ .name = "basis", .type = T_TEXTS, .max = 7, .initial = "[]",
	  .names = NAMES_NOBODY, .doc = "What its members have in common, each once: interests, circumstances, backgrounds, disadvantage, need, aspiration, concern.",
	  .example = "[\"interests\"]" },
	{ .name = "description", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Who belongs to it, in plain text.", .example = "\"People who rent or wait for an allotment\"" },
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality of the community; required for a community of place." },
	{ .name = "place_basis", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .values = place_bases,
	  .doc = "How its members belong to the place; only for a community of place.", .example = "\"live\"" },
	{ .name = "seldom_heard", .type = T_BOOL, .flags = F_FILTER, .initial = "false",
	  .doc = "Whether the community is seldom heard and needs reaching out to." },
	{ .name = "local_term", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "The owner's own word for such communities.", .example = "\"hard to reach\"" },
	{ .name = "support_need", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .audience = A_PARTNER, .values = support_needs,
	  .doc = "How much support the community needs to take part.", .example = "\"medium\"" },
	{ .name = "profile_dimension", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER, .min = 1, .max = 100,
	  .names = NAMES_NOBODY, .doc = "Dimension of profile values that has figures for the community.", .example = "\"ethnicity\"" },
	{ .name = "profile_category", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Category of that dimension; only with a profile_dimension.", .example = "\"Gypsy or Irish Traveller\"" },
	{ .name = "barriers", .type = T_OBJECTS, .members = barriers, .flags = F_SUMMARY, .max = 20, .initial = "[]",
	  .doc = "What keeps its members from taking part, and what is done about it.",
	  .example = "[{\"kind\":\"language\",\"text\":\"Letters come in English only\",\"mitigation\":\"An interpreter at each meeting\","
		     "\"status\":\"open\"}]" },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource community_resource = {
	.name = "communities",
	.thing = "community",
	.doc = "A community is a set of people who share a place, an identity or an interest. Communities overlap: figures are never "
	       "summed over them. No person is recorded here.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = community_check_sql,
	.example = "{\"name\":\"Allotment holders\",\"kind\":\"interest\",\"visibility\":\"public\"}",
};
