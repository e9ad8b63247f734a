/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Sessions of people, and what a grant is answered: between the pure steps of src/resources/accounts/flows.h this file sends segments,
 * waits for the password helper, and signs. Clients are in native_client.c. */
#include <errno.h>
#include <stdlib.h>

#include "native_auth.h"
#include "wardmote/clock.h"
#include "wardmote/network.h"

/* --- steps --- */

static void flow_done(struct db_job *job, const struct db_result *result)
{
	struct request *request = request_of(job);
	segment_over(request);
	request->worker->replied = true;
	if (result->outcome == DB_ROW || result->outcome == DB_NO_ROW) {
		request->flow->row(request, result);
		db_result_release(result->owner);
	} else {
		respond_failure(request, result);
	}
}

void flow_ask(struct request *request, row_fn row, bool write, const char *text, const char *const *parameters, size_t n)
{
	const char **copy = arena_alloc(request->arena, (n + 1) * sizeof *copy);
	for (size_t i = 0; i < n; i++)
		copy[i] = parameters[i];
	request->flow->row = row;
	segment_begin(request, write ? LANE_WRITE : LANE_READ, write);
	segment_add(request, text, n, copy, true);
	segment_send(request, flow_done);
}

static void hash(struct request *request, hash_fn hashed, const char *password, const char *stored)
{
	struct auth_flow *flow = request->flow;
	flow->hashed = hashed;
	flow->hash = (struct auth_hash_job){
		.password = slice_of(password), .stored = stored, .wake_fd = request->worker->wake_fd, .context = request
	};
	if (auth_hasher_submit(request->worker->server->hasher, &flow->hash) == 0) {
		request->worker->hashes++;
		request_wait(request);
		return;
	}
	respond_problem(request, PROBLEM_UNAVAILABLE, "Too many sign-ins at once. Nothing was done; try again.");
}

void native_hash_done(struct auth_hash_job *job)
{
	struct request *request = job->context;
	request->worker->replied = true;
	if (job->result == AUTH_HASH_FAILED)
		respond_problem(request, PROBLEM_UNAVAILABLE, NULL);
	else
		request->flow->hashed(request);
}

void native_free(struct request *request)
{
	/* The answer is on its way or lost; passwords do not stay in memory. */
	struct auth_flow *flow = request->flow;
	if (flow == NULL)
		return;
	if (flow->password != NULL)
		explicit_bzero((char *)(uintptr_t)flow->password, strlen(flow->password));
	if (flow->new_password != NULL)
		explicit_bzero((char *)(uintptr_t)flow->new_password, strlen(flow->new_password));
}

/* What attempts are counted by. A site has all addresses of an IPv6 network: counting each of them would count nothing. */
static const char *address(struct request *request)
{
	char *key = arena_alloc(request->arena, NETWORK_KEY_MAX);
	network_key(request_address(request), key);
	return key;
}

const char *flow_digest(struct request *request, const char *secret)
{
	return auth_sha256(request->arena, slice_of(secret));
}

const char *flow_session_seconds(struct request *request)
{
	return arena_printf(request->arena, "%ld", request->worker->server->config->refresh_token_seconds);
}

/* --- answers --- */

/* 429 of a login's own throttle, with its own Retry-After. */
static void throttled(struct request *request, const struct db_result *result)
{
	long wait = result->link == NULL ? 60 : strtol(result->link, NULL, 10);
	request->limited = true;
	request->rate = (struct rate_verdict){ .allowed = false, .limit = request->rate.limit, .remaining = 0, .reset_seconds = wait };
	respond_problem(request, PROBLEM_TOO_MANY_REQUESTS, "Too many attempts for this login or from this address.");
}

void flow_refuse(struct request *request, const struct flow_refusal *refusal)
{
	struct http_answer answer;
	respond_start(request, &answer, refusal->status);
	respond_field(&answer, "Content-Type", "application/json");
	respond_field(&answer, "Cache-Control", "no-store");
	if (refusal->challenge)
		respond_field(&answer, "WWW-Authenticate", "Basic realm=\"wardmote\"");
	answer.body[answer.n_body++] = flow_refusal_render(request->arena, refusal);
	respond_send(request, &answer);
}

