/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A server over http.h alone, for tests of the HTTP layer over raw sockets. Arguments are limits ("connections=10") and "trace=FILE", where each request that was
 * read whole and each refusal becomes a line of JSON. With "certificate=FILE" and "key=FILE" it speaks TLS, and reads them again on SIGHUP. It prints its address; on SIGTERM it drains, prints its counters as JSON and exits 0.
 *
 *   /echo       what arrived, as JSON                          /suspend?ms=N   the same, N ms later
 *   /big?bytes=N[&vectors=3][&gzip]  N bytes, released once    /early          403 before the body
 *   /large      the echo with a cap of 16 MiB (else 64 KiB)    /stats          the counters
 *   /spool      the same with a cap of 256 MiB, through a file; ?full: one that takes nothing
 *   /stream?ms=N[&cut]  a piece, and N ms later the end of the body, or of the connection */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "wardmote/clock.h"
#include "wardmote/http.h"

enum { SUSPENDED_MAX = 4096, BODY_CAP = 64 << 10, LARGE_CAP = 16 << 20, SPOOL_CAP = 256 << 20 };

struct echo {
	struct http_server *server;
	struct http_tls *tls;
	struct request *suspended[SUSPENDED_MAX];
	size_t n_suspended;
	size_t begun, ended, sent, made, released, refused;
	char last_rule[64];
	int trace; /* -1: none */
};

struct request {
	struct echo *echo;
	struct http_exchange *exchange;
	struct slice body;
	int64_t due;
	int spool; /* -1: none */
	bool streams; /* a body was begun; due is its end */
};

static long number_of(struct slice query, const char *name, long otherwise)
{
	size_t len = strlen(name);
	for (size_t i = 0; i + len < query.len; i++) {
		if (memcmp(query.ptr + i, name, len) == 0 && query.ptr[i + len] == '=')
			return strtol(query.ptr + i + len + 1, NULL, 10);
	}
	return otherwise;
}

static bool has_word(struct slice query, const char *word)
{
	return memmem(query.ptr, query.len, word, strlen(word)) != NULL;
}

static struct slice stats(struct echo *echo, struct arena *arena)
{
	struct http_tls_state tls = { 0 };
	if (echo->tls != NULL)
		http_tls_state(echo->tls, &tls);
	char *text = arena_printf(arena,
				  "{\"begun\": %zu, \"ended\": %zu, \"sent\": %zu, \"made\": %zu, \"released\": %zu, \"refused\": %zu, "
				  "\"last_rule\": \"%s\", \"active\": %zu, \"connections\": %zu, \"handshakes\": %" PRIu64
				  ", \"failed\": %" PRIu64 ", \"cpu_ms\": %ld}\n",
				  echo->begun, echo->ended, echo->sent, echo->made, echo->released, echo->refused, echo->last_rule,
				  http_server_active(echo->server), http_server_connections(echo->server), tls.handshakes, tls.failed,
				  (long)(clock() / (CLOCKS_PER_SEC / 1000)));
	return slice_of(text);
}

static void trace(const struct echo *echo, struct slice line)
{
	if (echo->trace >= 0 && write(echo->trace, line.ptr, line.len) != (ssize_t)line.len)
		abort();
}

static void add_field(struct buffer *text, struct http_exchange *exchange, const char *member, const char *name)
{
	struct slice value = http_header(exchange, name);
	buffer_format(text, ", \"%s\": ", member);
	buffer_json(text, value.ptr == NULL ? SLICE("") : value);
}

static unsigned add_up(unsigned sum, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		sum = sum * 31 + (unsigned char)bytes.ptr[i];
	return sum;
}

/* What the file holds, not what was said of it. */
static unsigned add_file(int fd, uint64_t *ret_length)
{
	static char block[1 << 16];
	unsigned sum = 0;
	ssize_t n;
	for (*ret_length = 0; (n = pread(fd, block, sizeof block, (off_t)*ret_length)) > 0; *ret_length += (uint64_t)n)
		sum = add_up(sum, (struct slice){ block, (size_t)n });
	return sum;
}

static struct slice echo_body(struct request *request)
{
	struct http_exchange *exchange = request->exchange;
	struct arena *arena = http_arena(exchange);
	uint64_t length = request->body.len;
	unsigned sum = add_up(0, request->body);
	if (request->spool >= 0)
		sum = add_file(request->spool, &length);
	struct buffer text = { .arena = arena };
	buffer_text(&text, "{\"method\": ");
	buffer_json(&text, http_method(exchange));
	buffer_text(&text, ", \"path\": ");
	buffer_json(&text, http_path(exchange));
	buffer_text(&text, ", \"query\": ");
	buffer_json(&text, http_query(exchange));
	add_field(&text, exchange, "accept", "ACCEPT");
	add_field(&text, exchange, "front", "X-Front-Id");
	add_field(&text, exchange, "front_length", "X-Front-Length");
	buffer_text(&text, ", \"peer\": ");
	buffer_json(&text, slice_of(http_peer(exchange)));
	buffer_format(&text, ", \"length\": %" PRIu64 ", \"sum\": %u}\n", length, sum);
	return buffer_slice(&text);
}

