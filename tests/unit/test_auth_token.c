/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The gate against the best current practice for JWTs (RFC 8725), each attack with a real signature where one helps it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/pem.h>

#include "../../src/auth/internal.h"
#include "forge.h"

#define ACCOUNT "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708"
#define PARTNER "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f709"
#define SESSION "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f70a"
#define JTI "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f70b"

enum { NOW = 1800000000 };

static const struct auth_policy policy = { "https://wardmote.example", "https://wardmote.example/api", 30, NULL };

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct forge));
	forge_init(*state);
	return 0;
}

static int teardown(void **state)
{
	forge_done(*state);
	free(*state);
	return 0;
}

static int verify(struct forge *forge, const char *token, const char **why)
{
	struct auth_claims claims;
	*why = "";
	return auth_token_verify(forge->keys, &policy, slice_of(token), NOW, &claims, why);
}

static void refused(struct forge *forge, const char *name, const char *token, const char *expected)
{
	const char *why;
	int r = verify(forge, token, &why);
	if (r != -EACCES || strcmp(why, expected) != 0)
		fail_msg("%s: %d %s, not refused as %s", name, r, why, expected);
}

static void accepted(struct forge *forge, const char *name, const char *token)
{
	const char *why;
	int r = verify(forge, token, &why);
	if (r != 0)
		fail_msg("%s: refused as %s", name, why);
}

/* A good payload with one member replaced by this JSON text, or left out. */
static const char *payload_with(struct forge *forge, const char *member, const char *json)
{
	json_t *payload =
	    json_pack("{s:s,s:s,s:i,s:i,s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i}", "iss", policy.issuer, "aud", policy.audience, "exp",
		      NOW + 600, "nbf", NOW, "iat", NOW, "sub", ACCOUNT, "jti", JTI, "client_id", "wmc_1", "token_use", "access", "partner",
		      PARTNER, "role", "officer", "kind", "person", "sid", SESSION, "epoch", 3);
	assert_non_null(payload);
	if (member != NULL && json == NULL)
		json_object_del(payload, member);
	else if (member != NULL)
		json_object_set_new(payload, member, json_loads(json, JSON_DECODE_ANY, NULL));
	char *text = json_dumps(payload, JSON_COMPACT);
	const char *copy = arena_copy(&forge->arena, slice_of(text));
	free(text);
	json_decref(payload);
	return copy;
}

static const char *good_token(struct forge *forge)
{
	return forge_token(forge, forge_header(forge), payload_with(forge, NULL, NULL), forge->key, "SHA256");
}

/* The forger's own token is good: what the cases below change is what they are refused for. */
static void test_forge_is_faithful(void **state)
{
	accepted(*state, "plain", good_token(*state));
}

/* 3.1, 3.2: the algorithm is ours to say. */
static void test_algorithms(void **state)
{
	struct forge *forge = *state;
	static const char *const names[] = { "none",  "NoNe",  "es256", "HS256", "RS256",   "RS512",
					     "PS256", "ES384", "ES512", "EdDSA", "Ed25519", "" };
	const char *payload = payload_with(forge, NULL, NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *header =
		    arena_printf(&forge->arena, "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", names[i], forge->kid);
		refused(forge, names[i], forge_token(forge, header, payload, forge->key, "SHA256"), "algorithm");
		refused(forge, names[i], forge_token(forge, header, payload, NULL, NULL), "signature_form");
	}
	static const char *const values[] = { "null", "1", "[\"ES256\"]", "{\"a\":\"ES256\"}" };
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		const char *header = arena_printf(&forge->arena, "{\"alg\":%s,\"typ\":\"at+jwt\",\"kid\":\"%s\"}", values[i], forge->kid);
		refused(forge, values[i], forge_token(forge, header, payload, forge->key, "SHA256"), "algorithm");
	}
	/* Nothing signed at all, but everything else right. */
	refused(forge, "unsigned", forge_token(forge, forge_header(forge), payload, NULL, NULL), "signature_form");
}

