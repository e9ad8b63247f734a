/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A client's public key as JSON (RFC 7517, 7518 and 8037): is it one, and which. */
#include <errno.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "jws.h"
#include "jwk.h"
#include "wardmote/memory.h"

enum {
	MODULUS_MIN_BITS = 2048,
	MODULUS_MAX_BITS = 4096,
	MODULUS_MAX = MODULUS_MAX_BITS / 8,
	EXPONENT_MAX = 4,
	EXPONENT_LEAST = 65537,
	ED25519_LEN = 32,
};

static const struct auth_jwk_fault other_kind = { "kty", "not_allowed", "This kind of key does not sign with this algorithm." };

static bool is_text(const json_t *jwk, const char *name, unsigned char *ret_bytes, size_t size, size_t *ret_len)
{
	const json_t *value = json_object_get(jwk, name);
	struct slice text = { json_string_value(value), json_string_length(value) };
	return text.ptr != NULL && base64url_decode(ret_bytes, size, text, ret_len) == 0 && *ret_len > 0;
}

static EVP_PKEY *rsa_key(const unsigned char *modulus, size_t modulus_len, const unsigned char *exponent, size_t exponent_len)
{
	EVP_PKEY *key = NULL;
	BIGNUM *n = BN_bin2bn(modulus, (int)modulus_len, NULL), *e = BN_bin2bn(exponent, (int)exponent_len, NULL);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	OSSL_PARAM *parameters = NULL;
	if (n != NULL && e != NULL && build != NULL && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		parameters = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *context = parameters == NULL ? NULL : EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
	if (context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	OSSL_PARAM_BLD_free(build);
	BN_free(e);
	BN_free(n);
	return key;
}

/* The numbers have no zeros in front (RFC 7518 section 2), so that their lengths say how long they are. */
static EVP_PKEY *take_rsa(const json_t *jwk, struct auth_jwk_fault *fault)
{
	unsigned char modulus[MODULUS_MAX], exponent[EXPONENT_MAX];
	size_t modulus_len = 0, exponent_len = 0;
	uint32_t value = 0;
	*fault = (struct auth_jwk_fault){
		"n", "format", "This must be the modulus of an RSA key of 2,048 to 4,096 bits, in base64url without zeros in front."
	};
	if (!is_text(jwk, "n", modulus, sizeof(modulus), &modulus_len) || modulus[0] == 0 || modulus[modulus_len - 1] % 2 == 0 ||
	    modulus_len < MODULUS_MIN_BITS / 8 || (modulus_len == MODULUS_MIN_BITS / 8 && modulus[0] < 0x80))
		return NULL;
	*fault = (struct auth_jwk_fault){
		"e", "format", "This must be an odd number from 65,537 (AQAB) on, of at most 32 bits, in base64url without zeros in front."
	};
	if (!is_text(jwk, "e", exponent, sizeof(exponent), &exponent_len) || exponent[0] == 0)
		return NULL;
	for (size_t i = 0; i < exponent_len; i++)
		value = value << 8 | exponent[i];
	if (value < EXPONENT_LEAST || value % 2 == 0)
		return NULL;
	*fault = (struct auth_jwk_fault){ "n", "not_a_key", "This is no modulus of an RSA key." };
	return rsa_key(modulus, modulus_len, exponent, exponent_len);
}

static EVP_PKEY *take_ec(const json_t *jwk, struct auth_jwk_fault *fault)
{
	unsigned char x[COORDINATE_LEN], y[COORDINATE_LEN];
	size_t x_len = 0, y_len = 0;
	*fault = (struct auth_jwk_fault){ "crv", "not_allowed", "ES256 signs with a key on P-256." };
	if (!jws_member_is(jwk, "crv", "P-256"))
		return NULL;
	*fault = (struct auth_jwk_fault){ "x", "format", "This must be 32 bytes in base64url." };
	if (!is_text(jwk, "x", x, sizeof(x), &x_len) || x_len != sizeof(x))
		return NULL;
	fault->member = "y";
	if (!is_text(jwk, "y", y, sizeof(y), &y_len) || y_len != sizeof(y))
		return NULL;
	*fault = (struct auth_jwk_fault){ "x", "not_a_key", "x and y are no point on P-256." };
	return jws_point(x, y);
}

static EVP_PKEY *take_okp(const json_t *jwk, struct auth_jwk_fault *fault)
{
	unsigned char x[ED25519_LEN];
	size_t len = 0;
	*fault = (struct auth_jwk_fault){ "crv", "not_allowed", "EdDSA signs with a key on Ed25519." };
	if (!jws_member_is(jwk, "crv", "Ed25519"))
		return NULL;
	*fault = (struct auth_jwk_fault){ "x", "format", "This must be 32 bytes in base64url." };
	if (!is_text(jwk, "x", x, sizeof(x), &len) || len != sizeof(x))
		return NULL;
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, sizeof(x));
}

EVP_PKEY *jwk_key(const json_t *jwk, enum jws_algorithm *ret_algorithm, struct auth_jwk_fault *ret_fault)
{
	enum jws_algorithm algorithm = jws_algorithm(json_string_value(json_object_get(jwk, "alg")));
	*ret_algorithm = algorithm;
	*ret_fault = other_kind;
	switch (algorithm) {
	case JWS_RS256:
	case JWS_PS256:
		return jws_member_is(jwk, "kty", "RSA") ? take_rsa(jwk, ret_fault) : NULL;
	case JWS_ES256:
		return jws_member_is(jwk, "kty", "EC") ? take_ec(jwk, ret_fault) : NULL;
	case JWS_ED25519:
		return jws_member_is(jwk, "kty", "OKP") ? take_okp(jwk, ret_fault) : NULL;
	case JWS_UNKNOWN:
	case JWS_ALGORITHMS:
		break;
	}
	*ret_fault = (struct auth_jwk_fault){ "alg", "not_allowed", "This must be RS256, PS256, ES256, EdDSA or Ed25519." };
	return NULL;
}

/* Members of another kind of key say that somebody meant another. */
static bool has_foreign(const json_t *jwk, struct auth_jwk_fault *ret_fault)
{
	static const char *const names[] = { "crv", "x", "y", "n", "e" };
	static const char *const kinds[] = { "EC OKP", "EC OKP", "EC", "RSA", "RSA" };
	const char *kind = json_string_value(json_object_get(jwk, "kty"));
	for (size_t i = 0; kind != NULL && i < sizeof(names) / sizeof(*names); i++) {
		if (json_object_get(jwk, names[i]) == NULL || strstr(kinds[i], kind) != NULL)
			continue;
		*ret_fault = (struct auth_jwk_fault){ names[i], "not_allowed", "A key of this kind has no such part." };
		return true;
	}
	return false;
}

static bool is_checked(EVP_PKEY *key)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
	bool good = context != NULL && EVP_PKEY_public_check(context) == 1;
	EVP_PKEY_CTX_free(context);
	return good;
}

int auth_jwk_check(struct slice text, struct auth_jwk_fault *ret_fault)
{
	uint64_t lacks = memory_lacks();
	enum jws_algorithm algorithm;
	*ret_fault = (struct auth_jwk_fault){ "", "type", "This must be a key." };
	json_t *jwk = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	bool good = jwk != NULL && !has_foreign(jwk, ret_fault);
	ERR_clear_error();
	EVP_PKEY *key = good ? jwk_key(jwk, &algorithm, ret_fault) : NULL;
	good = key != NULL && is_checked(key);
	EVP_PKEY_free(key);
	json_decref(jwk);
	ERR_clear_error();
	if (memory_lacks() != lacks)
		return -ENOMEM;
	return good ? 0 : -EINVAL;
}
