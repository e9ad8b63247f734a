/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Assertions of clients and their keys: each fault by itself, with a real signature. tests/api/test_client_assertions.py has them at the socket. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "forge.h"

#define NOW 1795000000
#define CLAIMS(more) "{\"iss\":\"wmc_1\",\"sub\":\"wmc_1\",\"jti\":\"1\"," more "}"
#define AUD "\"aud\":\"https://w.example\""
#define EXP "\"exp\":1795000060"

static const struct auth_policy policy = { "https://w.example", "https://w.example/api", 30, NULL };
static const struct auth_policy lenient = { "https://w.example", "https://w.example/api", 30, "https://w.example/oauth/token" };
static const char es256[] = "{\"alg\":\"ES256\",\"kid\":\"k\"}";

static int parse(struct forge *forge, const struct auth_policy *by, const char *token, struct auth_assertion *ret_assertion,
		 const char **ret_why)
{
	return auth_assertion_parse(&forge->arena, by, slice_of(token), NOW, ret_assertion, ret_why);
}

static void refused(struct forge *forge, const char *header, const char *payload, const char *why)
{
	struct auth_assertion assertion;
	const char *told = NULL;
	int r = parse(forge, &policy, forge_token(forge, header, payload, forge->key, "SHA256"), &assertion, &told);
	if (r != -EACCES || told == NULL || strstr(told, why) == NULL)
		fail_msg("%d (%s), not refused for %s: %s %s", r, told == NULL ? "" : told, why, header, payload);
}

static struct auth_assertion accepted(struct forge *forge, const struct auth_policy *by, const char *header, const char *payload)
{
	struct auth_assertion assertion = { .kid = NULL };
	const char *why = NULL;
	if (parse(forge, by, forge_token(forge, header, payload, forge->key, "SHA256"), &assertion, &why) != 0)
		fail_msg("%s: %s %s", why, header, payload);
	return assertion;
}

static void test_good(void **state)
{
	struct forge *forge = *state;
	struct auth_assertion one = accepted(forge, &policy, es256, CLAIMS(AUD "," EXP));
	assert_string_equal(one.client_id, "wmc_1");
	assert_string_equal(one.kid, "k");
	assert_int_equal(one.expires, NOW + 60);
	assert_int_equal(strlen(one.digest), 64);
	static const char *const headers[] = { "{\"alg\":\"ES256\"}",
					       "{\"alg\":\"ES256\",\"typ\":\"JWT\"}",
					       "{\"alg\":\"RS256\",\"typ\":\"client-authentication+jwt\"}",
					       "{\"alg\":\"PS256\",\"x5t\":\"a\"}",
					       "{\"alg\":\"EdDSA\",\"kid\":\"a b\"}",
					       "{\"alg\":\"Ed25519\",\"typ\":\"jwt\"}" };
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++)
		accepted(forge, &policy, headers[i],
			 CLAIMS("\"aud\":[\"https://w.example\"]," EXP ",\"nbf\":1795000030,\"iat\":1795000030,\"more\":{}"));
	accepted(forge, &policy, es256, CLAIMS(AUD ",\"exp\":1794999971"));
	accepted(forge, &policy, es256, CLAIMS(AUD ",\"exp\":1795000330"));
	accepted(forge, &lenient, es256, CLAIMS("\"aud\":\"https://w.example/oauth/token\"," EXP));
	/* Its jti is its own: that of another client is another. */
	struct auth_assertion other =
	    accepted(forge, &policy, es256, "{\"iss\":\"wmc_2\",\"sub\":\"wmc_2\",\"jti\":\"1\"," AUD "," EXP "}");
	assert_string_not_equal(one.digest, other.digest);
}

static void test_headers(void **state)
{
	struct forge *forge = *state;
	static const char *const algorithms[] = { "none", "None", "HS256", "es256", "ES384", "RS512", "PS512", "ES256K", "Ed448", "" };
	static const char *const members[] = { "crit\":[\"exp\"]", "b64\":false", "zip\":\"DEF\"", "jku\":\"https://e.example\"",
					       "jwk\":{}",         "x5u\":\"a\"", "x5c\":[]" };
	const char *payload = CLAIMS(AUD "," EXP);
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++)
		refused(forge, arena_printf(&forge->arena, "{\"alg\":\"%s\"}", algorithms[i]), payload, "alg");
	refused(forge, "{}", payload, "alg");
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		refused(forge, arena_printf(&forge->arena, "{\"alg\":\"ES256\",\"%s}", members[i]), payload, "crit");
	refused(forge, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", payload, "typ");
	refused(forge, "{\"alg\":\"ES256\",\"typ\":null}", payload, "typ");
	refused(forge, "{\"alg\":\"ES256\",\"kid\":1}", payload, "kid");
	refused(forge, "{\"alg\":\"ES256\",\"kid\":\"\"}", payload, "kid");
	refused(forge, arena_printf(&forge->arena, "{\"alg\":\"ES256\",\"kid\":\"%0129d\"}", 0), payload, "kid");
	refused(forge, "{\"alg\":\"ES256\",\"alg\":\"ES256\"}", payload, "compact");
	refused(forge, "[]", payload, "compact");
	refused(forge, es256, "[]", "compact");
	refused(forge, es256, CLAIMS(AUD "," EXP "," EXP), "compact");
}