/* 2.1: the public key as the secret of an HMAC. */
static void test_public_key_as_secret(void **state)
{
	struct forge *forge = *state;
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PUBKEY(bio, forge->key);
	char *pem;
	size_t len = (size_t)BIO_get_mem_data(bio, &pem);
	const char *payload = payload_with(forge, NULL, NULL);
	const char *hs = arena_printf(&forge->arena, "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", forge->kid);
	refused(forge, "hmac", forge_hmac(forge, hs, payload, (struct slice){ pem, len }), "signature_form");
	refused(forge, "hmac as ES256", forge_hmac(forge, forge_header(forge), payload, (struct slice){ pem, len }), "signature_form");
	BIO_free(bio);
}

static void test_other_keys(void **state)
{
	struct forge *forge = *state;
	const char *payload = payload_with(forge, NULL, NULL), *header = forge_header(forge);
	EVP_PKEY *p256 = EVP_EC_gen("P-256"), *p384 = EVP_EC_gen("P-384"), *rsa = EVP_RSA_gen(1024);
	refused(forge, "other P-256", forge_token(forge, header, payload, p256, "SHA256"), "signature");
	refused(forge, "P-384", forge_token(forge, header, payload, p384, "SHA384"), "signature_form");
	refused(forge, "RSA", forge_token(forge, header, payload, rsa, "SHA256"), "signature_form");
	refused(forge, "other digest", forge_token(forge, header, payload, forge->key, "SHA384"), "signature");
	EVP_PKEY_free(p256);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(rsa);
}

/* 3.10: kid is a name out of a closed list, not a path, a query or an address. */
static void test_key_names(void **state)
{
	struct forge *forge = *state;
	const char *payload = payload_with(forge, NULL, NULL);
	const char *long_name = arena_printf(&forge->arena, "\"%0300d\"", 0);
	const char *kids[] = {
		"\"\"",
		"\"unknown\"",
		"\"../../etc/passwd\"",
		"\"' OR 1=1--\"",
		"null",
		"1",
		"[]",
		"{}",
		arena_printf(&forge->arena, "\"%.42s\"", forge->kid),
		arena_printf(&forge->arena, "\"%s \"", forge->kid),
		arena_printf(&forge->arena, "\"%sx\"", forge->kid),
	};
	for (size_t i = 0; i < sizeof(kids) / sizeof(*kids); i++) {
		const char *header = arena_printf(&forge->arena, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":%s}", kids[i]);
		refused(forge, kids[i], forge_token(forge, header, payload, forge->key, "SHA256"), "key");
	}
	refused(forge, "none", forge_token(forge, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", payload, forge->key, "SHA256"),
		"header_member");
	const char *header = arena_printf(&forge->arena, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":%s}", long_name);
	refused(forge, "long", forge_token(forge, header, payload, forge->key, "SHA256"), "header");
}

/* RFC 7515 4.1.11, RFC 7797, and headers that bring their own key. */
static void test_header_members(void **state)
{
	struct forge *forge = *state;
	static const char *const members[] = {
		"\"crit\":[\"exp\"]",
		"\"crit\":[]",
		"\"b64\":false",
		"\"zip\":\"DEF\"",
		"\"jku\":\"https://evil.example/jwks\"",
		"\"x5u\":\"https://evil.example/x\"",
		"\"jwk\":{\"kty\":\"EC\"}",
		"\"x5c\":[\"MII\"]",
		"\"x5t\":\"a\"",
		"\"cty\":\"JWT\"",
		"\"enc\":\"A128GCM\"",
		"\"unknown\":1",
	};
	const char *payload = payload_with(forge, NULL, NULL);
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		const char *header =
		    arena_printf(&forge->arena, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\",%s}", forge->kid, members[i]);
		refused(forge, members[i], forge_token(forge, header, payload, forge->key, "SHA256"), "header_member");
	}
	const char *twice =
	    arena_printf(&forge->arena, "{\"alg\":\"ES256\",\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", forge->kid);
	refused(forge, "alg twice", forge_token(forge, twice, payload, forge->key, "SHA256"), "header");
}

