/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Access tokens (RFC 9068). Nothing is asked of a signature before every byte of the token passed the gate below. */
#include <errno.h>
#include <stdlib.h>

#include "jws.h"
#include "wardmote/memory.h"

enum {
	HEADER_MAX = 256,
	PAYLOAD_MAX = 3072,
};

/* Room for so many bytes in base64url, with the NUL. */
#define BASE64_SIZE(len) (((len) + 2) / 3 * 4 + 1)

static const char *const role_names[] = { "", "viewer", "officer", "manager", "administrator" };

/* The key that the header names. All that our tokens have is alg, typ and kid; a header with more (crit, jku, x5u, jwk, x5c, b64, zip...)
 * is not one of ours. */
static const struct auth_key *gate_header(const struct auth_keys *keys, struct slice part, const char **ret_why)
{
	unsigned char space[HEADER_MAX];
	json_t *header = jws_object(part, space, sizeof(space));
	const struct auth_key *key = NULL;
	if (header == NULL)
		*ret_why = "header";
	else if (!jws_member_is(header, "alg", "ES256"))
		*ret_why = "algorithm";
	else if (!jws_member_is(header, "typ", "at+jwt"))
		*ret_why = "type";
	else if (json_object_size(header) != 3)
		*ret_why = "header_member";
	else
		key = auth_keys_find(keys, slice_of(json_string_value(json_object_get(header, "kid"))));
	if (key == NULL && header != NULL && *ret_why == NULL)
		*ret_why = "key";
	json_decref(header);
	return key;
}

static bool signed_by(const struct auth_key *key, struct slice text, const unsigned char signature[SIGNATURE_LEN])
{
	EVP_PKEY *public = jws_point(key->x, key->y);
	bool good = jws_verify(JWS_ES256, public, text, signature, SIGNATURE_LEN);
	EVP_PKEY_free(public);
	return good;
}

static bool canonical_uuid(const char *text)
{
	for (size_t i = 0; i < UUID_TEXT - 1; i++) {
		char c = text[i];
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return text[UUID_TEXT - 1] == '\0';
}

static bool take_uuid(const json_t *claims, const char *name, char ret_uuid[UUID_TEXT])
{
	const char *value = json_string_value(json_object_get(claims, name));
	if (value == NULL || !canonical_uuid(value))
		return false;
	memcpy(ret_uuid, value, UUID_TEXT);
	return true;
}

static bool take_text(const json_t *claims, const char *name, char *ret_text, size_t size)
{
	const json_t *value = json_object_get(claims, name);
	size_t len = json_string_length(value);
	if (!json_is_string(value) || len == 0 || len >= size)
		return false;
	memcpy(ret_text, json_string_value(value), len + 1);
	return true;
}

static bool is_audience(const json_t *claims, const char *audience)
{
	const json_t *aud = json_object_get(claims, "aud");
	if (!json_is_array(aud))
		return jws_member_is(claims, "aud", audience);
	bool found = false;
	for (size_t i = 0; i < json_array_size(aud); i++) {
		const char *one = json_string_value(json_array_get(aud, i));
		if (one == NULL)
			return false;
		found = found || strcmp(one, audience) == 0;
	}
	return found;
}

static bool take_role(const json_t *claims, enum caller *ret_role)
{
	for (int role = CALLER_VIEWER; role <= CALLER_ADMINISTRATOR; role++) {
		if (jws_member_is(claims, "role", role_names[role])) {
			*ret_role = (enum caller)role;
			return true;
		}
	}
	return false;
}

/* Absent, or a text of its kind. */
static bool take_options(const json_t *payload, struct auth_claims *claims)
{
	const json_t *scope = json_object_get(payload, "scope");
	claims->scoped = scope != NULL;
	/* An empty scope is a token that may do nothing, not one that may do everything. */
	const char *text = json_string_value(scope);
	if (claims->scoped && (text == NULL || text[0] != '\0') && !take_text(payload, "scope", claims->scopes, sizeof(claims->scopes)))
		return false;
	return json_object_get(payload, "sid") == NULL || take_uuid(payload, "sid", claims->session);
}

static const char *times_fault(const struct auth_claims *claims, int64_t not_before, long leeway, int64_t now)
{
	if (claims->expires <= now - leeway || claims->expires <= claims->issued)
		return "expired";
	if (not_before > now + leeway || claims->issued > now + leeway)
		return "not_yet";
	return NULL;
}

/* NULL, or what is wrong. */
static const char *gate_claims(const json_t *payload, const struct auth_policy *policy, int64_t now, struct auth_claims *claims)
{
	int64_t not_before = 0, epoch = 0;
	if (!jws_member_is(payload, "iss", policy->issuer))
		return "issuer";
	if (!is_audience(payload, policy->audience))
		return "audience";
	if (!jws_member_is(payload, "token_use", "access"))
		return "token_use";
	if (!jws_time(payload, "exp", &claims->expires) || !jws_time(payload, "nbf", &not_before) ||
	    !jws_time(payload, "iat", &claims->issued))
		return "time";
	if (!take_uuid(payload, "sub", claims->account) || !take_uuid(payload, "jti", claims->jti) ||
	    !take_uuid(payload, "partner", claims->partner))
		return "identity";
	claims->person = jws_member_is(payload, "kind", "person");
	if (!claims->person && !jws_member_is(payload, "kind", "service"))
		return "kind";
	if (!take_role(payload, &claims->role))
		return "role";
	if (!jws_time(payload, "epoch", &epoch) || epoch > INT32_MAX)
		return "epoch";
	claims->epoch = (long)epoch;
	if (!take_text(payload, "client_id", claims->client_id, sizeof(claims->client_id)))
		return "client";
	if (!take_options(payload, claims))
		return "option";
	return times_fault(claims, not_before, policy->leeway_seconds, now);
}

int auth_token_verify(const struct auth_keys *keys, const struct auth_policy *policy, struct slice token, int64_t now,
		      struct auth_claims *ret_claims, const char **ret_why)
{
	struct jws_parts parts;
	unsigned char space[PAYLOAD_MAX], signature[SIGNATURE_LEN];
	size_t signature_len;
	const char *why = NULL;
	struct auth_claims claims = { .account = "" };
	json_t *payload = NULL;
	bool lacking;

	/* The libraries below do not tell want of memory from a bad token. */
	uint64_t lacks = memory_lacks();
	if (jws_split(token, &parts) != 0) {
		why = "form";
		goto out;
	}
	if (base64url_decode(signature, sizeof(signature), parts.signature, &signature_len) != 0 || signature_len != SIGNATURE_LEN) {
		why = "signature_form";
		goto out;
	}
	const struct auth_key *key = gate_header(keys, parts.header, &why);
	if (key == NULL)
		goto out;
	payload = jws_object(parts.payload, space, sizeof(space));
	if (payload == NULL)
		why = "payload";
	else if (!signed_by(key, parts.signed_text, signature))
		why = "signature";
	else
		why = gate_claims(payload, policy, now, &claims);
out:
	lacking = memory_lacks() != lacks;
	json_decref(payload);
	if (why != NULL || lacking) {
		*ret_why = lacking ? "memory" : why;
		return lacking ? -ENOMEM : -EACCES;
	}
	*ret_claims = claims;
	return 0;
}

static char *claims_render(const struct auth_policy *policy, const struct auth_claims *claims)
{
	json_t *payload = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "iss", policy->issuer, "aud",
				    policy->audience, "exp", (json_int_t)claims->expires, "nbf", (json_int_t)claims->issued, "iat",
				    (json_int_t)claims->issued, "sub", claims->account, "jti", claims->jti, "client_id", claims->client_id,
				    "token_use", "access", "partner", claims->partner, "role", role_names[claims->role], "kind",
				    claims->person ? "person" : "service", "epoch", (json_int_t)claims->epoch);
	bool made = payload != NULL;
	if (made && claims->session[0] != '\0')
		made = json_object_set_new(payload, "sid", json_string(claims->session)) == 0;
	if (made && claims->scoped)
		made = json_object_set_new(payload, "scope", json_string(claims->scopes)) == 0;
	char *text = made ? json_dumps(payload, JSON_COMPACT) : NULL;
	json_decref(payload);
	return text;
}

