/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Assertions of clients, and their keys. The first byte chooses how the rest is used: as a whole assertion, as its claims or its header, or as a key. What is
 * accepted must pass a second opinion; and nothing is taken for signed that is not. */
#include "fuzz.h"

#include <string.h>

#include <jansson.h>

#include "claims.h"

enum { MODES = 4, LIFE = 300, ALGORITHMS = 5 };

static const char issuer[] = "i", endpoint[] = "e";
static const struct auth_policy policy = { issuer, "a", CLAIMS_LEEWAY, endpoint };
/* A key that nobody has the other half of. */
static const char stranger[] = "{\"kty\":\"EC\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"x\":\"HU47UxprmlP5MY0y66D5kdFcbH1V0LahKl4rUKiNCuI\","
			       "\"y\":\"iJxudMOGIKr7d2QXs8gg2fgrMbL1p_0JAnESj7Jrg-U\"}";

static const char *part(struct arena *arena, struct slice bytes)
{
	return forge_base64url(arena, bytes);
}

static void check_claims(const struct auth_assertion *assertion, struct slice payload)
{
	json_t *claims = json_loadb(payload.ptr, payload.len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *aud = json_object_get(claims, "aud");
	if (json_is_array(aud)) {
		HOLDS(json_array_size(aud) == 1);
		aud = json_array_get(aud, 0);
	}
	const char *text = json_string_value(aud), *iss = json_string_value(json_object_get(claims, "iss"));
	HOLDS(text != NULL && (strcmp(text, issuer) == 0 || strcmp(text, endpoint) == 0));
	HOLDS(iss != NULL && strcmp(iss, assertion->client_id) == 0 &&
	      json_equal(json_object_get(claims, "iss"), json_object_get(claims, "sub")));
	HOLDS(json_string_length(json_object_get(claims, "jti")) > 0);
	json_int_t exp = json_integer_value(json_object_get(claims, "exp"));
	HOLDS(exp == assertion->expires && exp > CLAIMS_NOW - CLAIMS_LEEWAY && exp <= CLAIMS_NOW + LIFE + CLAIMS_LEEWAY);
	HOLDS(json_integer_value(json_object_get(claims, "iat")) <= CLAIMS_NOW + CLAIMS_LEEWAY);
	HOLDS(json_integer_value(json_object_get(claims, "nbf")) <= CLAIMS_NOW + CLAIMS_LEEWAY);
	json_decref(claims);
}

static void check_header(struct slice bytes)
{
	static const char *const algorithms[ALGORITHMS] = { "RS256", "PS256", "ES256", "EdDSA", "Ed25519" };
	json_t *header = json_loadb(bytes.ptr, bytes.len, JSON_REJECT_DUPLICATES, NULL);
	const char *alg = json_string_value(json_object_get(header, "alg"));
	bool known = false;
	for (size_t i = 0; alg != NULL && i < ALGORITHMS; i++)
		known = known || strcmp(alg, algorithms[i]) == 0;
	HOLDS(known && json_object_get(header, "crit") == NULL && json_object_get(header, "jwk") == NULL &&
	      json_object_get(header, "jku") == NULL);
	json_decref(header);
}

static void check_key(struct slice bytes)
{
	struct auth_jwk_fault fault = { NULL, NULL, NULL };
	if (auth_jwk_check(bytes, &fault) != 0) {
		HOLDS(fault.member != NULL && fault.code != NULL && fault.detail != NULL);
		return;
	}
	json_t *jwk = json_loadb(bytes.ptr, bytes.len, JSON_REJECT_DUPLICATES, NULL);
	HOLDS(json_is_string(json_object_get(jwk, "kty")) && json_is_string(json_object_get(jwk, "alg")));
	json_decref(jwk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char header[] = "{\"alg\":\"ES256\",\"kid\":\"k\"}",
			  claims[] = "{\"iss\":\"c\",\"sub\":\"c\",\"aud\":\"i\",\"jti\":\"j\",\"exp\":1800000000}";
	struct auth_assertion assertion;
	struct arena arena;
	const char *why = NULL;
	if (size == 0)
		return 0;
	struct slice bytes = { (const char *)data + 1, size - 1 }, text = bytes;
	int mode = data[0] % MODES;
	arena_init(&arena);
	if (mode == 1)
		text = slice_of(arena_printf(&arena, "%s.%s.AAAA", part(&arena, slice_of(header)), part(&arena, bytes)));
	else if (mode == 2)
		text = slice_of(arena_printf(&arena, "%s.%s.AAAA", part(&arena, bytes), part(&arena, slice_of(claims))));
	if (mode == 3) {
		check_key(bytes);
	} else if (auth_assertion_parse(&arena, &policy, text, CLAIMS_NOW, &assertion, &why) == 0) {
		if (mode == 1)
			check_claims(&assertion, bytes);
		else if (mode == 2)
			check_header(bytes);
		HOLDS(strlen(assertion.digest) == 64 && assertion.signature_len <= 512);
		HOLDS(auth_assertion_verify(&assertion, slice_of(stranger)) != 0 && auth_assertion_verify(&assertion, SLICE("")) != 0);
	} else {
		HOLDS(why != NULL);
	}
	arena_done(&arena);
	return 0;
}
