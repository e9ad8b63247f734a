/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Accounts: people and programs of a partner. Their partner's managers run them; policies say so (migration 0002). Nothing here is a
 * credential: those are in tables that no view, no history and no representation shows. */
#include "wardmote/resources.h"

#include "../vocabulary.h"

extern const char account_check_sql[];
extern const char account_gate_sql[];
extern const char account_secret_sql[];
extern const char account_secrets_end_sql[];
extern const char account_enrolment_sql[];
extern const char account_erasure_sql[];

#define PURPOSE_IDENTITY "So that a person can sign in, and the own partner can see who made a change."
#define RETENTION_IDENTITY "Until the account is erased; managers erase the accounts of people who have left."

#define SUBJECTS_IDENTITY "Staff and volunteers of partners who sign in."
#define BASIS_IDENTITY "Public task or legitimate interests (Art. 6(1)(e), (f)): who changed a public record must be known."

static const char *const kinds[] = { "person", "service", NULL };
static const char *const roles[] = { "viewer", "officer", "manager", "administrator", NULL };

static const char *const key_types[] = { "RSA", "EC", "OKP", NULL };
static const char *const key_algorithms[] = { "RS256", "PS256", "ES256", "EdDSA", "Ed25519", NULL };
static const char *const key_uses[] = { "sig", NULL };
static const char *const curves[] = { "P-256", "Ed25519", NULL };

/* RFC 7517. What src/auth says of the numbers is asked in src/server. */
static const struct field key_members[] = {
	{ .name = "kty", .type = T_ENUM, .values = key_types, .flags = F_REQUIRED, .doc = "Kind of key.", .example = "\"EC\"" },
	{ .name = "kid",
	  .type = T_TEXT,
	  .flags = F_REQUIRED,
	  .min = 1,
	  .max = 128,
	  .doc = "Name of the key, unique in the account; an assertion's header names the key by it.",
	  .example = "\"2026-11\"" },
	{ .name = "alg",
	  .type = T_ENUM,
	  .values = key_algorithms,
	  .flags = F_REQUIRED,
	  .doc = "The one algorithm that the key is used with: RS256 or PS256 for RSA, ES256 for P-256, EdDSA (also called Ed25519) for "
		 "Ed25519.",
	  .example = "\"ES256\"" },
	{ .name = "use", .type = T_ENUM, .values = key_uses, .doc = "What the key is for: signing.", .example = "\"sig\"" },
	{ .name = "crv", .type = T_ENUM, .values = curves, .doc = "Curve of an EC or OKP key.", .example = "\"P-256\"" },
	{ .name = "x",
	  .type = T_TEXT,
	  .min = 43,
	  .max = 43,
	  .doc = "Coordinate of an EC key, or the whole of an OKP key, in base64url.",
	  .example = "\"HU47UxprmlP5MY0y66D5kdFcbH1V0LahKl4rUKiNCuI\"" },
	{ .name = "y",
	  .type = T_TEXT,
	  .min = 43,
	  .max = 43,
	  .doc = "Other coordinate of an EC key, in base64url.",
	  .example = "\"iJxudMOGIKr7d2QXs8gg2fgrMbL1p_0JAnESj7Jrg-U\"" },
	{ .name = "n",
	  .type = T_TEXT,
	  .min = 342,
	  .max = 683,
	  .doc = "Modulus of an RSA key of 2,048 to 4,096 bits, in base64url.",
	  .example =
	      "\"20VT8v_a9OR5_09JaUKkANnXU7Cxy3yVzCodOLdD1Qv1nTmu6t0WHWYHNWiWOWHuoJc_PM7o9DdOCS0RlNWBI5_LeDY5w1U1KFw-"
	      "obKVMpmqzcrToZwyu7144LVFQCQRZOErzwvtMp0LPMK8sIkvLY7cSNJMfPjrO-PnExK1mlbkq4Tg_pBMC5KdbFPeznj51--ItqWk0iai9c4hiRqOrwP5KSL"
	      "AcO967tffbZpqwAyCnI0g3du8nERDp2IBMGTj0EWVp3Mh0tz4Z0OzE5lUeud5vnRSIxNtFIPDpNIEqRRBU2yZiNCKoMGb1j9X4MJNW-hdNC1wmPq2CtQZeq"
	      "fT0w\"" },
	{ .name = "e",
	  .type = T_TEXT,
	  .min = 4,
	  .max = 6,
	  .doc = "Exponent of an RSA key, in base64url; mostly AQAB.",
	  .example = "\"AQAB\"" },
	{ 0 },
};