static void reply(struct request *request, int status, struct slice body)
{
	struct http_answer answer = { .status = status, .n_body = 1, .close = http_closing(request->exchange) };
	answer.fields[answer.n_fields++] = (struct http_field){ "Content-Type", "application/json" };
	answer.body[0] = body;
	http_reply(request->exchange, &answer);
}

struct big {
	struct echo *echo;
	char *bytes;
};

static void release_big(void *data)
{
	struct big *big = data;
	big->echo->released++;
	free(big->bytes);
	free(big);
}

static void reply_big(struct request *request)
{
	struct slice query = http_query(request->exchange);
	size_t len = (size_t)number_of(query, "bytes", 0);
	struct big *big = malloc(sizeof *big);
	char *bytes = malloc(len + 1);
	if (big == NULL || bytes == NULL)
		abort();
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)('a' + i % 23);
	*big = (struct big){ request->echo, bytes };
	request->echo->made++;
	struct http_answer answer = { .status = 200, .release = release_big, .release_data = big, .compress = has_word(query, "gzip") };
	answer.n_body = (size_t)number_of(query, "vectors", 1);
	size_t piece = len / answer.n_body;
	for (size_t i = 0; i < answer.n_body; i++)
		answer.body[i] = (struct slice){ bytes + i * piece, i + 1 == answer.n_body ? len - i * piece : piece };
	answer.fields[answer.n_fields++] = (struct http_field){ "Vary", "Origin" };
	answer.fields[answer.n_fields++] = (struct http_field){ "Content-Type", "text/plain" };
	http_reply(request->exchange, &answer);
}

static void wait_until_due(struct request *request)
{
	struct echo *echo = request->echo;
	if (echo->n_suspended == SUSPENDED_MAX)
		abort();
	request->due = clock_monotonic_us() + 1000 * number_of(http_query(request->exchange), "ms", 0);
	echo->suspended[echo->n_suspended++] = request;
}

static void begin_stream(struct request *request)
{
	static const char piece[] = "It begins.\n";
	struct http_answer answer = { .status = 200, .stream = true };
	answer.fields[answer.n_fields++] = (struct http_field){ "Content-Type", "text/plain" };
	http_reply(request->exchange, &answer);
	char *room = http_stream_room(request->exchange, sizeof piece - 1);
	if (room == NULL)
		abort();
	memcpy(room, piece, sizeof piece - 1);
	http_stream_add(request->exchange, sizeof piece - 1);
	request->streams = true;
	wait_until_due(request);
}

static void wanted(void *data)
{
	(void)data; /* more comes when it is due */
}

static void *begin(void *context, struct http_exchange *exchange, size_t *ret_body_max)
{
	struct echo *echo = context;
	struct request *request = calloc(1, sizeof *request);
	if (request == NULL)
		abort();
	*request = (struct request){ .echo = echo, .exchange = exchange, .spool = -1 };
	echo->begun++;
	*ret_body_max = slice_is(http_path(exchange), "/large") ? LARGE_CAP : BODY_CAP;
	if (slice_is(http_path(exchange), "/spool")) {
		bool full = has_word(http_query(exchange), "full");
		request->spool = full ? open("/dev/full", O_RDWR | O_CLOEXEC) : open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (request->spool < 0)
			abort();
		http_spool(exchange, request->spool);
		*ret_body_max = SPOOL_CAP;
	}
	if (slice_is(http_path(exchange), "/early"))
		reply(request, 403, SLICE("{\"early\": true}\n"));
	return request;
}

static void on_body(void *data, struct slice bytes)
{
	struct request *request = data;
	struct echo *echo = request->echo;
	struct slice path = http_path(request->exchange);
	request->body = bytes;
	if (echo->trace >= 0)
		trace(echo, echo_body(request));
	if (slice_is(path, "/stats")) {
		reply(request, 200, stats(echo, http_arena(request->exchange)));
	} else if (slice_is(path, "/big")) {
		reply_big(request);
	} else if (slice_is(path, "/suspend")) {
		wait_until_due(request);
		http_suspend(request->exchange);
	} else if (slice_is(path, "/stream")) {
		begin_stream(request);
	} else {
		reply(request, 200, echo_body(request));
	}
}

static void end(void *data, bool sent)
{
	struct request *request = data;
	struct echo *echo = request->echo;
	for (size_t i = 0; i < echo->n_suspended; i++) {
		if (echo->suspended[i] == request)
			echo->suspended[i] = echo->suspended[--echo->n_suspended];
	}
	echo->ended++;
	echo->sent += sent;
	if (request->spool >= 0)
		close(request->spool);
	free(request);
}

static struct slice refused(void *context, struct arena *arena, enum problem problem, const char *rule, const char *detail)
{
	struct echo *echo = context;
	(void)problem;
	echo->refused++;
	snprintf(echo->last_rule, sizeof echo->last_rule, "%s", rule);
	struct buffer text = { .arena = arena };
	buffer_text(&text, "{\"rule\": ");
	buffer_json(&text, slice_of(rule));
	buffer_text(&text, ", \"detail\": ");
	buffer_json(&text, slice_of(detail));
	buffer_text(&text, "}\n");
	trace(echo, buffer_slice(&text));
	return buffer_slice(&text);
}

