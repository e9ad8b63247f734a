/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Tokens and sessions as steps of pure functions: what to ask the database and how to answer. Nothing here waits, hashes passwords, signs, or
 * touches a connection; src/server does that between the steps.
 *
 * Each statement is one segment and answers the uniform row (status, body, etag, link). A refusal has no body: its status says what to answer, and 429
 * has the seconds for Retry-After in link. All parameters are text; $n order is beside each statement. `sha256` is auth_sha256 of a secret;
 * refresh tokens are auth_secret("wmr_"), made for each statement that takes one; `seconds` is config.refresh_token_seconds. `address` is the
 * peer's. All are writes (lane write) but flow_client_sql, flow_me_sql and flow_sessions_sql.
 *
 *   POST /oauth/token        flow_token_parse(Authorization, form) -> refusal (OAuth form), or a request:
 *                              client_credentials  CLIENT
 *                              refresh_token       flow_refresh_sql  row 400 -> invalid_grant
 *                            row 200 -> GRANT, the wanted scope narrows it; a client's answer has no refresh token
 *   POST /oauth/revoke       flow_about_parse(Authorization, form) -> refusal, or a token; CLIENT where there is one. A token that auth_token_verify takes:
 *                            with a session flow_session_end_sql, else flow_revoke_token_sql; otherwise flow_revoke_sql. 200 without body, whatever the row (RFC 7009).
 *   POST /oauth/introspect   flow_about_parse -> refusal, or a token; CLIENT. A token that auth_token_verify takes: flow_introspect_sql -> 200: active;
 *                            whatever else: inactive
 *   POST /v1/sessions        anonymous. flow_login_begin_sql -> 429, or 200 with flow_login(body): hash job comparing with hash, or with
 *                            auth_hasher_decoy() when it is NULL -> flow_login_finish_sql: 401 (PROBLEM_UNAUTHENTICATED), or 200 -> GRANT
 *   POST /v1/sessions/enrolments  anonymous. flow_enrol_begin_sql -> 429, 422 (FLOW_CODE_ERRORS), or 200: hash job making a hash ->
 *                            flow_enrol_finish_sql: 422 as above, or 200 -> GRANT
 *   PUT /v1/me/password      acts. flow_password_begin_sql -> 429, 409 (not a person), or 200 with flow_login(body): hash job comparing with hash ->
 *                            mismatch: 422 (FLOW_PASSWORD_ERRORS); match: hash job making the new one ->
 *                            flow_password_change_sql: 204, or 409 (changed meanwhile)
 *   DELETE /v1/sessions/current   acts. flow_session_end_sql with the claims' account and session: 204, no row: 404
 *   GET /v1/me               acts. flow_me_sql: 200, the body is the answer
 *   GET /v1/me/sessions      acts. flow_sessions_sql: 200, the body is the answer
 *   DELETE /v1/me/sessions   acts. flow_sessions_end_sql: 204
 *   GET /.well-known/...     flow_metadata, auth_jwks
 *
 * CLIENT: a secret: flow_client_sql. An assertion: auth_assertion_parse -> refusal; flow_key_sql, auth_assertion_verify with its body -> refusal;
 * flow_assertion_sql. Both: 401 -> invalid_client, or 200 with the body of a grant.
 *
 * GRANT: flow_grant(body, wanted scope) fills the claims (400 invalid_scope when it refuses); the caller adds jti (auth_uuid), issued and expires,
 * signs with auth_token_sign, and answers flow_token_answer with Cache-Control: no-store.
 *
 * Accounts are created, and secrets and codes issued, by the standard way of a write: their operations have OP_SECRET, whose hash is handed over as the
 * setting wardmote.credential of the same transaction. */
#ifndef WARDMOTE_ACCOUNTS_FLOWS_H
#define WARDMOTE_ACCOUNTS_FLOWS_H

#include "wardmote/auth.h"
#include "wardmote/catalog.h"

/* $1 client_id, $2 sha256 of the secret */
extern const char flow_client_sql[];
/* $1 client_id, $2 kid (NULL: none). 200, the body is the key, or empty */
extern const char flow_key_sql[];
/* $1 client_id, $2 the key, $3 sha256 of client and jti, $4 when it may be forgotten, in seconds since 1970 */
extern const char flow_assertion_sql[];
/* $1 the client's account, $2 may it read accounts: "true" or "false", $3 to $6 account, epoch, session (NULL: none) and jti of the token */
extern const char flow_introspect_sql[];
/* $1 jti, $2 when it may be forgotten, in seconds since 1970 */
extern const char flow_revoke_token_sql[];
/* $1 sha256 of the token, $2 sha256 of the new one, $3 seconds */
extern const char flow_refresh_sql[];
/* $1 sha256 of the token */
extern const char flow_revoke_sql[];
/* $1 account, $2 session (NULL where the token has none) */
extern const char flow_session_end_sql[];
/* $1 login, $2 address */
extern const char flow_login_begin_sql[];
/* $1 account (NULL: unknown), $2 hash (NULL: unknown), $3 matched: "true" or "false", $4 login, $5 address, $6 sha256 of the refresh token, $7 seconds */
extern const char flow_login_finish_sql[];
/* $1 sha256 of the code, $2 address */
extern const char flow_enrol_begin_sql[];
/* $1 sha256 of the code, $2 the hash made, $3 address, $4 sha256 of the refresh token, $5 seconds */
extern const char flow_enrol_finish_sql[];
/* $1 address */
extern const char flow_password_begin_sql[];
/* $1 the hash compared with, $2 the hash made, $3 the session that stays (NULL: none), $4 address */
extern const char flow_password_change_sql[];
/* $1 when the token ends, in seconds since 1970, $2 its scopes (NULL: not scoped) */
extern const char flow_me_sql[];
/* $1 the session of the token (NULL: none) */
extern const char flow_sessions_sql[];
extern const char flow_sessions_end_sql[];