/* 3.11: the type is said in the header, and in a claim. */
static void test_types(void **state)
{
	struct forge *forge = *state;
	static const char *const types[] = { "JWT", "jwt", "JWE", "", "application/at+jwt", "client-authentication+jwt" };
	const char *payload = payload_with(forge, NULL, NULL);
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		const char *header = arena_printf(&forge->arena, "{\"alg\":\"ES256\",\"typ\":\"%s\",\"kid\":\"%s\"}", types[i], forge->kid);
		refused(forge, types[i], forge_token(forge, header, payload, forge->key, "SHA256"), "type");
	}
}

/* 3.3: every part is checked, and one token has one spelling. */
static void test_spellings(void **state)
{
	struct forge *forge = *state;
	struct arena *arena = &forge->arena;
	const char *good = good_token(forge);
	size_t len = strlen(good);
	static const char *const tails[] = { "!!!!", "==", "=", "\n", " ", ".x", ".", "%00" };
	for (size_t i = 0; i < sizeof(tails) / sizeof(*tails); i++)
		refused(forge, tails[i], arena_printf(arena, "%s%s", good, tails[i]), "form");
	refused(forge, "leading space", arena_printf(arena, " %s", good), "form");
	refused(forge, "empty", "", "form");
	refused(forge, "dots", "..", "signature_form");
	refused(forge, "five parts", "a.b.c.d.e", "form");
	refused(forge, "two parts", "a.b", "form");
	/* A 64-byte signature leaves two bits of its last character unused: only zeros are canonical. */
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	char *bent = arena_copy(arena, slice_of(good));
	size_t last = (size_t)(strchr(alphabet, good[len - 1]) - alphabet);
	bent[len - 1] = alphabet[last + 1];
	refused(forge, "stray bits", bent, "signature_form");
	for (size_t i = 0; i < len; i++) {
		bent = arena_copy(arena, slice_of(good));
		bent[i] = bent[i] == 'A' ? 'B' : 'A';
		const char *why;
		assert_int_equal(verify(forge, bent, &why), -EACCES);
		bent[i] = '+';
		refused(forge, "standard alphabet", bent, "form");
	}
	/* A text with a NUL inside is not the text before it. */
	char *cut = arena_alloc(arena, len + 10);
	memcpy(cut, good, len);
	memcpy(cut + len + 1, "AAAA", 4);
	struct auth_claims claims;
	const char *why;
	assert_int_equal(auth_token_verify(forge->keys, &policy, (struct slice){ cut, len + 5 }, NOW, &claims, &why), -EACCES);
	assert_string_equal(why, "form");
}

static void test_signatures(void **state)
{
	struct forge *forge = *state;
	struct arena *arena = &forge->arena;
	const char *good = good_token(forge), *dot = strrchr(good, '.');
	char zeros[64] = { 0 }, ones[64];
	memset(ones, 0xff, sizeof(ones));
	const char *input = arena_copy(arena, (struct slice){ good, (size_t)(dot - good) });
	refused(forge, "r=s=0", arena_printf(arena, "%s.%s", input, forge_base64url(arena, (struct slice){ zeros, 64 })), "signature");
	refused(forge, "r=s=max", arena_printf(arena, "%s.%s", input, forge_base64url(arena, (struct slice){ ones, 64 })), "signature");
	refused(forge, "short", arena_printf(arena, "%s.%s", input, forge_base64url(arena, (struct slice){ ones, 63 })), "signature_form");
	refused(forge, "long", arena_printf(arena, "%s.%s", input, forge_base64url(arena, (struct slice){ zeros, 64 })), "signature");
	const char *other = forge_token(forge, forge_header(forge), payload_with(forge, "role", "\"viewer\""), forge->key, "SHA256");
	refused(forge, "of another token", arena_printf(arena, "%s%s", input, strrchr(other, '.')), "signature");
}

