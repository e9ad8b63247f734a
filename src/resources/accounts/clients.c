/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The forms of the OAuth endpoints: how a client proves itself (a secret by header or in the body, or a signed assertion), and what it wants. */
#include <errno.h>
#include <strings.h>

#include "flows.h"
#include "wardmote/query.h"

enum { CLIENT_FIELD_MAX = 64, SECRET_MAX = 128, BASIC_MAX = 512, TOKEN_FIELD_MAX = 4096 };

#define JWT_BEARER "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

static const struct flow_refusal invalid_request = { 400, "invalid_request", "A parameter is missing, repeated, malformed or too long.",
						     false };
static const struct flow_refusal two_methods = {
	400, "invalid_request", "The client authenticates in one way: by header, with a secret in the body, or by an assertion.", false
};
static const struct flow_refusal two_clients = { 400, "invalid_request", "client_id is not that of the assertion.", false };
static const struct flow_refusal half_assertion = { 400, "invalid_request",
						    "client_assertion goes with client_assertion_type " JWT_BEARER ".", false };
static const struct flow_refusal unknown_grant = { 400, "unsupported_grant_type", "grant_type is client_credentials or refresh_token.",
						   false };

struct flow_refusal flow_client_refused(const struct flow_client *client)
{
	if (client->method == FLOW_ASSERTION)
		return (struct flow_refusal){
			401, "invalid_client",
			"The client or its key is unknown, the signature is wrong, the assertion was used, or the client may not act.",
			false
		};
	return (struct flow_refusal){ 401, "invalid_client", "The client is unknown, its secret is wrong, or it may not act.",
				      client->method == FLOW_BASIC };
}

struct flow_refusal flow_assertion_refused(struct arena *arena, const char *why)
{
	return (struct flow_refusal){ 401, "invalid_client", arena_printf(arena, "The assertion is refused: %s.", why), false };
}

struct flow_refusal flow_token_refused(const struct flow_token_request *request, int status)
{
	if (request->refresh && status < 500)
		return (struct flow_refusal){ 400, "invalid_grant", "The refresh token is unknown, was used, or is over.", false };
	return flow_client_refused(&request->client);
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

static int basic_parse(struct arena *arena, struct slice authorization, struct flow_client *client)
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
	client->method = FLOW_BASIC;
	if (basic_half(arena, (struct slice){ bytes, name_len }, CLIENT_FIELD_MAX, &client->client_id) != 0)
		return -EINVAL;
	return basic_half(arena, (struct slice){ colon + 1, len - name_len - 1 }, SECRET_MAX, &client->secret);
}

static int refuse(struct flow_refusal *ret_refusal, struct flow_refusal refusal)
{
	*ret_refusal = refusal;
	return -EINVAL;
}

struct proofs {
	const char *client_id, *secret, *type, *assertion;
};

static int read_proofs(struct arena *arena, struct slice form, struct proofs *proofs)
{
	if (form_text(arena, form, "client_id", CLIENT_FIELD_MAX, &proofs->client_id) != 0 ||
	    form_text(arena, form, "client_secret", SECRET_MAX, &proofs->secret) != 0 ||
	    form_text(arena, form, "client_assertion_type", sizeof(JWT_BEARER) - 1, &proofs->type) != 0 ||
	    form_text(arena, form, "client_assertion", TOKEN_FIELD_MAX, &proofs->assertion) != 0)
		return -EINVAL;
	return 0;
}

int flow_client_parse(struct arena *arena, struct slice authorization, struct slice form, struct flow_client *ret_client,
		      struct flow_refusal *ret_refusal)
{
	struct proofs proofs;
	struct flow_client client = { .method = FLOW_NOBODY };
	if (read_proofs(arena, form, &proofs) != 0)
		return refuse(ret_refusal, invalid_request);
	bool asserted = proofs.assertion != NULL || proofs.type != NULL;
	if ((authorization.ptr != NULL) + (proofs.secret != NULL) + asserted > 1)
		return refuse(ret_refusal, two_methods);
	if (asserted && (proofs.assertion == NULL || proofs.type == NULL || strcmp(proofs.type, JWT_BEARER) != 0))
		return refuse(ret_refusal, half_assertion);
	if (authorization.ptr != NULL) {
		if (basic_parse(arena, authorization, &client) != 0)
			return refuse(ret_refusal, flow_client_refused(&(struct flow_client){ .method = FLOW_BASIC }));
		if (proofs.client_id != NULL && (client.client_id == NULL || strcmp(proofs.client_id, client.client_id) != 0))
			return refuse(ret_refusal, two_methods);
	} else {
		client = (struct flow_client){ proofs.secret != NULL ? FLOW_POST : FLOW_NOBODY, proofs.client_id, proofs.secret, NULL };
		if (asserted)
			client = (struct flow_client){ FLOW_ASSERTION, proofs.client_id, NULL, proofs.assertion };
	}
	*ret_client = client;
	return 0;
}

