/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the focus on priority neighbourhoods can be asked. */
#include "operations.h"

#include "../vocabulary.h"

static const char *const measures[] = { "count", "hours", "spend", "reach", NULL };
static const char *const statuses[] = { "planned", "held", NULL };

enum { KINDS_MAX_CHARS = 400, INDEX_NAME_MAX_CHARS = 60, INDEX_YEAR_MIN = 1990, INDEX_YEAR_MAX = 2100 };

/* clang-format off */
const struct parameter priority_focus_parameters[] = {
	{ .name = "from", .type = T_DATE, .required = true, .doc = "First day of the period." },
	{ .name = "to", .type = T_DATE, .required = true, .doc = "Last day of the period." },
	{ .name = "kind", .type = T_TEXT, .min = 1, .max = KINDS_MAX_CHARS,
	  .doc = "Kinds of activities that count, with commas between them; by default community_development,capacity_building." },
	{ .name = "status", .type = T_ENUM, .values = statuses, .doc = "Only activities of this status; by default both. Cancelled ones never count." },
	{ .name = "partner_id", .type = T_UUID, .doc = "Only activities of this partner." },
	{ .name = "designated_by", .type = T_UUID, .doc = "Only designations of this partner." },
	{ .name = "measure", .type = T_ENUM, .values = measures, .doc = "Only by this measure; by default all four." },
	{ .name = "target", .type = T_DECIMAL, .max = 1, .doc = "The part that should go to priority neighbourhoods; by default 0.5." },
	{ .name = "index_name", .type = T_TEXT, .min = 1, .max = INDEX_NAME_MAX_CHARS, .doc = "Index of deprivation for `by_decile`; by default imd." },
	{ .name = "index_year", .type = T_INT, .min = INDEX_YEAR_MIN, .max = INDEX_YEAR_MAX,
	  .doc = "Its edition; by default the newest up to the period that knows as much of the places as any does, give or take a tenth." },
	{ 0 },
};
/* clang-format on */
