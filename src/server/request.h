/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One request on its way: it goes through an array of stages when its headers are complete, through another when its body is, waits once for
 * the database, and is answered. No stage calls back; a stage that answers ends the way. Everything lives in the exchange's arena. */
#ifndef WARDMOTE_REQUEST_H
#define WARDMOTE_REQUEST_H

#include "server.h"
#include "wardmote/negotiate.h"
#include "wardmote/sql.h"

struct request {
	struct worker *worker;
	struct http_exchange *exchange;
	struct arena *arena;
	int64_t begun_us, finished_db_us; /* when; the last segment so far */
	int64_t db_us; /* that all segments took */
	char id[40]; /* request id: trace id of a valid traceparent, X-Request-Id, or made */
	struct match match;
	size_t route_index; /* for metrics; the number of routes when there is none */
	struct slice token;
	struct auth_claims claims;
	bool authenticated;
	bool probe; /* may not, but sees perhaps: 403 or 404 by a probe */
	bool replaying; /* second segment: fetch the stored answer */
	bool trying; /* a list that has a short time in the lane of reads */
	bool judging; /* it was not enough: is it dear? */
	bool suspended; /* once; a second segment finds it so */
	bool answered;
	bool lacking; /* it is being told that memory was short */
	bool cut; /* we ended its answer before it was whole */
	enum caller caller;
	enum format format;
	struct rate_verdict rate;
	bool limited; /* the verdict above is set */
	const char *missing_scope; /* of a refusal, where it is not the operation's own */
	struct call call;
	struct statement statement;
	struct db_job job;
	const char *actor[4]; /* parameters of act-as */
	const char *claim[4]; /* of the idempotency claim */
	const char *known_etag; /* the client's, of the version in call.known_version */
	const char *expected_timeline[1]; /* of the version that If-Match names; NULL: any */
	const char *patience[1]; /* milliseconds of a list that is tried */
	const char *address; /* see request_address */
	const char *secret, *secret_name; /* shown once in the answer */
	int status;
	struct faults faults;
	struct auth_flow *flow; /* of an operation of identity */
	struct spool *spool; /* of an import; NULL: none */
	struct request *next_waiter; /* for the end of an import */
	struct export_flow *export; /* of a list that is asked for whole; NULL: none */
};

/* The http callbacks. */
void *request_begin(void *worker, struct http_exchange *exchange, size_t *ret_body_max);
void request_body(void *request, struct slice body);
void request_end(void *request, bool sent);
struct slice request_refused(void *worker, struct arena *arena, enum problem problem, const char *rule, const char *detail);

static inline const struct operation *request_operation(const struct request *request)
{
	return request->match.route->operation;
}

/* The stages of authenticate.c: they let the request on, or answer it and return false. */
bool stage_authenticate(struct request *request);
bool stage_limit(struct request *request);
/* Fills request->id (identify.c). */
void request_identify(struct request *request);
/* The client's address: the peer's, or behind trusted proxies what they say (peer.c). */
const char *request_address(struct request *request);
/* What limits count by: of an IPv6 address the first 64 bits. */
uint64_t request_address_hash(struct request *request);
/* What no route takes costs little, but a flood of it is a flood: it counts against the address, whoever asks. False: refused, and answered. */
bool request_stray_allowed(struct request *request);

/* --- segments (segment.c) --- */
/* Starts a segment with act-as as its first step. */
void segment_begin(struct request *request, enum lane lane, bool write);
/* Takes the timeline from the version that is expected. */
void segment_expect(struct request *request);
/* In a segment that was begun: how long a statement after it may take. */
void segment_limit(struct request *request, long ms);
/* Appends a statement; `answer`: its row is the result. */
void segment_add(struct request *request, const char *text, size_t n, const char *const *parameters, bool answer);
/* Appends the request's statement, whose row is the result. */
void segment_add_statement(struct request *request);
/* Queues it and suspends the exchange; answers 503 itself when there is no room. */
void segment_send(struct request *request, void (*done)(struct db_job *job, const struct db_result *result));
/* It came back. */
void segment_over(struct request *request);
/* Suspends the exchange unless it is already. */
void request_wait(struct request *request);
static inline struct request *request_of(struct db_job *job)
{
	return (struct request *)(void *)((char *)job - offsetof(struct request, job));
}

