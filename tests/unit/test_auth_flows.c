/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The pure steps of the token endpoint: what clients may send, how scopes narrow, what the answers are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "../../src/resources/accounts/flows.h"
#include "wardmote/resources.h"

extern const char account_check_sql[];

static int setup(void **state)
{
	struct arena *arena = calloc(1, sizeof(*arena));
	arena_init(arena);
	*state = arena;
	return 0;
}

static int teardown(void **state)
{
	arena_done(*state);
	free(*state);
	return 0;
}

static const struct slice no_header = { NULL, 0 };

/* "Basic " and the base64 of this text. */
static struct slice basic(struct arena *arena, const char *credentials)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct buffer text = { .arena = arena };
	size_t len = strlen(credentials);
	buffer_text(&text, "Basic ");
	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = 0;
		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (i + k < len ? (unsigned char)credentials[i + k] : 0U);
		for (size_t k = 0; k < 4; k++) {
			char c = i + k > len ? '=' : alphabet[bits >> (18 - 6 * k) & 63];
			buffer_add(&text, (struct slice){ &c, 1 });
		}
	}
	return buffer_slice(&text);
}

static void refused(struct arena *arena, struct slice header, const char *form, int status, const char *code, bool challenge)
{
	struct flow_token_request request;
	struct flow_refusal refusal = { 0 };
	if (flow_token_parse(arena, header, slice_of(form), &request, &refusal) != -EINVAL)
		fail_msg("accepted: %s", form);
	assert_string_equal(refusal.code, code);
	assert_int_equal(refusal.status, status);
	assert_int_equal(refusal.challenge, challenge);
}

static struct flow_token_request parsed(struct arena *arena, struct slice header, const char *form)
{
	struct flow_token_request request;
	struct flow_refusal refusal = { 0 };
	if (flow_token_parse(arena, header, slice_of(form), &request, &refusal) != 0)
		fail_msg("refused as %s: %s", refusal.code, form);
	return request;
}

static void test_client_credentials(void **state)
{
	struct flow_token_request request = parsed(*state, no_header, "grant_type=client_credentials&client_id=wmc_1&client_secret=wms_2");
	assert_false(request.refresh || request.client.method == FLOW_BASIC);
	assert_string_equal(request.client.client_id, "wmc_1");
	assert_string_equal(request.client.secret, "wms_2");
	assert_null(request.scope);
	request = parsed(*state, basic(*state, "wmc_1:wms_2"), "grant_type=client_credentials&scope=risks%3Aread+codes%3Aread");
	assert_true(request.client.method == FLOW_BASIC);
	assert_string_equal(request.client.client_id, "wmc_1");
	assert_string_equal(request.client.secret, "wms_2");
	assert_string_equal(request.scope, "risks:read codes:read");
	request = parsed(*state, basic(*state, "wmc_1:wms_2"), "grant_type=client_credentials&client_id=wmc_1&scope=&x=1");
	assert_null(request.scope);
}

/* RFC 6749 section 2.3.1: name and secret are form-encoded before they are joined. */
static void test_basic_is_form_encoded(void **state)
{
	struct flow_token_request request = parsed(*state, basic(*state, "a%3Ab:c%3Ad+e:f"), "grant_type=client_credentials");
	assert_string_equal(request.client.client_id, "a:b");
	assert_string_equal(request.client.secret, "c:d e:f");
	static const char *const lengths[] = { "a:b", "a:bc", "a:bcd", "a:bcde" };
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(parsed(*state, basic(*state, lengths[i]), "grant_type=client_credentials").client.secret,
				    lengths[i] + 2);
}

static void test_refresh(void **state)
{
	struct flow_token_request request = parsed(*state, no_header, "grant_type=refresh_token&refresh_token=wmr_1");
	assert_true(request.refresh);
	assert_string_equal(request.refresh_token, "wmr_1");
	assert_null(request.client.client_id);
}

