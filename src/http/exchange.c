/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One request and its answer, as the library's handler drives them: called first when the head is complete, then for each piece of the body, then once more.
 * The library answers in the first and in the last call only, and closes the connection after an answer in the first. So an application's early answer to a
 * request without body waits for the last call, and what must be refused in the middle of a body goes past the library. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "wardmote/clock.h"

enum { BODY_START = 1 << 10, RAW_MAX = 8 << 10 };

static bool has_body(const struct http_exchange *exchange)
{
	return exchange->expected.chunked || exchange->expected.length > 0;
}

/* What a step of a request may take from the reserve is less than this: a geometry of 16 MiB takes its text and what is told of it. */
static bool has_room(const struct http_server *server)
{
	return server->callbacks.reserve == NULL || arena_reserve_room(server->callbacks.reserve) >= HTTP_RESERVE / 4 * 3;
}

/* In the first call, when not even an exchange could be made. */
static enum MHD_Result refuse_lacking(struct http_connection *connection)
{
	connection->linger = true;
	if (MHD_queue_response(connection->mhd, MHD_HTTP_SERVICE_UNAVAILABLE, connection->server->lacking) != MHD_YES)
		return MHD_NO;
	connection_enter(connection, PHASE_ANSWER);
	return MHD_YES;
}

static struct http_exchange *take_spare(struct http_server *server)
{
	struct http_exchange *exchange = server->spare;
	if (exchange == NULL)
		return malloc(sizeof *exchange);
	server->spare = exchange->next;
	server->n_spare--;
	return exchange;
}

static void put_spare(struct http_server *server, struct http_exchange *exchange)
{
	if (server->n_spare == SPARES_MAX) {
		free(exchange);
		return;
	}
	arena_init(&exchange->arena); /* what still points into it is found out where memory is watched */
	exchange->next = server->spare;
	server->spare = exchange;
	server->n_spare++;
}

void exchanges_free_spare(struct http_server *server)
{
	while (server->spare != NULL) {
		struct http_exchange *exchange = take_spare(server);
		arena_done(&exchange->arena);
		free(exchange);
	}
}

/* Takes the target over from the connection. NULL: no memory. */
static struct http_exchange *exchange_new(struct http_connection *connection, const char *method)
{
	struct http_exchange *exchange = take_spare(connection->server);
	if (exchange == NULL)
		return NULL;
	/* The arena's space needs no zeroing: it is most of the struct. */
	memset(exchange, 0, offsetof(struct http_exchange, arena));
	arena_init_reserved(&exchange->arena, connection->server->callbacks.reserve);
	exchange->connection = connection;
	exchange->target = connection->target;
	exchange->method = (struct slice){ arena_copy(&exchange->arena, slice_of(method)), strlen(method) };
	const char *target = exchange->target == NULL ? "" : exchange->target;
	const char *question = strchr(target, '?');
	exchange->path = question == NULL ? slice_of(target) : (struct slice){ target, (size_t)(question - target) };
	exchange->query = slice_of(question == NULL ? "" : question + 1);
	connection->target = NULL;
	connection->exchange = exchange;
	return exchange;
}

static enum MHD_Result count_field(void *context, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value,
				   size_t value_len)
{
	(void)kind, (void)name, (void)name_len, (void)value, (void)value_len;
	++*(size_t *)context;
	return MHD_YES;
}

static enum MHD_Result add_field(void *context, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value,
				 size_t value_len)
{
	(void)kind;
	struct http_exchange *exchange = context;
	exchange->fields[exchange->n_fields++] = (struct gate_field){ { name, name_len }, { value, value == NULL ? 0 : value_len } };
	return MHD_YES;
}

/* The fields stay where the library holds them: that is until the request ends. */
static void collect_fields(struct http_exchange *exchange)
{
	struct MHD_Connection *mhd = exchange->connection->mhd;
	size_t count = 0;
	MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, count_field, &count);
	exchange->fields = arena_alloc(&exchange->arena, (count + 1) * sizeof *exchange->fields);
	MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, add_field, exchange);
}

