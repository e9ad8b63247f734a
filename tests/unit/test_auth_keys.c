/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The key folder: what is refused, how keys come and go, and what lies on the small primitives. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/pem.h>

#include "forge.h"
#include "wardmote/clock.h"

static const struct auth_policy policy = { "https://wardmote.example", "https://wardmote.example", 30, NULL };

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

static const char *path_of(struct forge *forge, const char *name)
{
	return arena_printf(&forge->arena, "%s/%s", forge->folder, name);
}

static void write_file(struct forge *forge, const char *name, mode_t mode, const char *text)
{
	FILE *file = fopen(path_of(forge, name), "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path_of(forge, name), mode), 0);
}

static void write_key(struct forge *forge, const char *name, EVP_PKEY *key, const EVP_CIPHER *cipher)
{
	FILE *file = fopen(path_of(forge, name), "we");
	assert_non_null(file);
	char password[] = "secret";
	assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, cipher, cipher == NULL ? NULL : password, cipher == NULL ? 0 : 6, NULL, NULL),
			 1);
	fclose(file);
	assert_int_equal(chmod(path_of(forge, name), 0600), 0);
}

/* The folder is refused with a message that has this in it, and holds as before without the file. */
static void refused(struct forge *forge, const char *name, int code, const char *message)
{
	struct auth_keys *keys = NULL;
	const char *error = "";
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), code);
	assert_null(keys);
	if (strstr(error, message) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", error, message);
	assert_int_equal(unlink(path_of(forge, name)), 0);
}

static void test_modes(void **state)
{
	struct forge *forge = *state;
	struct auth_keys *keys;
	struct stat status;
	const char *error, *name = arena_printf(&forge->arena, "%s.pem", forge->kid);
	assert_int_equal(stat(path_of(forge, name), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(stat(path_of(forge, "cursor.key"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(status.st_size, 32);
	static const mode_t wide[] = { 0640, 0604, 0660, 0700, 0644, 0601 };
	for (size_t i = 0; i < sizeof(wide) / sizeof(*wide); i++) {
		assert_int_equal(chmod(path_of(forge, name), wide[i]), 0);
		assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), -EINVAL);
		assert_non_null(strstr(error, "0600"));
	}
	assert_int_equal(chmod(path_of(forge, name), 0400), 0);
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), 0);
	auth_keys_unref(keys);
	assert_int_equal(chmod(path_of(forge, "cursor.key"), 0644), 0);
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), -EINVAL);
}

static void test_wrong_keys(void **state)
{
	struct forge *forge = *state;
	EVP_PKEY *rsa = EVP_RSA_gen(2048), *p384 = EVP_EC_gen("P-384"), *p256 = EVP_EC_gen("P-256"),
		 *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	write_key(forge, "a.pem", rsa, NULL);
	refused(forge, "a.pem", -EINVAL, "elliptic-curve");
	write_key(forge, "a.pem", ed, NULL);
	refused(forge, "a.pem", -EINVAL, "elliptic-curve");
	write_key(forge, "a.pem", p384, NULL);
	refused(forge, "a.pem", -EINVAL, "P-256");
	write_key(forge, "a.pem", p256, NULL);
	refused(forge, "a.pem", -EINVAL, "thumbprint");
	/* An encrypted key is refused at once: nobody is asked for its password. */
	write_key(forge, "a.pem", p256, EVP_aes_128_cbc());
	refused(forge, "a.pem", -EINVAL, "unencrypted");
	write_file(forge, "a.pem", 0600, "no key\n");
	refused(forge, "a.pem", -EINVAL, "unencrypted");
	write_file(forge, "a.pem", 0600, "");
	refused(forge, "a.pem", -EINVAL, "empty");
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(p256);
	EVP_PKEY_free(ed);
}

static void test_what_is_no_key_is_left_alone(void **state)
{
	struct forge *forge = *state;
	struct auth_keys *keys;
	const char *error;
	write_file(forge, "README", 0644, "keys\n");
	write_file(forge, ".draft-1", 0600, "half");
	write_file(forge, ".hidden.pem", 0644, "half");
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), 0);
	auth_keys_unref(keys);
}

static void test_what_is_missing_is_said(void **state)
{
	struct forge *forge = *state;
	struct auth_keys *keys;
	const char *error = "";
	assert_int_equal(auth_keys_load(path_of(forge, "nowhere"), &forge->arena, &keys, &error), -ENOENT);
	assert_non_null(strstr(error, "nowhere"));
	char empty[] = "/tmp/wm-empty-XXXXXX";
	assert_non_null(mkdtemp(empty));
	assert_int_equal(auth_keys_load(empty, &forge->arena, &keys, &error), -ENOENT);
	assert_non_null(strstr(error, "no signing key"));
	assert_int_equal(rmdir(empty), 0);
	write_file(forge, "cursor.key", 0600, "short");
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), -EINVAL);
	assert_non_null(strstr(error, "32 bytes"));
}

