/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Needs: what a locality or a community lacks, wants or hopes for, where that is known from, and what became of it. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char need_check_sql[];

static const char *const kinds[] = { "capacity_building", "service", "both", NULL };
static const char *const natures[] = { "problem", "want", "need", "aspiration", NULL };
static const char *const origins[] = { "community", "agency", "mapping", "consultation", NULL };
static const char *const statuses[] = { "open", "acted_on", "met", "declined", NULL };

/* clang-format off */
static const struct field evidence[] = {
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED, .min = 1, .max = NAME_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What shows the need.",
	  .example = "\"Survey of the estate\"" },
	{ .name = "url", .type = T_URL, .flags = F_NULLABLE, .names = NAMES_PERHAPS, .doc = "Where to read it.", .example = "\"https://example.org/survey\"" },
	{ .name = "as_at", .type = T_DATE, .flags = F_NULLABLE, .doc = "Day up to which it holds." },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "The need in a few words.", .example = "\"A place for young people to meet\"" },
	{ .name = "kind", .type = T_ENUM, .flags = F_FILTER | F_SUMMARY, .values = kinds, .initial = "\"service\"",
	  .doc = "What it calls for: building capacity, a service, or both.", .example = "\"service\"" },
	{ .name = "nature", .type = T_ENUM, .flags = F_FILTER | F_SUMMARY, .values = natures, .initial = "\"need\"",
	  .doc = "Whether people see it as a problem, a want, a need or an aspiration.", .example = "\"need\"" },
	{ .name = "description", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "The need in plain text.",
	  .example = "\"There is nowhere to go after six\"" },
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Locality whose need it is; a need has a locality, a community, or both.", .example = "\"01976f3a-3333-7000-8000-000000000001\"" },
	{ .name = "community_id", .type = T_REF, .refers = "communities", .include_name = "community", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Community whose need it is." },
	{ .name = "origin", .type = T_ENUM, .flags = F_FILTER, .values = origins, .initial = "\"community\"", .doc = "Who said so, or what showed it.",
	  .example = "\"community\"" },
	{ .name = "evidence", .type = T_OBJECTS, .members = evidence, .max = 20, .initial = "[]", .doc = "What shows the need.",
	  .example = "[{\"title\":\"Survey of the estate\",\"url\":\"https://example.org/survey\",\"as_at\":\"2026-02-28\"}]" },
	{ .name = "status", .type = T_ENUM, .flags = F_FILTER | F_SUMMARY, .values = statuses, .initial = "\"open\"", .doc = "What became of it.",
	  .example = "\"open\"" },
	{ .name = "reason", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Why it has this status; one that was declined has a reason.", .example = "\"The hall opens in the evening from May\"" },
	{ .name = "map_item_id", .type = T_REF, .refers = "map-items", .include_name = "map_item", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "The gap or wish on the community map that raised it." },
	{ .name = "consultation_id", .type = T_REF, .refers = "consultations", .include_name = "consultation",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Consultation in which it was raised." },
	{ .name = "partner_ids", .type = T_REFS, .refers = "partners", .include_name = "partners", .flags = F_FILTER | F_INCLUDE,
	  .max = 50, .initial = "[]", .doc = "Partners whom it concerns." },
	{ .name = "raised_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day on which it was raised." },
	{ .name = "raised_on_precision", .type = T_ENUM, .values = date_precisions, .initial = "\"day\"", .doc = "How exactly raised_on is known.",
	  .example = "\"day\"" },
};
/* clang-format on */

static const struct clause clauses[] = {
	{ .name = "unanswered",
	  .type = T_BOOL,
	  .sql = "wardmote.may_read('activities') AND @ = NOT EXISTS (SELECT FROM api.activity a WHERE a.need_ids @> ARRAY[t.id] AND "
		 "a.status <> "
		 "'cancelled')",
	  .doc = "Whether no activity that you can see answers them; one that was cancelled answers none. It takes the scope of "
		 "activities, too.",
	  .example = "true" },
	{ .name = "joint",
	  .type = T_BOOL,
	  .sql = "wardmote.may_read('activities') AND @ = (1 < (SELECT count(DISTINCT a.partner_id) FROM api.activity a WHERE a.need_ids "
		 "@> ARRAY[t.id] AND "
		 "a.status <> 'cancelled'))",
	  .doc = "Whether activities of more than one partner, of those that you can see, answer them; one that was cancelled answers "
		 "none. It takes the "
		 "scope of activities, too.",
	  .example = "true" },
	{ 0 },
};

static const struct sort sorts[] = {
	{ .name = "title", .type = "text" },
	{ .name = "raised_on", .column = "raised_on_sort", .type = "date" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource need_resource = {
	.name = "needs",
	.thing = "need",
	.doc = "A need is what a locality or a community lacks, wants or hopes for, with its evidence and with what became of it. "
	       "Activities name "
	       "the needs that they answer, plans those that come first.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.clauses = clauses,
	.check_sql = need_check_sql,
	.example =
	    "{\"title\":\"A place for young people to meet\",\"nature\":\"need\",\"locality_id\":\"01976f3a-3333-7000-8000-000000000001\","
	    "\"visibility\":\"public\"}",
};