static const struct gate_verdict *check_layout(const struct http_exchange *exchange, const char *method, const char *version)
{
	const struct http_connection *connection = exchange->connection;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	if (!connection->server->layout_known || info == NULL)
		return NULL;
	struct gate_layout layout = {
		.method = method,
		.target = connection->target_at,
		.target_len = connection->target_len,
		.version = version,
		.end = method + info->header_size,
	};
	return gate_check_layout(&layout, exchange->fields, exchange->n_fields);
}

static const struct gate_verdict *check_head(struct http_exchange *exchange, const char *method, const char *version)
{
	const struct http_connection *connection = exchange->connection;
	struct gate_head head = {
		.method = exchange->method,
		.target = { exchange->target, connection->target_len },
		.version = slice_of(version),
		.fields = exchange->fields,
		.n_fields = exchange->n_fields,
		.target_max = connection->server->limits.target_max,
		.headers_max = connection->server->limits.headers_max,
	};
	const struct gate_verdict *verdict = gate_check(&head, &exchange->expected);
	if (verdict == NULL)
		verdict = check_layout(exchange, method, version);
	if (verdict == NULL && connection_is_over(connection))
		verdict = &gate_connection_limit;
	return verdict;
}

/* Hands the ready answer to the library. */
static enum MHD_Result queue_answer(struct http_exchange *exchange)
{
	struct http_connection *connection = exchange->connection;
	enum MHD_Result result = MHD_queue_response(connection->mhd, exchange->status, exchange->response);
	if (exchange->response != connection->server->lacking)
		MHD_destroy_response(exchange->response); /* our reference; the library holds its own */
	exchange->response = NULL;
	if (result == MHD_YES) {
		exchange->queued = true;
		connection_enter(connection, PHASE_ANSWER);
		pressure_answer(exchange);
	}
	return result;
}

static void add_refusal_fields(struct http_answer *answer, const struct gate_verdict *verdict)
{
	answer->fields[answer->n_fields++] = (struct http_field){ "Content-Type", "application/problem+json" };
	answer->fields[answer->n_fields++] = (struct http_field){ "Cache-Control", "no-store" };
	answer->fields[answer->n_fields++] = (struct http_field){ "X-Content-Type-Options", "nosniff" };
	if (verdict->status == 503)
		answer->fields[answer->n_fields++] = (struct http_field){ "Retry-After", "1" };
	if (verdict->status == 415)
		answer->fields[answer->n_fields++] = (struct http_field){ "Accept-Encoding", "identity" };
}

/* In the first call, before the application or instead of it. */
static enum MHD_Result refuse(struct http_exchange *exchange, const struct gate_verdict *verdict)
{
	const struct http_callbacks *callbacks = &exchange->connection->server->callbacks;
	struct http_answer answer = { .status = verdict->status, .close = true, .n_body = 1 };
	answer.body[0] = callbacks->refused(callbacks->context, &exchange->arena, verdict->problem, verdict->rule, verdict->detail);
	add_refusal_fields(&answer, verdict);
	answer_build(exchange, &answer);
	exchange->refused_status = verdict->status;
	exchange->connection->linger = true;
	return exchange->response == NULL ? MHD_NO : queue_answer(exchange);
}

void exchange_refuse_raw(struct http_connection *connection, const struct gate_verdict *verdict)
{
	const struct http_callbacks *callbacks = &connection->server->callbacks;
	struct arena arena;
	arena_init_reserved(&arena, callbacks->reserve);
	struct slice body = callbacks->refused(callbacks->context, &arena, verdict->problem, verdict->rule, verdict->detail);
	struct http_answer answer = { 0 };
	add_refusal_fields(&answer, verdict);
	char date[64];
	time_t now = (time_t)clock_wall_seconds();
	struct tm utc;
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
	struct buffer text = { .arena = &arena };
	buffer_format(&text, "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\nContent-Length: %zu\r\n", verdict->status,
		      MHD_get_reason_phrase_for((unsigned)verdict->status), date, body.len);
	for (size_t i = 0; i < answer.n_fields; i++)
		buffer_format(&text, "%s: %s\r\n", answer.fields[i].name, answer.fields[i].value);
	buffer_text(&text, "\r\n");
	buffer_add(&text, body);
	/* A client that has not even read its earlier answers loses this one. */
	if (text.len <= RAW_MAX)
		connection_tell(connection, buffer_slice(&text));
	connection->linger = true;
	if (connection->exchange != NULL)
		connection->exchange->refused_status = verdict->status;
	arena_done(&arena);
}

