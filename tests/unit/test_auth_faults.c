/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Every call of src/auth that can fail, failed in turn, once and for ever: what is asked for is whole or refused, no bad token is ever good, and nothing
 * leaks. And the branches that only a strange file, clock or library reaches. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "forge.h"
#include "internal.h"
#include "wrapped.h"

enum { NOW = 1800000000, CALLS_MAX = 500, LONG_ISSUER = 3000 };

static const struct auth_policy policy = { "https://wardmote.example", "https://wardmote.example", 30, NULL };
static const struct auth_claims claims = {
	.account = "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708",
	.partner = "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f709",
	.session = "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f70a",
	.jti = "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f70b",
	.client_id = "wmc_1",
	.role = CALLER_OFFICER,
	.epoch = 3,
	.issued = NOW,
	.expires = NOW + 600,
	.scoped = true,
	.scopes = "risks:read",
};

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

/* Runs `attempt` with the first, second, third... call failing, until none is left to fail. It is true when `attempt` did what it should. */
static void fail_each(struct forge *forge, bool (*attempt)(struct forge *forge), const char *only, int error, bool forever)
{
	long k = 0;
	for (bool hit = true; hit; k++) {
		assert_true(k < CALLS_MAX);
		wrapped_arm(only, k, error, forever);
		bool good = attempt(forge);
		hit = wrapped_disarm();
		assert_true(good || hit);
	}
	assert_true(k > 1);
}

static void torture(struct forge *forge, bool (*attempt)(struct forge *forge))
{
	static const int errors[] = { EIO, ENOENT, EEXIST, EINTR, ENOMEM };
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		fail_each(forge, attempt, NULL, errors[i], false);
	fail_each(forge, attempt, NULL, EIO, true);
}

/* --- the key folder --- */

static bool load(struct forge *forge)
{
	struct auth_keys *keys = NULL;
	const char *error = NULL;
	int r = auth_keys_load(forge->folder, &forge->arena, &keys, &error);
	assert_true(r == 0 ? keys != NULL && keys->n == 1 : keys == NULL && error != NULL && r < 0);
	auth_keys_unref(keys);
	return r == 0;
}

static void test_loading(void **state)
{
	torture(*state, load);
	/* A file that ends early, and a key that is written longer than any. */
	fail_each(*state, load, "read", 0, false);
	fail_each(*state, load, "BIO_read", 0, false);
}

static void remove_folder(const char *folder)
{
	struct forge other = { .key = NULL };
	snprintf(other.folder, sizeof(other.folder), "%.60s", folder);
	forge_remove_folder(&other);
}

/* Whole or not at all: what a failed attempt leaves, the next one completes. */
static void create(struct forge *forge, long calls, int fault, bool forever)
{
	char folder[64];
	const char *kid = NULL, *error = NULL;
	struct auth_keys *keys = NULL;
	snprintf(folder, sizeof(folder), "%.40s-new", forge->folder);
	wrapped_arm(NULL, calls, fault, forever);
	int r = auth_keys_create(folder, &forge->arena, &kid, &error);
	bool hit = wrapped_disarm();
	assert_true(r == 0 ? kid != NULL : hit && error != NULL);
	/* Who is told that another process has just made cursor.key (EEXIST) believes it. */
	if (r != 0 || fault == EEXIST)
		assert_int_equal(auth_keys_create(folder, &forge->arena, &kid, &error), 0);
	assert_int_equal(auth_keys_load(folder, &forge->arena, &keys, &error), 0);
	auth_keys_unref(keys);
	remove_folder(folder);
}

static void test_creating(void **state)
{
	static const int errors[] = { EIO, ENOENT, EEXIST, EINTR };
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
		for (long k = 0; k < 60; k++)
			create(*state, k, errors[i], false);
	for (long k = 0; k < 60; k++)
		create(*state, k, EIO, true);
}

/* Two keys, the first of which is over. */
static bool retire(struct forge *forge)
{
	char folder[64];
	const char *kid = NULL, *error = NULL;
	struct auth_keys *keys = NULL;
	snprintf(folder, sizeof(folder), "%.40s-old", forge->folder);
	int r = auth_keys_retire(folder, -3600, &forge->arena, &error);
	assert_true(r == 0 || error != NULL);
	bool hit = wrapped_disarm();
	assert_int_equal(auth_keys_load(folder, &forge->arena, &keys, &error), 0);
	assert_true(keys->n == (r == 0 ? 1 : keys->n) && keys->n >= 1);
	if (keys->n == 1)
		assert_int_equal(auth_keys_create(folder, &forge->arena, &kid, &error), 0);
	auth_keys_unref(keys);
	return r == 0 || hit;
}

