/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "claims.h"

#include <string.h>

#include <jansson.h>
#include <openssl/ecdsa.h>
#include <sodium.h>

#include "fuzz.h"

enum { PART_MAX = 8192, HALF = 32 };

static size_t decode(struct slice part, unsigned char space[PART_MAX])
{
	size_t len;
	HOLDS(sodium_base642bin(space, PART_MAX, part.ptr, part.len, NULL, &len, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0);
	return len;
}

static void check_signature(struct forge *forge, struct slice signed_part, struct slice signature)
{
	unsigned char raw[PART_MAX], *der = NULL;
	HOLDS(decode(signature, raw) == (size_t)HALF * 2);
	ECDSA_SIG *pair = ECDSA_SIG_new();
	HOLDS(ECDSA_SIG_set0(pair, BN_bin2bn(raw, HALF, NULL), BN_bin2bn(raw + HALF, HALF, NULL)) == 1);
	int len = i2d_ECDSA_SIG(pair, &der);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	HOLDS(len > 0 && EVP_DigestVerifyInit_ex(context, NULL, "SHA256", NULL, NULL, forge->key, NULL) == 1);
	HOLDS(EVP_DigestVerify(context, der, (size_t)len, (const unsigned char *)signed_part.ptr, signed_part.len) == 1);
	EVP_MD_CTX_free(context);
	OPENSSL_free(der);
	ECDSA_SIG_free(pair);
}

static bool is(const json_t *object, const char *name, const char *text)
{
	const char *value = json_string_value(json_object_get(object, name));
	return value != NULL && strcmp(value, text) == 0;
}

static void check_header(struct forge *forge, struct slice part)
{
	unsigned char space[PART_MAX];
	json_t *header = json_loadb((const char *)space, decode(part, space), JSON_REJECT_DUPLICATES, NULL);
	HOLDS(json_is_object(header) && json_object_size(header) == 3);
	HOLDS(is(header, "alg", "ES256") && is(header, "typ", "at+jwt") && is(header, "kid", forge->kid));
	json_decref(header);
}

static void check_audience(const json_t *payload, const char *audience)
{
	const json_t *aud = json_object_get(payload, "aud");
	bool found = is(payload, "aud", audience);
	for (size_t i = 0; i < json_array_size(aud); i++)
		found = found || strcmp(json_string_value(json_array_get(aud, i)), audience) == 0;
	HOLDS(found);
}

static void check_identity(const json_t *payload, const struct auth_claims *claims)
{
	static const char *const roles[] = { NULL, "viewer", "officer", "manager", "administrator" };
	HOLDS(is(payload, "sub", claims->account) && is(payload, "partner", claims->partner) && is(payload, "jti", claims->jti));
	HOLDS(is(payload, "client_id", claims->client_id) && claims->client_id[0] != '\0');
	HOLDS(strlen(claims->account) == 36 && strlen(claims->partner) == 36 && strlen(claims->jti) == 36);
	HOLDS(claims->role >= CALLER_VIEWER && claims->role <= CALLER_ADMINISTRATOR && is(payload, "role", roles[claims->role]));
	HOLDS(is(payload, "kind", claims->person ? "person" : "service"));
	HOLDS(json_object_get(payload, "sid") == NULL ? claims->session[0] == '\0' : is(payload, "sid", claims->session));
	HOLDS(claims->session[0] == '\0' || strlen(claims->session) == 36);
	HOLDS(claims->scoped == (json_object_get(payload, "scope") != NULL));
	HOLDS(!claims->scoped || is(payload, "scope", claims->scopes));
}

static void check_times(const json_t *payload, const struct auth_claims *claims)
{
	json_int_t expires = json_integer_value(json_object_get(payload, "exp")),
		   issued = json_integer_value(json_object_get(payload, "iat"));
	json_int_t not_before = json_integer_value(json_object_get(payload, "nbf"));
	HOLDS(expires == claims->expires && issued == claims->issued && issued > 0 && issued < expires && not_before > 0);
	HOLDS(expires > CLAIMS_NOW - CLAIMS_LEEWAY && issued <= CLAIMS_NOW + CLAIMS_LEEWAY && not_before <= CLAIMS_NOW + CLAIMS_LEEWAY);
	HOLDS(json_integer_value(json_object_get(payload, "epoch")) == claims->epoch && claims->epoch > 0);
}

void claims_check(struct forge *forge, struct slice token, const struct auth_policy *policy, const struct auth_claims *claims)
{
	const char *first = memchr(token.ptr, '.', token.len), *last = memrchr(token.ptr, '.', token.len), *end = token.ptr + token.len;
	HOLDS(first != NULL && last > first);
	check_signature(forge, (struct slice){ token.ptr, (size_t)(last - token.ptr) },
			(struct slice){ last + 1, (size_t)(end - last - 1) });
	check_header(forge, (struct slice){ token.ptr, (size_t)(first - token.ptr) });
	unsigned char space[PART_MAX];
	size_t len = decode((struct slice){ first + 1, (size_t)(last - first - 1) }, space);
	json_t *payload = json_loadb((const char *)space, len, JSON_REJECT_DUPLICATES, NULL);
	HOLDS(json_is_object(payload) && is(payload, "iss", policy->issuer) && is(payload, "token_use", "access"));
	check_audience(payload, policy->audience);
	check_identity(payload, claims);
	check_times(payload, claims);
	json_decref(payload);
}