static void test_claims(void **state)
{
	struct forge *forge = *state;
	static const struct {
		const char *claims, *why;
	} cases[] = {
		{ "{" AUD "," EXP ",\"jti\":\"1\"}", "iss" },
		{ "{\"iss\":\"wmc_1\"," AUD "," EXP ",\"jti\":\"1\"}", "iss" },
		{ "{\"iss\":\"wmc_1\",\"sub\":\"wmc_2\"," AUD "," EXP ",\"jti\":\"1\"}", "iss" },
		{ "{\"iss\":1,\"sub\":1," AUD "," EXP ",\"jti\":\"1\"}", "iss" },
		{ CLAIMS(EXP), "aud" },
		{ CLAIMS("\"aud\":\"https://w.example/\"," EXP), "aud" },
		{ CLAIMS("\"aud\":\"https://w.example/oauth/token\"," EXP), "aud" },
		{ CLAIMS("\"aud\":[]," EXP), "aud" },
		{ CLAIMS("\"aud\":[\"https://w.example\",\"https://e.example\"]," EXP), "aud" },
		{ CLAIMS("\"aud\":[[\"https://w.example\"]]," EXP), "aud" },
		{ CLAIMS("\"aud\":null," EXP), "aud" },
		{ "{\"iss\":\"wmc_1\",\"sub\":\"wmc_1\"," AUD "," EXP "}", "jti" },
		{ "{\"iss\":\"wmc_1\",\"sub\":\"wmc_1\",\"jti\":\"\"," AUD "," EXP "}", "jti" },
		{ "{\"iss\":\"wmc_1\",\"sub\":\"wmc_1\",\"jti\":7," AUD "," EXP "}", "jti" },
		{ CLAIMS(AUD), "exp" },
		{ CLAIMS(AUD ",\"exp\":\"1795000060\""), "exp" },
		{ CLAIMS(AUD ",\"exp\":1795000060.5"), "exp" },
		{ CLAIMS(AUD ",\"exp\":-1"), "exp" },
		{ CLAIMS(AUD ",\"exp\":9223372036854775807"), "exp" },
		{ CLAIMS(AUD ",\"exp\":1794999970"), "exp is over" },
		{ CLAIMS(AUD ",\"exp\":1795000331"), "5 minutes" },
		{ CLAIMS(AUD "," EXP ",\"nbf\":1795000031"), "nbf" },
		{ CLAIMS(AUD "," EXP ",\"nbf\":\"1\""), "nbf" },
		{ CLAIMS(AUD "," EXP ",\"iat\":1795000031"), "iat" },
		{ CLAIMS(AUD "," EXP ",\"iat\":null"), "iat" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		refused(forge, es256, cases[i].claims, cases[i].why);
	refused(forge, es256, arena_printf(&forge->arena, "{\"iss\":\"wmc_1\",\"sub\":\"wmc_1\",\"jti\":\"%0256d\"," AUD "," EXP "}", 0),
		"jti");
}

static void test_forms(void **state)
{
	struct forge *forge = *state;
	struct auth_assertion assertion;
	const char *good = forge_token(forge, es256, CLAIMS(AUD "," EXP), forge->key, "SHA256"), *why = NULL;
	const char *bad[] = { "",
			      ".",
			      "..",
			      "a.b",
			      "a.b.c",
			      "a.b.c.d.e",
			      arena_printf(&forge->arena, "%s.", good),
			      arena_printf(&forge->arena, "%s=", good),
			      arena_printf(&forge->arena, " %s", good),
			      arena_printf(&forge->arena, "%s%04096d", good, 0) };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(parse(forge, &policy, bad[i], &assertion, &why), -EACCES);
	for (size_t i = 0; good[i] != '\0'; i++) {
		char *bent = arena_copy(&forge->arena, slice_of(good));
		bent[i] = '!';
		assert_int_equal(parse(forge, &policy, bent, &assertion, &why), -EACCES);
	}
}

/* --- keys and signatures --- */

static const char *number(struct forge *forge, EVP_PKEY *key, const char *name)
{
	BIGNUM *value = NULL;
	unsigned char bytes[1024];
	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &value), 1);
	int len = BN_bn2bin(value, bytes);
	BN_free(value);
	return forge_base64url(&forge->arena, (struct slice){ (const char *)bytes, (size_t)len });
}