/* The kid in a token's header. */
static const char *signer(struct forge *forge, const struct auth_keys *keys, int64_t now)
{
	struct auth_claims claims = { .account = "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708",
				      .partner = "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708",
				      .jti = "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708",
				      .client_id = "c",
				      .role = CALLER_VIEWER,
				      .epoch = 1,
				      .issued = now,
				      .expires = now + 600 };
	const char *token, *why;
	struct auth_claims out;
	assert_int_equal(auth_token_sign(&forge->arena, keys, &policy, &claims, &token), 0);
	assert_int_equal(auth_token_verify(keys, &policy, slice_of(token), now, &out, &why), 0);
	struct slice plain = { token, strcspn(token, ".") };
	char *header = arena_alloc(&forge->arena, plain.len + 4);
	/* base64url of ASCII JSON: let OpenSSL decode it with its padding back. */
	char *padded = arena_printf(&forge->arena, "%.*s%s", (int)plain.len, plain.ptr, &"==="[3 - (4 - plain.len % 4) % 4]);
	for (char *c = padded; *c != '\0'; c++)
		*c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
	assert_true(EVP_DecodeBlock((unsigned char *)header, (const unsigned char *)padded, (int)strlen(padded)) > 0);
	json_t *object = json_loads(header, JSON_DISABLE_EOF_CHECK, NULL);
	const char *kid = arena_copy(&forge->arena, slice_of(json_string_value(json_object_get(object, "kid"))));
	json_decref(object);
	return kid;
}

static void test_a_further_key_signs_later_and_the_first_goes(void **state)
{
	struct forge *forge = *state;
	struct auth_keys *keys;
	const char *error, *second;
	int64_t now = clock_wall_seconds();
	assert_string_equal(signer(forge, forge->keys, now), forge->kid);
	assert_int_equal(auth_keys_create(forge->folder, &forge->arena, &second, &error), 0);
	assert_string_not_equal(second, forge->kid);
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), 0);
	/* Published at once, signing ten minutes on. */
	struct slice jwks = auth_jwks(&forge->arena, keys);
	assert_non_null(strstr(jwks.ptr, second));
	assert_non_null(strstr(jwks.ptr, forge->kid));
	assert_string_equal(signer(forge, keys, now + 590), forge->kid);
	assert_string_equal(signer(forge, keys, now + 610), second);
	auth_keys_unref(keys);
	/* Not while the second does not sign, and not while a token of the first may live. */
	assert_int_equal(auth_keys_retire(forge->folder, 0, &forge->arena, &error), 0);
	assert_int_equal(access(path_of(forge, arena_printf(&forge->arena, "%s.pem", forge->kid)), F_OK), 0);
	assert_int_equal(auth_keys_retire(forge->folder, -601, &forge->arena, &error), 0);
	assert_int_equal(access(path_of(forge, arena_printf(&forge->arena, "%s.pem", forge->kid)), F_OK), -1);
	assert_int_equal(auth_keys_retire(forge->folder, -601, &forge->arena, &error), 0);
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), 0);
	assert_string_equal(signer(forge, keys, now), second);
	auth_keys_unref(keys);
}

static void test_the_number_of_keys_is_bounded(void **state)
{
	struct forge *forge = *state;
	const char *error = "", *kid;
	for (int i = 1; i < 16; i++)
		assert_int_equal(auth_keys_create(forge->folder, &forge->arena, &kid, &error), 0);
	assert_int_equal(auth_keys_create(forge->folder, &forge->arena, &kid, &error), -ENOSPC);
	assert_non_null(strstr(error, "retire"));
	struct auth_keys *keys;
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), 0);
	auth_keys_unref(keys);
}

/* RFC 7638 by hand, from the published key itself. */
static void test_jwks(void **state)
{
	struct forge *forge = *state;
	struct slice text = auth_jwks(&forge->arena, forge->keys);
	json_t *jwks = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	json_t *key = json_array_get(json_object_get(jwks, "keys"), 0);
	const char *kty, *crv, *use, *alg, *kid, *x, *y;
	assert_int_equal(json_unpack(key, "{s:s,s:s,s:s,s:s,s:s,s:s,s:s!}", "kty", &kty, "crv", &crv, "use", &use, "alg", &alg, "kid", &kid,
				     "x", &x, "y", &y),
			 0);
	assert_string_equal(kid, forge->kid);
	assert_string_equal(alg, "ES256");
	assert_int_equal(strlen(x), 43);
	assert_int_equal(strlen(y), 43);
	const char *canonical = arena_printf(&forge->arena, "{\"crv\":\"%s\",\"kty\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}", crv, kty, x, y);
	const char *hex = auth_sha256(&forge->arena, slice_of(canonical));
	char hash[32];
	for (size_t i = 0; i < 32; i++) {
		unsigned byte;
		sscanf(hex + 2 * i, "%2x", &byte);
		hash[i] = (char)byte;
	}
	assert_string_equal(forge_base64url(&forge->arena, (struct slice){ hash, 32 }), kid);
	json_decref(jwks);
}