/* --- lists (effort.c) --- */
/* The lane that the operation runs in. */
enum lane effort_lane(struct request *request);
/* In a segment that was begun: the short time of a list that is tried. */
void effort_limit(struct request *request);
/* True: it was not enough, and the list has been sent anew to the heavy lane. */
bool effort_again(struct request *request, const struct db_result *result,
		  void (*done)(struct db_job *job, const struct db_result *result));
/* One is over: what was stopped in the lane of reads and took its time in the heavy one, too, is dear. */
void effort_over(struct request *request);

/* --- answers (respond.c) --- */
void respond_problem(struct request *request, enum problem problem, const char *detail);
/* With errors: the request's own faults, or the rendered errors[] of the database. */
void respond_faults(struct request *request, enum problem problem, const char *detail, const char *errors_json);
/* The one form of JSON that is answered, without white space: what libpq holds is ours to write in. */
struct slice respond_compact(struct slice json);
/* The uniform row of a segment, for the standard verbs and hand-written statements. */
void respond_result(struct request *request, const struct db_result *result);
/* A failed segment (outcome other than DB_ROW and DB_NO_ROW). */
void respond_failure(struct request *request, const struct db_result *result);
/* A body of C's own. */
void respond_body(struct request *request, int status, const char *media_type, struct slice body, const char *cache_control);
/* Starts an answer with the headers that every answer has; the caller adds, then respond_send. */
void respond_start(struct request *request, struct http_answer *answer, int status);
void respond_field(struct http_answer *answer, const char *name, const char *value);
void respond_send(struct request *request, struct http_answer *answer);

void respond_options(struct request *request);
/* OP_CONDITIONAL: takes from If-None-Match what the statement is told. */
void respond_known(struct request *request);
/* Does If-None-Match name this ETag? */
bool respond_unchanged(struct request *request, const char *etag);

/* Tells the statement which version the client has. */
void respond_expect_known(struct request *request);

/* What the answers of lists have: self and, where there is more, next; as a header and, in JSON, as the last part of the body. */
/* Content-Crs, where crs= named one. */
void respond_crs(struct request *request, struct http_answer *answer);
void respond_links(struct request *request, const char *more, struct http_answer *answer);
const char *respond_cache_control(const struct request *request);
/* The name under which a browser saves CSV. */
const char *respond_disposition(const struct request *request);

/* --- files to import (spool.c) --- */
/* Reads the parameters; false: not good, and answered. */
bool request_query(struct request *request);
/* A stage: reserves a place and has the body go there. */
bool stage_spool(struct request *request);
/* The body is complete: what the statement is told of it. */
void spool_body(struct request *request);
/* The statement's row: true when it noted an import, which is then under way and the request with it. */
bool spool_accepted(struct request *request, const struct db_result *result);
/* Status and header fields of the answer that shows the import. */
void spool_fields(struct request *request, struct http_answer *answer);
/* Answers those that have waited. */
void spool_tick(struct worker *worker);
void spool_end(struct request *request);

/* --- exports (export.c) --- */
/* Faults of parameters that a list asked for whole does not have. */
void export_check(struct request *request);
void export_start(struct request *request);
/* http's `wanted`. */
void export_wanted(void *request);
/* The exchange is over: ends what still runs. */
void export_end(struct request *request, bool sent);

/* --- idempotency (replay.c) --- */
/* Adds the claim to the segment; its error WM001 means that an answer is stored. */
void replay_claim(struct request *request);
/* Fetches the stored answer in a segment of its own. */
void replay_start(struct request *request);

/* --- public keys of accounts (client_keys.c) --- */

enum { CLIENT_KEYS_MAX = 10 };
/* Has the body, which passed, public keys? */
bool client_keys_given(const struct request *request);
/* Adds faults of the keys in the body of an account. */
void client_keys_check(struct request *request, struct slice bytes);

/* --- secrets shown once (secret.c) --- */
/* Makes one and adds the step that hands its hash to the statement. */
void secret_prepare(struct request *request);
/* Adds it to a JSON object as its last member. */
void secret_append(struct request *request, struct http_answer *answer);

/* --- operations that C drives (native.c, native_auth.c, native_changes.c) --- */
/* The body is complete and, for a JSON body, validated. Must answer or send a segment. */
void native_run(struct request *request, struct slice body);
/* The helper thread compared or made a hash for a request of this worker. */
void native_hash_done(struct auth_hash_job *job);
/* Ends what a native operation still holds. */
void native_free(struct request *request);

#endif