static const struct field jwks_members[] = {
	{ .name = "keys",
	  .type = T_OBJECTS,
	  .members = key_members,
	  .flags = F_REQUIRED,
	  .min = 1,
	  .max = 10,
	  .doc = "The keys, each with a kid of its own; two while one replaces the other." },
	{ 0 },
};

static const struct field fields[] = {
	{ .name = "partner_id",
	  .type = T_REF,
	  .refers = "partners",
	  .include_name = "partner",
	  .initial = "@partner",
	  .flags = F_CREATE_ONLY | F_FILTER | F_INCLUDE,
	  .audience = A_PARTNER,
	  .doc =
	      "Partner for which the account acts; by default the caller's. An administrator names another one only until that partner has "
	      "a manager who is a person." },
	{ .name = "kind",
	  .type = T_ENUM,
	  .values = kinds,
	  .flags = F_REQUIRED | F_CREATE_ONLY | F_FILTER,
	  .audience = A_PARTNER,
	  .doc = "A person signs in with login and password; a service with client_id and client_secret at the token endpoint.",
	  .example = "\"service\"" },
	{ .name = "role",
	  .type = T_ENUM,
	  .values = roles,
	  .flags = F_REQUIRED | F_FILTER,
	  .audience = A_PARTNER,
	  .doc = "What the account may do; each role may do all that the ones before it may. Administrators belong to the host partner.",
	  .example = "\"officer\"" },
	{ .name = "name",
	  .type = T_TEXT,
	  .flags = F_REQUIRED | F_PERSONAL,
	  .audience = A_PARTNER,
	  .min = 1,
	  .max = NAME_MAX_CHARS,
	  .purpose = PURPOSE_IDENTITY,
	  .retention = RETENTION_IDENTITY,
	  .subjects = SUBJECTS_IDENTITY,
	  .basis = BASIS_IDENTITY,
	  .doc = "Name of the person or of the program.",
	  .example = "\"Survey tool\"" },
	{ .name = "login",
	  .type = T_TEXT,
	  .flags = F_NULLABLE | F_PERSONAL,
	  .audience = A_PARTNER,
	  .min = 3,
	  .max = 200,
	  .purpose = PURPOSE_IDENTITY,
	  .retention = RETENTION_IDENTITY,
	  .subjects = SUBJECTS_IDENTITY,
	  .basis = BASIS_IDENTITY,
	  .doc =
	      "What a person signs in with, often a mail address; lower case, without spaces, unique. Required for a person, absent for a "
	      "service.",
	  .example = "null" },
	{ .name = "scopes",
	  .type = T_TEXTS,
	  .flags = F_NULLABLE,
	  .audience = A_PARTNER,
	  .max = 40,
	  .names = NAMES_NOBODY,
	  .doc =
	      "Narrows the role to these scopes (\"consultations:read\", \"consultations:write\"); null: everything that the role allows.",
	  .example = "[\"consultations:read\"]" },
	{ .name = "jwks",
	  .type = T_OBJECT,
	  .members = jwks_members,
	  .flags = F_NULLABLE,
	  .audience = A_PARTNER,
	  .doc = "Public keys of a service (a JWK Set, RFC 7517), which proves itself at the token endpoint by assertions signed with "
		 "their private "
		 "halves (`private_key_jwt`), instead of a secret or beside it. Sent whole: a key that is left out or changed ends, and "
		 "the tokens "
		 "of the account too. Created with keys, a service starts without a secret. Private parts of a key are refused.",
	  .example = "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"2026-11\",\"alg\":\"ES256\",\"use\":\"sig\",\"crv\":\"P-256\",\"x\":\""
		     "HU47UxprmlP5MY0y66D5kdFcbH1V0LahKl4rUKiNCuI\",\"y\":\"iJxudMOGIKr7d2QXs8gg2fgrMbL1p_0JAnESj7Jrg-U\"}]}" },
	{ .name = "disabled",
	  .type = T_BOOL,
	  .flags = F_FILTER,
	  .audience = A_PARTNER,
	  .initial = "false",
	  .doc = "A disabled account can do nothing; its tokens and sessions end at once and do not come back." },
	{ .name = "suspended",
	  .type = T_BOOL,
	  .flags = F_READONLY | F_FILTER,
	  .audience = A_PARTNER,
	  .doc = "Whether the account can do nothing because its partner is not active." },
	{ .name = "client_id",
	  .type = T_TEXT,
	  .flags = F_READONLY | F_NULLABLE,
	  .audience = A_PARTNER,
	  .max = 64,
	  .names = NAMES_NOBODY,
	  .doc = "OAuth client of a service account.",
	  .example = "\"wmc_019ab3c45d6e7f8091a2b3c4d5e6f708\"" },
	{ .name = "issuer",
	  .type = T_TEXT,
	  .flags = F_READONLY | F_NULLABLE | F_PERSONAL,
	  .audience = A_PARTNER,
	  .max = 500,
	  .purpose = PURPOSE_IDENTITY,
	  .retention = RETENTION_IDENTITY,
	  .subjects = SUBJECTS_IDENTITY,
	  .basis = BASIS_IDENTITY,
	  .doc = "Reserved: the outside identity provider that vouches for the person.",
	  .example = "null" },
	{ .name = "subject",
	  .type = T_TEXT,
	  .flags = F_READONLY | F_NULLABLE | F_PERSONAL,
	  .audience = A_PARTNER,
	  .max = 255,
	  .purpose = PURPOSE_IDENTITY,
	  .retention = RETENTION_IDENTITY,
	  .subjects = SUBJECTS_IDENTITY,
	  .basis = BASIS_IDENTITY,
	  .doc = "Reserved: the person's identifier at that provider.",
	  .example = "null" },
	{ .name = "recovered_at",
	  .type = T_TIMESTAMP,
	  .flags = F_READONLY | F_NULLABLE,
	  .audience = A_PARTNER,
	  .doc = "When an administrator of the host partner last issued an enrolment code for this account of another partner." },
	{ .name = "erased_at",
	  .type = T_TIMESTAMP,
	  .flags = F_READONLY | F_NULLABLE,
	  .audience = A_PARTNER,
	  .doc = "When the account's personal data were blanked." },
};

