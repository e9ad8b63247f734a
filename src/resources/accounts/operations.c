/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the bodies of the operations in operations.inc hold. */
#include "operations.h"

enum {
	PASSWORD_MIN = 12,
	PASSWORD_MAX = 200,
	SECRET_CHARS = 128,
};

#define PASSWORD_DOC "12 to 200 characters; length counts, there are no further rules. Stored only as an argon2id hash."

static const char *const grant_types[] = { "client_credentials", "refresh_token", NULL };
static const char *const token_hints[] = { "access_token", "refresh_token", NULL };

static const char *const assertion_types[] = { "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", NULL };

/* clang-format off */
#define CLIENT_PROOFS(when)                                                                                                                \
	{ .name = "client_id",                                                                                                             \
	  .type = T_TEXT,                                                                                                                  \
	  .min = 1,                                                                                                                        \
	  .max = 64,                                                                                                                       \
	  .doc = when " unless HTTP Basic or an assertion carries it; beside one it must be the same.",                                   \
	  .example = "\"wmc_019ab3c45d6e7f8091a2b3c4d5e6f708\"" },                                                                         \
	    { .name = "client_secret",                                                                                                     \
	      .type = T_TEXT,                                                                                                              \
	      .min = 1,                                                                                                                    \
	      .max = SECRET_CHARS,                                                                                                         \
	      .doc = when " unless HTTP Basic carries it, or the client signs an assertion.",                                             \
	      .example = "\"wms_8bJ0dZr3VfQyT1o6kHcX2uNwEaLpS5mGiR9tYx4BvKs\"" },                                                          \
	    { .name = "client_assertion_type",                                                                                             \
	      .type = T_ENUM,                                                                                                              \
	      .values = assertion_types,                                                                                                   \
	      .doc = "With client_assertion (RFC 7523): the client proves itself by a signature (`private_key_jwt`).",                    \
	      .example = "\"urn:ietf:params:oauth:client-assertion-type:jwt-bearer\"" },                                                   \
	{                                                                                                                                  \
		.name = "client_assertion", .type = T_TEXT, .min = 1, .max = 4096,                                                         \
		.doc = "A JWT signed with a key of the account's jwks: iss and sub are the client_id, aud is the issuer alone, exp at most 5 " \
		       "minutes ahead, jti used once; kid names the key.",                                                                 \
		.example = "\"eyJhbGciOiJFUzI1NiIsImtpZCI6IjIwMjYtMTEifQ.e30.c2lnbmF0dXJl\""                                                \
	}
/* clang-format on */

const struct field auth_token_body[] = {
	{ .name = "grant_type",
	  .type = T_ENUM,
	  .values = grant_types,
	  .flags = F_REQUIRED,
	  .doc = "How the client proves itself.",
	  .example = "\"client_credentials\"" },
	CLIENT_PROOFS("For client_credentials,"),
	{ .name = "refresh_token",
	  .type = T_TEXT,
	  .min = 1,
	  .max = SECRET_CHARS,
	  .doc = "For refresh_token: works once, the answer has the next one. A used one that comes again ends its session.",
	  .example = "\"wmr_8bJ0dZr3VfQyT1o6kHcX2uNwEaLpS5mGiR9tYx4BvKs\"" },
	{ .name = "scope",
	  .type = T_TEXT,
	  .min = 1,
	  .max = 511,
	  .doc = "Scopes separated by spaces; absent: all that the account has.",
	  .example = "\"consultations:read\"" },
	{ 0 },
};

const struct field auth_revoke_body[] = {
	{ .name = "token",
	  .type = T_TEXT,
	  .flags = F_REQUIRED,
	  .min = 1,
	  .max = 4096,
	  .doc = "A refresh token, or an access token of a session: the session ends. An access token of a service: that token ends.",
	  .example = "\"wmr_8bJ0dZr3VfQyT1o6kHcX2uNwEaLpS5mGiR9tYx4BvKs\"" },
	{ .name = "token_type_hint",
	  .type = T_ENUM,
	  .values = token_hints,
	  .doc = "Not needed: tokens tell by their form.",
	  .example = "\"refresh_token\"" },
	CLIENT_PROOFS("Not needed: who has the token may end it. What is sent must be right;"),
	{ 0 },
};

const struct field auth_introspect_body[] = {
	{ .name = "token",
	  .type = T_TEXT,
	  .flags = F_REQUIRED,
	  .min = 1,
	  .max = 4096,
	  .doc = "An access token. Whatever is none that holds is told as inactive; refresh tokens always are.",
	  .example = "\"eyJhbGciOiJFUzI1NiIsImtpZCI6IjEiLCJ0eXAiOiJhdCtqd3QifQ.e30.c2lnbmF0dXJl\"" },
	{ .name = "token_type_hint",
	  .type = T_ENUM,
	  .values = token_hints,
	  .doc = "Not needed: tokens tell by their form.",
	  .example = "\"access_token\"" },
	CLIENT_PROOFS("Who asks,"),
	{ 0 },
};

const struct field auth_login_body[] = {
	{ .name = "login",
	  .type = T_TEXT,
	  .flags = F_REQUIRED | F_PERSONAL,
	  .min = 1,
	  .max = 200,
	  .purpose = "So that the account is found that wants to sign in.",
	  .retention = "Not stored; a hash counts attempts for 15 minutes.",
	  .doc = "The person's login, in any case.",
	  .example = "\"ada@example.org\"" },
	{ .name = "password",
	  .type = T_TEXT,
	  .flags = F_REQUIRED,
	  .min = 1,
	  .max = PASSWORD_MAX,
	  .doc = "The person's password.",
	  .example = "\"correct horse battery staple\"" },
	{ 0 },
};

const struct field auth_enrol_body[] = {
	{ .name = "code",
	  .type = T_TEXT,
	  .flags = F_REQUIRED,
	  .min = 1,
	  .max = SECRET_CHARS,
	  .doc = "The one-time code that a manager handed over.",
	  .example = "\"wme_8bJ0dZr3VfQyT1o6kHcX2uNwEaLpS5mGiR9tYx4BvKs\"" },
	{ .name = "password",
	  .type = T_TEXT,
	  .flags = F_REQUIRED,
	  .min = PASSWORD_MIN,
	  .max = PASSWORD_MAX,
	  .doc = PASSWORD_DOC,
	  .example = "\"correct horse battery staple\"" },
	{ 0 },
};

const struct field auth_password_body[] = {
	{ .name = "current_password",
	  .type = T_TEXT,
	  .flags = F_REQUIRED,
	  .min = 1,
	  .max = PASSWORD_MAX,
	  .doc = "The password in use.",
	  .example = "\"correct horse battery staple\"" },
	{ .name = "new_password",
	  .type = T_TEXT,
	  .flags = F_REQUIRED,
	  .min = PASSWORD_MIN,
	  .max = PASSWORD_MAX,
	  .doc = PASSWORD_DOC,
	  .example = "\"a quite different sentence\"" },
	{ 0 },
};

const int auth_wrong_code[] = { 422, 0 };
const int auth_wrong_password[] = { 409, 422, 0 };
const int auth_no_session[] = { 404, 0 };
