/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Consultations: what partners ask people, from idea to evaluation. The status moves only through the operation `transitions`, whose gates
 * are wardmote.consultation_gates() in the database; gate_sql asks the same function, so that no later change undoes what a state needs. */
#include "wardmote/resources.h"

#include "../by_place.h"
#include "../vocabulary.h"

extern const char consultation_check_sql[];
extern const char consultation_gate_sql[];
extern const char consultation_delete_sql[];
extern const char consultation_transition_sql[];

static const char *const statuses[] = { "idea",     "planned",  "approved",  "open",      "closed",
					"analysed", "fed_back", "evaluated", "cancelled", NULL };
static const char *const targets[] = { "planned", "approved", "open", "closed", "analysed", "fed_back", "evaluated", "cancelled", NULL };
static const char *const triggers[] = { "significant_decision", "agree_priorities",    "design_services", "plan_services",
					"procure_services",     "measure_performance", "develop_policy",  NULL };
static const char *const stages[] = { "planning", "development", "delivery", "evaluation", NULL };
static const char *const partner_roles[] = { "lead", "joint", "contributes", "informed", "declined", NULL };

/* clang-format off */
static const struct field partner_members[] = {
	{ .name = "partner_id", .type = T_REF, .refers = "partners", .flags = F_REQUIRED, .doc = "The partner.",
	  .example = "\"01976f3a-2222-7000-8000-000000000001\"" },
	{ .name = "role", .type = T_ENUM, .flags = F_REQUIRED, .values = partner_roles,
	  .doc = "Its part: at most one leads; one that declined stays on record.", .example = "\"joint\"" },
	{ .name = "reason", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = LINE_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "Why it takes this part or declined.",
	  .example = "\"Runs the housing offices in the area\"" },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "What people are asked about.", .example = "\"Where should the new crossings go?\"" },
	{ .name = "summary", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "A few sentences for the public; needed before opening.", .example = "\"We have money for four crossings and want to hear where.\"" },
	{ .name = "status", .type = T_ENUM, .flags = F_CREATE_ONLY | F_LEAVE | F_FILTER | F_SUMMARY, .values = statuses, .common = "open",
	  .initial = "\"idea\"",
	  .doc = "Where it stands. Changed only by POST .../transitions; a retrospective record may be created with any status but open.",
	  .example = "\"idea\"" },
	{ .name = "trigger", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .values = triggers, .doc = "The situation that calls for it.",
	  .example = "\"design_services\"" },
	{ .name = "stage", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .values = stages,
	  .doc = "Stage of the service or policy that it belongs to.", .example = "\"planning\"" },

	/* whom it asks, and with whom */
	{ .name = "topics", .type = T_CODES, .code_list = "topic", .flags = F_FILTER, .max = 20, .initial = "[]",
	  .doc = "Codes of the list topic.", .example = "[\"transport\"]" },
	{ .name = "audiences", .type = T_CODES, .code_list = "audience", .flags = F_FILTER, .max = 50, .initial = "[]",
	  .doc = "Codes of the list audience.", .example = "[\"residents\"]" },
	{ .name = "methods", .type = T_CODES, .code_list = "method", .flags = F_FILTER, .max = 20, .initial = "[]",
	  .doc = "Codes of the list method.", .example = "[\"survey\"]" },
	{ .name = "everyone", .type = T_BOOL, .flags = F_FILTER, .initial = "false", .doc = "Whether it is for everyone in its localities." },
	{ .name = "locality_ids", .type = T_REFS, .refers = "localities", .include_name = "localities", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .max = LOCALITIES_MAX, .initial = "[]", .doc = "Localities that it asks." },
	{ .name = "community_ids", .type = T_REFS, .refers = "communities", .include_name = "communities", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .max = COMMUNITIES_MAX, .initial = "[]", .doc = "Communities that it asks." },
	{ .name = "partners", .type = T_OBJECTS, .members = partner_members, .refers = "partners", .include_name = "involved_partners", .flags = F_INCLUDE,
	  .max = 50, .initial = "[]", .doc = "Partners that take part, each once.",
	  .example = "[{\"partner_id\":\"01976f3a-2222-7000-8000-000000000001\",\"role\":\"joint\",\"reason\":null}]" },
	{ .name = "service_area_id", .type = T_REF, .refers = "service-areas", .include_name = "service_area",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Service area that holds it." },
	{ .name = "lead_contact_id", .type = T_REF, .refers = "contacts", .include_name = "lead_contact",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Contact who leads it." },
	{ .name = "sponsor_contact_id", .type = T_REF, .refers = "contacts", .include_name = "sponsor_contact",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Contact who answers for it in the end." },
	{ .name = "referral_contact_id", .type = T_REF, .refers = "contacts", .include_name = "referral_contact",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Contact to whom what concerns others is passed on." },
	{ .name = "level", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Code of the level of engagement in the owner's own scale.", .example = "\"norwich-consultation\"" },

	/* how to take part */
	{ .name = "take_part_url", .type = T_URL, .flags = F_NULLABLE, .names = NAMES_PERHAPS, .doc = "Where to take part online.",
	  .example = "\"https://example.org/crossings\"" },
	{ .name = "take_part_how", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "How to take part otherwise.", .example = "\"Paper forms lie in every library.\"" },
	{ .name = "contact", .type = T_TEXT, .flags = F_NULLABLE | F_PERSONAL, .min = 1, .max = LINE_MAX_CHARS,
	  .purpose = "So that people can ask about the consultation.",
	  .retention = "While the consultation is kept; replaced when the post changes.",
	  .subjects = "Officers of partners, where their post tells who they are.",
	  .basis = "Public task (Art. 6(1)(e)); it names a post, not a person.",
	  .doc = "A post and how to reach it, never a person's name.", .example = "\"Community engagement team, City Hall\"" },

	/* what it is for, and what it can change */
	{ .name = "purpose", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "Why people are asked.",
	  .example = "\"To choose the places\"" },
	{ .name = "relevance", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "Why it matters to those asked.",
	  .example = "\"Children cross here on their way to school\"" },
	{ .name = "intended_outcome", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What it is to lead to.",
	  .example = "\"A list of four places\"" },
	{ .name = "can_influence", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What the answers can change.",
	  .example = "\"The places and the order of work\"" },
	{ .name = "cannot_influence", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What they cannot change.",
	  .example = "\"The budget\"" },
	{ .name = "use_of_information", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "How the answers will be used.", .example = "\"They go to the highways committee\"" },
	{ .name = "constraints", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "Limits that are set beforehand.",
	  .example = "\"Work ends in March\"" },
	{ .name = "options", .type = T_TEXTS, .max = 20, .initial = "[]", .names = NAMES_PERHAPS, .doc = "Choices that are put to people.",
	  .example = "[\"Zebra\",\"Signals\"]" },
	{ .name = "statutory", .type = T_BOOL, .flags = F_FILTER, .initial = "false", .doc = "Whether a law asks for it." },
	{ .name = "legal_basis", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = LINE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "The law that asks for it; needed before approval where statutory.", .example = "\"Localism Act 2011\"" },

	/* when: a date that its source gives as a month or a year is stored as its first day */
	{ .name = "announced_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day on which it is announced." },
	{ .name = "open_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER | F_SUMMARY, .doc = "First day on which people can take part." },
	{ .name = "open_on_precision", .type = T_ENUM, .values = date_precisions, .initial = "\"day\"",
	  .doc = "How exactly open_on is known.", .example = "\"day\"" },
	{ .name = "close_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER | F_SUMMARY, .doc = "Last day on which people can take part." },
	{ .name = "close_on_precision", .type = T_ENUM, .values = date_precisions, .initial = "\"day\"",
	  .doc = "How exactly close_on is known.", .example = "\"day\"" },
	{ .name = "when_text", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = LINE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "The time as published, where it gives no date.", .example = "\"in the next few months\"" },
	{ .name = "feedback_how", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "How people will hear what came of it.", .example = "\"A page on our website and a meeting\"" },
	{ .name = "feedback_due_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day by which they will." },
	{ .name = "round_of_id", .type = T_REF, .refers = "consultations", .include_name = "round_of",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Earlier consultation of which this one is a further round." },

	/* for those who plan it */
	{ .name = "planned_hours", .type = T_INT, .flags = F_NULLABLE, .audience = A_PARTNER, .min = 0, .max = 1000000,
	  .doc = "Staff time that it is to take, in hours.", .example = "120" },
	{ .name = "notes", .type = T_TEXT, .flags = F_NULLABLE, .audience = A_OWNER, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Working notes of the partner that owns it.", .example = "\"Ask the schools first\"" },

	/* the past, and how it ended */
	{ .name = "retrospective", .type = T_BOOL, .flags = F_CREATE_ONLY | F_LEAVE | F_FILTER, .initial = "false",
	  .doc = "A record of the past: no gates, and left out of coordination and overdue figures." },
	{ .name = "as_at", .type = T_DATE, .flags = F_NULLABLE | F_FILTER,
	  .doc = "Day up to which a retrospective record is known; it has one, others have none." },
	{ .name = "cancelled_reason", .type = T_TEXT, .flags = F_NULLABLE | F_CREATE_ONLY | F_LEAVE, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Why it was cancelled; written by the transition, or with a retrospective record.", .example = "\"The works were called off\"" },
	{ .name = "closed_early_reason", .type = T_TEXT, .flags = F_NULLABLE | F_READONLY, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Why it was closed before close_on; written by the transition.", .example = "\"Everyone asked has answered\"" },
};
/* clang-format on */

/* clang-format off */
static const struct clause clauses[] = {
	{ .name = "point", .type = T_POSITION, .selective = true, .sql = "t.locality_ids && " LOCALITIES_AT_POINT,
	  .doc = "Only consultations that ask a locality, of any boundary set, in which this position (longitude,latitude) lies.",
	  .example = "1.2974,52.6309" },
	{ .name = "near", .type = T_POSITION, .needs = "radius", .selective = true, .sql = "t.locality_ids && " LOCALITIES_NEAR,
	  .doc = "Only consultations that ask a locality, of any boundary set, that comes within `radius` of this position (longitude,latitude).",
	  .example = "1.2974,52.6309" },
	RADIUS_CLAUSE,
	{ .name = "bbox", .type = T_BOX, .selective = true, .sql = "t.locality_ids && " LOCALITIES_IN_BOX,
	  .doc = "Only consultations that ask a locality, of any boundary set, that touches this box: west,south,east,north in degrees. West greater than "
		 "east crosses the antimeridian.", .example = "1.2,52.6,1.35,52.7" },
	{ .name = "postcode", .type = T_TEXT, .min = POSTCODE_MIN, .max = POSTCODE_MAX, .selective = true,
	  .sql = "t.locality_ids && " LOCALITIES_AT_POSTCODE,
	  .doc = "Only consultations that ask a locality, of any boundary set, in which the point of this postcode lies.", .example = "NR1 1AA" },
	MATCH_CLAUSE("consultations"),
	{ 0 },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "open_on", .column = "open_on_sort", .type = "date" },
	{ .name = "close_on", .column = "close_on_sort", .type = "date" },
	{ .name = "title", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const char *const ordered[] = { "announced_on", "open_on", "open_on", "close_on", "close_on", "feedback_due_on", NULL };

/* clang-format off */
static const struct field transition_body[] = {
	{ .name = "to", .type = T_ENUM, .flags = F_REQUIRED, .values = targets, .doc = "The status to move to.", .example = "\"planned\"" },
	{ .name = "reason", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Needed to cancel, and to close before close_on; shown to everyone who sees the consultation.",
	  .example = "\"The works were called off\"" },
	{ 0 },
};
/* clang-format on */

static const int transition_statuses[] = { 409, 0 };

/* clang-format off */
static const struct operation operations[] = {
	{ .id = "transition_consultation",
	  .method = "POST",
	  .path = "/v1/consultations/{id}/transitions",
	  .verb = V_SQL,
	  .resource = &consultation_resource,
	  .least = CALLER_OFFICER,
	  .scope = "consultations:write",
	  .lane = LANE_WRITE,
	  .flags = OP_ITEM | OP_IF_MATCH | OP_IDEMPOTENT | OP_DRY_RUN,
	  .body_kind = BODY_JSON,
	  .body = transition_body,
	  .sql = consultation_transition_sql,
	  .statuses = transition_statuses,
	  .summary = "Move a consultation to its next status",
	  .doc = "The life of a consultation is idea, planned, approved, open, closed, analysed, fed_back, evaluated, one step at a time; it can be "
		 "cancelled until it is closed. Every unmet gate is named at once, each with its rule and its field (409). A retrospective record has "
		 "no gates and never opens." },
	{ 0 },
};
/* clang-format on */

const struct resource consultation_resource = {
	.name = "consultations",
	.thing = "consultation",
	.doc = "A consultation is one occasion on which partners ask people. From planned on it is visible to all partners, while open"
	       " to everyone. What was ever shared or public is cancelled with its reason and not deleted.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.clauses = clauses,
	.check_sql = consultation_check_sql,
	.gate_sql = consultation_gate_sql,
	.delete_sql = consultation_delete_sql,
	.ordered = ordered,
	.operations = operations,
	.example =
	    "{\"title\":\"Where should the new crossings go?\",\"summary\":\"We have money for four crossings and want to hear where.\","
	    "\"everyone\":true,\"open_on\":\"2026-03-02\",\"close_on\":\"2026-03-27\",\"take_part_url\":\"https://example.org/crossings\"}",
};
