/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Assertions with which clients prove themselves (RFC 7523 section 3, with the audience as RFC 7523bis narrows it). First whatever the text alone shows, which is
 * the same for clients that exist and those that do not; then the signature, by the client's key or by one of ours that nobody can sign with. */
#include <errno.h>
#include <strings.h>

#include "jwk.h"
#include "jws.h"
#include "wardmote/memory.h"

enum {
	HEADER_MAX = 1024,
	PAYLOAD_MAX = 3072,
	KID_MAX = 128,
	JTI_MAX = 255,
	LIFE_MAX_SECONDS = 300,
};

/* Keys whose private halves were thrown away: a client that is not there costs the same time. */
static const char *const decoys[JWS_ALGORITHMS] = {
	[JWS_ES256] = "{\"kty\":\"EC\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"x\":\"HU47UxprmlP5MY0y66D5kdFcbH1V0LahKl4rUKiNCuI\","
		      "\"y\":\"iJxudMOGIKr7d2QXs8gg2fgrMbL1p_0JAnESj7Jrg-U\"}",
#define DECOY_MODULUS                                                                                                                      \
	"20VT8v_a9OR5_09JaUKkANnXU7Cxy3yVzCodOLdD1Qv1nTmu6t0WHWYHNWiWOWHuoJc_PM7o9DdOCS0RlNWBI5_LeDY5w1U1KFw-"                             \
	"obKVMpmqzcrToZwyu7144LVFQCQRZO"                                                                                                   \
	"ErzwvtMp0LPMK8sIkvLY7cSNJMfPjrO-PnExK1mlbkq4Tg_pBMC5KdbFPeznj51--"                                                                \
	"ItqWk0iai9c4hiRqOrwP5KSLAcO967tffbZpqwAyCnI0g3du8nERDp2IBMGTj0EWV"                                                                \
	"p3Mh0tz4Z0OzE5lUeud5vnRSIxNtFIPDpNIEqRRBU2yZiNCKoMGb1j9X4MJNW-hdNC1wmPq2CtQZeqfT0w"
	[JWS_RS256] = "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\"" DECOY_MODULUS "\"}",
	[JWS_PS256] = "{\"kty\":\"RSA\",\"alg\":\"PS256\",\"e\":\"AQAB\",\"n\":\"" DECOY_MODULUS "\"}",
	[JWS_ED25519] = "{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"crv\":\"Ed25519\",\"x\":\"nanMMJc0-CC6yxN4jV1v7gOcoC0El73iDP4B7zrc43Q\"}",
};

/* Absent, or a text of a length. `ret_text` NULL where it is absent. */
static bool take_text(struct arena *arena, const json_t *object, const char *name, size_t max, const char **ret_text)
{
	const json_t *value = json_object_get(object, name);
	size_t len = json_string_length(value);
	*ret_text = NULL;
	if (value == NULL)
		return true;
	if (!json_is_string(value) || len == 0 || len > max)
		return false;
	*ret_text = arena_copy(arena, (struct slice){ json_string_value(value), len });
	return true;
}

static bool is_typed(const json_t *header)
{
	const json_t *typ = json_object_get(header, "typ");
	const char *text = json_string_value(typ);
	return typ == NULL || (text != NULL && (strcasecmp(text, "JWT") == 0 || strcasecmp(text, "client-authentication+jwt") == 0));
}

/* NULL, or what is wrong. */
static const char *gate_header(struct arena *arena, const json_t *header, struct auth_assertion *assertion)
{
	static const char *const refused[] = { "crit", "b64", "zip", "jku", "jwk", "x5u", "x5c" };
	assertion->algorithm = (int)jws_algorithm(json_string_value(json_object_get(header, "alg")));
	if (assertion->algorithm == JWS_UNKNOWN)
		return "alg is not one of RS256, PS256, ES256, EdDSA, Ed25519";
	if (!is_typed(header))
		return "typ is neither client-authentication+jwt nor JWT";
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		if (json_object_get(header, refused[i]) != NULL)
			return "its header has one of crit, b64, zip, jku, jwk, x5u, x5c";
	}
	return take_text(arena, header, "kid", KID_MAX, &assertion->kid) ? NULL : "kid is not a text of 1 to 128 bytes";
}

/* The one audience of an assertion: a text, or an array of one. */
static bool is_for(const json_t *payload, const char *audience)
{
	const json_t *aud = json_object_get(payload, "aud");
	if (json_is_array(aud) && json_array_size(aud) == 1)
		aud = json_array_get(aud, 0);
	return audience != NULL && json_is_string(aud) && strcmp(json_string_value(aud), audience) == 0;
}

