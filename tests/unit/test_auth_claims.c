/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is signed comes back as it was, in its time; and what its scopes allow. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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

static struct auth_claims claims_at(int64_t issued)
{
	return (struct auth_claims){
		.account = ACCOUNT,
		.partner = PARTNER,
		.session = SESSION,
		.jti = JTI,
		.client_id = "wmc_1",
		.role = CALLER_OFFICER,
		.person = true,
		.epoch = 3,
		.issued = issued,
		.expires = issued + 600,
		.scoped = true,
		.scopes = "risks:read codes:read",
	};
}

static void test_round_trip(void **state)
{
	struct forge *forge = *state;
	struct auth_claims in = claims_at(NOW), out;
	const char *token, *why;
	assert_int_equal(auth_token_sign(&forge->arena, forge->keys, &policy, &in, &token), 0);
	assert_int_equal(auth_token_verify(forge->keys, &policy, slice_of(token), NOW, &out, &why), 0);
	assert_string_equal(out.account, in.account);
	assert_string_equal(out.partner, in.partner);
	assert_string_equal(out.session, in.session);
	assert_string_equal(out.jti, in.jti);
	assert_string_equal(out.client_id, in.client_id);
	assert_string_equal(out.scopes, in.scopes);
	assert_int_equal(out.role, CALLER_OFFICER);
	assert_int_equal(out.epoch, 3);
	assert_int_equal(out.issued, NOW);
	assert_int_equal(out.expires, NOW + 600);
	assert_true(out.person && out.scoped);
	in.session[0] = '\0';
	in.scoped = false;
	in.person = false;
	assert_int_equal(auth_token_sign(&forge->arena, forge->keys, &policy, &in, &token), 0);
	assert_int_equal(auth_token_verify(forge->keys, &policy, slice_of(token), NOW, &out, &why), 0);
	assert_string_equal(out.session, "");
	assert_false(out.scoped || out.person);
	assert_string_equal(out.scopes, "");
}

static void test_every_role_survives(void **state)
{
	struct forge *forge = *state;
	for (int role = CALLER_VIEWER; role <= CALLER_ADMINISTRATOR; role++) {
		struct auth_claims in = claims_at(NOW), out;
		const char *token, *why;
		in.role = (enum caller)role;
		assert_int_equal(auth_token_sign(&forge->arena, forge->keys, &policy, &in, &token), 0);
		assert_int_equal(auth_token_verify(forge->keys, &policy, slice_of(token), NOW, &out, &why), 0);
		assert_int_equal(out.role, role);
	}
}

static void test_leeway(void **state)
{
	struct forge *forge = *state;
	struct auth_claims in = claims_at(NOW), out;
	const char *token, *why;
	assert_int_equal(auth_token_sign(&forge->arena, forge->keys, &policy, &in, &token), 0);
	assert_int_equal(auth_token_verify(forge->keys, &policy, slice_of(token), NOW + 629, &out, &why), 0);
	assert_int_equal(auth_token_verify(forge->keys, &policy, slice_of(token), NOW + 630, &out, &why), -EACCES);
	assert_string_equal(why, "expired");
	assert_int_equal(auth_token_verify(forge->keys, &policy, slice_of(token), NOW - 30, &out, &why), 0);
	assert_int_equal(auth_token_verify(forge->keys, &policy, slice_of(token), NOW - 31, &out, &why), -EACCES);
	assert_string_equal(why, "not_yet");
}

static void test_an_empty_scope_allows_nothing(void **state)
{
	(void)state;
	struct auth_claims claims = { .scoped = true };
	assert_false(auth_has_scope(&claims, "risks:read"));
	assert_true(auth_has_scope(&claims, NULL));
	claims.scoped = false;
	assert_true(auth_has_scope(&claims, "risks:read"));
}

static void test_scopes_match_whole(void **state)
{
	(void)state;
	struct auth_claims claims = { .scoped = true, .scopes = "risks:read risk-scales:write codes:read" };
	assert_true(auth_has_scope(&claims, "risks:read"));
	assert_true(auth_has_scope(&claims, "risk-scales:write"));
	assert_true(auth_has_scope(&claims, "codes:read"));
	assert_false(auth_has_scope(&claims, "risks:write"));
	assert_false(auth_has_scope(&claims, "risks:rea"));
	assert_false(auth_has_scope(&claims, "risks:read "));
	assert_false(auth_has_scope(&claims, "isks:read"));
	assert_false(auth_has_scope(&claims, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_role_survives),
		cmocka_unit_test(test_leeway),
		cmocka_unit_test(test_an_empty_scope_allows_nothing),
		cmocka_unit_test(test_scopes_match_whole),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
