/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Risk registers: lists of risks on one scale. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char risk_register_gate_sql[];

static const char *const levels[] = { "corporate", "service", "project", "partnership", NULL };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "What the register is about.", .example = "\"Community engagement strategy\"" },
	{ .name = "risk_scale_id", .type = T_REF, .refers = "risk-scales", .include_name = "risk_scale",
	  .flags = F_REQUIRED | F_FILTER | F_SUMMARY | F_INCLUDE, .doc = "Scale of its risks; fixed once one of them is scored.",
	  .example = "\"01976f3a-3333-7000-8000-000000000001\"" },
	{ .name = "code", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER | F_SUMMARY, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Short name of the register in its document.", .example = "\"norwich-ces-2008\"" },
	{ .name = "level", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .values = levels, .doc = "Level of the organisation that runs it.",
	  .example = "\"service\"" },
	{ .name = "consultation_id", .type = T_REF, .refers = "consultations", .include_name = "consultation",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Consultation that it is about." },
	{ .name = "description", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What it covers.",
	  .example = "\"What could keep the strategy from working\"" },
	{ .name = "as_at", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day on which it was taken from a document." },
	{ .name = "review_every_days", .type = T_INT, .flags = F_NULLABLE, .min = 1, .max = 3660, .doc = "Days between reviews.",
	  .example = "90" },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "title", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource risk_register_resource = {
	.name = "risk-registers",
	.thing = "risk_register",
	.doc = "A risk register is a list of risks to one undertaking, all on one scale.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.gate_sql = risk_register_gate_sql,
	.example = "{\"title\":\"Community engagement "
		   "strategy\",\"risk_scale_id\":\"01976f3a-3333-7000-8000-000000000001\",\"level\":\"service\"}",
};