static enum MHD_Result begin(struct http_exchange *exchange)
{
	struct http_connection *connection = exchange->connection;
	struct http_server *server = connection->server;
	connection_enter(connection, PHASE_WORK);
	exchange->begun = true;
	server->active++;
	exchange->in_handler = true;
	exchange->request = server->callbacks.begin(server->callbacks.context, exchange, &exchange->body_max);
	exchange->in_handler = false;
	if (exchange->replied && exchange->response == NULL)
		return MHD_NO;
	if (exchange->replied && has_body(exchange)) {
		connection->linger = true;
		return queue_answer(exchange);
	}
	if (!exchange->replied && exchange->expected.length > exchange->body_max)
		return refuse(exchange, &gate_body_too_large);
	if (has_body(exchange)) {
		connection_enter(connection, PHASE_BODY);
		pressure_body(server);
	}
	return MHD_YES;
}

static const struct gate_verdict *reserve(struct http_exchange *exchange, size_t len)
{
	struct http_server *server = exchange->connection->server;
	if (len <= exchange->body_capacity)
		return NULL;
	size_t capacity = exchange->body_capacity == 0 ? BODY_START : exchange->body_capacity * 2;
	while (capacity < len)
		capacity *= 2;
	if (server->body_bytes - exchange->body_capacity + capacity > BODIES_MAX)
		return &gate_body_memory;
	char *grown = realloc(exchange->body, capacity);
	if (grown == NULL)
		return &gate_body_memory;
	server->body_bytes += capacity - exchange->body_capacity;
	exchange->body = grown;
	exchange->body_capacity = capacity;
	return NULL;
}

static const struct gate_verdict *spool(struct http_exchange *exchange, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t written = write(exchange->spool_fd, data, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return &gate_body_disk;
		data += written;
		size -= (size_t)written;
	}
	return NULL;
}

static enum MHD_Result receive(struct http_exchange *exchange, const char *data, size_t *size)
{
	const struct gate_verdict *verdict = &gate_body_too_large;
	if (*size <= exchange->body_max - exchange->body_len)
		verdict = exchange->spooled ? spool(exchange, data, *size) : reserve(exchange, exchange->body_len + *size);
	if (verdict != NULL) {
		exchange_refuse_raw(exchange->connection, verdict);
		return MHD_NO;
	}
	if (!exchange->spooled)
		memcpy(exchange->body + exchange->body_len, data, *size);
	exchange->body_len += *size;
	*size = 0;
	return MHD_YES;
}

/* The last call; entered again only when a suspended exchange was resumed without an answer, because making one failed. */
static enum MHD_Result complete(struct http_exchange *exchange)
{
	if (!exchange->replied && !exchange->delivered) {
		const struct http_callbacks *callbacks = &exchange->connection->server->callbacks;
		exchange->delivered = true;
		if (!has_room(exchange->connection->server))
			arena_lack(&exchange->arena);
		if (has_body(exchange))
			connection_enter(exchange->connection, PHASE_WORK);
		exchange->in_handler = true;
		struct slice body = { exchange->body == NULL ? "" : exchange->body, exchange->spooled ? 0 : exchange->body_len };
		callbacks->body(exchange->request, body);
		exchange->in_handler = false;
	}
	if (exchange->response != NULL)
		return queue_answer(exchange);
	if (!exchange->suspended || exchange->replied)
		return MHD_NO;
	MHD_suspend_connection(exchange->connection->mhd);
	return MHD_YES;
}