static void test_refusals(void **state)
{
	struct arena *arena = *state;
	static const char grant[] = "grant_type=client_credentials";
	refused(arena, no_header, "", 400, "invalid_request", false);
	refused(arena, no_header, "grant_type=", 400, "invalid_request", false);
	refused(arena, no_header, "grant_type=client_credentials&grant_type=client_credentials", 400, "invalid_request", false);
	refused(arena, no_header, "grant_type=%zz", 400, "invalid_request", false);
	refused(arena, no_header, "grant_type=password&username=a&password=b", 400, "unsupported_grant_type", false);
	refused(arena, no_header, "grant_type=refresh_token", 400, "invalid_request", false);
	refused(arena, no_header, grant, 401, "invalid_client", false);
	refused(arena, no_header, "grant_type=client_credentials&client_id=a", 401, "invalid_client", false);
	refused(arena, no_header, arena_printf(arena, "%s&client_id=%065d&client_secret=b", grant, 0), 400, "invalid_request", false);
	refused(arena, no_header, arena_printf(arena, "%s&client_id=a&client_secret=%0129d", grant, 0), 400, "invalid_request", false);
	refused(arena, no_header, arena_printf(arena, "%s&client_id=a&client_secret=b&scope=%0512d", grant, 0), 400, "invalid_request",
		false);
	refused(arena, no_header, arena_printf(arena, "%s&client_id=a&client_secret=b&refresh_token=c&refresh_token=d", grant), 400,
		"invalid_request", false);
	refused(arena, SLICE("Bearer abc"), grant, 401, "invalid_client", true);
	refused(arena, SLICE("Basic"), grant, 401, "invalid_client", true);
	refused(arena, SLICE("Basic "), grant, 401, "invalid_client", true);
	refused(arena, SLICE("Basic a"), grant, 401, "invalid_client", true);
	refused(arena, SLICE("Basic ===="), grant, 401, "invalid_client", true);
	refused(arena, SLICE("Basic YTpi!"), grant, 401, "invalid_client", true);
	refused(arena, SLICE("Basic YT=pi"), grant, 401, "invalid_client", true);
	refused(arena, basic(arena, "nocolon"), grant, 401, "invalid_client", true);
	refused(arena, basic(arena, ":secret"), grant, 401, "invalid_client", true);
	refused(arena, basic(arena, "a:"), grant, 401, "invalid_client", true);
	refused(arena, basic(arena, "a:b&v=c"), grant, 401, "invalid_client", true);
	refused(arena, basic(arena, "a&v=c:b"), grant, 401, "invalid_client", true);
	refused(arena, SLICE("Basic YQBiOmM="), grant, 401, "invalid_client", true); /* a, NUL, b:c */
	refused(arena, basic(arena, ":b"), "grant_type=client_credentials&client_id=a", 400, "invalid_request", false);
	refused(arena, basic(arena, arena_printf(arena, "a:%0600d", 0)), grant, 401, "invalid_client", true);
	refused(arena, basic(arena, "a:b"), "grant_type=client_credentials&client_secret=b", 400, "invalid_request", false);
	refused(arena, basic(arena, "a:b"), "grant_type=client_credentials&client_id=other", 400, "invalid_request", false);
}

#define ASSERTED "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