void flow_answer_grant(struct request *request, const struct db_result *result)
{
	const struct server *server = request->worker->server;
	struct auth_flow *flow = request->flow;
	struct auth_claims claims;
	const char *known = flow_scopes(request->arena, server->catalog), *token = NULL;
	int error = flow_grant(result->body, flow->token.scope, known, &claims);
	if (error == -EACCES) {
		flow_refuse(request, &flow_scope_refused);
		return;
	}
	if (error == 0) {
		memcpy(claims.jti, auth_uuid(request->arena), UUID_TEXT);
		claims.issued = clock_wall_seconds();
		claims.expires = claims.issued + server->config->access_token_seconds;
		error = auth_token_sign(request->arena, request->worker->keys, &server->policy, &claims, &token);
	}
	if (error == -ENOMEM)
		arena_lack(request->arena);
	if (error < 0) {
		respond_problem(request, PROBLEM_INTERNAL, NULL);
		return;
	}
	struct slice body = flow_token_answer(request->arena, &claims, token, claims.person ? flow->refresh_token : NULL);
	respond_body(request, 200, "application/json", body, "no-store");
}

static int read_login(struct request *request, const struct db_result *result)
{
	int error = flow_login(request->arena, result->body, &request->flow->login);
	if (error == -ENOMEM)
		arena_lack(request->arena);
	return error;
}

/* --- people --- */

static void login_finished(struct request *request, const struct db_result *result)
{
	if (result->status == 200)
		flow_answer_grant(request, result);
	else
		respond_problem(request, PROBLEM_UNAUTHENTICATED, "Login or password is wrong, or the account may not act.");
}

static void login_hashed(struct request *request)
{
	struct auth_flow *flow = request->flow;
	bool matched = flow->hash.result == AUTH_HASH_MATCH && flow->login.hash != NULL;
	flow->refresh_token = auth_secret(request->arena, "wmr_");
	ASK(request, login_finished, true, flow_login_finish_sql, flow->login.account, flow->login.hash, matched ? "true" : "false",
	    flow->name, address(request), flow_digest(request, flow->refresh_token), flow_session_seconds(request));
}

static void login_begun(struct request *request, const struct db_result *result)
{
	struct auth_flow *flow = request->flow;
	if (result->status == 429) {
		throttled(request, result);
		return;
	}
	if (read_login(request, result) < 0) {
		respond_problem(request, PROBLEM_INTERNAL, NULL);
		return;
	}
	/* An unknown login costs the same time. */
	hash(request, login_hashed, flow->password, flow->login.hash == NULL ? auth_hasher_decoy() : flow->login.hash);
}

static void run_login(struct request *request)
{
	struct auth_flow *flow = request->flow;
	flow->name = body_text(request->arena, &request->call.body, "login");
	flow->password = body_text(request->arena, &request->call.body, "password");
	ASK(request, login_begun, true, flow_login_begin_sql, flow->name, address(request));
}

static void enrol_finished(struct request *request, const struct db_result *result)
{
	if (result->status == 200)
		flow_answer_grant(request, result);
	else
		respond_faults(request, PROBLEM_UNPROCESSABLE, NULL, FLOW_CODE_ERRORS);
}

static void enrol_hashed(struct request *request)
{
	struct auth_flow *flow = request->flow;
	flow->refresh_token = auth_secret(request->arena, "wmr_");
	ASK(request, enrol_finished, true, flow_enrol_finish_sql, flow_digest(request, flow->name), flow->hash.hash, address(request),
	    flow_digest(request, flow->refresh_token), flow_session_seconds(request));
}

static void enrol_begun(struct request *request, const struct db_result *result)
{
	if (result->status == 429)
		throttled(request, result);
	else if (result->status == 200)
		hash(request, enrol_hashed, request->flow->password, NULL);
	else
		respond_faults(request, PROBLEM_UNPROCESSABLE, NULL, FLOW_CODE_ERRORS);
}

static void run_enrol(struct request *request)
{
	struct auth_flow *flow = request->flow;
	flow->name = body_text(request->arena, &request->call.body, "code");
	flow->password = body_text(request->arena, &request->call.body, "password");
	ASK(request, enrol_begun, true, flow_enrol_begin_sql, flow_digest(request, flow->name), address(request));
}

/* --- the caller's own account --- */

