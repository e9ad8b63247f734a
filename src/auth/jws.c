/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Signed texts: RS256, PS256 and ES256 (RFC 7518), Ed25519 (RFC 8037). Each algorithm takes keys of its own kind and no other. */
#include "jws.h"

#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

enum {
	NESTING_MAX = 16, /* brackets in a part: real ones have 1 or 2, and deep nesting would cost the parsers stack */
	DER_MAX = 80,
};

static const int64_t time_max = 253402300799; /* 9999-12-31T23:59:59Z */

static bool in_alphabet(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

int jws_split(struct slice text, struct jws_parts *ret_parts)
{
	size_t dots[2], n = 0;
	if (text.len > JWS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		if (in_alphabet(text.ptr[i]))
			continue;
		if (text.ptr[i] != '.' || n == 2)
			return -EINVAL;
		dots[n++] = i;
	}
	if (n != 2)
		return -EINVAL;
	*ret_parts = (struct jws_parts){ { text.ptr, dots[0] },
					 { text.ptr + dots[0] + 1, dots[1] - dots[0] - 1 },
					 { text.ptr + dots[1] + 1, text.len - dots[1] - 1 },
					 { text.ptr, dots[1] } };
	return 0;
}

json_t *jws_object(struct slice part, unsigned char *space, size_t size)
{
	size_t len, brackets = 0;
	if (base64url_decode(space, size, part, &len) != 0)
		return NULL;
	for (size_t i = 0; i < len; i++)
		brackets += space[i] == '{' || space[i] == '[';
	if (brackets > NESTING_MAX)
		return NULL;
	json_t *object = json_loadb((const char *)space, len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(object))
		return object;
	json_decref(object);
	return NULL;
}

bool jws_member_is(const json_t *object, const char *name, const char *expected)
{
	const char *value = json_string_value(json_object_get(object, name));
	return value != NULL && strcmp(value, expected) == 0;
}

bool jws_time(const json_t *object, const char *name, int64_t *ret_time)
{
	const json_t *value = json_object_get(object, name);
	if (!json_is_integer(value) || json_integer_value(value) <= 0 || json_integer_value(value) > time_max)
		return false;
	*ret_time = json_integer_value(value);
	return true;
}

enum jws_algorithm jws_algorithm(const char *name)
{
	static const struct {
		const char *name;
		enum jws_algorithm algorithm;
	} names[] = {
		{ "ES256", JWS_ES256 },   { "RS256", JWS_RS256 },     { "PS256", JWS_PS256 },
		{ "EdDSA", JWS_ED25519 }, { "Ed25519", JWS_ED25519 },
	};
	for (size_t i = 0; name != NULL && i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(names[i].name, name) == 0)
			return names[i].algorithm;
	}
	return JWS_UNKNOWN;
}

/* r and s side by side, as OpenSSL wants them. Returns the length, or 0. */
static size_t to_der(const unsigned char *signature, unsigned char *ret_der)
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature, COORDINATE_LEN, NULL), *s = BN_bin2bn(signature + COORDINATE_LEN, COORDINATE_LEN, NULL);
	if (pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		ECDSA_SIG_free(pair);
		return 0;
	}
	int len = i2d_ECDSA_SIG(pair, &ret_der);
	ECDSA_SIG_free(pair);
	return len > 0 ? (size_t)len : 0;
}

static bool set_padding(enum jws_algorithm algorithm, EVP_PKEY_CTX *context)
{
	if (algorithm == JWS_RS256)
		return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
	/* RFC 7518 section 3.5: the salt is as long as the hash. */
	return algorithm != JWS_PS256 || (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
					  EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1 &&
					  EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1);
}

static bool is_signed(enum jws_algorithm algorithm, EVP_PKEY *key, struct slice text, const unsigned char *signature, size_t len)
{
	EVP_PKEY_CTX *context = NULL;
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	bool good =
	    digest != NULL && EVP_DigestVerifyInit(digest, &context, algorithm == JWS_ED25519 ? NULL : EVP_sha256(), NULL, key) == 1 &&
	    set_padding(algorithm, context) && EVP_DigestVerify(digest, signature, len, (const unsigned char *)text.ptr, text.len) == 1;
	EVP_MD_CTX_free(digest);
	return good;
}

bool jws_verify(enum jws_algorithm algorithm, EVP_PKEY *key, struct slice text, const unsigned char *signature, size_t len)
{
	static const int kinds[JWS_ALGORITHMS] = {
		[JWS_ES256] = EVP_PKEY_EC, [JWS_RS256] = EVP_PKEY_RSA, [JWS_PS256] = EVP_PKEY_RSA, [JWS_ED25519] = EVP_PKEY_ED25519
	};
	unsigned char der[DER_MAX];
	bool good = false;
	ERR_clear_error();
	if (key == NULL || algorithm == JWS_UNKNOWN || EVP_PKEY_get_base_id(key) != kinds[algorithm])
		return false;
	if (algorithm != JWS_ES256) {
		good = is_signed(algorithm, key, text, signature, len);
	} else if (len == SIGNATURE_LEN) {
		size_t der_len = to_der(signature, der);
		good = der_len > 0 && is_signed(algorithm, key, text, der, der_len);
	}
	ERR_clear_error();
	return good;
}

EVP_PKEY *jws_point(const unsigned char x[COORDINATE_LEN], const unsigned char y[COORDINATE_LEN])
{
	unsigned char point[1 + 2 * COORDINATE_LEN] = { 4 }; /* uncompressed */
	memcpy(point + 1, x, COORDINATE_LEN);
	memcpy(point + 1 + COORDINATE_LEN, y, COORDINATE_LEN);
	char group[] = "prime256v1";
	OSSL_PARAM parameters[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
				    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)),
				    OSSL_PARAM_construct_end() };
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	if (context != NULL && EVP_PKEY_fromdata_init(context) == 1 &&
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	return key;
}
