/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Idempotency keys: the claim goes into the write's own segment; where an answer is stored already, a second segment fetches it, or renders it again where
 * it was too long to keep. The version that was answered must be one that the caller may still see. */
#include <inttypes.h>

#include "request.h"

void replay_claim(struct request *request)
{
	const struct call *call = &request->call;
	request->claim[0] = call->idempotency_key;
	request->claim[1] = arena_copy(request->arena, http_method(request->exchange));
	request->claim[2] =
	    call->id == NULL ? request->match.pattern : arena_printf(request->arena, "%s#%s", request->match.pattern, call->id);
	request->claim[3] = arena_printf(request->arena, "%016" PRIx64, call->body.hash);
	segment_add(request, "SELECT wardmote.claim_key($1, $2, $3, $4)", 4, request->claim, false);
}

static void replay_done(struct db_job *job, const struct db_result *result)
{
	struct request *request = request_of(job);
	segment_over(request);
	request->worker->replied = true;
	if (result->outcome == DB_ROW || result->outcome == DB_NO_ROW)
		respond_result(request, result);
	else
		respond_failure(request, result);
}

void replay_start(struct request *request)
{
	request->replaying = true;
	sql_release(&request->statement);
	if (sql_replay(request->arena, &request->call, &request->statement) < 0) {
		respond_problem(request, PROBLEM_INTERNAL, NULL);
		return;
	}
	/* To tell a stored answer is to acknowledge the write anew. What a primary that was started again shows may not have reached its synchronous standby
	 * yet: this message in the log of writes comes after it, and its commit waits for the standby. */
	segment_begin(request, LANE_WRITE, true);
	segment_add(request, "SELECT pg_logical_emit_message(true, 'wardmote', '')", 0, NULL, false);
	segment_add(request, request->statement.text, request->statement.n_parameters, request->statement.parameters, true);
	segment_send(request, replay_done);
}
