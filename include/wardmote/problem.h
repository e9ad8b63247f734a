/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Problems (RFC 9457) from one closed table. A request can have many faults; each names its place and a stable code. */
#ifndef WARDMOTE_PROBLEM_H
#define WARDMOTE_PROBLEM_H

#include "wardmote/arena.h"

enum problem {
	PROBLEM_INVALID_REQUEST, /* 400 what the request alone shows */
	PROBLEM_MALFORMED_HTTP, /* 400 refused by the HTTP gate */
	PROBLEM_UNAUTHENTICATED, /* 401 */
	PROBLEM_INVALID_TOKEN, /* 401 */
	PROBLEM_FORBIDDEN, /* 403 */
	PROBLEM_INSUFFICIENT_SCOPE, /* 403 */
	PROBLEM_NOT_FOUND, /* 404 */
	PROBLEM_METHOD_NOT_ALLOWED, /* 405 */
	PROBLEM_NOT_ACCEPTABLE, /* 406 */
	PROBLEM_REQUEST_TIMEOUT, /* 408 */
	PROBLEM_CONFLICT, /* 409 unique, state, gate, in use */
	PROBLEM_IN_FLIGHT, /* 409 same Idempotency-Key still running */
	PROBLEM_PRECONDITION_FAILED, /* 412 */
	PROBLEM_CONTENT_TOO_LARGE, /* 413 */
	PROBLEM_URI_TOO_LONG, /* 414 */
	PROBLEM_UNSUPPORTED_MEDIA_TYPE, /* 415 */
	PROBLEM_UNPROCESSABLE, /* 422 what needs data */
	PROBLEM_KEY_REUSED, /* 422 Idempotency-Key with another body */
	PROBLEM_PRECONDITION_REQUIRED, /* 428 */
	PROBLEM_TOO_MANY_REQUESTS, /* 429 */
	PROBLEM_HEADERS_TOO_LARGE, /* 431 */
	PROBLEM_INTERNAL, /* 500 */
	PROBLEM_NOT_IMPLEMENTED, /* 501 method or transfer coding */
	PROBLEM_UNAVAILABLE, /* 503 database away, queue full, draining */
	PROBLEM_OUTCOME_UNKNOWN, /* 503 a write whose fate is not known: "outcome": "unknown" */
	PROBLEM_TIMEOUT, /* 504 the statement ran into its deadline */
	PROBLEM_VERSION_NOT_SUPPORTED, /* 505 */
	PROBLEMS,
};

struct problem_kind {
	const char *slug; /* type is <public_url>/problems/<slug> */
	int status;
	const char *title;
	const char *doc; /* what happened, what the client should do; shown at its type URI */
};

enum fault_place { FAULT_POINTER, FAULT_PARAMETER, FAULT_HEADER };

struct fault {
	enum fault_place place;
	const char *name; /* JSON Pointer ("/open_on"), parameter or header name */
	const char *code; /* stable: required, unknown_field, type, length, range, enum, format, duplicate, order, ... */
	const char *detail; /* for people; never a quotation of secrets; names the limit that was passed */
};

enum { FAULTS_MAX = 100 };

/* All faults of one request, in the order found; past FAULTS_MAX they are only counted. */
struct faults {
	struct arena *arena;
	struct fault rows[FAULTS_MAX];
	size_t n;
	size_t more;
};

enum { FAULTS_HINTED = 10 };
/* Is it worth the time to look for what the client may have meant? Not when there are many faults: that would cost more than all the rest of the request. */
static inline bool faults_take_hint(const struct faults *faults)
{
	return faults->n < FAULTS_HINTED;
}

/* Is there a fault with this code? */
bool faults_have(const struct faults *faults, const char *code);

const struct problem_kind *problem_kind(enum problem problem);
/* The kind with this slug, or PROBLEMS. */
enum problem problem_find(struct slice slug);
void fault_add(struct faults *faults, enum fault_place place, const char *name, const char *code, const char *detail, ...)
    __attribute__((format(printf, 5, 6)));

struct problem_context {
	const char *base_url; /* public base, no slash at its end */
	const char *request_id; /* instance is urn:wardmote:request:<id>; also trace_id */
	const char *outcome; /* "unknown", or NULL */
};

/* The JSON document. `errors_json` is an errors[] array rendered by the database, or NULL: then `faults` (may be NULL). `detail` may be NULL. */
struct slice problem_render(struct arena *arena, enum problem problem, const struct problem_context *context, const char *detail,
			    const struct faults *faults, const char *errors_json);
/* Markdown of the whole registry with all codes, for `wardmote problems` and api/problems.md. */
struct slice problem_registry(struct arena *arena);

#endif
