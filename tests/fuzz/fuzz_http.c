/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* libFuzzer target: bytes through a socket pair into the linked libmicrohttpd and our gate, with a second, strict parser beside it. Every request that reaches the
 * application must be the one that the strict parser finds at this place in the stream, with the same body: that is what keeps a proxy and us in step.
 *
 * The first byte of the input says how to cut the rest into pieces. To search for new inputs:
 *   clang -std=gnu17 -D_GNU_SOURCE -Iinclude -Isrc/http -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined tests/fuzz/fuzz_http.c \
 *     src/http/[a-z]*.c src/base/arena.c src/base/clock.c -lmicrohttpd -lz -o var/fuzz_http
 *   var/fuzz_http -dict=tests/fuzz/http.dict -max_len=4096 var/corpus tests/fuzz/corpus/http */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"
#include "internal.h"

enum { BODY_CAP = 2000, ROUNDS_MAX = 200, REQUESTS_MAX = 64 };

/* What the strict parser found, or that it gave up there. */
struct expected {
	struct slice method, target;
	size_t body_len;
	unsigned body_sum;
};

struct fuzz {
	struct http_server *server;
	struct expected expected[REQUESTS_MAX];
	size_t n_expected;
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

static unsigned add_to_sum(unsigned sum, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		sum = sum * 31 + (unsigned char)bytes.ptr[i];
	return sum;
}

/* --- the strict parser: RFC 9112 by the letter, but for what docs/http-gate.md lists as not to be seen: bare LFs in the framing of chunks, line ends of the right
 * length with a NUL or a colon in them, empty lines and lines that begin with NUL before a request, and loose trailers --- */

struct cursor {
	const char *at;
	const char *end;
};

static bool starts_with(struct cursor cursor, struct slice text)
{
	return (size_t)(cursor.end - cursor.at) >= text.len && memcmp(cursor.at, text.ptr, text.len) == 0;
}

/* The line up to its end, which is skipped. False: there is none, or the line holds CR, LF or NUL. *ret_last: the end of the head was skipped as well. */
static bool take_line(struct cursor *cursor, bool nul_ends, struct slice *ret_line, bool *ret_last)
{
	const char *lf = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
	if (lf == NULL)
		return false;
	bool plain = lf > cursor->at && (lf[-1] == '\r' || (nul_ends && lf[-1] == '\0'));
	struct cursor from_lf = { lf, cursor->end };
	*ret_last = !plain && (starts_with(from_lf, SLICE("\n\0\r\n")) || (nul_ends && starts_with(from_lf, SLICE("\n\0\0\n"))));
	if (!plain && !*ret_last)
		return false;
	struct slice line = { cursor->at, (size_t)(lf - cursor->at) - plain };
	if (memchr(line.ptr, '\r', line.len) != NULL || memchr(line.ptr, '\0', line.len) != NULL)
		return false;
	cursor->at = lf + (*ret_last ? 4 : 1);
	*ret_line = line;
	return true;
}

static bool take_loose_line(struct cursor *cursor, struct slice *ret_line)
{
	const char *lf = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
	if (lf == NULL)
		return false;
	size_t len = (size_t)(lf - cursor->at);
	if (len > 0 && lf[-1] == '\r')
		len--;
	*ret_line = (struct slice){ cursor->at, len };
	cursor->at = lf + 1;
	return true;
}

static bool take_request_line(struct cursor *cursor, struct expected *request, bool *ret_last)
{
	struct slice line;
	for (struct cursor ahead = *cursor; take_loose_line(&ahead, &line) && (line.len == 0 || line.ptr[0] == '\0');)
		*cursor = ahead;
	if (!take_line(cursor, false, &line, ret_last))
		return false;
	const char *first = memchr(line.ptr, ' ', line.len);
	const char *last = memrchr(line.ptr, ' ', line.len);
	if (first == NULL || first == last || memchr(first + 1, ' ', (size_t)(last - first - 1)) != NULL)
		return false;
	request->method = (struct slice){ line.ptr, (size_t)(first - line.ptr) };
	request->target = (struct slice){ first + 1, (size_t)(last - first - 1) };
	return true;
}

struct framing {
	bool chunked;
	bool sized;
	uint64_t length;
};

static bool take_number(struct slice text, unsigned base, uint64_t *ret_number)
{
	uint64_t number = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
		if (digit >= base || number > UINT32_MAX)
			return false;
		number = number * base + digit;
	}
	*ret_number = number;
	return text.len > 0;
}

