/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* libFuzzer target: bytes through a socket pair into the linked libmicrohttpd and our gate, with a second, strict parser beside it. Every request that reaches the
 * application must be the one that the strict parser finds at this place in the stream, with the same body: that is what keeps a proxy and us in step.
 *
 * The first byte of the input says how to cut the rest into pieces. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"
#include "internal.h"
#include "strict.h"

enum { BODY_CAP = 2000, ROUNDS_MAX = 200 };

struct fuzz {
	struct http_server *server;
	struct strict strict;
	size_t begun, ended;
	struct request *suspended;
};

struct request {
	struct fuzz *fuzz;
	struct http_exchange *exchange;
	size_t number;
};

static void fail(const char *what)
{
	fprintf(stderr, "fuzz_http: %s\n", what);
	abort();
}

struct cursor {
	const char *at;
	const char *end;
};

/* --- the application --- */

static void *begin(void *context, struct http_exchange *exchange, size_t *ret_body_max)
{
	struct fuzz *fuzz = context;
	struct request *request = malloc(sizeof *request);
	if (request == NULL)
		abort();
	*request = (struct request){ fuzz, exchange, fuzz->begun++ };
	*ret_body_max = BODY_CAP;
	if (request->number >= fuzz->strict.n)
		fail("a request that the strict parser does not know");
	const struct strict_request *expected = &fuzz->strict.requests[request->number];
	struct slice path = http_path(exchange);
	if (!slice_equal(http_method(exchange), expected->method))
		fail("another method");
	if (expected->target.len < path.len || memcmp(expected->target.ptr, path.ptr, path.len) != 0 || path.ptr[0] != '/')
		fail("another target");
	return request;
}

static void reply(struct request *request)
{
	struct http_answer answer = { .status = 200, .n_body = 2, .body = { SLICE("{}"), SLICE("\n") }, .compress = true };
	http_reply(request->exchange, &answer);
}

static void on_body(void *data, struct slice body)
{
	struct request *request = data;
	const struct strict_request *expected = &request->fuzz->strict.requests[request->number];
	if (expected->body_len != body.len || expected->body_sum != strict_sum(0, body))
		fail("another body");
	(void)http_header(request->exchange, "Accept");
	if (request->number % 2 == 0) {
		reply(request);
	} else {
		request->fuzz->suspended = request;
		http_suspend(request->exchange);
	}
}

static void end(void *data, bool sent)
{
	struct request *request = data;
	(void)sent;
	request->fuzz->ended++;
	free(request);
}

static struct slice refused(void *context, struct arena *arena, enum problem problem, const char *rule, const char *detail)
{
	(void)context, (void)problem;
	return slice_of(arena_printf(arena, "%s: %s", rule, detail));
}

static void turn(struct fuzz *fuzz, int peer)
{
	char waste[8192];
	http_server_run(fuzz->server);
	if (fuzz->suspended != NULL) {
		struct request *request = fuzz->suspended;
		fuzz->suspended = NULL;
		reply(request);
	}
	while (recv(peer, waste, sizeof waste, MSG_DONTWAIT) > 0)
		;
}

static void feed(struct fuzz *fuzz, int peer, struct cursor cursor, size_t piece)
{
	while (cursor.at < cursor.end && http_server_connections(fuzz->server) > 0) {
		size_t left = (size_t)(cursor.end - cursor.at);
		ssize_t sent = send(peer, cursor.at, left < piece ? left : piece, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && http_server_connections(fuzz->server) > 0)
			break;
		cursor.at += sent > 0 ? sent : 0;
		turn(fuzz, peer);
	}
	int wait, round = 0;
	while ((wait = http_server_timeout(fuzz->server)) == 0 && round++ < ROUNDS_MAX)
		turn(fuzz, peer);
	if (wait == 0)
		fail("it spins");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_limits limits = { .connections = 10,
				      .header_timeout_ms = 60000,
				      .body_timeout_ms = 60000,
				      .transfer_timeout_ms = 60000,
				      .idle_timeout_ms = 60000,
				      .target_max = 1000,
				      .headers_max = 2000 };
	if (size < 1)
		return 0;
	struct fuzz fuzz = { 0 };
	struct http_callbacks callbacks = { .context = &fuzz, .begin = begin, .body = on_body, .end = end, .refused = refused };
	struct cursor input = { (const char *)data + 1, (const char *)data + size };
	strict_parse((struct slice){ input.at, size - 1 }, &fuzz.strict);
	int pair[2];
	if (http_server_new(-1, &limits, &callbacks, &fuzz.server) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		abort();
	struct sockaddr_in address = { .sin_family = AF_INET };
	if (MHD_add_connection(fuzz.server->daemon, pair[0], (struct sockaddr *)&address, sizeof address) != MHD_YES)
		abort();
	feed(&fuzz, pair[1], input, data[0] == 0 ? SIZE_MAX : data[0]);
	close(pair[1]);
	for (int round = 0; round < ROUNDS_MAX && http_server_connections(fuzz.server) > 0; round++)
		http_server_run(fuzz.server);
	http_server_free(fuzz.server);
	if (fuzz.begun != fuzz.ended)
		fail("a request that never ended");
	return 0;
}