/* One way of proving itself, and the parts of an assertion go together. */
static void test_assertions(void **state)
{
	struct arena *arena = *state;
	struct flow_refusal refusal;
	struct flow_token_request request = parsed(arena, no_header, "grant_type=client_credentials&" ASSERTED "&client_assertion=a.b.c");
	assert_int_equal(request.client.method, FLOW_ASSERTION);
	assert_string_equal(request.client.assertion, "a.b.c");
	assert_true(flow_client_has_proof(&request.client) && flow_client_agrees(&request.client, "wmc_1", &refusal));
	request = parsed(arena, no_header, "grant_type=client_credentials&client_id=wmc_1&" ASSERTED "&client_assertion=a.b.c");
	assert_true(flow_client_agrees(&request.client, "wmc_1", &refusal));
	assert_false(flow_client_agrees(&request.client, "wmc_2", &refusal));
	assert_string_equal(refusal.code, "invalid_request");
	static const char *const wrong[] = { ASSERTED,
					     "client_assertion=a.b.c",
					     ASSERTED "x&client_assertion=a.b.c",
					     "client_assertion_type=saml&client_assertion=a.b.c",
					     ASSERTED "&client_assertion=a&client_assertion=b",
					     ASSERTED "&client_assertion=a.b.c&client_id=a&client_secret=b" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		refused(arena, no_header, arena_printf(arena, "grant_type=client_credentials&%s", wrong[i]), 400, "invalid_request", false);
	refused(arena, basic(arena, "a:b"), "grant_type=client_credentials&" ASSERTED "&client_assertion=a.b.c", 400, "invalid_request",
		false);
	refused(arena, no_header, arena_printf(arena, "grant_type=client_credentials&%s&client_assertion=%04097d", ASSERTED, 0), 400,
		"invalid_request", false);
}

static void test_introspected(void **state)
{
	static const struct auth_policy policy = { "https://i.example", "https://a.example", 30, NULL };
	struct auth_claims claims = { .account = "a",
				      .partner = "p",
				      .jti = "j",
				      .client_id = "c",
				      .role = CALLER_OFFICER,
				      .issued = 5,
				      .expires = 9,
				      .scoped = true,
				      .scopes = "risks:read" };
	struct slice text = flow_introspected(*state, &policy, NULL, NULL);
	assert_string_equal(text.ptr, "{\"active\":false}");
	text = flow_introspected(*state, &policy, &claims, "ada \"x\"");
	json_t *object = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_is_true(json_object_get(object, "active")));
	assert_string_equal(json_string_value(json_object_get(object, "username")), "ada \"x\"");
	assert_string_equal(json_string_value(json_object_get(object, "scope")), "risks:read");
	assert_int_equal(json_integer_value(json_object_get(object, "exp")), 9);
	assert_int_equal(json_object_size(object), 14);
	json_decref(object);
	claims.scoped = false;
	text = flow_introspected(*state, &policy, &claims, NULL);
	assert_null(strstr(text.ptr, "username"));
	assert_null(strstr(text.ptr, "scope"));
}

static void test_what_rows_mean(void **state)
{
	(void)state;
	struct flow_token_request client = { .client = { .method = FLOW_BASIC } }, refresh = { .refresh = true };
	struct flow_refusal refusal = flow_token_refused(&client, 401);
	assert_string_equal(refusal.code, "invalid_client");
	assert_true(refusal.challenge && refusal.status == 401);
	refusal = flow_token_refused(&refresh, 400);
	assert_string_equal(refusal.code, "invalid_grant");
	assert_int_equal(refusal.status, 400);
}

static void test_refusals_are_json(void **state)
{
	struct slice text = flow_refusal_render(*state, &flow_scope_refused);
	json_t *object = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	assert_string_equal(json_string_value(json_object_get(object, "error")), "invalid_scope");
	assert_true(json_string_length(json_object_get(object, "error_description")) > 0);
	json_decref(object);
}

static void test_revocation(void **state)
{
	const char *token;
	struct flow_refusal refusal;
	struct flow_client client;
	assert_int_equal(flow_about_parse(*state, no_header, SLICE("token=wmr_1&token_type_hint=refresh_token"), &client, &token, &refusal),
			 0);
	assert_string_equal(token, "wmr_1");
	assert_int_equal(client.method, FLOW_NOBODY);
	assert_false(flow_client_has_proof(&client));
	assert_int_equal(flow_about_parse(*state, basic(*state, "a:b"), SLICE("token=c"), &client, &token, &refusal), 0);
	assert_true(client.method == FLOW_BASIC && flow_client_has_proof(&client));
	assert_int_equal(flow_about_parse(*state, no_header, SLICE("token="), &client, &token, &refusal), -EINVAL);
	assert_string_equal(refusal.code, "invalid_request");
	assert_int_equal(flow_about_parse(*state, no_header, SLICE("token=a&token=b"), &client, &token, &refusal), -EINVAL);
}

#define GRANT(scopes)                                                                                                                      \
	"{\"account\":\"019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708\",\"partner\":\"019ab3c4-5d6e-7f80-91a2-b3c4d5e6f709\",\"role\":\"manager\"," \
	"\"kind\":\"person\",\"epoch\":7,\"client_id\":\"wardmote\",\"session\":\"019ab3c4-5d6e-7f80-91a2-b3c4d5e6f70a\","                 \
	"\"scopes\":" scopes "}"

