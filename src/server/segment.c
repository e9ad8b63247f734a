/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A request's segment: act-as first, in one place, then what the request wants. */
#include <assert.h>
#include <errno.h>

#include "request.h"
#include "wardmote/clock.h"

/* Without a context a transaction is nobody's: the sessions' own settings say so (describe_settings), and what is set here ends with the transaction. */
#define ACT_CONTEXT                                                                                                                        \
	"SELECT set_config('wardmote.account', a.id::text, true), set_config('wardmote.partner', a.partner_id::text, true), "              \
	"set_config('wardmote.rank', a.rank::text, true)"
#define ACT_SCOPES ", set_config('wardmote.scopes', $4, true)"
#define ACT_FROM " FROM api.acting a WHERE a.id = $1::uuid AND a.epoch = $2::int"
/* A session ends as a whole; a program's token may have ended by itself. */
#define ACT_TOKEN " AND NOT EXISTS (SELECT FROM api.revoked_token r WHERE r.jti = $3::uuid)"
#define ACT_SESSION " AND EXISTS (SELECT FROM api.acting_session s WHERE s.id = $3::uuid AND s.account_id = a.id)"
#define LIMIT_TIME "SELECT set_config('statement_timeout', $1, true)"

/* How many records have a word or a topic can be planned for only when it is known: one plan for all would fetch and sort most of the table for a common one.
 * Where the list begins with what few records pass, or is that of one owner, one plan for all is good: to plan costs more than to do it. What turned out
 * dear nevertheless is planned for. */
#define PLAN_ANEW "SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"

static bool wants_own_plan(const struct call *call, enum lane lane)
{
	const struct query *query = &call->query;
	const struct shape *shape = call->route->shape;
	bool wants = query->search != NULL || query_has_clauses(query);
	bool few = query_leading(query) != NULL || (shape != NULL && query_is_selective(query, shape->resource));
	if (lane != LANE_HEAVY && few)
		return false;
	for (size_t i = 0; i < query->n_filters; i++) {
		const struct filter *filter = &query->filters[i];
		enum field_type type = filter->field->type;
		wants = wants || (filter->op == FILTER_ANY_OF && type != T_ENUM && type != T_UUID);
	}
	return wants;
}

static const char *act_text(bool session, bool scoped)
{
	if (session)
		return scoped ? ACT_CONTEXT ACT_SCOPES ACT_FROM ACT_SESSION : ACT_CONTEXT ACT_FROM ACT_SESSION;
	return scoped ? ACT_CONTEXT ACT_SCOPES ACT_FROM ACT_TOKEN : ACT_CONTEXT ACT_FROM ACT_TOKEN;
}

static void act(struct request *request)
{
	const struct auth_claims *claims = &request->claims;
	bool session = claims->session[0] != '\0';
	request->job.acts = true;
	request->actor[0] = claims->account;
	request->actor[1] = arena_printf(request->arena, "%ld", claims->epoch);
	request->actor[2] = session ? claims->session : claims->jti;
	if (claims->scoped) /* one with no scope at all still counts as narrowed */
		request->actor[3] = claims->scopes[0] == '\0' ? "-" : claims->scopes;
	segment_add(request, act_text(session, claims->scoped), claims->scoped ? 4 : 3, request->actor, false);
}

void segment_begin(struct request *request, enum lane lane, bool write)
{
	request->job = (struct db_job){ .lane = lane, .write = write };
	if (request->authenticated)
		act(request);
	if (lane == LANE_HEAVY || wants_own_plan(&request->call, lane))
		segment_add(request, PLAN_ANEW, 0, NULL, false);
}

void segment_limit(struct request *request, long ms)
{
	request->patience[0] = arena_printf(request->arena, "%ld", ms);
	segment_add(request, LIMIT_TIME, 1, request->patience, false);
}

void segment_expect(struct request *request)
{
	const char *version = request->call.expected_version, *dot = version == NULL ? NULL : strchr(version, '.');
	const struct db_fence *fence = &request->worker->server->fence;
	/* A request may be here before the first connection to the database: not knowing yet is no reason to pass the check over. */
	bool silent = atomic_load(&fence->timeline) == 0 && atomic_load(&fence->silent);
	if (!silent && version != NULL && strcmp(version, "0") != 0)
		request->expected_timeline[0] = dot == NULL ? "1" : dot + 1;
	if (dot != NULL)
		request->call.expected_version = arena_copy(request->arena, (struct slice){ version, (size_t)(dot - version) });
}

void segment_add(struct request *request, const char *text, size_t n, const char *const *parameters, bool answer)
{
	struct db_job *job = &request->job;
	assert(job->n_steps < DB_STEPS_MAX);
	if (answer)
		job->answer = job->n_steps;
	job->steps[job->n_steps++] = (struct db_step){ .text = text, .n_parameters = n, .parameters = parameters };
}

void segment_add_statement(struct request *request)
{
	const struct statement *statement = &request->statement;
	segment_add(request, statement->text, statement->n_parameters, statement->parameters, true);
	request->job.steps[request->job.answer].hash = statement->hash;
	request->job.records = statement->records;
}

void request_wait(struct request *request)
{
	if (!request->suspended)
		http_suspend(request->exchange);
	request->suspended = true;
}

void segment_send(struct request *request, void (*done)(struct db_job *job, const struct db_result *result))
{
	const struct config *config = request->worker->server->config;
	long patience_ms = request->job.lane == LANE_HEAVY ? config->heavy_timeout_ms : config->request_timeout_ms;
	request->job.deadline_us = clock_monotonic_us() + patience_ms * 1000;
	request->job.done = done;
	request->job.guest = !request->authenticated;
	/* A statement that was made while memory was short may lack a parameter or a check: it is not sent. */
	if (!arena_lacking(request->arena) && db_enqueue(request->worker->pool, &request->job) == 0)
		request_wait(request);
	else
		respond_problem(request, PROBLEM_UNAVAILABLE, "The database is busy or cannot be reached. Nothing was done; try again.");
}

void segment_over(struct request *request)
{
	request->finished_db_us = clock_monotonic_us();
	request->db_us += request->finished_db_us - request->job.enqueued_us;
	effort_over(request);
}