/* Answers what is due; milliseconds until the next one, at most `limit`. */
static int answer_due(struct echo *echo, int limit, bool all)
{
	int64_t now = clock_monotonic_us();
	for (size_t i = 0; i < echo->n_suspended;) {
		struct request *request = echo->suspended[i];
		int64_t left = (request->due - now) / 1000;
		if (left > 0 && !all) {
			limit = limit < 0 || left < limit ? (int)left : limit;
			i++;
			continue;
		}
		echo->suspended[i] = echo->suspended[--echo->n_suspended];
		if (request->streams)
			http_stream_end(request->exchange, !has_word(http_query(request->exchange), "cut"));
		else
			reply(request, 200, echo_body(request));
		limit = 0;
	}
	return limit;
}

static void reload(struct echo *echo)
{
	struct arena arena;
	const char *error;
	arena_init(&arena);
	if (http_tls_reload(echo->tls, &arena, &error) < 0)
		printf("%s\n", error);
	fflush(stdout);
	arena_done(&arena);
}

static void run(struct echo *echo, int signals)
{
	int64_t stop = 0;
	while (stop == 0 || (clock_monotonic_us() < stop && http_server_connections(echo->server) > 0)) {
		int timeout = answer_due(echo, http_server_timeout(echo->server), false);
		if (stop != 0 && (timeout < 0 || timeout > 100))
			timeout = 100;
		struct pollfd fds[] = { { .fd = http_server_fd(echo->server), .events = POLLIN }, { .fd = signals, .events = POLLIN } };
		if (poll(fds, 2, timeout) < 0 && errno != EINTR)
			abort();
		struct signalfd_siginfo info;
		bool signalled = read(signals, &info, sizeof info) == sizeof info;
		if (signalled && info.ssi_signo == SIGHUP) {
			reload(echo);
		} else if (signalled) {
			http_server_quiesce(echo->server);
			stop = clock_monotonic_us() + 3000000;
		}
		http_server_run(echo->server);
	}
	answer_due(echo, 0, true);
	http_server_run(echo->server);
}

static const char *value_of(const char *name, int argc, char **argv)
{
	size_t len = strlen(name);
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], name, len) == 0 && argv[i][len] == '=')
			return argv[i] + len + 1;
	}
	return NULL;
}

static bool open_tls(struct echo *echo, struct arena *arena, int argc, char **argv)
{
	struct http_tls_settings settings = { value_of("certificate", argc, argv), value_of("key", argc, argv) };
	const char *error;
	if (settings.certificate == NULL || http_tls_new(&settings, arena, &echo->tls, &error) == 0)
		return true;
	fprintf(stderr, "%s\n", error);
	return false;
}

static int open_trace(int argc, char **argv)
{
	const char *path = value_of("trace", argc, argv);
	return path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void set_limits(struct http_limits *limits, int argc, char **argv)
{
	struct {
		const char *name;
		long *value;
	} names[] = {
		{ "connections", &limits->connections }, { "header", &limits->header_timeout_ms },
		{ "body", &limits->body_timeout_ms },    { "transfer", &limits->transfer_timeout_ms },
		{ "idle", &limits->idle_timeout_ms },    { "upload", &limits->upload_timeout_ms },
	};
	for (int i = 1; i < argc; i++) {
		for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
			size_t len = strlen(names[k].name);
			if (strncmp(argv[i], names[k].name, len) == 0 && argv[i][len] == '=')
				*names[k].value = strtol(argv[i] + len + 1, NULL, 10);
		}
	}
}

int main(int argc, char **argv)
{
	struct http_limits limits = { .connections = 1000,
				      .header_timeout_ms = 10000,
				      .body_timeout_ms = 30000,
				      .transfer_timeout_ms = 600000,
				      .idle_timeout_ms = 60000,
				      .target_max = 8192,
				      .headers_max = 8192 };
	set_limits(&limits, argc, argv);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	struct arena arena;
	arena_init(&arena);
	int fd = -1;
	const char *address;
	struct echo echo = { .trace = open_trace(argc, argv) };
	if (!open_tls(&echo, &arena, argc, argv))
		return 1;
	struct http_callbacks callbacks = {
		.tls = echo.tls, .context = &echo, .begin = begin, .body = on_body, .wanted = wanted, .end = end, .refused = refused
	};
	if (signals < 0 || http_listen("127.0.0.1:0", &arena, &fd, &address) != 0 ||
	    http_server_new(fd, &limits, &callbacks, &echo.server) != 0) {
		fputs("cannot start\n", stderr);
		return 1;
	}
	printf("%s\n", address);
	fflush(stdout);
	run(&echo, signals);
	http_server_free(echo.server);
	printf("{\"begun\": %zu, \"ended\": %zu, \"made\": %zu, \"released\": %zu}\n", echo.begun, echo.ended, echo.made, echo.released);
	http_tls_free(echo.tls);
	close(fd);
	close(signals);
	arena_done(&arena);
	return 0;
}