enum MHD_Result exchange_handle(struct http_connection *connection, const char *method, const char *version, const char *data, size_t *size)
{
	struct http_exchange *exchange = connection->exchange;
	if (exchange != NULL)
		return *size > 0 ? receive(exchange, data, size) : complete(exchange);
	exchange = connection->target == NULL || !has_room(connection->server) ? NULL : exchange_new(connection, method);
	if (exchange == NULL)
		return refuse_lacking(connection);
	collect_fields(exchange);
	rest_note_head(connection, method);
	exchange->chunks = strcmp(version, "HTTP/1.0") != 0;
	const struct gate_verdict *verdict = check_head(exchange, method, version);
	return verdict == NULL ? begin(exchange) : refuse(exchange, verdict);
}

void exchange_end(struct http_connection *connection, bool complete)
{
	struct http_exchange *exchange = connection->exchange;
	connection->exchange = NULL;
	free(connection->target);
	connection->target = NULL;
	if (exchange == NULL)
		return;
	struct http_server *server = connection->server;
	rest_note_body(connection, exchange->body_len);
	server->body_bytes -= exchange->body_capacity;
	pressure_release(exchange);
	if (exchange->begun) {
		server->active--;
		if (exchange->request != NULL)
			server->callbacks.end(exchange->request, complete && exchange->queued);
	}
	if (exchange->response != NULL && exchange->response != server->lacking)
		MHD_destroy_response(exchange->response);
	stream_free(exchange->stream);
	free(exchange->body);
	free(exchange->target);
	arena_done(&exchange->arena);
	put_spare(server, exchange);
}

void http_spool(struct http_exchange *exchange, int fd)
{
	exchange->spooled = true;
	exchange->spool_fd = fd;
}

uint64_t http_body_bytes(const struct http_exchange *exchange)
{
	return exchange->body_len;
}

void http_suspend(struct http_exchange *exchange)
{
	exchange->suspended = true; /* the library learns of it when its handler returns */
}

void http_reply(struct http_exchange *exchange, const struct http_answer *answer)
{
	exchange->replied = true;
	answer_build(exchange, answer);
	if (exchange->in_handler)
		return;
	if (exchange->response != NULL)
		(void)queue_answer(exchange);
	exchange->connection->server->resumed = true;
	MHD_resume_connection(exchange->connection->mhd);
}

struct slice http_method(const struct http_exchange *exchange)
{
	return exchange->method;
}

struct slice http_path(const struct http_exchange *exchange)
{
	return exchange->path;
}

struct slice http_query(const struct http_exchange *exchange)
{
	return exchange->query;
}

struct slice http_header(struct http_exchange *exchange, const char *name)
{
	struct slice wanted = slice_of(name);
	struct slice found = { 0 };
	for (size_t i = 0; i < exchange->n_fields; i++) {
		if (!gate_name_equal(exchange->fields[i].name, wanted))
			continue;
		struct slice value = gate_trim(exchange->fields[i].value);
		if (found.ptr == NULL) {
			found = value;
		} else {
			size_t len = found.len + 2 + value.len;
			found.ptr = arena_printf(&exchange->arena, "%.*s, %.*s", (int)found.len, found.ptr, (int)value.len, value.ptr);
			found.len = len;
		}
	}
	return found;
}

const char *http_peer(const struct http_exchange *exchange)
{
	return exchange->connection->peer;
}

struct arena *http_arena(struct http_exchange *exchange)
{
	return &exchange->arena;
}

bool http_closing(const struct http_exchange *exchange)
{
	return exchange->connection->server->draining;
}

bool http_accepts_gzip(struct http_exchange *exchange)
{
	return encoding_gzip_accepted(http_header(exchange, "Accept-Encoding"));
}

int http_refused_status(const struct http_exchange *exchange)
{
	return exchange->refused_status;
}

uint64_t http_answer_bytes(const struct http_exchange *exchange)
{
	return exchange->answer_bytes;
}
