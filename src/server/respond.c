/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Answers: the headers that every answer has, and problems. */
#include <stdio.h>
#include <string.h>

#include "request.h"
#include "wardmote/clock.h"

#define EXPOSED                                                                                                                            \
	"ETag, Link, Location, Retry-After, RateLimit, RateLimit-Policy, Idempotency-Replayed, X-Request-Id, WWW-Authenticate, Allow, "    \
	"Preference-Applied, Server-Timing, Content-Crs"
#define ALLOWED_FIELDS                                                                                                                     \
	"Authorization, Content-Type, Accept, If-Match, If-None-Match, Idempotency-Key, Prefer, X-Request-Id, traceparent, tracestate"

void respond_field(struct http_answer *answer, const char *name, const char *value)
{
	if (value != NULL && answer->n_fields < HTTP_FIELDS_MAX)
		answer->fields[answer->n_fields++] = (struct http_field){ name, value };
}

/* Is the origin on the list (exact, comma separated)? */
static bool origin_allowed(const char *list, struct slice origin)
{
	while (list != NULL && *list != '\0') {
		size_t len = strcspn(list, ",");
		struct slice one = { list, len };
		while (one.len > 0 && one.ptr[0] == ' ') {
			one.ptr++;
			one.len--;
		}
		if (slice_equal(one, origin))
			return true;
		list += len + (list[len] == ',' ? 1 : 0);
	}
	return false;
}

static void add_cors(struct request *request, struct http_answer *answer, bool preflight)
{
	struct slice origin = http_header(request->exchange, "origin");
	if (origin.ptr == NULL || !origin_allowed(request->worker->server->config->cors_origins, origin))
		return;
	respond_field(answer, "Access-Control-Allow-Origin", arena_copy(request->arena, origin));
	if (!preflight) {
		respond_field(answer, "Access-Control-Expose-Headers", EXPOSED);
		return;
	}
	respond_field(answer, "Access-Control-Allow-Methods", request->match.allow);
	respond_field(answer, "Access-Control-Allow-Headers", ALLOWED_FIELDS);
	respond_field(answer, "Access-Control-Max-Age", "7200");
}

static void add_rate(struct request *request, struct http_answer *answer)
{
	if (!request->limited)
		return;
	const char *name = request->authenticated ? "account" : "address";
	respond_field(answer, "RateLimit-Policy", arena_printf(request->arena, "\"%s\";q=%ld;w=60", name, request->rate.limit));
	respond_field(answer, "RateLimit",
		      arena_printf(request->arena, "\"%s\";r=%ld;t=%ld", name, request->rate.remaining, request->rate.reset_seconds));
	if (!request->rate.allowed)
		respond_field(answer, "Retry-After", arena_printf(request->arena, "%ld", request->rate.reset_seconds));
}