static const char known[] = "risks:read risks:write codes:read";

static void test_grant(void **state)
{
	(void)state;
	struct auth_claims claims;
	assert_int_equal(flow_grant(SLICE(GRANT("null")), NULL, known, &claims), 0);
	assert_string_equal(claims.account, "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708");
	assert_string_equal(claims.partner, "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f709");
	assert_string_equal(claims.session, "019ab3c4-5d6e-7f80-91a2-b3c4d5e6f70a");
	assert_string_equal(claims.client_id, "wardmote");
	assert_int_equal(claims.role, CALLER_MANAGER);
	assert_int_equal(claims.epoch, 7);
	assert_true(claims.person);
	assert_false(claims.scoped);
}

static void test_scopes_narrow(void **state)
{
	(void)state;
	static const struct {
		struct slice body;
		const char *wanted;
		int result;
		const char *scopes; /* NULL: not scoped */
	} cases[] = {
		{ SLICE(GRANT("null")), NULL, 0, NULL },
		{ SLICE(GRANT("null")), "risks:read", 0, "risks:read" },
		{ SLICE(GRANT("null")), "risks:read codes:read", 0, "risks:read codes:read" },
		{ SLICE(GRANT("null")), "everything:write", -EACCES, NULL },
		{ SLICE(GRANT("null")), "risks:rea", -EACCES, NULL },
		{ SLICE(GRANT("null")), " risks:read", -EACCES, NULL },
		{ SLICE(GRANT("null")), "risks:read ", -EACCES, NULL },
		{ SLICE(GRANT("null")), "risks:read  codes:read", -EACCES, NULL },
		{ SLICE(GRANT("\"risks:read\"")), NULL, 0, "risks:read" },
		{ SLICE(GRANT("\"risks:read\"")), "risks:read", 0, "risks:read" },
		{ SLICE(GRANT("\"risks:read\"")), "risks:write", -EACCES, NULL },
		{ SLICE(GRANT("\"risks:read\"")), "risks:read risks:write", -EACCES, NULL },
		{ SLICE(GRANT("\"\"")), NULL, 0, "" },
		{ SLICE(GRANT("\"\"")), "risks:read", -EACCES, NULL },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct auth_claims claims = { .account = "" };
		assert_int_equal(flow_grant(cases[i].body, cases[i].wanted, known, &claims), cases[i].result);
		assert_int_equal(claims.scoped, cases[i].scopes != NULL);
		assert_string_equal(claims.scopes, cases[i].scopes == NULL ? "" : cases[i].scopes);
	}
}

static void test_what_is_no_grant(void **state)
{
	(void)state;
	struct auth_claims claims;
	static const char *const bodies[] = {
		"", "[]", "{}", "{\"account\":null}", GRANT("1"), GRANT("[]"), GRANT("null") "x",
	};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		assert_int_equal(flow_grant(slice_of(bodies[i]), NULL, known, &claims), -EBADMSG);
	assert_int_equal(flow_grant(no_header, NULL, known, &claims), -EBADMSG);
}