static const char *rsa_jwk(struct forge *forge, EVP_PKEY *key, const char *algorithm)
{
	return arena_printf(&forge->arena, "{\"kty\":\"RSA\",\"kid\":\"k\",\"alg\":\"%s\",\"n\":\"%s\",\"e\":\"%s\"}", algorithm,
			    number(forge, key, OSSL_PKEY_PARAM_RSA_N), number(forge, key, OSSL_PKEY_PARAM_RSA_E));
}

static const char *padded(struct forge *forge, EVP_PKEY *key, const char *name)
{
	BIGNUM *value = NULL;
	unsigned char bytes[32];
	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &value), 1);
	assert_int_equal(BN_bn2binpad(value, bytes, sizeof(bytes)), sizeof(bytes));
	BN_free(value);
	return forge_base64url(&forge->arena, (struct slice){ (const char *)bytes, sizeof(bytes) });
}

static const char *ec_jwk(struct forge *forge, EVP_PKEY *key)
{
	return arena_printf(&forge->arena, "{\"kty\":\"EC\",\"kid\":\"k\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}",
			    padded(forge, key, OSSL_PKEY_PARAM_EC_PUB_X), padded(forge, key, OSSL_PKEY_PARAM_EC_PUB_Y));
}

static const char *ed_jwk(struct forge *forge, EVP_PKEY *key, const char *algorithm)
{
	unsigned char bytes[32];
	size_t len = sizeof(bytes);
	assert_int_equal(EVP_PKEY_get_raw_public_key(key, bytes, &len), 1);
	return arena_printf(&forge->arena, "{\"kty\":\"OKP\",\"kid\":\"k\",\"alg\":\"%s\",\"crv\":\"Ed25519\",\"x\":\"%s\"}", algorithm,
			    forge_base64url(&forge->arena, (struct slice){ (const char *)bytes, len }));
}

/* As forge_token, for the algorithms that it does not have. */
static const char *signed_token(struct forge *forge, const char *algorithm, EVP_PKEY *key)
{
	unsigned char signature[512];
	size_t len = sizeof(signature);
	const char *claims = CLAIMS(AUD "," EXP), *header = arena_printf(&forge->arena, "{\"alg\":\"%s\"}", algorithm);
	const char *text = arena_printf(&forge->arena, "%s.%s", forge_base64url(&forge->arena, slice_of(header)),
					forge_base64url(&forge->arena, slice_of(claims)));
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	EVP_PKEY_CTX *context;
	bool plain = strncmp(algorithm, "Ed", 2) == 0;
	assert_int_equal(EVP_DigestSignInit(digest, &context, plain ? NULL : EVP_sha256(), NULL, key), 1);
	if (strcmp(algorithm, "PS256") == 0) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST), 1);
	}
	assert_int_equal(EVP_DigestSign(digest, signature, &len, (const unsigned char *)text, strlen(text)), 1);
	EVP_MD_CTX_free(digest);
	return arena_printf(&forge->arena, "%s.%s", text, forge_base64url(&forge->arena, (struct slice){ (const char *)signature, len }));
}

static int verdict(struct forge *forge, const char *token, const char *jwk)
{
	struct auth_assertion assertion;
	const char *why;
	assert_int_equal(parse(forge, &policy, token, &assertion, &why), 0);
	return auth_assertion_verify(&assertion, slice_of(jwk));
}

/* Each algorithm with its key, and with no other. */
static void test_signatures(void **state)
{
	struct forge *forge = *state;
	EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048), *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	const char *tokens[] = { signed_token(forge, "RS256", rsa), signed_token(forge, "PS256", rsa),
				 forge_token(forge, es256, CLAIMS(AUD "," EXP), forge->key, "SHA256"), signed_token(forge, "EdDSA", ed),
				 signed_token(forge, "Ed25519", ed) };
	const char *keys[] = { rsa_jwk(forge, rsa, "RS256"), rsa_jwk(forge, rsa, "PS256"), ec_jwk(forge, forge->key),
			       ed_jwk(forge, ed, "EdDSA"), ed_jwk(forge, ed, "Ed25519") };
	struct auth_jwk_fault fault;
	for (size_t key = 0; key < 5; key++) {
		assert_int_equal(auth_jwk_check(slice_of(keys[key]), &fault), 0);
		for (size_t token = 0; token < 5; token++) {
			bool good = token == key || (token >= 3 && key >= 3); /* one algorithm, two names */
			if (verdict(forge, tokens[token], keys[key]) != (good ? 0 : -EACCES))
				fail_msg("token %zu, key %zu", token, key);
		}
		/* Another text under a real signature, and no key. */
		char *bent = arena_copy(&forge->arena, slice_of(tokens[key]));
		size_t last = strlen(bent) - 10;
		bent[last] = bent[last] == 'A' ? 'B' : 'A';
		assert_int_equal(verdict(forge, bent, keys[key]), -EACCES);
		assert_int_equal(verdict(forge, tokens[key], ""), -EACCES);
	}
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ed);
}

