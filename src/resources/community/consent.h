/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What records that may name a person say of it: whether the person is named in a public role or has consented, to what, and until when. */
#ifndef WARDMOTE_COMMUNITY_CONSENT_H
#define WARDMOTE_COMMUNITY_CONSENT_H

#include "../vocabulary.h"

/* A field that tells who somebody is. */
enum { PERSON_FIELD = F_NULLABLE | F_PERSONAL | F_LOGGED };

#define PERSON_PURPOSE "So that partners can reach people through those whom a community knows."
#define PERSON_RETENTION                                                                                                                   \
	"Until consent_until; then it is erased from the record, its history and stored answers. In a public role while the record names " \
	"somebody: who was named before stays in earlier versions until then, or until the operator erases it."

#define PERSON_SUBJECTS "Residents and volunteers whom a community knows; holders of public roles."
#define PERSON_BASIS "Consent (Art. 6(1)(a): consent_on, consent_purpose, consent_until); in a public role public task (Art. 6(1)(e))."

/* clang-format off */
#define CONSENT_FIELDS \
	{ .name = "public_role", .type = T_BOOL, .flags = F_FILTER, .initial = "false", \
	  .doc = "Whether the person is named in a role held in public (a councillor, the officer of a body), which needs no consent." }, \
	{ .name = "consent_on", .type = T_DATE, .flags = F_NULLABLE, .audience = A_PARTNER, \
	  .doc = "Day on which the person consented to being recorded." }, \
	{ .name = "consent_purpose", .type = T_TEXT, .flags = F_NULLABLE, .audience = A_PARTNER, .min = 1, .max = LINE_MAX_CHARS, \
	  .names = NAMES_PERHAPS, .doc = "What the person consented to.", .example = "\"To be asked about events in the neighbourhood\"" }, \
	{ .name = "consent_until", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, .audience = A_PARTNER, \
	  .doc = "Last day of the consent: after it the personal fields are erased. Set it to a past day to withdraw the consent." }, \
	{ .name = "consent_public", .type = T_BOOL, .audience = A_PARTNER, .initial = "false", \
	  .doc = "Whether the person consented to being named in public." }

#define VERIFIED_FIELDS \
	{ .name = "last_verified_on", .type = T_DATE, .flags = F_NULLABLE | F_FILTER, \
	  .doc = "Day on which somebody last made sure that this is still right." }, \
	{ .name = "verified_by", .type = T_TEXT, .flags = F_NULLABLE, .min = 1, .max = NAME_MAX_CHARS, \
	  .names = NAMES_PERHAPS, .doc = "Post or body that made sure, never a person's name.", .example = "\"Neighbourhood team\"" }
/* clang-format on */

#endif