/* A good row with one member replaced. */
static void test_each_member_of_a_grant_counts(void **state)
{
	static const struct {
		const char *name, *value;
	} bad[] = {
		{ "account", "null" },       { "account", "\"\"" },       { "account", "\"%0200d\"" }, { "partner", "7" },
		{ "partner", "\"%0200d\"" }, { "client_id", "[]" },       { "client_id", "\"\"" },     { "role", "\"owner\"" },
		{ "role", "null" },          { "kind", "null" },          { "epoch", "\"7\"" },        { "epoch", "null" },
		{ "session", "\"\"" },       { "session", "\"%0200d\"" }, { "scopes", "\"%02000d\"" }, { "scopes", "true" },
	};
	struct auth_claims claims;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		json_t *row = json_loads(GRANT("null"), 0, NULL);
		char text[4096];
		int zeros = 0;
		const char *at = strstr(bad[i].value, "%0");
		if (at != NULL)
			zeros = (int)strtol(at + 1, NULL, 10);
		if (zeros == 0)
			snprintf(text, sizeof(text), "%s", bad[i].value);
		else
			snprintf(text, sizeof(text), "\"%0*d\"", zeros, 0);
		json_object_set_new(row, bad[i].name, json_loads(text, JSON_DECODE_ANY, NULL));
		char *body = json_dumps(row, 0);
		assert_non_null(body);
		if (flow_grant(slice_of(body), NULL, known, &claims) != -EBADMSG)
			fail_msg("%s is taken as %s", bad[i].value, bad[i].name);
		free(body);
		json_decref(row);
	}
	struct buffer wanted = { .arena = *state };
	for (size_t i = 0; i < AUTH_SCOPES_MAX; i += sizeof("risks:read"))
		buffer_text(&wanted, i == 0 ? "risks:read" : " risks:read");
	assert_int_equal(flow_grant(SLICE(GRANT("null")), buffer_slice(&wanted).ptr, known, &claims), -EACCES);
}

static void test_login_rows(void **state)
{
	struct flow_login login;
	assert_int_equal(flow_login(*state, SLICE("{\"account\":\"a\",\"hash\":\"h\"}"), &login), 0);
	assert_string_equal(login.account, "a");
	assert_string_equal(login.hash, "h");
	assert_int_equal(flow_login(*state, SLICE("{\"account\":null,\"hash\":null}"), &login), 0);
	assert_null(login.account);
	assert_null(login.hash);
	assert_int_equal(flow_login(*state, SLICE("oops"), &login), -EBADMSG);
}

static void test_token_answers(void **state)
{
	struct auth_claims claims = { .issued = 1000, .expires = 1600 };
	struct slice text = flow_token_answer(*state, &claims, "a.b.c", NULL);
	assert_string_equal(text.ptr, "{\"access_token\":\"a.b.c\",\"token_type\":\"Bearer\",\"expires_in\":600}");
	claims.scoped = true;
	memcpy(claims.scopes, "risks:read", sizeof("risks:read"));
	text = flow_token_answer(*state, &claims, "a.b.c", "wmr_1");
	assert_string_equal(text.ptr,
			    "{\"access_token\":\"a.b.c\",\"token_type\":\"Bearer\",\"expires_in\":600,\"refresh_token\":\"wmr_1\","
			    "\"scope\":\"risks:read\"}");
}

static void test_metadata(void **state)
{
	struct slice text = flow_metadata(*state, "https://id.example", "https://w.example", "risks:read codes:read");
	json_t *object = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	assert_string_equal(json_string_value(json_object_get(object, "issuer")), "https://id.example");
	assert_string_equal(json_string_value(json_object_get(object, "token_endpoint")), "https://w.example/oauth/token");
	assert_int_equal(json_array_size(json_object_get(object, "scopes_supported")), 2);
	assert_int_equal(json_array_size(json_object_get(object, "response_types_supported")), 0);
	json_decref(object);
}

/* The database names the resources that a scope can be for: they are all there are. */
static void test_scopes_of_accounts_are_those_of_the_resources(void **state)
{
	const char *list = strstr(account_check_sql, "!~ '^(");
	assert_non_null(list);
	list += strlen("!~ '^(");
	const char *names = arena_printf(*state, "|%.*s|", (int)strcspn(list, ")"), list);
	size_t n = 0, bars = 0;
	for (; resources_all[n] != NULL; n++)
		assert_non_null(strstr(names, arena_printf(*state, "|%s|", resources_all[n]->name)));
	for (const char *c = names; *c != '\0'; c++)
		bars += *c == '|';
	assert_true(bars >= n + 1); /* families that are not in this build have scopes already */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_client_credentials, setup, teardown),
		cmocka_unit_test_setup_teardown(test_basic_is_form_encoded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refresh, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_rows_mean, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals_are_json, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revocation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_grant, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scopes_narrow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_grant, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_member_of_a_grant_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_login_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_token_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_assertions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_introspected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_metadata, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scopes_of_accounts_are_those_of_the_resources, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