static void test_seal(void **state)
{
	struct forge *forge = *state, other;
	struct slice plain = SLICE("a\x1f"
				   "b\0c"),
		     opened;
	struct slice sealed = auth_seal(&forge->arena, forge->keys, plain);
	assert_int_equal(auth_unseal(&forge->arena, forge->keys, sealed, &opened), 0);
	assert_true(slice_equal(plain, opened));
	assert_true(slice_equal(sealed, auth_seal(&forge->arena, forge->keys, plain)));
	assert_memory_not_equal(sealed.ptr, auth_seal(&forge->arena, forge->keys, SLICE("another text")).ptr, 32);
	for (size_t i = 0; i < sealed.len; i++) {
		char *bent = arena_copy(&forge->arena, sealed);
		bent[i] = bent[i] == 'A' ? 'B' : 'A';
		assert_int_equal(auth_unseal(&forge->arena, forge->keys, (struct slice){ bent, sealed.len }, &opened), -EINVAL);
		assert_int_equal(auth_unseal(&forge->arena, forge->keys, (struct slice){ sealed.ptr, i }, &opened), -EINVAL);
	}
	assert_int_equal(auth_unseal(&forge->arena, forge->keys, SLICE("!"), &opened), -EINVAL);
	forge_init(&other);
	assert_int_equal(auth_unseal(&forge->arena, other.keys, sealed, &opened), -EINVAL);
	forge_done(&other);
	sealed = auth_seal(&forge->arena, forge->keys, SLICE(""));
	assert_int_equal(auth_unseal(&forge->arena, forge->keys, sealed, &opened), 0);
	assert_int_equal(opened.len, 0);
}

static void test_secrets_and_hashes(void **state)
{
	struct forge *forge = *state;
	const char *one = auth_secret(&forge->arena, "wms_"), *two = auth_secret(&forge->arena, "wms_");
	assert_int_equal(strlen(one), 47);
	assert_memory_equal(one, "wms_", 4);
	assert_string_not_equal(one, two);
	assert_string_equal(auth_sha256(&forge->arena, SLICE("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	const struct slice split_a[] = { SLICE("ab"), SLICE("c") }, split_b[] = { SLICE("a"), SLICE("bc") };
	assert_true(auth_hash(split_a, 2) != auth_hash(split_b, 2));
	assert_true(auth_hash(split_a, 2) == auth_hash(split_a, 2));
	assert_true(auth_hash(split_a, 1) != auth_hash(split_a, 2));
}

static void test_uuid(void **state)
{
	struct forge *forge = *state;
	uint64_t before = (uint64_t)(clock_wall_us() / 1000);
	const char *uuid = auth_uuid(&forge->arena);
	uint64_t after = (uint64_t)(clock_wall_us() / 1000);
	assert_int_equal(strlen(uuid), 36);
	assert_int_equal(uuid[14], '7');
	assert_non_null(strchr("89ab", uuid[19]));
	const char *digits = arena_printf(&forge->arena, "%.8s%.4s", uuid, uuid + 9);
	uint64_t ms = strtoull(digits, NULL, 16);
	assert_true(ms >= before && ms <= after);
	assert_string_not_equal(uuid, auth_uuid(&forge->arena));
}

/* More than are drawn at once: no two are alike, and each is of its form. */
static void test_uuids_drawn(void **state)
{
	(void)state;
	enum { MANY = 200 };
	static char uuids[MANY][UUID_TEXT];
	struct auth_draw draw = { 0 };
	for (int i = 0; i < MANY; i++) {
		auth_uuid_drawn(&draw, uuids[i]);
		assert_int_equal(strlen(uuids[i]), 36);
		assert_int_equal(strspn(uuids[i], "0123456789abcdef-"), 36);
		for (int k = 0; k < 36; k++)
			assert_int_equal(uuids[i][k] == '-', k == 8 || k == 13 || k == 18 || k == 23);
		assert_int_equal(uuids[i][14], '7');
		assert_non_null(strchr("89ab", uuids[i][19]));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(uuids[k] + 14, uuids[i] + 14);
	}
}

static uint64_t tag_of(struct forge *forge, const char *a, const char *b)
{
	const struct slice parts[] = { slice_of(a), slice_of(b) };
	return auth_tag(forge->keys, parts, 2);
}

static void test_tags(void **state)
{
	struct forge *forge = *state, other;
	const struct slice whole[] = { SLICE("ab") };
	assert_true(tag_of(forge, "ab", "c") == tag_of(forge, "ab", "c"));
	assert_true(tag_of(forge, "ab", "c") != tag_of(forge, "a", "bc"));
	assert_true(tag_of(forge, "ab", "c") != tag_of(forge, "c", "ab"));
	assert_true(tag_of(forge, "ab", "") != tag_of(forge, "", "ab"));
	assert_true(tag_of(forge, "ab", "") != auth_tag(forge->keys, whole, 1));
	forge_init(&other);
	assert_true(tag_of(forge, "ab", "c") != tag_of(&other, "ab", "c"));
	forge_done(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_key_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_missing_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_further_key_signs_later_and_the_first_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_number_of_keys_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_jwks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_secrets_and_hashes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uuid, setup, teardown),
		cmocka_unit_test(test_uuids_drawn),
		cmocka_unit_test_setup_teardown(test_tags, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
