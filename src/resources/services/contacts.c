/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Contacts: posts of partners that people can turn to, and who holds them. A person is named in a public role or with consent, its purpose and its end. */
#include "wardmote/resources.h"

#include "../vocabulary.h"
#include "services.h"

extern const char contact_check_sql[];

static const char *const kinds[] = { "officer", "councillor", "portfolio_holder", "champion", "ambassador", "community_leader", NULL };

#define PURPOSE "So that people and partners can reach who is responsible."
#define RETENTION                                                                                                                          \
	"Until consent_until; then blanked in the record, in every earlier version and in stored answers. In a public role while the "     \
	"post is held; who held it before stays in earlier versions until name, phone and email are all empty, or the operator erases it."

#define SUBJECTS "Officers, councillors, champions and community leaders who hold a post."
#define BASIS "Public task (Art. 6(1)(e)) in a public role; else consent (Art. 6(1)(a): consent_on, consent_purpose, consent_until)."

/* clang-format off */
static const struct field fields[] = {
	{ .name = "post", .type = T_TEXT, .flags = F_REQUIRED | F_FILTER | F_SELECTIVE | F_SEARCH | F_SUMMARY, .min = 1, .max = NAME_MAX_CHARS,
	  .names = NAMES_PERHAPS, .doc = "The post or part that the person holds, never the person's name.", .example = "\"Neighbourhood manager, Example Ward\"" },
	{ .name = "kind", .type = T_ENUM, .flags = F_REQUIRED | F_FILTER | F_SUMMARY, .values = kinds, .doc = "What kind of post it is.",
	  .example = "\"officer\"" },
	{ .name = "service_area_id", .type = T_REF, .refers = "service-areas", .include_name = "service_area",
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE | F_INCLUDE, .doc = "Service area that the post belongs to." },
	{ .name = "name", .type = T_TEXT, .flags = F_NULLABLE | F_PERSONAL | F_LOGGED, .min = 1, .max = NAME_MAX_CHARS,
	  .purpose = PURPOSE, .retention = RETENTION, .subjects = SUBJECTS, .basis = BASIS, .doc = "Name of who holds the post.", .example = "\"Sam Example\"" },
	{ .name = "phone", .type = T_TEXT, .flags = F_NULLABLE | F_PERSONAL | F_LOGGED, .min = 1, .max = PHONE_MAX_CHARS,
	  .purpose = PURPOSE, .retention = RETENTION, .subjects = SUBJECTS, .basis = BASIS, .doc = "Telephone number of who holds the post.", .example = "\"01632 960001\"" },
	{ .name = "email", .type = T_TEXT, .flags = F_NULLABLE | F_PERSONAL | F_LOGGED, .min = EMAIL_MIN_CHARS, .max = EMAIL_MAX_CHARS,
	  .purpose = PURPOSE, .retention = RETENTION, .subjects = SUBJECTS, .basis = BASIS, .doc = "Address of who holds the post, for electronic mail.",
	  .example = "\"sam.example@example.org\"" },
	{ .name = "website", .type = T_URL, .flags = F_NULLABLE, .names = NAMES_PERHAPS, .doc = "Page of the post.", .example = "\"https://example.org/neighbourhoods\"" },

	/* why a person may be named here */
	{ .name = "public_role", .type = T_BOOL, .flags = F_FILTER, .initial = "false",
	  .doc = "Whether the post is a public one, whose holder is named without consent: a councillor, say, or an officer named on the partner's website." },
	{ .name = "consent_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER,
	  .doc = "Day on which the person agreed; needed with consent_purpose and consent_until to name a person who has no public role." },
	{ .name = "consent_purpose", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = LINE_MAX_CHARS, .names = NAMES_PERHAPS, .doc = "What the person agreed to.",
	  .example = "\"To be named to partners as contact for the ward\"" },
	{ .name = "consent_until", .type = T_DATE, .flags = F_NULLABLE | F_FILTER,
	  .doc = "Last day of the consent, after consent_on. From the next day on name, phone and email are erased; a date in the past withdraws it." },
	{ .name = "consent_public", .type = T_BOOL, .flags = F_FILTER, .initial = "false",
	  .doc = "Whether the person agreed to be named to everyone; a public contact who has no public role needs it." },
};
/* clang-format on */

/* All that is asked of an assignment holds of one and the same: each condition asks for the others, too. */
#define ASSIGNED "wardmote.may_read('contact-assignments') AND EXISTS (SELECT FROM api.contact_assignment a WHERE a.contact_id = t.id AND "
#define IN_FORCE " AND daterange(a.valid_from, a.valid_to, '[]') @> coalesce(@in_force_on, (SELECT wardmote.today()))"
#define IN_ROLE " AND (@role IS NULL OR a.role = @role)"
#define IN_PLACE " AND (@locality_id IS NULL OR a.locality_id IN (SELECT wardmote.locality_and_above(@locality_id)))"

/* clang-format off */
static const struct clause clauses[] = {
	{ .name = "locality_id", .type = T_UUID, .selective = true,
	  .sql = "t.id IN (SELECT a.contact_id FROM api.contact_assignment a WHERE a.locality_id IN (SELECT wardmote.locality_and_above(@))"
		 IN_FORCE IN_ROLE " AND wardmote.may_read('contact-assignments'))",
	  .doc = "Only contacts with an assignment, in force, to this locality or to one that it lies in. A token with scopes needs contact-assignments:read for that, or finds none.",
	  .example = "01976f3a-1111-7000-8000-000000000002" },
	{ .name = "role", .type = T_ENUM, .values = contact_roles, .sql = ASSIGNED "a.role = @" IN_FORCE IN_PLACE ")",
	  .doc = "Only contacts with an assignment, in force, in this role. A token with scopes needs contact-assignments:read for that, or finds none.", .example = "locality_contact" },
	{ .name = "in_force_on", .type = T_DATE,
	  .sql = ASSIGNED "daterange(a.valid_from, a.valid_to, '[]') @> @" IN_ROLE IN_PLACE ")",
	  .doc = "Only contacts with an assignment that is in force on this day; locality_id and role then ask for that day, else for today.",
	  .example = "2026-01-01" },
	{ 0 },
};
/* clang-format on */

static const struct sort sorts[] = {
	{ .name = "post", .type = "text" },
	{ .name = "updated_at", .type = "timestamptz" },
	{ 0 },
};

const struct resource contact_resource = {
	.name = "contacts",
	.thing = "contact",
	.doc =
	    "A contact is a post that people or partners can turn to, with who holds it. Name, telephone number and address of another "
	    "partner's contact that is not public are shown by GET of that one contact alone, and each such read is noted for its owner.",
	.flags = R_OWNED,
	.read = CALLER_ANONYMOUS,
	.write = CALLER_OFFICER,
	.visibility = "private",
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.clauses = clauses,
	.check_sql = contact_check_sql,
	.example = "{\"post\":\"Neighbourhood manager, Example Ward\",\"kind\":\"officer\",\"name\":\"Sam Example\","
		   "\"email\":\"sam.example@example.org\",\"public_role\":true}",
};
