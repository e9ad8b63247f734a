/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Activities: single events, meetings and pieces of work with people, as a part of a consultation or on their own. */
#include "wardmote/resources.h"

#include "../by_place.h"
#include "../vocabulary.h"

extern const char activity_check_sql[];

static const char *const kinds[] = { "event",
				     "meeting",
				     "workshop",
				     "visit",
				     "survey",
				     "submission",
				     "panel",
				     "grant",
				     "publication",
				     "community_development",
				     "capacity_building",
				     "co_production",
				     "facility_access",
				     "training",
				     "outreach",
				     "brokering",
				     "democracy",
				     "other",
				     NULL };
static const char *const statuses[] = { "planned", "held", "cancelled", NULL };
static const char *const deliveries[] = { "direct", "signposted", "joint", NULL };
static const char *const leaders[] = { "partner", "joint", "community", NULL };
static const char *const investment_types[] = { "hard", "soft", NULL };

enum { COST_MAX_GBP = 1000000000 };

/* clang-format off */
static const struct field locality_shares[] = {
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .flags = F_REQUIRED, .doc = "One of locality_ids.",
	  .example = "\"01976f3a-1111-7000-8000-000000000002\"" },
	{ .name = "share", .type = T_DECIMAL, .scale = 6, .flags = F_REQUIRED, .min = 0, .max = 1, .doc = "Its part of the whole.", .example = "0.25" },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "What happens.", .example = "\"Walk along the ring road\"" },
	{ .name = "kind", .type = T_ENUM, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .values = kinds, .doc = "What kind of activity it is.",
	  .example = "\"event\"" },
	{ .name = "description", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "A few sentences for the public.", .example = "\"We look at the crossings together\"" },
	{ .name = "status", .type = T_ENUM, .flags = F_FILTER | F_SUMMARY, .values = statuses, .initial = "\"planned\"",
	  .doc = "Whether it is to come, took place, or was called off.", .example = "\"planned\"" },
	{ .name = "cancelled_reason", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Why it was called off; only with status cancelled.", .example = "\"Flood warning\"" },
	{ .name = "consultation_id", .type = T_REF, .refers = "consultations", .include_name = "consultation",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_OWNED_REF | F_INCLUDE, .doc = "Consultation that it is a part of." },
	{ .name = "delivery", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .values = deliveries, .doc = "Who delivers it.",
	  .example = "\"direct\"" },
	{ .name = "led_by", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .values = leaders, .doc = "Who leads it.",
	  .example = "\"partner\"" },

	/* when: a date that its source gives as a month or a year is stored as its first day */
	{ .name = "starts_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER | F_SUMMARY, .doc = "First day." },
	{ .name = "starts_on_precision", .type = T_ENUM, .values = date_precisions, .initial = "\"day\"",
	  .doc = "How exactly starts_on is known.", .example = "\"day\"" },
	{ .name = "ends_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Last day." },
	{ .name = "ends_on_precision", .type = T_ENUM, .values = date_precisions, .initial = "\"day\"",
	  .doc = "How exactly ends_on is known.", .example = "\"day\"" },
	{ .name = "start_time", .type = T_TIME, .flags = F_NULLABLE, .doc = "Time of day at which it starts, local time." },
	{ .name = "end_time", .type = T_TIME, .flags = F_NULLABLE, .doc = "Time of day at which it ends, local time." },
	{ .name = "when_text", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = LINE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "The time as published, where it gives no date.", .example = "\"a recent meeting\"" },
	{ .name = "recurrence", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = LINE_MAX_CHARS, .names = NAMES_NOBODY, .doc = "How often it happens, in words.",
	  .example = "\"every year\"" },

	/* where, and with whom */
	{ .name = "venue", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER | F_SEARCH, .min = 1, .max = LINE_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "Where it is.",
	  .example = "\"Blackfriars Hall\"" },
	{ .name = "map_item_id", .type = T_REF, .refers = "map-items", .include_name = "map_item", .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "The facility on the community map where it is, or the activity there that it builds on." },
	{ .name = "need_ids", .type = T_REFS, .refers = "needs", .include_name = "needs", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE, .max = 50, .initial = "[]",
	  .doc = "Needs that it answers." },
	{ .name = "point", .type = T_POINT, .flags = F_NULLABLE, .names = NAMES_PERHAPS, .doc = "The place as a GeoJSON point, WGS 84, longitude first." },
	{ .name = "accessibility", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "How accessible it is.",
	  .example = "\"Step-free, hearing loop\"" },
	{ .name = "contact", .type = T_TEXT, .flags = F_NULLABLE | F_PERSONAL, .min = 1, .max = LINE_MAX_CHARS,
	  .purpose = "So that people can ask about the activity.",
	  .retention = "While the activity is kept; replaced when the post changes.",
	  .subjects = "Officers of partners, where their post tells who they are.",
	  .basis = "Public task (Art. 6(1)(e)); it names a post, not a person.",
	  .doc = "A post and how to reach it, never a person's name.", .example = "\"Community engagement team, City Hall\"" },
	{ .name = "lead_contact_id", .type = T_REF, .refers = "contacts", .include_name = "lead_contact",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Contact who leads it." },
	{ .name = "locality_ids", .type = T_REFS, .refers = "localities", .include_name = "localities", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .max = LOCALITIES_MAX, .initial = "[]", .doc = "Localities that it is for." },
	{ .name = "locality_shares", .type = T_OBJECTS, .members = locality_shares, .max = LOCALITIES_MAX, .initial = "[]",
	  .doc = "How much of the activity is for which of locality_ids, each at most once; where there are shares they add up to 1.",
	  .example = "[]" },
	{ .name = "community_ids", .type = T_REFS, .refers = "communities", .include_name = "communities", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .max = COMMUNITIES_MAX, .initial = "[]", .doc = "Communities that it is for." },
	{ .name = "topics", .type = T_CODES, .code_list = "topic", .flags = F_FILTER, .max = 20, .initial = "[]",
	  .doc = "Codes of the list topic.", .example = "[\"transport\"]" },
	{ .name = "audiences", .type = T_CODES, .code_list = "audience", .flags = F_FILTER, .max = 50, .initial = "[]",
	  .doc = "Codes of the list audience.", .example = "[\"residents\"]" },
	{ .name = "methods", .type = T_CODES, .code_list = "method", .flags = F_FILTER, .max = 20, .initial = "[]",
	  .doc = "Codes of the list method.", .example = "[\"workshop\"]" },
	{ .name = "level", .type = T_TEXT, .flags = F_NULLABLE | F_FILTER, .min = 1, .max = CODE_MAX_CHARS,
	  .names = NAMES_NOBODY, .doc = "Code of the level of engagement in the owner's own scale.", .example = "\"norwich-consultation\"" },

	/* what came of it */
	{ .name = "attended", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .min = 0, .max = 10000000, .doc = "People who came, in persons.",
	  .example = "24" },
	{ .name = "hours", .type = T_INT, .flags = F_NULLABLE, .audience = A_PARTNER, .min = 0, .max = 1000000,
	  .doc = "Staff time that it took, in hours.", .example = "16" },
	{ .name = "cost_pence", .type = T_INT, .flags = F_NULLABLE, .audience = A_PARTNER, .min = 0, .max = 100 * (int64_t)COST_MAX_GBP,
	  .doc = "What it cost beside staff time, in pence.", .example = "45000" },
	{ .name = "investment_type", .type = T_ENUM, .flags = F_NULLABLE | F_FILTER, .values = investment_types,
	  .doc = "hard: buildings, places and things. soft: work with people.", .example = "\"soft\"" },
	{ .name = "outcome", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What came of it.",
	  .example = "\"Four places to look at again\"" },
	{ .name = "notes", .type = T_TEXT, .flags = F_NULLABLE, .audience = A_OWNER, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Working notes of the partner that owns it.", .example = "\"Book the hall early\"" },
	{ .name = "retrospective", .type = T_BOOL, .flags = F_CREATE_ONLY | F_LEAVE | F_FILTER, .initial = "false",
	  .doc = "A record of the past, left out of coordination and overdue figures." },
	{ .name = "as_at", .type = T_DATE, .flags = F_NULLABLE | F_FILTER,
	  .doc = "Day up to which a retrospective record is known; it has one, others have none." },
};
/* clang-format on */

/* clang-format off */
static const struct clause clauses[] = {
	{ .name = "point", .type = T_POSITION, .selective = true, .sql = "t.locality_ids && " LOCALITIES_AT_POINT,
	  .doc = "Only activities for a locality, of any boundary set, in which this position (longitude,latitude) lies.", .example = "1.2974,52.6309" },
	{ .name = "near", .type = T_POSITION, .needs = "radius", .selective = true,
	  .sql = "t.locality_ids && " LOCALITIES_NEAR " OR (t.point && (SELECT wardmote.around(wardmote.position(@), @radius::float8)) AND "
		 "ST_DWithin(t.point::geography, (SELECT wardmote.position(@)::geography), @radius::float8))",
	  .doc = "Only activities that take place within `radius` of this position (longitude,latitude), or are for a locality, of any boundary set, that "
		 "comes that near.", .example = "1.2974,52.6309" },
	RADIUS_CLAUSE,
	{ .name = "bbox", .type = T_BOX, .selective = true,
	  .sql = "t.locality_ids && " LOCALITIES_IN_BOX " OR (t.point && (SELECT wardmote.box(@)) AND ST_Intersects(t.point, (SELECT wardmote.box(@))))",
	  .doc = "Only activities that take place in this box, or are for a locality, of any boundary set, that touches it: west,south,east,north in degrees. "
		 "West greater than east crosses the antimeridian.", .example = "1.2,52.6,1.35,52.7" },
	{ .name = "postcode", .type = T_TEXT, .min = POSTCODE_MIN, .max = POSTCODE_MAX, .selective = true,
	  .sql = "t.locality_ids && " LOCALITIES_AT_POSTCODE,
	  .doc = "Only activities for a locality, of any boundary set, in which the point of this postcode lies.", .example = "NR1 1AA" },
	MATCH_CLAUSE("activities"),
	{ 0 },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "starts_on", .column = "starts_on_sort", .type = "date" },
	{ .name = "title", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const char *const ordered[] = { "starts_on", "ends_on", NULL };

const struct resource activity_resource = {
	.name = "activities",
	.thing = "activity",
	.doc = "An activity is one event, meeting or piece of work with people, as a part of a consultation or on its own.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.clauses = clauses,
	.check_sql = activity_check_sql,
	.ordered = ordered,
	.example = "{\"title\":\"Walk along the ring road\",\"kind\":\"event\",\"starts_on\":\"2026-03-07\",\"start_time\":\"10:00\"}",
};