#define EC_REST                                                                                                                            \
	"\"crv\":\"P-256\",\"x\":\"HU47UxprmlP5MY0y66D5kdFcbH1V0LahKl4rUKiNCuI\",\"y\":\"iJxudMOGIKr7d2QXs8gg2fgrMbL1p_0JAnESj7Jrg-U\"}"
#define OKP_REST "\"crv\":\"Ed25519\",\"x\":\"nanMMJc0-CC6yxN4jV1v7gOcoC0El73iDP4B7zrc43Q\"}"

static void test_keys_that_are_none(void **state)
{
	struct forge *forge = *state;
	EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), *big = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	const char *modulus = number(forge, big, OSSL_PKEY_PARAM_RSA_N);
	struct auth_jwk_fault fault;
	const struct {
		const char *jwk, *member;
	} cases[] = {
		{ "{}", "alg" },
		{ "[]", "alg" },
		{ "{\"kty\":\"EC\",\"alg\":\"RS256\"," EC_REST, "kty" },
		{ "{\"kty\":\"EC\",\"alg\":\"EdDSA\"," EC_REST, "kty" },
		{ "{\"kty\":\"OKP\",\"alg\":\"ES256\"," OKP_REST, "kty" },
		{ "{\"kty\":\"EC\",\"alg\":\"HS256\"," EC_REST, "alg" },
		{ "{\"kty\":\"EC\",\"alg\":\"ES256\"," OKP_REST, "crv" },
		{ "{\"kty\":\"EC\",\"alg\":\"ES256\",\"n\":\"AQAB\"," EC_REST, "n" },
		{ "{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"y\":\"AQAB\"," OKP_REST, "y" },
		{ "{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"crv\":\"Ed448\",\"x\":\"AQAB\"}", "crv" },
		{ "{\"kty\":\"OKP\",\"alg\":\"EdDSA\",\"crv\":\"Ed25519\",\"x\":\"AQAB\"}", "x" },
		{ "{\"kty\":\"EC\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"x\":\"HU47UxprmlP5MY0y66D5kdFcbH1V0LahKl4rUKiNCuI\",\"y\":"
		  "\"HU47UxprmlP5MY0y66D5kdFcbH1V0LahKl4rUKiNCuI\"}",
		  "x" },
		{ "{\"kty\":\"EC\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"x\":\"HU47UxprmlP5MY0y66D5kdFcbH1V0LahKl4rUKiNCuI\"}", "y" },
		{ rsa_jwk(forge, small, "RS256"), "n" },
		{ arena_printf(&forge->arena, "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"%s\",\"e\":\"Aw\"}", modulus), "e" },
		{ arena_printf(&forge->arena, "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"%s\",\"e\":\"AQAC\"}", modulus), "e" },
		{ arena_printf(&forge->arena, "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"%s\",\"e\":\"AAEAAQ\"}", modulus), "e" },
		{ arena_printf(&forge->arena, "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"%s\",\"e\":\"AQAB\",\"crv\":\"P-256\"}", modulus),
		  "crv" },
		{ arena_printf(&forge->arena, "{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"AAAA%s\",\"e\":\"AQAB\"}", modulus), "n" },
		{ arena_printf(&forge->arena, "{\"kty\":\"RSA\",\"alg\":\"PS256\",\"n\":\"%0683d\",\"e\":\"AQAB\"}", 0), "n" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int r = auth_jwk_check(slice_of(cases[i].jwk), &fault);
		if (r != -EINVAL || strcmp(fault.member, cases[i].member) != 0)
			fail_msg("%d, %s is wrong, not %s: %s", r, fault.member, cases[i].member, cases[i].jwk);
	}
	EVP_PKEY_free(small);
	EVP_PKEY_free(big);
}

static int setup(void **state)
{
	static struct forge forge;
	forge_init(&forge);
	*state = &forge;
	return 0;
}

static int teardown(void **state)
{
	forge_done(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),  cmocka_unit_test(test_headers),    cmocka_unit_test(test_claims),
		cmocka_unit_test(test_forms), cmocka_unit_test(test_signatures), cmocka_unit_test(test_keys_that_are_none),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
