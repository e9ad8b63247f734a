/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "flows.h"

#include <errno.h>
#include <strings.h>

#include <jansson.h>

#include "wardmote/memory.h"
#include "wardmote/query.h"

enum { CLIENT_MAX = 64, SECRET_MAX = 128, BASIC_MAX = 512 };

#define ROW "SELECT status, body, etag, link FROM auth."

const char flow_client_sql[] = ROW "client_credentials($1, $2)";
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

static const struct flow_refusal invalid_request = { 400, "invalid_request", "A parameter is missing, repeated, malformed or too long.",
						     false };
static const struct flow_refusal two_methods = { 400, "invalid_request", "The client authenticates in one way: by header or in the body.",
						 false };
static const struct flow_refusal unknown_grant = { 400, "unsupported_grant_type", "grant_type is client_credentials or refresh_token.",
						   false };
const struct flow_refusal flow_scope_refused = { 400, "invalid_scope", "A scope is unknown, malformed or beyond those of the account.",
						 false };

static struct flow_refusal client_refused(bool basic)
{
	return (struct flow_refusal){ 401, "invalid_client", "The client is unknown, its secret is wrong, or it may not act.", basic };
}

struct flow_refusal flow_token_refused(const struct flow_token_request *request, int status)
{
	if (request->refresh && status < 500)
		return (struct flow_refusal){ 400, "invalid_grant", "The refresh token is unknown, was used, or is over.", false };
	return client_refused(request->basic);
}

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

/* One parameter of the form; an empty one counts as absent (RFC 6749 section 3.1). */
static int form_text(struct arena *arena, struct slice form, const char *name, size_t max, const char **ret_value)
{
	const char *value;
	if (form_value(arena, form, name, &value) != 0 || (value != NULL && strlen(value) > max))
		return -EINVAL;
	*ret_value = value != NULL && value[0] != '\0' ? value : NULL;
	return 0;
}

static int base64_value(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);
	return at == NULL ? -1 : (int)(at - alphabet);
}

/* RFC 4648 with padding. 0 or -EINVAL. */
static int base64_decode(struct slice text, char *ret_bytes, size_t size, size_t *ret_len)
{
	size_t len = 0;
	if (text.len == 0 || text.len % 4 != 0 || text.len / 4 * 3 > size)
		return -EINVAL;
	size_t padding = (size_t)(text.ptr[text.len - 1] == '=') + (text.ptr[text.len - 2] == '=');
	uint32_t bits = 0;
	for (size_t i = 0; i < text.len - padding; i++) {
		int value = base64_value(text.ptr[i]);
		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 != 0)
			ret_bytes[len++] = (char)(bits >> (6 - 2 * (i % 4)));
	}
	*ret_len = len;
	return 0;
}

/* Both halves are form-encoded before they are joined (RFC 6749 section 2.3.1), so one is decoded as the value of a form. */
static int basic_half(struct arena *arena, struct slice text, size_t max, const char **ret_value)
{
	struct buffer form = { .arena = arena };
	if (memchr(text.ptr, '&', text.len) != NULL || memchr(text.ptr, '\0', text.len) != NULL)
		return -EINVAL;
	buffer_text(&form, "v=");
	buffer_add(&form, text);
	return form_text(arena, buffer_slice(&form), "v", max, ret_value);
}

static int basic_parse(struct arena *arena, struct slice authorization, struct flow_token_request *request)
{
	static const char scheme[] = "Basic ";
	char bytes[BASIC_MAX];
	size_t len;
	if (authorization.len < sizeof(scheme) || strncasecmp(authorization.ptr, scheme, sizeof(scheme) - 1) != 0)
		return -EINVAL;
	struct slice encoded = { authorization.ptr + sizeof(scheme) - 1, authorization.len - (sizeof(scheme) - 1) };
	if (base64_decode(encoded, bytes, sizeof(bytes), &len) != 0)
		return -EINVAL;
	const char *colon = memchr(bytes, ':', len);
	if (colon == NULL)
		return -EINVAL;
	size_t name_len = (size_t)(colon - bytes);
	request->basic = true;
	if (basic_half(arena, (struct slice){ bytes, name_len }, CLIENT_MAX, &request->client_id) != 0)
		return -EINVAL;
	return basic_half(arena, (struct slice){ colon + 1, len - name_len - 1 }, SECRET_MAX, &request->client_secret);
}

static int refuse(struct flow_refusal *ret_refusal, struct flow_refusal refusal)
{
	*ret_refusal = refusal;
	return -EINVAL;
}

int flow_token_parse(struct arena *arena, struct slice authorization, struct slice form, struct flow_token_request *ret_request,
		     struct flow_refusal *ret_refusal)
{
	struct flow_token_request request = { .refresh = false };
	const char *grant = NULL, *client_id = NULL, *client_secret = NULL;
	if (form_text(arena, form, "grant_type", 64, &grant) != 0 || form_text(arena, form, "client_id", CLIENT_MAX, &client_id) != 0 ||
	    form_text(arena, form, "client_secret", SECRET_MAX, &client_secret) != 0 ||
	    form_text(arena, form, "refresh_token", SECRET_MAX, &request.refresh_token) != 0 ||
	    form_text(arena, form, "scope", AUTH_SCOPES_MAX - 1, &request.scope) != 0 || grant == NULL)
		return refuse(ret_refusal, invalid_request);
	request.refresh = strcmp(grant, "refresh_token") == 0;
	if (!request.refresh && strcmp(grant, "client_credentials") != 0)
		return refuse(ret_refusal, unknown_grant);
	if (authorization.ptr != NULL) {
		if (basic_parse(arena, authorization, &request) != 0)
			return refuse(ret_refusal, client_refused(true));
		if (client_secret != NULL ||
		    (client_id != NULL && (request.client_id == NULL || strcmp(client_id, request.client_id) != 0)))
			return refuse(ret_refusal, two_methods);
	} else {
		request.client_id = client_id;
		request.client_secret = client_secret;
	}
	/* A person's refresh token is its own proof; nobody else has one. */
	if (request.refresh && request.refresh_token == NULL)
		return refuse(ret_refusal, invalid_request);
	if (!request.refresh && (request.client_id == NULL || request.client_secret == NULL))
		return refuse(ret_refusal, client_refused(request.basic));
	*ret_request = request;
	return 0;
}

int flow_revoke_parse(struct arena *arena, struct slice form, const char **ret_token, struct flow_refusal *ret_refusal)
{
	/* token_type_hint may help to find the token; ours tell by their form. */
	const char *token;
	if (form_text(arena, form, "token", 4096, &token) != 0 || token == NULL)
		return refuse(ret_refusal, invalid_request);
	*ret_token = token;
	return 0;
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
	add_url(&text, "revocation_endpoint", base_url, "/oauth/revoke");
	add_url(&text, "jwks_uri", base_url, "/.well-known/jwks.json");
	add_url(&text, "service_documentation", base_url, "/openapi.json");
	/* No authorization endpoint: programs use client_credentials, people log in at /v1/sessions. */
	buffer_text(&text, ",\"response_types_supported\":[],\"grant_types_supported\":[\"client_credentials\",\"refresh_token\"],"
			   "\"token_endpoint_auth_methods_supported\":[\"client_secret_basic\",\"client_secret_post\",\"none\"],"
			   "\"revocation_endpoint_auth_methods_supported\":[\"none\"],\"scopes_supported\":[");
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
