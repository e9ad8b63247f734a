/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who asks, and whether that is too often: two of the stages of a request. */
#include <errno.h>
#include <strings.h>

#include "request.h"
#include "wardmote/clock.h"
#include "wardmote/hash.h"

enum { BAD_TOKENS_A_MINUTE = 60 };

/* The credentials of a Bearer field; the scheme's name is case-insensitive. */
static bool bearer(struct slice field, struct slice *ret_token)
{
	if (field.len < 8 || strncasecmp(field.ptr, "Bearer ", 7) != 0)
		return false;
	*ret_token = (struct slice){ field.ptr + 7, field.len - 7 };
	return true;
}

static bool refuse_token(struct request *request, struct rate_verdict verdict)
{
	request->rate = verdict;
	request->limited = !verdict.allowed;
	if (request->limited)
		respond_problem(request, PROBLEM_TOO_MANY_REQUESTS, "Too many requests with a token that does not hold.");
	else
		respond_problem(request, PROBLEM_INVALID_TOKEN, NULL);
	return false;
}

static struct rate_verdict look_at_failures(struct request *request)
{
	return rate_look(request->worker->server->rates, request_address_hash(request) ^ 1, BAD_TOKENS_A_MINUTE, clock_monotonic_us());
}

static struct rate_verdict count_failure(struct request *request)
{
	return rate_take(request->worker->server->rates, request_address_hash(request) ^ 1, BAD_TOKENS_A_MINUTE, clock_monotonic_us());
}

bool stage_authenticate(struct request *request)
{
	const struct operation *operation = request_operation(request);
	struct slice field = http_header(request->exchange, "authorization");
	if (field.ptr == NULL || (operation->flags & OP_OAUTH))
		return true; /* the token endpoint reads Basic credentials itself */
	const struct auth_claims *claims = NULL;
	const char *why;
	struct worker *worker = request->worker;
	const struct auth_policy *policy = &worker->server->policy;
	int64_t now = clock_wall_seconds();
	bool is_token = bearer(field, &request->token);
	int error = is_token ? auth_cache_find(worker->tokens, worker->keys, policy, request->token, now, &claims, &why) : -EACCES;
	/* Failures count against the address, so that guessing is slow. Verifying costs more than all the rest of a request: who has failed too often gets
	 * no more of it. */
	if (error == -ENOENT) {
		struct rate_verdict left = look_at_failures(request);
		if (!left.allowed)
			return refuse_token(request, left);
		error = auth_cache_verify(worker->tokens, worker->keys, policy, request->token, now, &claims, &why);
	}
	if (error == -ENOMEM) {
		arena_lack(request->arena);
		respond_problem(request, PROBLEM_UNAVAILABLE, NULL);
		return false;
	}
	if (error < 0)
		return refuse_token(request, count_failure(request));
	request->claims = *claims;
	request->authenticated = true;
	request->caller = claims->role;
	return true;
}

bool stage_limit(struct request *request)
{
	const struct config *config = request->worker->server->config;
	long limit = request->authenticated ? config->rate_account : config->rate_anonymous;
	if (limit <= 0)
		return true;
	uint64_t key = request->authenticated ? hash_bytes(request->claims.account, UUID_TEXT) : request_address_hash(request);
	request->rate = rate_take(request->worker->server->rates, key, limit, clock_monotonic_us());
	request->limited = true;
	if (request->rate.allowed)
		return true;
	respond_problem(request, PROBLEM_TOO_MANY_REQUESTS,
			arena_printf(request->arena, "More than %ld requests in a minute.", request->rate.limit));
	return false;
}