static void test_retiring(void **state)
{
	struct forge *forge = *state;
	char folder[64];
	const char *kid = NULL, *error = NULL;
	snprintf(folder, sizeof(folder), "%.40s-old", forge->folder);
	for (int i = 0; i < 2; i++)
		assert_int_equal(auth_keys_create(folder, &forge->arena, &kid, &error), 0);
	for (long k = 0; k < 50; k++) {
		wrapped_arm(NULL, k, k % 2 == 0 ? EIO : EINTR, false);
		assert_true(retire(forge));
	}
	wrapped_arm("unlinkat", 0, EIO, false);
	assert_true(retire(forge));
	remove_folder(folder);
	/* No folder at all. */
	assert_int_equal(auth_keys_retire(folder, 0, &forge->arena, &error), -ENOENT);
}

static void put(const char *folder, const char *name, const char *text)
{
	char path[200];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* When a key begins to sign is a whole positive number, or the time of its file. */
static void test_first_lines(void **state)
{
	struct forge *forge = *state;
	static const struct {
		const char *line;
		int64_t from;
	} cases[] = { { "sign-from: 5\n", 5 },  { "", 0 },
		      { "sign-from: \n", 0 },   { "sign-from: 5x\n", 0 },
		      { "sign-from: 0\n", 0 },  { "sign-from: -5\n", 0 },
		      { "sign-from: x5\n", 0 }, { "sign-from: 99999999999999999999\n", 0 },
		      { "sign-from: 7\n", 7 } };
	char name[60];
	const char *error = NULL;
	snprintf(name, sizeof(name), "%s.pem", forge->kid);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct auth_keys *keys = NULL;
		put(forge->folder, name, arena_printf(&forge->arena, "%s%s", cases[i].line, forge->keys->keys[0].private_pem));
		assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), 0);
		if (cases[i].from != 0)
			assert_int_equal(keys->keys[0].signs_from, cases[i].from);
		else
			assert_true(keys->keys[0].signs_from > NOW / 2);
		auth_keys_unref(keys);
	}
}

/* What lies in the folder beside keys, and keys under other names. */
static void test_names(void **state)
{
	struct forge *forge = *state;
	const char *error = NULL;
	char name[80];
	struct auth_keys *keys = NULL;
	static const char *const others[] = { "a", "abcd", ".pem", ".hidden.pem", "readme.txt" };
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		put(forge->folder, others[i], "no key");
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), 0);
	assert_int_equal(keys->n, 1);
	auth_keys_unref(keys);
	snprintf(name, sizeof(name), "%sx.pem", forge->kid);
	put(forge->folder, name, forge->keys->keys[0].private_pem);
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), -EINVAL);
	assert_non_null(strstr(error, "is not named by its thumbprint"));
}

/* Files of the right name that are none, or too long to be a key; and an arena that lost something on the way. */
static void test_strange_files(void **state)
{
	struct forge *forge = *state;
	const char *error = NULL;
	char path[100];
	struct auth_keys *keys = NULL;
	struct arena arena;
	arena_init(&arena);
	arena_lack(&arena);
	assert_int_equal(auth_keys_load(forge->folder, &arena, &keys, &error), -ENOMEM);
	assert_null(keys);
	arena_done(&arena);
	snprintf(path, sizeof(path), "%s/folder.pem", forge->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), -EINVAL);
	assert_non_null(strstr(error, "folder.pem is not a regular file"));
	assert_int_equal(rmdir(path), 0);
	put(forge->folder, "long.pem", arena_printf(&forge->arena, "%0*d", KEY_FILE_MAX + 1, 0));
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), -EINVAL);
	assert_non_null(strstr(error, "long.pem is empty or too long"));
}

/* One key more than are read: made in another folder, since none is made beside as many. */
static void test_too_many_to_read(void **state)
{
	struct forge *forge = *state, other;
	const char *kid, *error = NULL;
	char name[60];
	struct auth_keys *keys = NULL;
	for (int i = 1; i < KEYS_MAX; i++)
		assert_int_equal(auth_keys_create(forge->folder, &forge->arena, &kid, &error), 0);
	forge_init(&other);
	snprintf(name, sizeof(name), "%s.pem", other.kid);
	put(forge->folder, name, other.keys->keys[0].private_pem);
	forge_done(&other);
	assert_int_equal(auth_keys_load(forge->folder, &forge->arena, &keys, &error), -E2BIG);
	assert_non_null(strstr(error, "more than 16"));
}

