/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Secrets that are shown once: made here, hashed into a setting that the statement stores, and appended to the answer. A replay or a dry run has
 * null in its place. */
#include "request.h"

static void choose_name(struct request *request)
{
	const char *kind;
	switch (request_operation(request)->native) {
	case NATIVE_ENROLMENT_CREATE:
		request->secret_name = "enrolment_code";
		return;
	case NATIVE_ACCOUNT_CREATE:
		kind = body_text(request->arena, &request->call.body, "kind");
		request->secret_name = kind != NULL && strcmp(kind, "person") == 0 ? "enrolment_code" : "client_secret";
		return;
	default:
		request->secret_name = "client_secret";
		return;
	}
}

/* A program that is made with keys of its own needs no secret. */
static bool starts_without(const struct request *request)
{
	return request_operation(request)->native == NATIVE_ACCOUNT_CREATE && client_keys_given(request);
}

void secret_prepare(struct request *request)
{
	choose_name(request);
	if (starts_without(request))
		return;
	bool code = strcmp(request->secret_name, "enrolment_code") == 0;
	request->secret = auth_secret(request->arena, code ? "wme_" : "wms_");
	const char **parameters = arena_alloc(request->arena, sizeof *parameters);
	parameters[0] = auth_sha256(request->arena, slice_of(request->secret));
	segment_add(request, "SELECT set_config('wardmote.credential', $1, true)", 1, parameters, false);
}

void secret_append(struct request *request, struct http_answer *answer)
{
	struct slice *body = &answer->body[answer->n_body - 1];
	body->len--; /* the brace at the end of an object */
	bool shown = request->secret != NULL && !request->replaying && !request->call.query.dry_run;
	struct buffer tail = { .arena = request->arena };
	buffer_format(&tail, ",\"%s\":", request->secret_name);
	if (shown)
		buffer_json(&tail, slice_of(request->secret));
	else
		buffer_text(&tail, "null");
	if (request->replaying && request->secret != NULL)
		buffer_format(&tail, ",\"note\":\"Shown once, with the first answer. POST /v1/accounts/{id}/%s issues a new one.\"",
			      strcmp(request->secret_name, "enrolment_code") == 0 ? "enrolments" : "secrets");
	buffer_text(&tail, "}");
	answer->body[answer->n_body++] = buffer_slice(&tail);
}