/* Header and payload in base64url, joined by a dot. */
static struct slice signing_input(struct arena *arena, const struct auth_key *key, struct slice payload)
{
	struct slice header = slice_of(arena_printf(arena, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", key->kid));
	size_t size = BASE64_SIZE(header.len) + BASE64_SIZE(payload.len);
	char *text = arena_alloc(arena, size);
	base64url_encode(text, size, (const unsigned char *)header.ptr, header.len);
	size_t len = strlen(text);
	text[len++] = '.';
	base64url_encode(text + len, size - len, (const unsigned char *)payload.ptr, payload.len);
	return slice_of(text);
}

int auth_token_sign(struct arena *arena, const struct auth_keys *keys, const struct auth_policy *policy, const struct auth_claims *claims,
		    const char **ret_token)
{
	const struct auth_key *key = auth_keys_signing(keys, claims->issued);
	unsigned char signature[SIGNATURE_LEN];
	char encoded[BASE64_SIZE(SIGNATURE_LEN)];
	uint64_t lacks = memory_lacks();
	char *payload = claims_render(policy, claims);
	if (payload == NULL || memory_lacks() != lacks) {
		free(payload);
		return -ENOMEM;
	}
	struct slice input = signing_input(arena, key, slice_of(payload));
	free(payload);
	int r = sign_es256(key, input, signature);
	if (r != 0)
		return r;
	base64url_encode(encoded, sizeof(encoded), signature, sizeof(signature));
	/* A token that the gate would refuse is never issued. */
	if (input.len + 1 + strlen(encoded) > JWS_MAX)
		return -E2BIG;
	*ret_token = arena_printf(arena, "%s.%s", input.ptr, encoded);
	return 0;
}

bool auth_has_scope(const struct auth_claims *claims, const char *scope)
{
	if (scope == NULL || !claims->scoped)
		return true;
	size_t len = strlen(scope);
	for (const char *at = claims->scopes; len > 0 && *at != '\0';) {
		size_t span = strcspn(at, " ");
		if (span == len && memcmp(at, scope, len) == 0)
			return true;
		at += span + (at[span] == ' ');
	}
	return false;
}
