/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "flows.h"

#include <errno.h>

#include <jansson.h>

#include "wardmote/memory.h"
#include "wardmote/query.h"

#define ROW "SELECT status, body, etag, link FROM auth."

const char flow_client_sql[] = ROW "client_credentials($1, $2)";
const char flow_key_sql[] = ROW "client_key($1, $2)";
const char flow_assertion_sql[] = ROW "client_assertion($1, $2, $3, $4)";
const char flow_introspect_sql[] = ROW "introspect($1, $2, $3, $4, $5, $6)";
const char flow_revoke_token_sql[] = ROW "revoke_token($1, $2)";
const char flow_refresh_sql[] = ROW "refresh($1, $2, $3)";
const char flow_revoke_sql[] = ROW "revoke($1)";
const char flow_session_end_sql[] = ROW "session_end($1, $2)";
const char flow_login_begin_sql[] = ROW "login_begin($1, $2)";
const char flow_login_finish_sql[] = ROW "login_finish($1, $2, $3, $4, $5, $6, $7)";
const char flow_enrol_begin_sql[] = ROW "enrol_begin($1, $2)";
const char flow_enrol_finish_sql[] = ROW "enrol_finish($1, $2, $3, $4, $5)";
const char flow_password_begin_sql[] = ROW "password_begin($1)";
const char flow_password_change_sql[] = ROW "password_change($1, $2, $3, $4)";
const char flow_sessions_sql[] = ROW "my_sessions($1)";
const char flow_sessions_end_sql[] = ROW "my_sessions_end()";
const char flow_me_sql[] =
    "SELECT 200 AS status, json_build_object('account_id', a.id, 'name', a.name, 'kind', a.kind, 'role', a.role,"
    " 'partner_id', p.id, 'partner_name', p.name, 'scopes', to_json(string_to_array($2::text, ' ')),"
    " 'expires_at', to_char(to_timestamp($1::bigint) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))::text AS body,"
    " NULL::text AS etag, NULL::text AS link"
    " FROM api.account a JOIN api.partner p ON p.id = a.partner_id WHERE a.id = (SELECT wardmote.ctx_account())";

/* --- requests --- */

const struct flow_refusal flow_scope_refused = { 400, "invalid_scope", "A scope is unknown, malformed or beyond those of the account.",
						 false };

struct slice flow_refusal_render(struct arena *arena, const struct flow_refusal *refusal)
{
	struct buffer text = { .arena = arena };
	buffer_text(&text, "{\"error\":");
	buffer_json(&text, slice_of(refusal->code));
	buffer_text(&text, ",\"error_description\":");
	buffer_json(&text, slice_of(refusal->description));
	buffer_text(&text, "}");
	return buffer_slice(&text);
}

/* --- rows --- */

/* 0, -EBADMSG or -ENOMEM. */
static int row_object(struct slice body, json_t **ret_object)
{
	uint64_t lacks = memory_lacks();
	json_t *object = json_loadb(body.ptr == NULL ? "" : body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
	bool lacking = memory_lacks() != lacks;
	if (json_is_object(object) && !lacking) {
		*ret_object = object;
		return 0;
	}
	json_decref(object);
	return lacking ? -ENOMEM : -EBADMSG;
}

static const char *row_text(struct arena *arena, const json_t *row, const char *name)
{
	const char *text = json_string_value(json_object_get(row, name));
	return text == NULL ? NULL : arena_copy(arena, slice_of(text));
}

int flow_login(struct arena *arena, struct slice body, struct flow_login *ret_login)
{
	json_t *row;
	int r = row_object(body, &row);
	if (r != 0)
		return r;
	*ret_login = (struct flow_login){ row_text(arena, row, "account"), row_text(arena, row, "hash") };
	json_decref(row);
	return 0;
}

int flow_username(struct arena *arena, struct slice body, const char **ret_login)
{
	json_t *row;
	int r = row_object(body, &row);
	if (r != 0)
		return r;
	*ret_login = row_text(arena, row, "login");
	json_decref(row);
	return 0;
}

static bool take(const json_t *row, const char *name, char *ret_text, size_t size)
{
	const char *text = json_string_value(json_object_get(row, name));
	size_t len = text == NULL ? 0 : strlen(text);
	if (len == 0 || len >= size)
		return false;
	memcpy(ret_text, text, len + 1);
	return true;
}

static bool take_role(const json_t *row, enum caller *ret_role)
{
	static const char *const names[] = { "viewer", "officer", "manager", "administrator" };
	const char *role = json_string_value(json_object_get(row, "role"));
	for (size_t i = 0; role != NULL && i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(role, names[i]) == 0) {
			*ret_role = (enum caller)(CALLER_VIEWER + i);
			return true;
		}
	}
	return false;
}

static bool take_scopes(const json_t *row, struct auth_claims *claims)
{
	const json_t *scopes = json_object_get(row, "scopes");
	claims->scoped = json_is_string(scopes);
	if (!claims->scoped)
		return json_is_null(scopes);
	return json_string_length(scopes) == 0 || take(row, "scopes", claims->scopes, sizeof(claims->scopes));
}

static bool take_claims(const json_t *row, struct auth_claims *claims)
{
	const char *kind = json_string_value(json_object_get(row, "kind"));
	const json_t *epoch = json_object_get(row, "epoch");
	if (kind == NULL || !json_is_integer(epoch))
		return false;
	claims->person = strcmp(kind, "person") == 0;
	claims->epoch = (long)json_integer_value(epoch);
	if (json_is_string(json_object_get(row, "session")) && !take(row, "session", claims->session, sizeof(claims->session)))
		return false;
	return take(row, "account", claims->account, sizeof(claims->account)) &&
	       take(row, "partner", claims->partner, sizeof(claims->partner)) &&
	       take(row, "client_id", claims->client_id, sizeof(claims->client_id)) && take_role(row, &claims->role) &&
	       take_scopes(row, claims);
}