static void test_sizes(void **state)
{
	struct forge *forge = *state;
	const char *payload = payload_with(forge, "pad", arena_printf(&forge->arena, "\"%02300d\"", 0));
	accepted(forge, "nearly full", forge_token(forge, forge_header(forge), payload, forge->key, "SHA256"));
	static const int sizes[] = { 4097, 8193, 65536, 1 << 20 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *text = arena_alloc(&forge->arena, (size_t)sizes[i] + 1);
		memset(text, 'A', (size_t)sizes[i]);
		text[100] = text[200] = '.';
		refused(forge, "long", text, "form");
	}
	char deep[2 * 60 + 1] = "";
	for (int i = 0; i < 60; i++)
		strncat(deep, "[", sizeof(deep) - strlen(deep) - 1);
	for (int i = 0; i < 60; i++)
		strncat(deep, "]", sizeof(deep) - strlen(deep) - 1);
	refused(forge, "deep", forge_token(forge, forge_header(forge), payload_with(forge, "deep", deep), forge->key, "SHA256"), "payload");
}

/* 3.7: what is not one JSON object in UTF-8 without duplicates is not a payload. */
static void test_payload_forms(void **state)
{
	struct forge *forge = *state;
	const char *good = payload_with(forge, NULL, NULL);
	const char *open = arena_copy(&forge->arena, (struct slice){ good, strlen(good) - 1 });
	const char *payloads[] = {
		"",
		"{",
		"[]",
		"null",
		"\"text\"",
		"{}{}",
		"\xef\xbb\xbf{}",
		arena_printf(&forge->arena, "%s,\"sub\":\"%s\"}", open, ACCOUNT),
		arena_printf(&forge->arena, "%s,\"s\\u0075b\":\"%s\"}", open, ACCOUNT),
		arena_printf(&forge->arena, "%s,\"x\":\"\xff\"}", open),
		arena_printf(&forge->arena, "%s,\"x\":\"a\\u0000b\"}", open),
		arena_printf(&forge->arena, "%s,\"x\":1e999}", open),
		arena_printf(&forge->arena, "%s} ", good),
	};
	for (size_t i = 0; i < sizeof(payloads) / sizeof(*payloads); i++)
		refused(forge, payloads[i], forge_token(forge, forge_header(forge), payloads[i], forge->key, "SHA256"), "payload");
}