static const struct sort sorts[] = {
	{ .name = "name", .type = "text", .audience = A_PARTNER },
	{ .name = "created_at", .type = "timestamptz", .audience = A_PARTNER },
	{ .name = "updated_at", .type = "timestamptz", .audience = A_PARTNER },
	{ 0 },
};

static const struct field secret_body[] = {
	{ .name = "grace_seconds",
	  .type = T_INT,
	  .min = 0,
	  .max = 604800,
	  .initial = "86400",
	  .doc = "How long the secret before this one still works. 0: it ends at once, and the tokens obtained with it too.",
	  .example = "86400" },
	{ 0 },
};

static const int conflict[] = { 409, 0 };

static const struct operation operations[] = {
	{ .id = "create_account",
	  .method = "POST",
	  .path = "/v1/accounts",
	  .verb = V_CREATE,
	  .native = NATIVE_ACCOUNT_CREATE,
	  .resource = &account_resource,
	  .least = CALLER_MANAGER,
	  .scope = "accounts:write",
	  .lane = LANE_WRITE,
	  .flags = OP_IDEMPOTENT | OP_DRY_RUN | OP_CREATES | OP_SECRET | OP_NO_STORE,
	  .body_kind = BODY_JSON,
	  .summary = "Create an account",
	  .doc = "The answer shows once what the account starts with: `client_secret` of a service (null when it has `jwks`), or "
		 "`enrolment_code` of a person, which is "
		 "good for 72 hours at `POST /v1/sessions/enrolments`. The server sends no mail: hand it over yourself." },
	{ .id = "create_account_secret",
	  .method = "POST",
	  .path = "/v1/accounts/{id}/secrets",
	  .verb = V_SQL,
	  .native = NATIVE_SECRET_CREATE,
	  .resource = &account_resource,
	  .least = CALLER_MANAGER,
	  .scope = "accounts:write",
	  .lane = LANE_WRITE,
	  .flags = OP_ITEM | OP_IDEMPOTENT | OP_DRY_RUN | OP_CREATES | OP_SECRET | OP_NO_STORE,
	  .body_kind = BODY_JSON,
	  .body = secret_body,
	  .sql = account_secret_sql,
	  .statuses = conflict,
	  .summary = "Rotate the secret of a service account",
	  .doc = "The answer shows the new `client_secret` once. The one before it works until `previous_expires_at`." },
	{ .id = "delete_account_secrets",
	  .method = "DELETE",
	  .path = "/v1/accounts/{id}/secrets",
	  .verb = V_SQL,
	  .resource = &account_resource,
	  .least = CALLER_MANAGER,
	  .scope = "accounts:write",
	  .lane = LANE_WRITE,
	  .flags = OP_ITEM | OP_DRY_RUN | OP_NO_CONTENT,
	  .body_kind = BODY_NONE,
	  .sql = account_secrets_end_sql,
	  .statuses = conflict,
	  .summary = "End every secret of a service account",
	  .doc = "They and the tokens of the account end at once: from then on it has its keys (`jwks`) alone, or, without keys, no way to "
		 "prove "
		 "itself. Again does no harm." },
	{ .id = "create_account_enrolment",
	  .method = "POST",
	  .path = "/v1/accounts/{id}/enrolments",
	  .verb = V_SQL,
	  .native = NATIVE_ENROLMENT_CREATE,
	  .resource = &account_resource,
	  .least = CALLER_MANAGER,
	  .scope = "accounts:write",
	  .lane = LANE_WRITE,
	  .flags = OP_ITEM | OP_IDEMPOTENT | OP_DRY_RUN | OP_CREATES | OP_SECRET | OP_NO_STORE,
	  .body_kind = BODY_NONE,
	  .sql = account_enrolment_sql,
	  .statuses = conflict,
	  .summary = "Issue a one-time code that sets a person's password",
	  .doc =
	      "The answer shows `enrolment_code` once; it is good for 72 hours and replaces the code before it. The password in use works "
	      "until a new one is set. An administrator may do this for a manager of another partner: `recovered_at` shows it there." },
	{ .id = "erase_account",
	  .method = "POST",
	  .path = "/v1/accounts/{id}/erasure",
	  .verb = V_SQL,
	  .resource = &account_resource,
	  .least = CALLER_MANAGER,
	  .scope = "accounts:write",
	  .lane = LANE_WRITE,
	  .flags = OP_ITEM | OP_DRY_RUN | OP_NO_CONTENT,
	  .body_kind = BODY_NONE,
	  .sql = account_erasure_sql,
	  .statuses = conflict,
	  .summary = "Erase the personal data of an account",
	  .doc =
	      "Ends the account and blanks its personal data in the record and in every earlier version. What it changed stays, without a "
	      "name. It cannot be undone." },
	{ 0 },
};

const struct resource account_resource = {
	.name = "accounts",
	.thing = "account",
	.doc = "An account is a person or a program that acts for one partner. Managers run the accounts of their partner, except "
	       "administrators'; everybody sees the own account. An account is disabled or erased, never deleted: changes refer to it.",
	.flags = R_NO_DELETE,
	.read = CALLER_VIEWER,
	.write = CALLER_MANAGER,
	.fields = fields,
	.n_fields = ROWS(fields),
	.sorts = sorts,
	.check_sql = account_check_sql,
	.gate_sql = account_gate_sql,
	.operations = operations,
	.example = "{\"kind\":\"service\",\"role\":\"officer\",\"name\":\"Survey "
		   "tool\",\"scopes\":[\"consultations:read\",\"consultations:write\"]}",
};