/* Is this word one of the space-separated words of `list`? */
static bool has_word(const char *list, const char *word, size_t len)
{
	for (const char *at = list; *at != '\0';) {
		size_t span = strcspn(at, " ");
		if (span == len && memcmp(at, word, len) == 0)
			return true;
		at += span + (at[span] == ' ');
	}
	return false;
}

static int narrow(struct auth_claims *claims, const char *wanted, const char *known)
{
	if (strlen(wanted) >= sizeof(claims->scopes))
		return -EACCES;
	for (const char *at = wanted;; at++) {
		size_t span = strcspn(at, " ");
		if (span == 0 || !has_word(known, at, span) || (claims->scoped && !has_word(claims->scopes, at, span)))
			return -EACCES;
		at += span;
		if (*at == '\0')
			break;
	}
	claims->scoped = true;
	memcpy(claims->scopes, wanted, strlen(wanted) + 1);
	return 0;
}

bool flow_scopes_known(const char *wanted, const char *known)
{
	struct auth_claims unscoped = { .account = "" };
	return narrow(&unscoped, wanted, known) == 0;
}

int flow_grant(struct slice body, const char *wanted, const char *known, struct auth_claims *ret_claims)
{
	struct auth_claims claims = { .account = "" };
	json_t *row;
	int r = row_object(body, &row);
	if (r != 0)
		return r;
	bool good = take_claims(row, &claims);
	json_decref(row);
	if (!good)
		return -EBADMSG;
	r = wanted == NULL ? 0 : narrow(&claims, wanted, known);
	if (r == 0)
		*ret_claims = claims;
	return r;
}

/* --- answers --- */

struct slice flow_token_answer(struct arena *arena, const struct auth_claims *claims, const char *access_token, const char *refresh_token)
{
	struct buffer text = { .arena = arena };
	buffer_format(&text, "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%lld", access_token,
		      (long long)(claims->expires - claims->issued));
	if (refresh_token != NULL)
		buffer_format(&text, ",\"refresh_token\":\"%s\"", refresh_token);
	if (claims->scoped) {
		buffer_text(&text, ",\"scope\":");
		buffer_json(&text, slice_of(claims->scopes));
	}
	buffer_text(&text, "}");
	return buffer_slice(&text);
}

const char *flow_scopes(struct arena *arena, const struct catalog *catalog)
{
	size_t n;
	const struct route *routes = catalog_routes(catalog, &n);
	struct buffer scopes = { .arena = arena };
	buffer_text(&scopes, "");
	for (size_t i = 0; i < n; i++) {
		const char *scope = routes[i].operation->scope;
		if (scope == NULL || (scopes.ptr != NULL && has_word(scopes.ptr, scope, strlen(scope))))
			continue;
		if (scopes.len > 0)
			buffer_text(&scopes, " ");
		buffer_text(&scopes, scope);
	}
	return scopes.ptr;
}

#define METHODS(endpoint)                                                                                                                  \
	"\"" endpoint "_endpoint_auth_methods_supported\":[\"client_secret_basic\",\"client_secret_post\",\"private_key_jwt\""
#define ALGORITHMS(endpoint)                                                                                                               \
	"\"" endpoint "_endpoint_auth_signing_alg_values_supported\":[\"RS256\",\"PS256\",\"ES256\",\"EdDSA\",\"Ed25519\"]"

static void add_url(struct buffer *text, const char *name, const char *base_url, const char *path)
{
	buffer_format(text, ",\"%s\":", name);
	buffer_json(text, slice_of(arena_printf(text->arena, "%s%s", base_url, path)));
}

struct slice flow_metadata(struct arena *arena, const char *issuer, const char *base_url, const char *scopes)
{
	struct buffer text = { .arena = arena };
	buffer_text(&text, "{\"issuer\":");
	buffer_json(&text, slice_of(issuer));
	add_url(&text, "token_endpoint", base_url, "/oauth/token");
	add_url(&text, "introspection_endpoint", base_url, "/oauth/introspect");
	add_url(&text, "revocation_endpoint", base_url, "/oauth/revoke");
	add_url(&text, "jwks_uri", base_url, "/.well-known/jwks.json");
	add_url(&text, "service_documentation", base_url, "/openapi.json");
	/* No authorization endpoint: programs use client_credentials, people log in at /v1/sessions. */
	buffer_text(
	    &text,
	    ",\"response_types_supported\":[],\"grant_types_supported\":[\"client_credentials\",\"refresh_token\"]," METHODS(
		"toke"
		"n") ",\"none\"]," ALGORITHMS("token") "," METHODS("introspection") "]," ALGORITHMS("introspection") "," METHODS("revocatio"
																 "n") ",\"n"
																      "one"
																      "\"]"
																      "," ALGORITHMS(
																	  "re"
																	  "vo"
																	  "ca"
																	  "ti"
																	  "o"
																	  "n") ",\"scopes_supported\":[");
	for (const char *at = scopes; *at != '\0';) {
		size_t span = strcspn(at, " ");
		if (at != scopes)
			buffer_text(&text, ",");
		buffer_json(&text, (struct slice){ at, span });
		at += span + (at[span] == ' ');
	}
	buffer_text(&text, "]}");
	return buffer_slice(&text);
}
