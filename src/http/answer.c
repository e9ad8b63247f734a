/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "internal.h"

#include <stdlib.h>

/* Up to this length a body of several pieces is sent as one: of pieces the library sends the head alone first and waits until the socket can take more. */
enum { JOIN_MAX = 256 << 10 };

struct release {
	void (*function)(void *data);
	void *data;
};

static size_t total_len(const struct slice *body, size_t n_body)
{
	size_t total = 0;
	for (size_t i = 0; i < n_body; i++)
		total += body[i].len;
	return total;
}

static void let_go(struct release release)
{
	if (release.function != NULL)
		release.function(release.data);
}

/* NULL: no memory. */
static struct MHD_Response *response_joined(const struct slice *body, size_t n_body, size_t total)
{
	char *joined = malloc(total), *to = joined;
	if (joined == NULL)
		return NULL;
	for (size_t i = 0; i < n_body; i++) {
		memcpy(to, body[i].ptr, body[i].len);
		to += body[i].len;
	}
	struct MHD_Response *response = MHD_create_response_from_buffer(total, joined, MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
		free(joined);
	return response;
}

/* Takes the pieces over: they are released when the response is destroyed, or right here when it does not need them. */
static struct MHD_Response *response_of(const struct slice *body, size_t n_body, size_t total, struct release release)
{
	if (n_body > 1 && total > 0 && total <= JOIN_MAX) {
		struct MHD_Response *response = response_joined(body, n_body, total);
		let_go(release);
		return response;
	}
	struct MHD_IoVec vectors[3];
	for (size_t i = 0; i < n_body; i++)
		vectors[i] = (struct MHD_IoVec){ body[i].ptr, body[i].len };
	struct MHD_Response *response = MHD_create_response_from_iovec(vectors, (unsigned)n_body, release.function, release.data);
	if (response == NULL)
		let_go(release);
	return response;
}

static bool may_compress(struct http_exchange *exchange, const struct http_answer *answer, size_t total)
{
	return answer->compress && total > COMPRESS_MIN && total <= COMPRESS_MAX && http_accepts_gzip(exchange);
}

static bool add_fields(struct MHD_Response *response, const struct http_answer *answer, const char *vary)
{
	for (size_t i = 0; i < answer->n_fields; i++) {
		const struct http_field *field = &answer->fields[i];
		if (vary != NULL && gate_name_equal(slice_of(field->name), SLICE("Vary")))
			continue;
		if (field->value[0] != '\0' && MHD_add_response_header(response, field->name, field->value) != MHD_YES)
			return false;
	}
	return vary == NULL || MHD_add_response_header(response, "Vary", vary) == MHD_YES;
}

/* The coding varies with the request whether or not this answer was coded. */
static const char *vary_of(struct http_exchange *exchange, const struct http_answer *answer)
{
	const char *vary = NULL;
	if (!answer->compress)
		return NULL;
	for (size_t i = 0; i < answer->n_fields; i++) {
		if (gate_name_equal(slice_of(answer->fields[i].name), SLICE("Vary")))
			vary = answer->fields[i].value;
	}
	return encoding_vary(&exchange->arena, vary);
}

static struct MHD_Response *response_with_body(struct http_exchange *exchange, const struct http_answer *answer, bool *ret_gzipped)
{
	struct release release = { answer->release, answer->release_data };
	size_t total = total_len(answer->body, answer->n_body);
	struct slice gzip;
	*ret_gzipped = may_compress(exchange, answer, total);
	if (answer->stream)
		return stream_response(exchange);
	if (!*ret_gzipped) {
		exchange->answer_bytes = total;
		exchange->held_bytes = release.function == NULL && answer->n_body < 2 ? 0 : total;
		return response_of(answer->body, answer->n_body, total, release);
	}
	/* Sent plain instead, the body would belie its own ETag. */
	int failed = encoding_gzip(exchange->connection->server, answer->body, answer->n_body, total, &gzip);
	let_go(release);
	if (failed < 0)
		return NULL;
	exchange->answer_bytes = gzip.len;
	exchange->held_bytes = gzip.len;
	return response_of(&gzip, 1, gzip.len, (struct release){ free, (void *)(uintptr_t)gzip.ptr });
}

struct MHD_Response *answer_lacking(struct slice body)
{
	static const struct http_answer fields = {
		.fields = { { "Content-Type", "application/problem+json" },
			    { "Cache-Control", "no-store" },
			    { "X-Content-Type-Options", "nosniff" },
			    { "X-Request-Id", HTTP_LACKING_ID },
			    { "Retry-After", "1" },
			    { "Connection", "close" } },
		.n_fields = 6,
	};
	struct MHD_Response *response = MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_PERSISTENT);
	if (response != NULL && !add_fields(response, &fields, NULL)) {
		MHD_destroy_response(response);
		response = NULL;
	}
	return response;
}

static void use_lacking(struct http_exchange *exchange)
{
	const struct http_server *server = exchange->connection->server;
	exchange->answer_bytes = server->callbacks.lacking.len;
	exchange->status = MHD_HTTP_SERVICE_UNAVAILABLE;
	exchange->refused_status = MHD_HTTP_SERVICE_UNAVAILABLE;
	exchange->response = server->lacking;
}

void answer_build(struct http_exchange *exchange, const struct http_answer *answer)
{
	bool gzipped;
	struct MHD_Response *response = response_with_body(exchange, answer, &gzipped);
	if (response == NULL) {
		use_lacking(exchange);
		return;
	}
	/* Where chunks and trailers end is what parsers agree on least, and much of it the library does not show: what follows is not taken for a request. */
	bool close = answer->close || exchange->connection->server->draining || exchange->expected.chunked;
	/* An answer without one of its fields might say the opposite of what was meant: rather another one. */
	if (!add_fields(response, answer, vary_of(exchange, answer)) ||
	    (gzipped && MHD_add_response_header(response, "Content-Encoding", "gzip") != MHD_YES) ||
	    (close && MHD_add_response_header(response, "Connection", "close") != MHD_YES)) {
		MHD_destroy_response(response);
		use_lacking(exchange);
		return;
	}
	exchange->status = (unsigned)answer->status;
	exchange->response = response;
}
