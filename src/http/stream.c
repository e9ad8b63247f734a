/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Answers of any length in a block of memory: the application adds pieces until it is enough, the library takes them as the client does. When nothing lies
 * ready the connection is suspended, and in PHASE_WORK: then it is not the client who is slow. */
#include "internal.h"

#include <stdlib.h>

enum { KEPT_MAX = 4 * HTTP_STREAM_BLOCK }; /* a piece may be longer than a block; room for it is given back after it */

static ssize_t starve(struct http_exchange *exchange)
{
	exchange->stream->starved = true;
	connection_enter(exchange->connection, PHASE_WORK);
	MHD_suspend_connection(exchange->connection->mhd);
	return 0;
}

/* A client of HTTP/1.0 takes the end of the connection for that of the body, unless it is reset; and by then no end must have been sent, as the library does before
 * it closes. Told of an error here, the library closes the connection but never frees one whose socket it does not watch just now; so it is given a byte that it finds it
 * cannot send. */
static ssize_t break_off(struct http_exchange *exchange, char *to)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct http_connection *connection = exchange->connection;
	if (!exchange->chunks)
		(void)!connect(connection->fd, &nobody, sizeof nobody);
	if (connection->phase != PHASE_CUT)
		connection_cut(connection, false);
	*to = ' ';
	return 1;
}

/* What may be handed on. Of a body without chunks the last byte comes with its end: told of the end alone by a connection that was just resumed, the library closes it
 * but never frees it, as above. */
static size_t ready_bytes(const struct http_exchange *exchange)
{
	const struct http_stream *stream = exchange->stream;
	size_t n = stream->len - stream->at;
	return n > 0 && !exchange->chunks && !stream->ended ? n - 1 : n;
}

static ssize_t read_stream(void *context, uint64_t position, char *to, size_t room)
{
	(void)position;
	struct http_exchange *exchange = context;
	struct http_stream *stream = exchange->stream;
	size_t n = ready_bytes(exchange);
	if (exchange->connection->phase == PHASE_CUT)
		return break_off(exchange, to);
	if (n == 0 && stream->ended)
		return stream->whole ? MHD_CONTENT_READER_END_OF_STREAM : break_off(exchange, to);
	if (n == 0)
		return starve(exchange);
	n = n < room ? n : room;
	memcpy(to, stream->data + stream->at, n);
	stream->at += n;
	exchange->answer_bytes += n;
	if (stream->full && stream->len - stream->at <= HTTP_STREAM_BLOCK / 2) {
		stream->full = false;
		exchange->connection->server->callbacks.wanted(exchange->request);
	}
	return (ssize_t)n;
}

struct MHD_Response *stream_response(struct http_exchange *exchange)
{
	exchange->stream = calloc(1, sizeof *exchange->stream);
	if (exchange->stream == NULL)
		return NULL;
	struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HTTP_STREAM_BLOCK, read_stream, exchange, NULL);
	/* To HEAD the library would send the last chunk of the body that it leaves out. Without chunks the connection closes behind it. */
	bool bodiless = slice_is(exchange->method, "HEAD");
	if (response != NULL && bodiless && MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END) != MHD_YES) {
		MHD_destroy_response(response);
		response = NULL;
	}
	if (response == NULL) {
		free(exchange->stream);
		exchange->stream = NULL;
	}
	return response;
}

void stream_free(struct http_stream *stream)
{
	if (stream != NULL)
		free(stream->data);
	free(stream);
}

static bool resize(struct http_stream *stream, size_t capacity)
{
	char *data = realloc(stream->data, capacity);
	if (data == NULL)
		return false;
	stream->data = data;
	stream->capacity = capacity;
	return true;
}

char *http_stream_room(struct http_exchange *exchange, size_t len)
{
	struct http_stream *stream = exchange->stream;
	if (stream == NULL)
		return NULL;
	size_t left = stream->len - stream->at;
	if (stream->at > 0) {
		memmove(stream->data, stream->data + stream->at, left);
		stream->at = 0;
		stream->len = left;
	}
	size_t least = left + len > 2 * HTTP_STREAM_BLOCK ? left + len : 2 * HTTP_STREAM_BLOCK;
	bool shrinks = stream->capacity > KEPT_MAX && least <= KEPT_MAX;
	if ((stream->capacity < least || shrinks) && !resize(stream, least) && stream->capacity < least)
		return NULL;
	return stream->data + left;
}

static void feed(struct http_exchange *exchange)
{
	if (!stream_is_starved(exchange))
		return;
	exchange->stream->starved = false;
	connection_enter(exchange->connection, PHASE_ANSWER);
	exchange->connection->server->resumed = true;
	MHD_resume_connection(exchange->connection->mhd);
}

bool http_stream_add(struct http_exchange *exchange, size_t len)
{
	struct http_stream *stream = exchange->stream;
	stream->len += len;
	stream->full = stream->len - stream->at >= HTTP_STREAM_BLOCK;
	feed(exchange);
	return !stream->full;
}

void http_stream_end(struct http_exchange *exchange, bool whole)
{
	if (exchange->stream == NULL)
		return;
	exchange->stream->ended = true;
	exchange->stream->whole = whole;
	feed(exchange);
}