/* --- tokens --- */

static bool sign(struct forge *forge)
{
	const char *token = NULL;
	int r = auth_token_sign(&forge->arena, forge->keys, &policy, &claims, &token);
	assert_true(r == 0 ? token != NULL : r == -ENOMEM && token == NULL);
	return r == 0;
}

static int verdict(struct forge *forge, const char *token)
{
	struct auth_claims found;
	const char *why = NULL;
	int r = auth_token_verify(forge->keys, &policy, slice_of(token), NOW, &found, &why);
	assert_true(r == 0 || ((r == -EACCES || r == -ENOMEM) && why != NULL));
	return r;
}

static const char *good_token(struct forge *forge)
{
	const char *token = NULL;
	assert_int_equal(auth_token_sign(&forge->arena, forge->keys, &policy, &claims, &token), 0);
	return token;
}

static bool verify_good(struct forge *forge)
{
	return verdict(forge, forge->kid) == 0; /* the token lies there meanwhile */
}

/* Forged, expired and unsigned ones: whatever fails, none is good. */
static bool verify_bad(struct forge *forge)
{
	const char *header = forge_header(forge);
	const char *payload = "{\"iss\":\"https://wardmote.example\",\"role\":\"administrator\"}";
	assert_true(verdict(forge, forge_token(forge, header, payload, NULL, NULL)) < 0);
	const char *unsigned_text = forge_token(forge, header, payload, NULL, NULL);
	char zeros[SIGNATURE_LEN] = { 0 };
	const char *signature = forge_base64url(&forge->arena, (struct slice){ zeros, sizeof(zeros) });
	assert_true(verdict(forge, arena_printf(&forge->arena, "%s%s", unsigned_text, signature)) < 0);
	return true;
}

static void test_tokens(void **state)
{
	struct forge *forge = *state;
	torture(forge, sign);
	const char *kid = forge->kid;
	forge->kid = good_token(forge);
	torture(forge, verify_good);
	forge->kid = kid;
	torture(forge, verify_bad);
}

/* Each allocation of jansson in turn. */
static struct {
	long left;
	bool hit;
} shortage = { .left = -1 };

static void *scarce(size_t size)
{
	if (shortage.left >= 0 && shortage.left-- == 0) {
		shortage.hit = true;
		return NULL;
	}
	return malloc(size);
}

static void test_json_without_memory(void **state)
{
	struct forge *forge = *state;
	const char *good = good_token(forge);
	json_set_alloc_funcs(scarce, free);
	for (long k = 0; shortage.hit || k == 0; k++) {
		const char *token = NULL;
		shortage.hit = false;
		shortage.left = k;
		int r = auth_token_sign(&forge->arena, forge->keys, &policy, &claims, &token);
		shortage.left = -1;
		assert_true(shortage.hit ? r <= 0 : r == 0);
	}
	shortage.hit = false;
	for (long k = 0; shortage.hit || k == 0; k++) {
		shortage.hit = false;
		shortage.left = k;
		int r = verdict(forge, good);
		shortage.left = -1;
		assert_true(r == 0 || shortage.hit);
	}
	json_set_alloc_funcs(malloc, free);
}

/* Without a key there is no verification, and nothing is good. */
static void test_no_key_is_no_verification(void **state)
{
	struct forge *forge = *state;
	const char *good = good_token(forge);
	assert_int_equal(verdict(forge, good), 0);
	forge->keys->keys[0].x[0] ^= 1;
	assert_int_equal(verdict(forge, good), -EACCES);
	forge->keys->keys[0].x[0] ^= 1;
	static const char *const steps[] = { "EVP_PKEY_fromdata_init", "EVP_PKEY_fromdata", "EVP_DigestVerifyInit",
					     "EVP_DigestVerify",       "ECDSA_SIG_set0",    "i2d_ECDSA_SIG" };
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		wrapped_arm(steps[i], 0, 0, false);
		assert_int_equal(verdict(forge, good), -EACCES);
		assert_true(wrapped_disarm());
	}
}

static void test_every_byte(void **state)
{
	struct forge *forge = *state;
	const char *good = good_token(forge);
	for (int c = 1; c < 256; c++) {
		char *bent = arena_copy(&forge->arena, slice_of(good));
		bent[5] = (char)c;
		assert_true((verdict(forge, bent) == 0) == (good[5] == (char)c));
	}
}