static void test_claims(void **state)
{
	struct forge *forge = *state;
	static const struct {
		const char *member, *json, *why;
	} cases[] = {
		/* 3.8: issuer and subject */
		{ "iss", NULL, "issuer" },
		{ "iss", "\"https://wardmote.example/\"", "issuer" },
		{ "iss", "\"https://other.example\"", "issuer" },
		{ "iss", "[\"https://wardmote.example\"]", "issuer" },
		{ "sub", NULL, "identity" },
		{ "sub", "\"\"", "identity" },
		{ "sub", "1", "identity" },
		{ "sub", "\"019AB3C4-5D6E-7F80-91A2-B3C4D5E6F708\"", "identity" },
		{ "sub", "\"019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708 \"", "identity" },
		{ "sub", "\"019ab3c45d6e7f8091a2b3c4d5e6f708\"", "identity" },
		/* 3.9: audience */
		{ "aud", NULL, "audience" },
		{ "aud", "\"https://other.example\"", "audience" },
		{ "aud", "[]", "audience" },
		{ "aud", "[\"https://other.example\"]", "audience" },
		{ "aud", "[\"https://wardmote.example/api\",1]", "audience" },
		{ "aud", "{\"https://wardmote.example/api\":1}", "audience" },
		{ "aud", "null", "audience" },
		/* 3.11, 3.12: another kind of token */
		{ "token_use", NULL, "token_use" },
		{ "token_use", "\"refresh\"", "token_use" },
		{ "token_use", "\"id\"", "token_use" },
		/* RFC 7519: times, integers only */
		{ "exp", NULL, "time" },
		{ "exp", "\"9999999999\"", "time" },
		{ "exp", "1800000600.5", "time" },
		{ "exp", "1.8e9", "time" },
		{ "exp", "-1", "time" },
		{ "exp", "0", "time" },
		{ "exp", "true", "time" },
		{ "exp", "9223372036854775807", "time" },
		{ "exp", "1799999970", "expired" },
		{ "exp", "1799999971", "expired" }, /* before it was issued */
		{ "nbf", NULL, "time" },
		{ "nbf", "\"0\"", "time" },
		{ "nbf", "1800000031", "not_yet" },
		{ "iat", NULL, "time" },
		{ "iat", "\"1800000000\"", "time" },
		{ "iat", "1800000031", "not_yet" },
		{ "jti", NULL, "identity" },
		{ "jti", "\"\"", "identity" },
		/* ours */
		{ "partner", NULL, "identity" },
		{ "partner", "\"all\"", "identity" },
		{ "role", NULL, "role" },
		{ "role", "\"anonymous\"", "role" },
		{ "role", "\"\"", "role" },
		{ "role", "\"Administrator\"", "role" },
		{ "role", "4", "role" },
		{ "role", "[\"administrator\"]", "role" },
		{ "kind", NULL, "kind" },
		{ "kind", "\"robot\"", "kind" },
		{ "epoch", NULL, "epoch" },
		{ "epoch", "\"3\"", "epoch" },
		{ "epoch", "0", "epoch" },
		{ "epoch", "2147483648", "epoch" },
		{ "client_id", NULL, "client" },
		{ "client_id", "1", "client" },
		{ "client_id", "\"\"", "client" },
		{ "client_id", "\"0123456789012345678901234567890123456789012345678901234567890123\"", "client" },
		{ "sid", "1", "option" },
		{ "sid", "null", "option" },
		{ "sid", "\"\"", "option" },
		{ "scope", "null", "option" },
		{ "scope", "[\"risks:read\"]", "option" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *payload = payload_with(forge, cases[i].member, cases[i].json);
		const char *name =
		    arena_printf(&forge->arena, "%s = %s", cases[i].member, cases[i].json == NULL ? "(none)" : cases[i].json);
		refused(forge, name, forge_token(forge, forge_header(forge), payload, forge->key, "SHA256"), cases[i].why);
	}
}

static void test_good_variants(void **state)
{
	struct forge *forge = *state;
	static const struct {
		const char *member, *json;
	} cases[] = {
		{ "aud", "[\"https://wardmote.example/api\"]" },
		{ "aud", "[\"https://other.example\",\"https://wardmote.example/api\"]" },
		{ "aud", "[\"https://wardmote.example/api\",\"https://other.example\"]" },
		{ "nbf", "1800000030" },
		{ "sid", NULL },
		{ "scope", "\"\"" },
		{ "scope", "\"risks:read\"" },
		{ "kind", "\"service\"" },
		{ "later", "{\"release\":1}" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		accepted(forge, cases[i].member,
			 forge_token(forge, forge_header(forge), payload_with(forge, cases[i].member, cases[i].json), forge->key,
				     "SHA256"));
}

/* 3.12: another installation's token is nobody's here, and neither is one whose key was dropped. */
static void test_other_installation(void **state)
{
	struct forge *forge = *state, other;
	forge_init(&other);
	refused(forge, "other installation", good_token(&other), "key");
	forge_done(&other);
}

/* No file gives a key that is none: the gate does not rely on that. */
static void test_a_key_off_the_curve_verifies_nothing(void **state)
{
	struct forge forge;
	(void)state;
	forge_init(&forge);
	const char *token = good_token(&forge);
	accepted(&forge, "with its key", token);
	forge.keys->keys[0].y[31] ^= 1;
	refused(&forge, "without its key", token, "signature");
	forge_done(&forge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forge_is_faithful),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_public_key_as_secret),
		cmocka_unit_test(test_other_keys),
		cmocka_unit_test(test_key_names),
		cmocka_unit_test(test_header_members),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_payload_forms),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_good_variants),
		cmocka_unit_test(test_other_installation),
		cmocka_unit_test(test_a_key_off_the_curve_verifies_nothing),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