/* errors[] of the two refusals that a person can mend. */
#define FLOW_CODE_ERRORS "[{\"pointer\":\"/code\",\"code\":\"invalid_code\",\"detail\":\"the code is unknown, was used, or is over\"}]"
#define FLOW_PASSWORD_ERRORS                                                                                                               \
	"[{\"pointer\":\"/current_password\",\"code\":\"wrong_password\",\"detail\":\"this is not the password in use\"}]"

/* RFC 6749 section 5.2. */
struct flow_refusal {
	int status;
	const char *code, *description;
	bool challenge; /* 401 to a client that used Basic: WWW-Authenticate: Basic realm="wardmote" */
};

/* How a client proves itself. */
enum flow_method { FLOW_NOBODY, FLOW_BASIC, FLOW_POST, FLOW_ASSERTION };

struct flow_client {
	enum flow_method method;
	const char *client_id, *secret;
	const char *assertion; /* a JWT; client_id beside it may be NULL */
};

struct flow_token_request {
	bool refresh; /* refresh_token; otherwise client_credentials */
	struct flow_client client;
	const char *refresh_token;
	const char *scope; /* NULL: all that the account has */
};

/* 0, or -EINVAL with a refusal. `authorization` is the header's value (ptr NULL: none), `form` the body. */
int flow_token_parse(struct arena *arena, struct slice authorization, struct slice form, struct flow_token_request *ret_request,
		     struct flow_refusal *ret_refusal);
/* What a revocation or an introspection is about, and who asks. 0, or -EINVAL with a refusal. */
int flow_about_parse(struct arena *arena, struct slice authorization, struct slice form, struct flow_client *ret_client,
		     const char **ret_token, struct flow_refusal *ret_refusal);
int flow_client_parse(struct arena *arena, struct slice authorization, struct slice form, struct flow_client *ret_client,
		      struct flow_refusal *ret_refusal);
/* An assertion, or client_id and secret. */
bool flow_client_has_proof(const struct flow_client *client);
/* Is a client_id beside the assertion the assertion's own? Else with a refusal. */
bool flow_client_agrees(const struct flow_client *client, const char *asserted, struct flow_refusal *ret_refusal);
/* The client did not prove itself; the second says what an assertion shows by itself. */
struct flow_refusal flow_client_refused(const struct flow_client *client);
struct flow_refusal flow_assertion_refused(struct arena *arena, const char *why);
/* RFC 7662; `claims` NULL: inactive. `login` NULL: none. */
struct slice flow_introspected(struct arena *arena, const struct auth_policy *policy, const struct auth_claims *claims, const char *login);
/* What a row without a grant means at the token endpoint. */
struct flow_refusal flow_token_refused(const struct flow_token_request *request, int status);
extern const struct flow_refusal flow_scope_refused;
/* {"error":...,"error_description":...} */
struct slice flow_refusal_render(struct arena *arena, const struct flow_refusal *refusal);

struct flow_login {
	const char *account, *hash; /* NULL: there is none */
};
/* The login in the row of an introspection; NULL: a service has none. 0, -EBADMSG or -ENOMEM. */
int flow_username(struct arena *arena, struct slice body, const char **ret_login);
/* Reads the body of a *_begin row. 0, -EBADMSG when it is not one of ours, or -ENOMEM. */
int flow_login(struct arena *arena, struct slice body, struct flow_login *ret_login);

/* Claims from the body of a grant: all but jti, issued and expires. `wanted` (may be NULL) narrows the scopes to a part of the account's, all of them
 * in `known` (space separated). 0; -EACCES: a scope that the account does not have or nobody knows; -EBADMSG: not a grant; -ENOMEM. */
int flow_grant(struct slice body, const char *wanted, const char *known, struct auth_claims *ret_claims);
/* Is each of the wanted scopes one of those known? Asked before a refresh token is used, which works once. */
bool flow_scopes_known(const char *wanted, const char *known);
/* RFC 6749 section 5.1; `refresh_token` NULL: none. */
struct slice flow_token_answer(struct arena *arena, const struct auth_claims *claims, const char *access_token, const char *refresh_token);

/* All scopes that operations ask for, space separated in the order of the catalog. */
const char *flow_scopes(struct arena *arena, const struct catalog *catalog);
/* RFC 8414; `base_url` is the public base without a slash at its end. */
struct slice flow_metadata(struct arena *arena, const char *issuer, const char *base_url, const char *scopes);

#endif
