/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The endpoints under /oauth: a client proves itself by a secret or an assertion, then gets a token, ends one, or asks about one. */
#include <errno.h>

#include "native_auth.h"
#include "wardmote/clock.h"

enum { FORGET_AFTER_SECONDS = 120 }; /* past the end of an assertion or a token: more than the leeway of any clock */

static const char *in_seconds(struct request *request, int64_t ends)
{
	return arena_printf(request->arena, "%lld", (long long)(ends + FORGET_AFTER_SECONDS));
}

static void lack(struct request *request)
{
	arena_lack(request->arena);
	respond_problem(request, PROBLEM_UNAVAILABLE, NULL);
}

/* --- who asks --- */

static void refuse_client(struct request *request)
{
	struct flow_refusal refusal = flow_client_refused(&request->flow->client);
	flow_refuse(request, &refusal);
}

static void client_row(struct request *request, const struct db_result *result)
{
	if (result->status == 200)
		request->flow->proven(request, result);
	else
		refuse_client(request);
}

static void key_row(struct request *request, const struct db_result *result)
{
	struct auth_flow *flow = request->flow;
	int error = auth_assertion_verify(&flow->assertion, result->body);
	if (error == -ENOMEM)
		lack(request);
	else if (error < 0)
		refuse_client(request);
	else
		ASK(request, client_row, true, flow_assertion_sql, flow->assertion.client_id, arena_copy(request->arena, result->body),
		    flow->assertion.digest, in_seconds(request, flow->assertion.expires));
}

static void prove_by_assertion(struct request *request)
{
	struct auth_flow *flow = request->flow;
	const char *why = NULL;
	struct flow_refusal refusal;
	int error = auth_assertion_parse(request->arena, &request->worker->server->policy, slice_of(flow->client.assertion),
					 clock_wall_seconds(), &flow->assertion, &why);
	if (error == -ENOMEM) {
		lack(request);
	} else if (error < 0) {
		refusal = flow_assertion_refused(request->arena, why);
		flow_refuse(request, &refusal);
	} else if (!flow_client_agrees(&flow->client, flow->assertion.client_id, &refusal)) {
		flow_refuse(request, &refusal);
	} else {
		ASK(request, key_row, false, flow_key_sql, flow->assertion.client_id, flow->assertion.kid);
	}
}

/* `proven` goes on with the body of the client's grant. */
static void prove(struct request *request, const struct flow_client *client, row_fn proven)
{
	struct auth_flow *flow = request->flow;
	flow->client = *client;
	flow->proven = proven;
	if (!flow_client_has_proof(client))
		refuse_client(request);
	else if (client->method == FLOW_ASSERTION)
		prove_by_assertion(request);
	else
		ASK(request, client_row, false, flow_client_sql, client->client_id, flow_digest(request, client->secret));
}

/* --- tokens --- */

static void refresh_row(struct request *request, const struct db_result *result)
{
	if (result->status == 200) {
		flow_answer_grant(request, result);
		return;
	}
	struct flow_refusal refusal = flow_token_refused(&request->flow->token, result->status);
	flow_refuse(request, &refusal);
}

static void run_token(struct request *request, struct slice form)
{
	struct auth_flow *flow = request->flow;
	struct flow_refusal refusal;
	if (flow_token_parse(request->arena, http_header(request->exchange, "authorization"), form, &flow->token, &refusal) < 0) {
		flow_refuse(request, &refusal);
		return;
	}
	if (!flow->token.refresh) {
		prove(request, &flow->token.client, flow_answer_grant);
		return;
	}
	if (flow->token.scope != NULL &&
	    !flow_scopes_known(flow->token.scope, flow_scopes(request->arena, request->worker->server->catalog))) {
		flow_refuse(request, &flow_scope_refused);
		return;
	}
	flow->refresh_token = auth_secret(request->arena, "wmr_");
	ASK(request, refresh_row, true, flow_refresh_sql, flow_digest(request, flow->token.refresh_token),
	    flow_digest(request, flow->refresh_token), flow_session_seconds(request));
}

/* Is the token of the request one of ours that holds, by itself? Then its claims are there. -ENOMEM: nobody knows. */
static int read_token(struct request *request)
{
	const struct worker *worker = request->worker;
	const char *why;
	return auth_token_verify(worker->keys, &worker->server->policy, slice_of(request->flow->about), clock_wall_seconds(),
				 &request->flow->claims, &why);
}

static void revoked_row(struct request *request, const struct db_result *result)
{
	(void)result; /* RFC 7009: an unknown token is answered alike */
	respond_body(request, 200, NULL, SLICE(""), "no-store");
}

static void revoke(struct request *request, const struct db_result *client)
{
	const struct auth_claims *claims = &request->flow->claims;
	(void)client; /* whoever has the token may end it */
	int error = read_token(request);
	if (error == -ENOMEM)
		arena_lack(request->arena); /* the segment is not sent */
	if (error != 0)
		ASK(request, revoked_row, true, flow_revoke_sql, flow_digest(request, request->flow->about));
	else if (claims->session[0] != '\0')
		ASK(request, revoked_row, true, flow_session_end_sql, claims->account, claims->session);
	else
		ASK(request, revoked_row, true, flow_revoke_token_sql, claims->jti, in_seconds(request, claims->expires));
}

static void answer_introspection(struct request *request, const struct auth_claims *claims, const char *login)
{
	const struct auth_policy *policy = &request->worker->server->policy;
	respond_body(request, 200, "application/json", flow_introspected(request->arena, policy, claims, login), "no-store");
}

static void introspected_row(struct request *request, const struct db_result *result)
{
	const struct auth_claims *claims = result->status == 200 ? &request->flow->claims : NULL;
	const char *login = NULL;
	if (claims != NULL && flow_username(request->arena, result->body, &login) == -ENOMEM)
		arena_lack(request->arena);
	answer_introspection(request, claims, login);
}

static void introspect(struct request *request, const struct db_result *client)
{
	struct auth_claims caller;
	const struct auth_claims *claims = &request->flow->claims;
	int granted = flow_grant(client->body, NULL, "", &caller), error = read_token(request);
	if (granted == -ENOMEM || error == -ENOMEM) {
		lack(request);
	} else if (granted != 0) {
		respond_problem(request, PROBLEM_INTERNAL, NULL);
	} else if (error != 0) {
		answer_introspection(request, NULL, NULL);
	} else {
		ASK(request, introspected_row, false, flow_introspect_sql, arena_copy(request->arena, slice_of(caller.account)),
		    auth_has_scope(&caller, "accounts:read") ? "true" : "false", claims->account,
		    arena_printf(request->arena, "%ld", claims->epoch), claims->session[0] == '\0' ? NULL : claims->session, claims->jti);
	}
}

static void run_about(struct request *request, struct slice form, bool by_anybody, row_fn proven)
{
	struct flow_refusal refusal;
	struct flow_client client;
	if (flow_about_parse(request->arena, http_header(request->exchange, "authorization"), form, &client, &request->flow->about,
			     &refusal) < 0)
		flow_refuse(request, &refusal);
	else if (by_anybody && client.method == FLOW_NOBODY)
		proven(request, NULL);
	else
		prove(request, &client, proven);
}

void native_client(struct request *request, struct slice form)
{
	enum native native = request_operation(request)->native;
	if (native == NATIVE_TOKEN)
		run_token(request, form);
	else if (native == NATIVE_REVOKE)
		run_about(request, form, true, revoke);
	else
		run_about(request, form, false, introspect);
}
