/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Contact assignments: which contact is responsible for a locality or a consultation, in what role, from when to when. */
#include "wardmote/resources.h"

#include "../vocabulary.h"
#include "services.h"

extern const char contact_assignment_check_sql[];
extern const char contact_assignment_gate_sql[];

const char *const contact_roles[] = { "locality_contact",      "councillor", "lead", "sponsor", "accountable",
				      "neighbourhood_manager", "referral",   NULL };

/* clang-format off */
static const struct field fields[] = {
	{ .name = "contact_id", .type = T_REF, .refers = "contacts", .include_name = "contact",
	  .flags = F_REQUIRED | F_CREATE_ONLY | F_FILTER | F_SELECTIVE | F_OWNED_REF | F_INCLUDE,
	  .doc = "The contact. When another takes over, end this assignment and make a new one.", .example = "\"01976f3a-5555-7000-8000-000000000001\"" },
	{ .name = "role", .type = T_ENUM, .flags = F_REQUIRED | F_FILTER, .values = contact_roles,
	  .doc = "What the contact is responsible for. A locality_contact, councillor or neighbourhood_manager has a locality.",
	  .example = "\"locality_contact\"" },
	{ .name = "locality_id", .type = T_REF, .refers = "localities", .include_name = "locality",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Locality that it is about; either this or consultation_id.",
	  .example = "\"01976f3a-1111-7000-8000-000000000002\"" },
	{ .name = "consultation_id", .type = T_REF, .refers = "consultations", .include_name = "consultation",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Consultation that it is about; either this or locality_id." },
	{ .name = "is_primary", .type = T_BOOL, .flags = F_FILTER, .initial = "false",
	  .doc = "Whether this contact is the one to turn to. On any day a partner has at most one for a role in a place (or consultation)." },
	{ .name = "valid_from", .type = T_DATE, .flags = F_REQUIRED | F_FILTER, .doc = "First day of the assignment." },
	{ .name = "valid_to", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .doc = "Last day of it; null while it is current." },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "valid_from", .type = "date" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

static const char *const ordered[] = { "valid_from", "valid_to", NULL };

const struct resource contact_assignment_resource = {
	.name = "contact-assignments",
	.thing = "contact_assignment",
	.doc =
	    "A contact assignment says that a contact is responsible for a locality or a consultation, in what role and from when to when. "
	    "The past is kept: an assignment ends, and the next one begins.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = contact_assignment_check_sql,
	.gate_sql = contact_assignment_gate_sql,
	.ordered = ordered,
	.example = "{\"contact_id\":\"01976f3a-5555-7000-8000-000000000001\",\"role\":\"locality_contact\","
		   "\"locality_id\":\"01976f3a-1111-7000-8000-000000000002\",\"valid_from\":\"2026-01-01\"}",
};
