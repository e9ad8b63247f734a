/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Referral routes: to whom a question about a topic or a place is passed on, how, and within how many days. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char referral_route_check_sql[];

/* clang-format off */
static const struct field fields[] = {
	{ .name = "title", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "What is passed on this way.", .example = "\"Fly-tipping on housing land\"" },
	{ .name = "topics", .type = T_CODES, .code_list = "topic", .flags = F_FILTER, .max = 20, .initial = "[]",
	  .doc = "Codes of the list topic; none: any topic.", .example = "[\"environment\"]" },
	{ .name = "locality_ids", .type = T_REFS, .refers = "localities", .include_name = "localities", .flags = F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .max = LOCALITIES_MAX, .initial = "[]", .doc = "Localities in which it holds; none: everywhere." },
	{ .name = "to_partner_id", .type = T_REF, .refers = "partners", .include_name = "to_partner",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE,
	  .doc = "Partner that it goes to. A route names a partner, a service area or a contact, or more than one of them.",
	  .example = "\"01976f3a-2222-7000-8000-000000000001\"" },
	{ .name = "to_service_area_id", .type = T_REF, .refers = "service-areas", .include_name = "to_service_area",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Service area that it goes to." },
	{ .name = "to_contact_id", .type = T_REF, .refers = "contacts", .include_name = "to_contact",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Contact that it goes to." },
	{ .name = "how", .type = T_TEXT, .flags = F_NULLABLE | F_SEARCH, .min = 1, .max = TEXT_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "How it is passed on.",
	  .example = "\"By the form on the intranet, with the place and a photograph\"" },
	{ .name = "within_days", .type = T_INT, .flags = F_NULLABLE | F_FILTER, .min = 0, .max = 365,
	  .doc = "Days within which it is to be passed on.", .example = "2" },
	{ .name = "valid_from", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "First day on which the route holds." },
	{ .name = "valid_to", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Last day on which it holds; null while it is current." },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "title", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const char *const ordered[] = { "valid_from", "valid_to", NULL };

const struct resource referral_route_resource = {
	.name = "referral-routes",
	.thing = "referral_route",
	.doc = "A referral route says to whom what people say about a topic or a place is passed on when another partner or team has to "
	       "answer it.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = referral_route_check_sql,
	.ordered = ordered,
	.example =
	    "{\"title\":\"Fly-tipping on housing land\",\"to_partner_id\":\"01976f3a-2222-7000-8000-000000000001\",\"within_days\":2}",
};
