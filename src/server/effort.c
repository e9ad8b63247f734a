/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which lane a list runs in. One without conditions walks an index and stops after a page; what a condition costs depends on how many records meet it:
 * where few do and no index knows them, the walk goes on through all. What is drawn costs what there is to draw, and some records stand for
 * hundreds of areas (OP_TRIED). So a list with conditions, or a drawing, gets a short time in the lane of reads, whose next
 * statements wait behind it, and all the time of the heavy lane when that was not enough. One for which it was not is known for a while and goes there at once: if it took as
 * long there, too. Where the whole database stood still for a moment, everything that ran was stopped, and none of it was dear. */
#include "request.h"
#include "wardmote/clock.h"

enum { SHARE_OF_TIMEOUT = 40 }; /* 125 ms by default: as long as a read may wait for its turn */
enum { REMEMBERED_US = 60000000, PROVISIONAL_US = 5000000 }; /* one that was dear, and one of which it is not known yet */

static bool has_conditions(const struct query *query)
{
	return query->n_filters > 0 || query->search != NULL || query->bbox[0] != NULL || query_has_clauses(query);
}

static bool has_areas(const struct query *query)
{
	return query->geometry == GEOMETRY_FULL || query->geometry == GEOMETRY_SIMPLIFIED;
}

static struct effort *remembered(const struct request *request)
{
	return &request->worker->efforts[request->call.query.digest % EFFORTS];
}

enum lane effort_lane(struct request *request)
{
	const struct operation *operation = request_operation(request);
	const struct query *query = &request->call.query;
	bool tried = operation->flags & (OP_BINARY | OP_TRIED);
	if (operation->verb != V_LIST && !tried)
		return operation->lane;
	const struct effort *dear = remembered(request);
	bool known = dear->until_us > clock_monotonic_us() && dear->digest == query->digest;
	if (query->as_of != NULL || query->count == COUNT_EXACT || known)
		return LANE_HEAVY;
	request->trying = tried || has_conditions(query) || has_areas(query);
	return operation->lane;
}

void effort_limit(struct request *request)
{
	const struct config *config = request->worker->server->config;
	if (request->trying)
		segment_limit(request, config->request_timeout_ms / SHARE_OF_TIMEOUT);
}

/* Only what ran and was stopped: what came to its deadline in a queue has no time left. PostGIS, stopped in the midst of cutting a shape to a tile, says that it got
 * none (XX000); whatever else is wrong will be so again. */
static bool is_stopped(const struct db_result *result)
{
	return (result->outcome == DB_TIMEOUT && strncmp(result->sqlstate, "57014", 5) == 0) ||
	       (result->outcome == DB_ERROR && strncmp(result->sqlstate, "XX000", 5) == 0);
}

bool effort_again(struct request *request, const struct db_result *result, void (*done)(struct db_job *job, const struct db_result *result))
{
	if (!request->trying || !is_stopped(result))
		return false;
	request->trying = false;
	request->judging = true;
	*remembered(request) = (struct effort){ request->call.query.digest, clock_monotonic_us() + PROVISIONAL_US };
	db_result_release(result->owner);
	segment_begin(request, LANE_HEAVY, false);
	segment_add_statement(request);
	segment_send(request, done);
	return true;
}

void effort_over(struct request *request)
{
	struct effort *effort = remembered(request);
	const struct config *config = request->worker->server->config;
	if (!request->judging || request->job.sent_us == 0 || effort->digest != request->call.query.digest)
		return;
	request->judging = false;
	int64_t now_us = clock_monotonic_us();
	bool dear = now_us - request->job.sent_us > (int64_t)config->request_timeout_ms * 1000 / SHARE_OF_TIMEOUT;
	effort->until_us = dear ? now_us + REMEMBERED_US : 0;
}