static bool take_fields(struct cursor *cursor, struct framing *framing)
{
	struct slice line;
	for (bool last = false; !last;) {
		if (starts_with(*cursor, SLICE(":\n"))) {
			cursor->at += 2;
			return true;
		}
		if (!take_line(cursor, true, &line, &last))
			return false;
		if (line.len == 0)
			return true;
		const char *colon = memchr(line.ptr, ':', line.len);
		if (colon == NULL || line.ptr[0] == ' ' || line.ptr[0] == '\t' || colon == line.ptr || colon[-1] == ' ' ||
		    colon[-1] == '\t')
			return false;
		struct slice name = { line.ptr, (size_t)(colon - line.ptr) };
		struct slice value = gate_trim((struct slice){ colon + 1, (size_t)(line.ptr + line.len - colon - 1) });
		if (gate_name_equal(name, SLICE("Content-Length"))) {
			if (framing->sized || framing->chunked || !take_number(value, 10, &framing->length))
				return false;
			framing->sized = true;
		} else if (gate_name_equal(name, SLICE("Transfer-Encoding"))) {
			if (framing->sized || framing->chunked || !gate_name_equal(value, SLICE("chunked")))
				return false;
			framing->chunked = true;
		}
	}
	return true;
}

static bool take_bytes(struct cursor *cursor, uint64_t len, struct expected *request)
{
	if ((uint64_t)(cursor->end - cursor->at) < len)
		return false;
	request->body_sum = add_to_sum(request->body_sum, (struct slice){ cursor->at, (size_t)len });
	request->body_len += (size_t)len;
	cursor->at += len;
	return true;
}

static bool take_chunks(struct cursor *cursor, struct expected *request)
{
	for (;;) {
		struct slice line;
		if (!take_loose_line(cursor, &line))
			return false;
		const char *extension = memchr(line.ptr, ';', line.len);
		uint64_t len;
		if (!take_number(extension == NULL ? line : (struct slice){ line.ptr, (size_t)(extension - line.ptr) }, 16, &len))
			return false;
		if (len == 0)
			break;
		if (!take_bytes(cursor, len, request) || !take_loose_line(cursor, &line) || line.len > 0)
			return false;
	}
	struct slice trailer;
	for (bool first = true; take_loose_line(cursor, &trailer); first = false) {
		if (trailer.len == 0 || trailer.ptr[0] == '\0' || (trailer.ptr[0] == ':' && !first))
			return true;
	}
	return false;
}

static void parse_strictly(struct fuzz *fuzz, struct cursor cursor)
{
	while (fuzz->n_expected < REQUESTS_MAX) {
		struct expected request = { 0 };
		struct framing framing = { 0 };
		bool last;
		if (!take_request_line(&cursor, &request, &last) || (!last && !take_fields(&cursor, &framing)))
			return;
		/* The head counts even when its body is cut short: it may begin, and end without a body. */
		struct expected *kept = &fuzz->expected[fuzz->n_expected++];
		*kept = request;
		bool whole = framing.chunked ? take_chunks(&cursor, &request) : take_bytes(&cursor, framing.length, &request);
		*kept = request;
		if (!whole) {
			kept->body_len = SIZE_MAX;
			return;
		}
	}
}

/* --- the application --- */

static void *begin(void *context, struct http_exchange *exchange, size_t *ret_body_max)
{
	struct fuzz *fuzz = context;
	struct request *request = malloc(sizeof *request);
	if (request == NULL)
		abort();
	*request = (struct request){ fuzz, exchange, fuzz->begun++ };
	*ret_body_max = BODY_CAP;
	if (request->number >= fuzz->n_expected)
		fail("a request that the strict parser does not know");
	const struct expected *expected = &fuzz->expected[request->number];
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
	const struct expected *expected = &request->fuzz->expected[request->number];
	if (expected->body_len != body.len || expected->body_sum != add_to_sum(0, body))
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
	for (int round = 0; round < ROUNDS_MAX && http_server_timeout(fuzz->server) == 0; round++)
		turn(fuzz, peer);
	if (http_server_timeout(fuzz->server) == 0)
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
	parse_strictly(&fuzz, input);
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
