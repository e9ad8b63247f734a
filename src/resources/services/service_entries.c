/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Service entries: who delivers what where, to what published standard, and who is accountable. Public ones are the services of /hsds. */
#include "wardmote/resources.h"

#include "../by_place.h"
#include "../vocabulary.h"
#include "services.h"

extern const char service_entry_check_sql[];

static const char *const statuses[] = { "active", "inactive", "temporarily_closed", "defunct", NULL };

enum { PARTNERS_MAX = 100 };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "name", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Name of the service.", .example = "\"Housing advice\"" },
	{ .name = "service_area_id", .type = T_REF, .refers = "service-areas", .include_name = "service_area",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Service area that delivers it." },
	{ .name = "description", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What people get.",
	  .example = "\"Advice on renting, repairs and homelessness\"" },
	{ .name = "status", .type = T_ENUM, .flags = F_FILTER | F_SUMMARY, .values = statuses, .initial = "\"active\"",
	  .doc = "Whether it can be used now; defunct: it has ended for good.", .example = "\"active\"" },
	{ .name = "locality_ids", .type = T_REFS, .refers = "localities", .include_name = "localities", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .max = LOCALITIES_MAX, .initial = "[]", .doc = "Localities that it serves." },
	{ .name = "point", .type = T_POINT, .flags = F_NULLABLE, .names = NAMES_PERHAPS, .doc = "Where it is delivered, as a GeoJSON point, WGS 84, longitude first." },
	{ .name = "address", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = LINE_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "Where it is delivered, in words.",
	  .example = "\"City Hall, St Peters Street\"" },
	{ .name = "standard", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "The standard that people can expect.", .example = "\"An appointment within five working days\"" },
	{ .name = "standard_published_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Day on which the standard was published." },
	{ .name = "accountable_contact_id", .type = T_REF, .refers = "contacts", .include_name = "accountable_contact",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Contact who is accountable for it." },
	{ .name = "co_located_partner_ids", .type = T_REFS, .refers = "partners", .include_name = "co_located_partners",
	  .flags = F_FILTER | F_SELECTIVE | F_INCLUDE, .max = PARTNERS_MAX, .initial = "[]", .doc = "Partners whose services are in the same place." },
	{ .name = "jointly_managed_partner_ids", .type = T_REFS, .refers = "partners", .include_name = "jointly_managed_partners",
	  .flags = F_FILTER | F_SELECTIVE | F_INCLUDE, .max = PARTNERS_MAX, .initial = "[]", .doc = "Partners that manage it together with its owner." },
	{ .name = "topics", .type = T_CODES, .code_list = "topic", .flags = F_FILTER, .max = 20, .initial = "[]",
	  .doc = "Codes of the list topic.", .example = "[\"housing\"]" },
	{ .name = "url", .type = T_URL, .flags = F_NULLABLE, .names = NAMES_PERHAPS, .doc = "Page of the service.", .example = "\"https://example.org/housing-advice\"" },
	{ .name = "email", .type = T_TEXT, .flags = F_NULLABLE, .min = EMAIL_MIN_CHARS, .max = EMAIL_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Address of the service for electronic mail, never a person's.", .example = "\"housing@example.org\"" },
	{ .name = "phone", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = PHONE_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "Telephone number of the service, never a person's.", .example = "\"01632 960002\"" },
	{ .name = "opening", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = LINE_MAX_CHARS, .names = NAMES_NOBODY, .doc = "When it can be used.",
	  .example = "\"Monday to Friday, 9 to 5\"" },
	{ .name = "eligibility", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "Who may use it.",
	  .example = "\"Everyone who lives in the city\"" },
};
/* clang-format on */

/* clang-format off */
static const struct clause clauses[] = {
	{ .name = "point", .type = T_POSITION, .selective = true, .sql = "t.locality_ids && " LOCALITIES_AT_POINT,
	  .doc = "Only services for a locality, of any boundary set, in which this position (longitude,latitude) lies.", .example = "1.2974,52.6309" },
	{ .name = "near", .type = T_POSITION, .needs = "radius", .selective = true,
	  .sql = "t.locality_ids && " LOCALITIES_NEAR " OR (t.point && (SELECT wardmote.around(wardmote.position(@), @radius::float8)) AND "
		 "ST_DWithin(t.point::geography, (SELECT wardmote.position(@)::geography), @radius::float8))",
	  .doc = "Only services that are delivered within `radius` of this position (longitude,latitude), or are for a locality, of any boundary set, that "
		 "comes that near.", .example = "1.2974,52.6309" },
	RADIUS_CLAUSE,
	{ .name = "bbox", .type = T_BOX, .selective = true,
	  .sql = "t.locality_ids && " LOCALITIES_IN_BOX " OR (t.point && (SELECT wardmote.box(@)) AND ST_Intersects(t.point, (SELECT wardmote.box(@))))",
	  .doc = "Only services that are delivered in this box, or are for a locality, of any boundary set, that touches it: west,south,east,north in degrees. "
		 "West greater than east crosses the antimeridian.", .example = "1.2,52.6,1.35,52.7" },
	{ .name = "postcode", .type = T_TEXT, .min = POSTCODE_MIN, .max = POSTCODE_MAX, .selective = true,
	  .sql = "t.locality_ids && " LOCALITIES_AT_POSTCODE,
	  .doc = "Only services for a locality, of any boundary set, in which the point of this postcode lies.", .example = "NR1 1AA" },
	{ 0 },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "name", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource service_entry_resource = {
	.name = "service-entries",
	.thing = "service_entry",
	.doc = "A service entry says what a partner delivers where, to what published standard, and who is accountable. Public ones are "
	       "also read in "
	       "the form of Open Referral (HSDS 3.0) at /hsds.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "public",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.clauses = clauses,
	.check_sql = service_entry_check_sql,
	.example = "{\"name\":\"Housing advice\",\"description\":\"Advice on renting, repairs and homelessness\",\"opening\":\"Monday to "
		   "Friday, 9 to 5\"}",
};