static const char *gate_times(const json_t *payload, long leeway, int64_t now, int64_t *ret_expires)
{
	int64_t other;
	if (!jws_time(payload, "exp", ret_expires))
		return "exp is missing, or no number of seconds";
	if (*ret_expires <= now - leeway)
		return "exp is over (are the clocks right?)";
	if (*ret_expires > now + LIFE_MAX_SECONDS + leeway)
		return "exp is more than 5 minutes ahead";
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "nbf" : "iat";
		if (json_object_get(payload, name) == NULL)
			continue;
		if (!jws_time(payload, name, &other) || other > now + leeway)
			return i == 0 ? "nbf is no time, or in the future" : "iat is no time, or in the future (are the clocks right?)";
	}
	return NULL;
}

/* NULL, or what is wrong. */
static const char *gate_payload(struct arena *arena, const json_t *payload, const struct auth_policy *policy, int64_t now,
				struct auth_assertion *assertion)
{
	const char *jti;
	if (!take_text(arena, payload, "iss", AUTH_CLIENT_MAX, &assertion->client_id) || assertion->client_id == NULL ||
	    !jws_member_is(payload, "sub", assertion->client_id))
		return "iss and sub are not both the client_id";
	if (!is_for(payload, policy->issuer) && !is_for(payload, policy->token_endpoint))
		return "aud is not this server's issuer, as a text or an array of that one";
	if (!take_text(arena, payload, "jti", JTI_MAX, &jti) || jti == NULL)
		return "jti is missing, or no text of 1 to 255 bytes";
	assertion->digest = auth_sha256(arena, slice_of(arena_printf(arena, "%s\n%s", assertion->client_id, jti)));
	return gate_times(payload, policy->leeway_seconds, now, &assertion->expires);
}

int auth_assertion_parse(struct arena *arena, const struct auth_policy *policy, struct slice text, int64_t now,
			 struct auth_assertion *ret_assertion, const char **ret_why)
{
	struct jws_parts parts = { .header = { NULL, 0 } };
	struct auth_assertion assertion = { .kid = NULL };
	unsigned char space[PAYLOAD_MAX], *signature = arena_alloc(arena, JWS_SIGNATURE_MAX);
	json_t *header = NULL, *payload = NULL;
	const char *why = "it is not a JWT in compact form of at most 4,096 characters";
	uint64_t lacks = memory_lacks();
	if (jws_split(text, &parts) == 0 &&
	    base64url_decode(signature, JWS_SIGNATURE_MAX, parts.signature, &assertion.signature_len) == 0) {
		header = jws_object(parts.header, space, HEADER_MAX);
		payload = jws_object(parts.payload, space, sizeof(space));
	}
	if (header != NULL && payload != NULL)
		why = gate_header(arena, header, &assertion);
	if (why == NULL)
		why = gate_payload(arena, payload, policy, now, &assertion);
	json_decref(header);
	json_decref(payload);
	if (memory_lacks() != lacks || arena_lacking(arena))
		return -ENOMEM;
	assertion.signed_text = parts.signed_text;
	assertion.signature = signature;
	*ret_why = why;
	if (why != NULL)
		return -EACCES;
	*ret_assertion = assertion;
	return 0;
}

static EVP_PKEY *take_key(struct slice text, enum jws_algorithm algorithm)
{
	struct auth_jwk_fault ignored;
	enum jws_algorithm own = JWS_UNKNOWN;
	json_t *jwk = text.len == 0 ? NULL : json_loadb(text.ptr, text.len, 0, NULL);
	EVP_PKEY *key = jwk == NULL ? NULL : jwk_key(jwk, &own, &ignored);
	json_decref(jwk);
	/* A key is for one algorithm: the header's choice counts for nothing. */
	if (key == NULL || own == algorithm)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

int auth_assertion_verify(const struct auth_assertion *assertion, struct slice key)
{
	uint64_t lacks = memory_lacks();
	enum jws_algorithm algorithm = (enum jws_algorithm)assertion->algorithm;
	EVP_PKEY *public = take_key(key, algorithm);
	bool known = public != NULL;
	if (!known)
	public = take_key(slice_of(decoys[algorithm]), algorithm);
	bool good = jws_verify(algorithm, public, assertion->signed_text, assertion->signature, assertion->signature_len);
	EVP_PKEY_free(public);
	if (memory_lacks() != lacks)
		return -ENOMEM;
	return known && good ? 0 : -EACCES;
}
