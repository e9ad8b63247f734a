/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* `wardmote load`: fills a running server through its public API from folders of JSON files (docs/sample.md says their form). It is a client like any
 * other: it holds a token, knows no SQL, and what the API refuses it cannot store. Loading the same folder again changes nothing.
 *
 *   load.c         the command (cmd_load of commands.h): options, folders, files in order, the count of what happened
 *   load_client.c  one connection: tokens, requests, answers, problems
 *   load_record.c  one record: references resolved, found or made
 *   load_import.c  one file that goes to the server as it is, and what came of it */
#ifndef WARDMOTE_SERVER_LOAD_H
#define WARDMOTE_SERVER_LOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "wardmote/arena.h"

/* --- client --- */

/* Whose token a request carries. */
struct load_identity {
	char *client_id;
	char *client_secret; /* NULL: not known, a new one has to be asked for before the first use */
	char *account_id; /* NULL for the caller's own */
	char *token;
	int64_t renew_at; /* monotonic microseconds */
};

void load_identity_done(struct load_identity *identity);

struct load_request {
	const char *method;
	const char *target; /* path and query, percent-encoded */
	json_t *body; /* borrowed; NULL: none, of a GET */
	const char *media_type; /* of the body */
	struct slice text; /* a body that is a file, as it is; ptr NULL: `body` */
	const char *prefer; /* NULL: none */
	const char *if_match; /* NULL: none */
	const char *idempotency_key;
};

struct load_answer {
	long status;
	json_t *body; /* NULL when the answer is not JSON */
	char etag[256];
	long retry_after; /* seconds; 0 when absent */
};

void load_answer_done(struct load_answer *answer);

struct load_client;

/* What was made; NULL: for want of memory, without which there is no going on: it says so and ends the process. */
void *load_need(void *made);

/* `url` is the base of the server, http or https, without a path. */
struct load_client *load_client_new(const char *url);
void load_client_free(struct load_client *client);
/* Sends with a valid token of `identity`; waits and repeats when the server is busy (429, 503). 0 with any answer; a negative errno, after a message on
 * standard error, when there is none. */
int load_client_call(struct load_client *client, struct load_identity *identity, const struct load_request *request,
		     struct load_answer *ret_answer);
char *load_client_escape(struct load_client *client, struct arena *arena, const char *text);
/* What the server said, for people: the problem's title, detail and each of its errors. */
void load_answer_print(const struct load_answer *answer, FILE *out);

/* --- records --- */

enum { LOAD_IDENTITIES_MAX = 16 };

struct load_run {
	struct load_client *client;
	struct load_identity own;
	struct {
		char *key;
		struct load_identity identity;
	} made[LOAD_IDENTITIES_MAX]; /* the accounts among the records: what "as" can name */
	size_t n_made;
	json_t *ids; /* "resource/key" -> id */
};

enum load_outcome { LOAD_CREATED, LOAD_PRESENT, LOAD_COMPLETED, LOAD_OUTCOMES };

/* A file's own members, borrowed from its tree. */
struct load_file {
	const char *path;
	const char *resource;
	const char *as; /* key of an account; NULL: the caller's own */
	json_t *match; /* alternatives of field names; NULL: by external_id */
	json_t *defaults; /* members that each body gets where it has none of that name; NULL: none */
};

/* Stores one record. 0, or a negative errno after a message on standard error. */
int load_record(struct load_run *run, const struct load_file *file, json_t *record, enum load_outcome *ret_outcome);
/* Sends the file that the member "import" of the file `path` names, and waits for the end. 0, or a negative errno after a message on standard error. */
int load_import(struct load_run *run, const char *path, json_t *import);

#endif