bool flow_client_has_proof(const struct flow_client *client)
{
	return client->method == FLOW_ASSERTION || (client->client_id != NULL && client->secret != NULL);
}

bool flow_client_agrees(const struct flow_client *client, const char *asserted, struct flow_refusal *ret_refusal)
{
	if (client->client_id == NULL || strcmp(client->client_id, asserted) == 0)
		return true;
	*ret_refusal = two_clients;
	return false;
}

int flow_token_parse(struct arena *arena, struct slice authorization, struct slice form, struct flow_token_request *ret_request,
		     struct flow_refusal *ret_refusal)
{
	struct flow_token_request request = { .refresh = false };
	const char *grant = NULL;
	if (form_text(arena, form, "grant_type", 64, &grant) != 0 ||
	    form_text(arena, form, "refresh_token", SECRET_MAX, &request.refresh_token) != 0 ||
	    form_text(arena, form, "scope", AUTH_SCOPES_MAX - 1, &request.scope) != 0 || grant == NULL)
		return refuse(ret_refusal, invalid_request);
	request.refresh = strcmp(grant, "refresh_token") == 0;
	if (!request.refresh && strcmp(grant, "client_credentials") != 0)
		return refuse(ret_refusal, unknown_grant);
	if (flow_client_parse(arena, authorization, form, &request.client, ret_refusal) != 0)
		return -EINVAL;
	/* A person's refresh token is its own proof; nobody else has one. */
	if (request.refresh && request.refresh_token == NULL)
		return refuse(ret_refusal, invalid_request);
	if (!request.refresh && !flow_client_has_proof(&request.client))
		return refuse(ret_refusal, flow_client_refused(&request.client));
	*ret_request = request;
	return 0;
}

int flow_about_parse(struct arena *arena, struct slice authorization, struct slice form, struct flow_client *ret_client,
		     const char **ret_token, struct flow_refusal *ret_refusal)
{
	/* token_type_hint may help to find the token; ours tell by their form. */
	const char *token;
	if (form_text(arena, form, "token", TOKEN_FIELD_MAX, &token) != 0 || token == NULL)
		return refuse(ret_refusal, invalid_request);
	*ret_token = token;
	return flow_client_parse(arena, authorization, form, ret_client, ret_refusal);
}

/* --- introspection --- */

static void add_text(struct buffer *text, const char *name, const char *value)
{
	buffer_format(text, ",\"%s\":", name);
	buffer_json(text, slice_of(value));
}

struct slice flow_introspected(struct arena *arena, const struct auth_policy *policy, const struct auth_claims *claims, const char *login)
{
	static const char *const roles[] = { "", "viewer", "officer", "manager", "administrator" };
	struct buffer text = { .arena = arena };
	if (claims == NULL)
		return SLICE("{\"active\":false}");
	buffer_format(&text, "{\"active\":true,\"token_type\":\"Bearer\",\"exp\":%lld,\"iat\":%lld,\"nbf\":%lld",
		      (long long)claims->expires, (long long)claims->issued, (long long)claims->issued);
	add_text(&text, "iss", policy->issuer);
	add_text(&text, "aud", policy->audience);
	add_text(&text, "sub", claims->account);
	add_text(&text, "client_id", claims->client_id);
	add_text(&text, "jti", claims->jti);
	add_text(&text, "partner", claims->partner);
	add_text(&text, "role", roles[claims->role]);
	if (claims->scoped)
		add_text(&text, "scope", claims->scopes);
	if (login != NULL)
		add_text(&text, "username", login);
	buffer_text(&text, "}");
	return buffer_slice(&text);
}