static void test_what_is_too_long_is_not_issued(void **state)
{
	struct forge *forge = *state;
	char *issuer = arena_alloc(&forge->arena, LONG_ISSUER + 1);
	memset(issuer, 'i', LONG_ISSUER);
	const struct auth_policy wide = { issuer, "https://wardmote.example", 30, NULL };
	const char *token = NULL;
	assert_int_equal(auth_token_sign(&forge->arena, forge->keys, &wide, &claims, &token), -E2BIG);
	assert_null(token);
}

/* --- the cache --- */

static bool cached(struct forge *forge)
{
	(void)forge;
	struct auth_cache *cache = NULL;
	int r = auth_cache_new(1, &cache);
	assert_true(r == 0 ? cache != NULL : cache == NULL);
	auth_cache_free(cache);
	return r == 0;
}

/* Is it there without a verification? */
static bool has(struct auth_cache *cache, struct auth_keys *keys, struct slice token)
{
	const struct auth_claims *found = NULL;
	const char *why = NULL;
	int r = auth_cache_find(cache, keys, &policy, token, NOW, &found, &why);
	assert_true(r == 0 || r == -ENOENT);
	assert_int_equal(r == 0, found != NULL);
	return r == 0;
}

static void test_cache(void **state)
{
	struct forge *forge = *state;
	struct auth_cache *cache = NULL;
	const struct auth_claims *found;
	const char *why = NULL;
	torture(forge, cached);
	struct slice token = slice_of(good_token(forge));
	assert_int_equal(auth_cache_new(64, &cache), 0);
	assert_false(has(cache, forge->keys, token));
	auth_cache_drop(cache, token);
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, token, NOW, &found, &why), 0);
	assert_true(has(cache, forge->keys, token));
	assert_false(has(cache, forge->keys, slice_of("a.b.c")));
	/* The clock was set back behind the moment of its issue; then it is right again; then the token is over. */
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, token, NOW - 31, &found, &why), -EACCES);
	assert_string_equal(why, "not_yet");
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, token, NOW, &found, &why), 0);
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, token, NOW + 630, &found, &why), -EACCES);
	assert_string_equal(why, "expired");
	auth_cache_drop(cache, token);
	auth_cache_free(cache);
}

/* --- passwords --- */

static bool hasher(struct forge *forge)
{
	(void)forge;
	struct auth_hasher *made = NULL;
	int r = auth_hasher_new(&made);
	assert_true(r == 0 ? made != NULL : r < 0 && made == NULL);
	auth_hasher_free(made);
	return r == 0;
}

static enum auth_hash_result hashed(struct auth_hasher *made, struct auth_hash_job *job)
{
	uint64_t n;
	assert_int_equal(auth_hasher_submit(made, job), 0);
	assert_int_equal(read(job->wake_fd, &n, sizeof(n)), sizeof(n));
	assert_ptr_equal(auth_hasher_take(made, job->wake_fd), job);
	return job->result;
}

static void test_passwords(void **state)
{
	torture(*state, hasher);
	struct auth_hasher *made = NULL;
	int fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(auth_hasher_new(&made), 0);
	struct auth_hash_job make = { .password = SLICE("correct horse"), .wake_fd = fd };
	wrapped_arm("crypto_pwhash_str_alg", 0, ENOMEM, false);
	assert_int_equal(hashed(made, &make), AUTH_HASH_FAILED);
	assert_true(wrapped_disarm());
	assert_int_equal(hashed(made, &make), AUTH_HASH_MADE);
	/* Without memory it is no verdict: the owner of the right password is not told that it is wrong. */
	struct auth_hash_job compare = { .password = SLICE("correct horse"), .stored = make.hash, .wake_fd = fd };
	wrapped_arm("crypto_pwhash_str_verify", 0, ENOMEM, false);
	assert_int_equal(hashed(made, &compare), AUTH_HASH_FAILED);
	assert_true(wrapped_disarm());
	assert_int_equal(hashed(made, &compare), AUTH_HASH_MATCH);
	compare.password = SLICE("wrong horse");
	assert_int_equal(hashed(made, &compare), AUTH_HASH_MISMATCH);
	auth_hasher_free(made);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_loading, setup, teardown),
		cmocka_unit_test_setup_teardown(test_creating, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retiring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strange_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_to_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_json_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_key_is_no_verification, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_too_long_is_not_issued, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_passwords, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
