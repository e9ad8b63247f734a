/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A request of identity between two segments: what it knows so far, and what to do with the next row. */
#ifndef WARDMOTE_NATIVE_AUTH_H
#define WARDMOTE_NATIVE_AUTH_H

#include "../resources/accounts/flows.h"
#include "native.h"

/* What happens with the row of the segment in flight (without one its status is 0), or with the finished hash. */
typedef void (*row_fn)(struct request *request, const struct db_result *result);
typedef void (*hash_fn)(struct request *request);

struct auth_flow {
	struct flow_token_request token;
	struct flow_client client;
	struct auth_assertion assertion;
	row_fn proven; /* what the client wants, once it has proved itself: takes the body of a grant */
	const char *about; /* the token that is introspected or revoked */
	struct auth_claims claims; /* its claims */
	struct flow_login login;
	const char *refresh_token; /* a new one, shown if the grant comes */
	const char *name, *password, *new_password;
	row_fn row;
	hash_fn hashed;
	struct auth_hash_job hash;
};

/* Sends a segment of one statement; its row goes to `row`. */
void flow_ask(struct request *request, row_fn row, bool write, const char *text, const char *const *parameters, size_t n);

#define ASK(request, row, write, text, ...)                                                                                                \
	flow_ask((request), (row), (write), (text), (const char *const[]){ __VA_ARGS__ },                                                  \
		 sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* SHA-256 in hex. */
const char *flow_digest(struct request *request, const char *secret);
/* Life of a session. */
const char *flow_session_seconds(struct request *request);
void flow_refuse(struct request *request, const struct flow_refusal *refusal);
/* Signs and answers a token for the body of a grant. */
void flow_answer_grant(struct request *request, const struct db_result *result);

/* The endpoints under /oauth. */
void native_client(struct request *request, struct slice form);

#endif
