/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The cache of verified tokens: it may forget, but never answer for another token, key or time. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "forge.h"

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

static const char *token_of(struct forge *forge, long epoch)
{
	const struct auth_claims claims = { .account = "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708",
					    .partner = "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f709",
					    .jti = "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f70b",
					    .client_id = "wmc_1",
					    .role = CALLER_OFFICER,
					    .epoch = epoch,
					    .issued = NOW,
					    .expires = NOW + 600 };
	const char *token = NULL;
	assert_int_equal(auth_token_sign(&forge->arena, forge->keys, &policy, &claims, &token), 0);
	return token;
}

static void test_cache(void **state)
{
	struct forge *forge = *state;
	struct auth_cache *cache;
	const struct auth_claims *claims;
	const char *why, *token = token_of(forge, 3);
	uint64_t hits, misses;
	assert_int_equal(auth_cache_new(64, &cache), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, slice_of(token), NOW, &claims, &why), 0);
		assert_string_equal(claims->account, "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708");
	}
	auth_cache_stats(cache, &hits, &misses);
	assert_int_equal(hits, 2);
	assert_int_equal(misses, 1);
	auth_cache_drop(cache, slice_of(token));
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, slice_of(token), NOW, &claims, &why), 0);
	auth_cache_stats(cache, &hits, &misses);
	assert_int_equal(misses, 2);
	/* Time goes on for a token that is known, too. */
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, slice_of(token), NOW + 630, &claims, &why), -EACCES);
	assert_string_equal(why, "expired");
	/* And back, where a clock is set right. */
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, slice_of(token), NOW, &claims, &why), 0);
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, slice_of(token), NOW - 31, &claims, &why), -EACCES);
	assert_string_equal(why, "not_yet");
	auth_cache_free(cache);
	auth_cache_free(NULL);
}

static void test_cache_follows_the_keys(void **state)
{
	struct forge *forge = *state, other;
	struct auth_cache *cache;
	const struct auth_claims *claims;
	const char *why, *token = token_of(forge, 3);
	forge_init(&other);
	assert_int_equal(auth_cache_new(64, &cache), 0);
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, slice_of(token), NOW, &claims, &why), 0);
	assert_int_equal(auth_cache_verify(cache, other.keys, &policy, slice_of(token), NOW, &claims, &why), -EACCES);
	assert_string_equal(why, "key");
	auth_cache_free(cache);
	forge_done(&other);
}

/* Is it there without a verification? */
static bool has(struct auth_cache *cache, struct auth_keys *keys, struct slice token)
{
	const struct auth_claims *claims = NULL;
	const char *why = NULL;
	int r = auth_cache_find(cache, keys, &policy, token, NOW, &claims, &why);
	assert_true(r == 0 || r == -ENOENT);
	assert_int_equal(r == 0, claims != NULL);
	return r == 0;
}

/* Who has failed too often is let through with what is known to be good, and with nothing else. */
static void test_what_the_cache_has(void **state)
{
	struct forge *forge = *state, other;
	struct auth_cache *cache;
	const struct auth_claims *claims;
	const char *why, *token = token_of(forge, 3);
	forge_init(&other);
	assert_int_equal(auth_cache_new(64, &cache), 0);
	assert_false(has(cache, forge->keys, slice_of(token)));
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, slice_of(token), NOW, &claims, &why), 0);
	assert_true(has(cache, forge->keys, slice_of(token)));
	assert_false(has(cache, forge->keys, slice_of(token_of(forge, 4))));
	auth_cache_drop(cache, slice_of(token));
	assert_false(has(cache, forge->keys, slice_of(token)));
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, slice_of(token), NOW, &claims, &why), 0);
	assert_false(has(cache, other.keys, slice_of(token)));
	/* What was verified by other keys is gone with them; time counts without a verification, too. */
	assert_false(has(cache, forge->keys, slice_of(token)));
	assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, slice_of(token), NOW, &claims, &why), 0);
	assert_int_equal(auth_cache_find(cache, forge->keys, &policy, slice_of(token), NOW + 630, &claims, &why), -EACCES);
	assert_string_equal(why, "expired");
	auth_cache_free(cache);
	forge_done(&other);
}

static void test_cache_is_bounded_and_right(void **state)
{
	struct forge *forge = *state;
	struct auth_cache *cache;
	const struct auth_claims *claims;
	const char *why, *tokens[40];
	assert_int_equal(auth_cache_new(8, &cache), 0);
	for (int i = 0; i < 40; i++) {
		tokens[i] = token_of(forge, i + 1);
	}
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 40; i++) {
			assert_int_equal(auth_cache_verify(cache, forge->keys, &policy, slice_of(tokens[i]), NOW, &claims, &why), 0);
			assert_int_equal(claims->epoch, i + 1);
		}
	}
	auth_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_follows_the_keys),
		cmocka_unit_test(test_what_the_cache_has),
		cmocka_unit_test(test_cache_is_bounded_and_right),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