static void respond_row(struct request *request, const struct db_result *result)
{
	if (result->outcome == DB_NO_ROW) {
		respond_problem(request, PROBLEM_NOT_FOUND, NULL);
		return;
	}
	struct slice body = slice_of(arena_copy(request->arena, respond_compact(result->body)));
	respond_body(request, result->status, body.len > 0 ? "application/json" : NULL, body, "no-store");
}

static void password_changed(struct request *request, const struct db_result *result)
{
	if (result->status == 204)
		respond_row(request, result);
	else
		respond_problem(request, PROBLEM_CONFLICT, "The password was changed meanwhile.");
}

static const char *session_of(struct request *request)
{
	return request->claims.session[0] == '\0' ? NULL : request->claims.session;
}

static void password_made(struct request *request)
{
	ASK(request, password_changed, true, flow_password_change_sql, request->flow->login.hash, request->flow->hash.hash,
	    session_of(request), address(request));
}

static void password_compared(struct request *request)
{
	if (request->flow->hash.result == AUTH_HASH_MATCH)
		hash(request, password_made, request->flow->new_password, NULL);
	else
		respond_faults(request, PROBLEM_UNPROCESSABLE, NULL, FLOW_PASSWORD_ERRORS);
}

static void password_begun(struct request *request, const struct db_result *result)
{
	struct auth_flow *flow = request->flow;
	if (result->status == 429)
		throttled(request, result);
	else if (result->status == 200 && read_login(request, result) == 0 && flow->login.hash != NULL)
		hash(request, password_compared, flow->password, flow->login.hash);
	else
		respond_problem(request, PROBLEM_CONFLICT, "Only the account of a person who has enrolled has a password.");
}

static void run_password(struct request *request)
{
	struct auth_flow *flow = request->flow;
	flow->password = body_text(request->arena, &request->call.body, "current_password");
	flow->new_password = body_text(request->arena, &request->call.body, "new_password");
	ASK(request, password_begun, true, flow_password_begin_sql, address(request));
}

static void run_me(struct request *request)
{
	const char *expires = arena_printf(request->arena, "%lld", (long long)request->claims.expires);
	ASK(request, respond_row, false, flow_me_sql, expires, request->claims.scoped ? request->claims.scopes : NULL);
}

static void run_jwks(struct request *request)
{
	respond_body(request, 200, "application/jwk-set+json", auth_jwks(request->arena, request->worker->keys), "public, max-age=300");
}

static void run_metadata(struct request *request)
{
	const struct server *server = request->worker->server;
	struct slice body =
	    flow_metadata(request->arena, server->config->issuer, server->config->public_url, flow_scopes(request->arena, server->catalog));
	respond_body(request, 200, "application/json", body, "public, max-age=300");
}

void native_auth(struct request *request, struct slice body)
{
	request->flow = arena_alloc(request->arena, sizeof *request->flow);
	switch (request_operation(request)->native) {
	case NATIVE_TOKEN:
	case NATIVE_REVOKE:
	case NATIVE_INTROSPECT:
		native_client(request, body);
		break;
	case NATIVE_SESSION_CREATE:
		run_login(request);
		break;
	case NATIVE_ENROL:
		run_enrol(request);
		break;
	case NATIVE_LOGOUT:
		ASK(request, respond_row, true, flow_session_end_sql, request->claims.account, session_of(request));
		break;
	case NATIVE_ME:
		run_me(request);
		break;
	case NATIVE_ME_PASSWORD:
		run_password(request);
		break;
	case NATIVE_ME_SESSIONS:
		ASK(request, respond_row, false, flow_sessions_sql, session_of(request));
		break;
	case NATIVE_ME_SESSIONS_DELETE:
		flow_ask(request, respond_row, true, flow_sessions_end_sql, NULL, 0);
		break;
	case NATIVE_JWKS:
		run_jwks(request);
		break;
	case NATIVE_METADATA:
		run_metadata(request);
		break;
	case NATIVE_NONE:
	case NATIVE_ROOT:
	case NATIVE_V1:
	case NATIVE_OPENAPI:
	case NATIVE_PROBLEMS:
	case NATIVE_PROBLEM:
	case NATIVE_SECURITY_TXT:
	case NATIVE_SECRET_CREATE:
	case NATIVE_ENROLMENT_CREATE:
	case NATIVE_ACCOUNT_CREATE:
	case NATIVE_CHANGES:
		respond_problem(request, PROBLEM_INTERNAL, NULL); /* not this file's: the self-check of the catalog rules it out */
		break;
	}
}