void respond_start(struct request *request, struct http_answer *answer, int status)
{
	*answer = (struct http_answer){ .status = status };
	respond_field(answer, "X-Request-Id", request->id);
	respond_field(answer, "X-Content-Type-Options", "nosniff");
	respond_field(answer, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
	respond_field(answer, "Referrer-Policy", "no-referrer");
	respond_field(answer, "Cross-Origin-Resource-Policy", "same-origin");
	/* Where TLS ends at a proxy in front, that it is there is known from the address under which the server is reached. */
	const struct config *config = request->worker->server->config;
	if (config->hsts_seconds > 0 && strncmp(config->public_url, "https://", 8) == 0)
		respond_field(answer, "Strict-Transport-Security", arena_printf(request->arena, "max-age=%ld", config->hsts_seconds));
	respond_field(answer, "Vary", "Accept, Authorization, Origin");
	add_cors(request, answer, slice_is(http_method(request->exchange), "OPTIONS"));
	add_rate(request, answer);
}

static void add_timing(struct request *request, struct http_answer *answer)
{
	if (!request->worker->server->config->server_timing)
		return;
	double total = (double)(clock_monotonic_us() - request->begun_us) / 1000.0;
	respond_field(answer, "Server-Timing",
		      arena_printf(request->arena, "db;dur=%.3f, total;dur=%.3f", (double)request->db_us / 1000.0, total));
}

/* What was made of a request for which memory was short may be wrong in any way: none of it is said. */
static bool respond_lacking(struct request *request, struct http_answer *answer)
{
	if (!arena_lacking(request->arena) || request->lacking)
		return false;
	if (answer->release != NULL)
		answer->release(answer->release_data);
	request->lacking = true;
	request->faults.n = 0;
	bool written = request->job.write && request->finished_db_us != 0;
	if (written)
		respond_problem(request, PROBLEM_OUTCOME_UNKNOWN, NULL);
	else
		respond_problem(request, PROBLEM_UNAVAILABLE, "The server is short of memory. Nothing was done; try again.");
	return true;
}

void respond_send(struct request *request, struct http_answer *answer)
{
	if (respond_lacking(request, answer))
		return;
	add_timing(request, answer);
	request->status = answer->status;
	request->answered = true;
	http_reply(request->exchange, answer);
}

static void challenge(struct request *request, struct http_answer *answer, enum problem problem)
{
	const struct operation *operation = request->match.route == NULL ? NULL : request_operation(request);
	if (problem == PROBLEM_UNAUTHENTICATED)
		respond_field(answer, "WWW-Authenticate", "Bearer realm=\"wardmote\"");
	if (problem == PROBLEM_INVALID_TOKEN)
		respond_field(answer, "WWW-Authenticate", "Bearer realm=\"wardmote\", error=\"invalid_token\"");
	if (problem == PROBLEM_INSUFFICIENT_SCOPE && operation != NULL)
		respond_field(answer, "WWW-Authenticate",
			      arena_printf(request->arena, "Bearer realm=\"wardmote\", error=\"insufficient_scope\", scope=\"%s\"",
					   request->missing_scope != NULL ? request->missing_scope : operation->scope));
}

static const char *accepted_types(const struct request *request)
{
	return request->match.route == NULL ? NULL : negotiate_accepted(request_operation(request)->body_kind);
}

void respond_faults(struct request *request, enum problem problem, const char *detail, const char *errors_json)
{
	const struct problem_kind *kind = problem_kind(problem);
	struct http_answer answer;
	respond_start(request, &answer, kind->status);
	respond_field(&answer, "Content-Type", "application/problem+json");
	respond_field(&answer, "Cache-Control", "no-store");
	challenge(request, &answer, problem);
	if (problem == PROBLEM_METHOD_NOT_ALLOWED)
		respond_field(&answer, "Allow", request->match.allow);
	if (problem == PROBLEM_UNSUPPORTED_MEDIA_TYPE)
		respond_field(&answer, slice_is(http_method(request->exchange), "PATCH") ? "Accept-Patch" : "Accept-Post",
			      accepted_types(request));
	if (kind->status == 503 || problem == PROBLEM_IN_FLIGHT)
		respond_field(&answer, "Retry-After", "1");
	struct problem_context context = {
		.base_url = request->worker->server->config->public_url,
		.request_id = request->id,
		.outcome = problem == PROBLEM_OUTCOME_UNKNOWN ? "unknown" : NULL,
	};
	answer.body[0] = problem_render(request->arena, problem, &context, detail, &request->faults, errors_json);
	answer.n_body = 1;
	respond_send(request, &answer);
}

void respond_problem(struct request *request, enum problem problem, const char *detail)
{
	respond_faults(request, problem, detail, NULL);
}

void respond_body(struct request *request, int status, const char *media_type, struct slice body, const char *cache_control)
{
	struct http_answer answer;
	respond_start(request, &answer, status);
	if (media_type != NULL)
		respond_field(&answer, "Content-Type", media_type);
	respond_field(&answer, "Cache-Control", cache_control);
	answer.body[0] = body;
	answer.n_body = body.len > 0 ? 1 : 0;
	answer.compress = true;
	respond_send(request, &answer);
}

void respond_options(struct request *request)
{
	struct http_answer answer;
	respond_start(request, &answer, 204);
	respond_field(&answer, "Allow", request->match.allow);
	if (strstr(request->match.allow, "PATCH") != NULL)
		respond_field(&answer, "Accept-Patch", negotiate_accepted(BODY_MERGE_PATCH));
	respond_send(request, &answer);
}
