/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Whole requests: bytes through a socket pair into the linked libmicrohttpd and our gate, then the way that the server takes: route, token, header fields, query,
 * body, statement. At each station somebody else is asked as well: a strict parser of HTTP, libcrypto and a second reading of the claims, jansson; and a statement
 * has nothing in it that came from the client.
 *
 * The first byte of the input says how to cut the rest into pieces. "Bearer {...}" stands for a token with these claims, signed with a good key made at the start:
 * the search comes past the signature, and stored inputs hold for every key. mutate_request.c knows the parts of a request. */
#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "claims.h"
#include "internal.h"
#include "strict.h"
#include "text.h"
#include "wardmote/catalog.h"
#include "wardmote/negotiate.h"
#include "wardmote/resources.h"
#include "wardmote/sql.h"

enum { BODY_CAP = 1 << 16, ROUNDS_MAX = 200, TOKENS_MAX = 256, INPUT_LIMIT = 1 << 14 };

static const struct auth_policy policy = { "https://w.example", "https://w.example", CLAIMS_LEEWAY, NULL };

/* What is made once. */
struct app {
	struct forge forge;
	struct catalog *catalog;
	struct auth_cache *cache;
	struct {
		char *payload, *token;
	} tokens[TOKENS_MAX]; /* signing takes long: the last token for each hash */
};

struct request;

struct fuzz {
	struct app *app;
	struct http_server *server;
	struct strict strict;
	size_t begun, ended;
	struct request *suspended;
	bool marked; /* "S3cret" is somewhere in the input */
};

struct request {
	struct fuzz *fuzz;
	struct http_exchange *exchange;
	size_t number;
	struct match match;
	struct call call;
	struct faults faults;
};

static struct app *app_once(void)
{
	static struct app app;
	const char *error = NULL;
	if (app.catalog != NULL)
		return &app;
	forge_init(&app.forge);
	forge_remove_folder(&app.forge);
	HOLDS(catalog_new(resources_all, resources_general, &app.catalog, &error) == 0);
	HOLDS(auth_cache_new(TOKENS_MAX, &app.cache) == 0);
	return &app;
}

/* --- tokens --- */

static const char *sign(struct app *app, struct slice payload)
{
	size_t row = auth_hash(&payload, 1) % TOKENS_MAX;
	char *kept = app->tokens[row].payload;
	if (kept == NULL || !slice_is(payload, kept)) {
		struct forge local = { .keys = app->forge.keys, .kid = app->forge.kid, .key = app->forge.key };
		arena_init(&local.arena);
		free(kept);
		free(app->tokens[row].token);
		app->tokens[row].payload = strdup(arena_copy(&local.arena, payload));
		app->tokens[row].token = strdup(forge_token(&local, forge_header(&local), app->tokens[row].payload, local.key, "SHA256"));
		arena_done(&local.arena);
		HOLDS(app->tokens[row].payload != NULL && app->tokens[row].token != NULL);
	}
	return app->tokens[row].token;
}

/* The input with a token in the place of each "{...}" behind "Bearer ". */
static struct slice with_tokens(struct app *app, struct arena *arena, struct slice input)
{
	struct buffer out = { .arena = arena };
	for (;;) {
		const char *bearer = memmem(input.ptr, input.len, "Bearer {", 8), *from = bearer == NULL ? NULL : bearer + 7;
		const char *end = from == NULL ? NULL : memchr(from, '\r', (size_t)(input.ptr + input.len - from));
		if (end == NULL)
			break;
		buffer_add(&out, (struct slice){ input.ptr, (size_t)(from - input.ptr) });
		buffer_text(&out, sign(app, (struct slice){ from, (size_t)(end - from) }));
		input = (struct slice){ end, input.len - (size_t)(end - input.ptr) };
	}
	buffer_add(&out, input);
	return buffer_slice(&out);
}

static bool authenticate(struct request *request)
{
	struct app *app = request->fuzz->app;
	struct slice field = http_header(request->exchange, "Authorization");
	const struct auth_claims *claims = NULL;
	const char *why = NULL;
	if (field.ptr == NULL)
		return true;
	if (field.len < 7 || memcmp(field.ptr, "Bearer ", 7) != 0)
		return false;
	struct slice token = { field.ptr + 7, field.len - 7 };
	bool cached = auth_cache_find(app->cache, app->forge.keys, &policy, token, CLAIMS_NOW, &claims, &why) == 0;
	if (auth_cache_verify(app->cache, app->forge.keys, &policy, token, CLAIMS_NOW, &claims, &why) < 0) {
		HOLDS(!cached && why != NULL);
		return false;
	}
	if (!cached)
		claims_check(&app->forge, token, &policy, claims);
	request->call.caller = claims->role;
	return true;
}

/* --- what the server does before the body --- */

static void reply(struct request *request, struct slice body)
{
	struct http_answer answer = { .status = 200, .n_body = 2, .body = { body, SLICE("\n") }, .compress = true };
	http_reply(request->exchange, &answer);
}

/* Which representation, and of which version. */
static bool choose(struct request *request)
{
	const struct operation *operation = request->match.route->operation;
	unsigned offered = operation->verb == V_LIST || operation->verb == V_GET ? 1U << FORMAT_JSON | 1U << FORMAT_CSV : 1U << FORMAT_JSON;
	struct slice accept = http_header(request->exchange, "Accept"), match = http_header(request->exchange, "If-Match");
	if (negotiate_format(accept, request->match.suffix, offered, &request->call.format) < 0)
		return false;
	HOLDS(offered & 1U << request->call.format);
	if (operation->body_kind != BODY_NONE && negotiate_body(operation->body_kind, http_header(request->exchange, "Content-Type")) < 0)
		return false;
	struct tags tags;
	return match.ptr == NULL ||
	       (tags_parse(match, &tags) == 0 && tags_version(http_arena(request->exchange), &tags, &request->call.expected_version) == 0);
}

static bool begin_request(struct request *request)
{
	struct app *app = request->fuzz->app;
	struct http_exchange *exchange = request->exchange;
	if (catalog_match(app->catalog, http_arena(exchange), http_method(exchange), http_path(exchange), &request->match) < 0 ||
	    request->match.route == NULL || !authenticate(request) || !choose(request))
		return false;
	if (request->call.caller < request->match.route->operation->least)
		return false;
	request->call.route = request->match.route;
	request->call.catalog = app->catalog;
	request->call.id = request->match.id;
	memcpy(request->call.names, request->match.names, sizeof request->match.names);
	request->call.idempotency_key = http_header(exchange, "Idempotency-Key").ptr;
	return true;
}

static void *begin(void *context, struct http_exchange *exchange, size_t *ret_body_max)
{
	struct fuzz *fuzz = context;
	struct request *request = arena_alloc(http_arena(exchange), sizeof *request);
	request->fuzz = fuzz;
	request->exchange = exchange;
	request->number = fuzz->begun++;
	request->faults.arena = http_arena(exchange);
	HOLDS(request->number < fuzz->strict.n);
	const struct strict_request *expected = &fuzz->strict.requests[request->number];
	struct slice path = http_path(exchange), query = http_query(exchange);
	HOLDS(slice_equal(http_method(exchange), expected->method) && path.len > 0 && path.ptr[0] == '/');
	size_t len = path.len + query.len + (query.len > 0);
	HOLDS(expected->target.len >= len && memcmp(expected->target.ptr, path.ptr, path.len) == 0);
	HOLDS(query.len == 0 || memcmp(expected->target.ptr + path.len + 1, query.ptr, query.len) == 0);
	*ret_body_max = 0;
	if (begin_request(request))
		*ret_body_max = request->match.route->operation->body_kind == BODY_NONE ? 0 : BODY_CAP;
	else
		reply(request, SLICE("refused"));
	return request;
}

/* --- and with it --- */

static void read_json(struct request *request, struct slice bytes)
{
	const struct operation *operation = request->match.route->operation;
	struct arena *arena = http_arena(request->exchange);
	enum body_mode mode = operation->verb == V_PATCH ? MODE_MERGE : operation->verb == V_PUT ? MODE_REPLACE : MODE_CREATE;
	struct body *body = &request->call.body;
	size_t before = request->faults.n;
	int r = operation->body != NULL || request->match.route->shape == NULL
		    ? body_validate_fields(arena, operation->body, bytes, body, &request->faults)
		    : body_validate(arena, request->match.route->shape, mode, bytes, body, &request->faults);
	HOLDS(r == 0 ? request->faults.n == before : request->faults.n > before || request->faults.more > 0);
	if (r < 0)
		return;
	json_t *whole = json_loadb(bytes.ptr, bytes.len, JSON_REJECT_DUPLICATES, NULL);
	HOLDS(json_is_object(whole));
	json_decref(whole);
}

/* Parameters are numbered without a gap, and nothing of the client's is in the text. */
static void check_statement(const struct request *request, const struct statement *statement)
{
	uint64_t used = 0;
	HOLDS(statement->n_parameters <= STATEMENT_PARAMETERS_MAX);
	for (const char *at = statement->text; (at = strchr(at, '$')) != NULL; at++) {
		long number = strtol(at + 1, NULL, 10);
		HOLDS(number >= 0 && number <= (long)statement->n_parameters);
		used |= UINT64_C(1) << number;
	}
	for (size_t i = 0; i < statement->n_parameters; i++) {
		HOLDS(used & UINT64_C(1) << (i + 1));
		HOLDS(statement->parameters[i] == NULL || text_is_encoded(slice_of(statement->parameters[i])));
	}
	HOLDS(!request->fuzz->marked || strstr(statement->text, "S3cret") == NULL);
}

static struct slice answer(struct request *request, struct slice bytes)
{
	struct arena *arena = http_arena(request->exchange);
	const struct operation *operation = request->match.route->operation;
	struct call *call = &request->call;
	struct statement statement;
	const char *value;
	query_parse(arena, call->route, http_query(request->exchange), call->caller, &call->query, &request->faults);
	if (operation->body_kind == BODY_FORM)
		(void)form_value(arena, bytes, "grant_type", &value);
	else if (operation->body_kind != BODY_NONE)
		read_json(request, bytes);
	if (request->faults.n == 0) {
		int r = sql_build(arena, call, &statement);
		HOLDS(r == 0 || r == -E2BIG || (r == -EINVAL && (operation->verb == V_NATIVE || call->format != FORMAT_JSON)));
		if (r == 0)
			check_statement(request, &statement);
		return SLICE("{}");
	}
	const struct problem_context context = { .base_url = "https://w.example", .request_id = "0" };
	struct slice text = problem_render(arena, PROBLEM_INVALID_REQUEST, &context, NULL, &request->faults, NULL);
	json_t *problem = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	HOLDS(json_array_size(json_object_get(problem, "errors")) == request->faults.n);
	json_decref(problem);
	return text;
}

static void on_body(void *data, struct slice body)
{
	struct request *request = data;
	const struct strict_request *expected = &request->fuzz->strict.requests[request->number];
	HOLDS(expected->body_len == body.len && expected->body_sum == strict_sum(0, body));
	struct slice text = answer(request, body);
	if (request->number % 2 == 0) {
		reply(request, text);
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
}

static struct slice refused(void *context, struct arena *arena, enum problem problem, const char *rule, const char *detail)
{
	(void)context, (void)problem;
	return slice_of(arena_printf(arena, "%s: %s", rule, detail));
}

/* --- the wire --- */

static void turn(struct fuzz *fuzz, int peer)
{
	char waste[8192];
	http_server_run(fuzz->server);
	if (fuzz->suspended != NULL) {
		struct request *request = fuzz->suspended;
		fuzz->suspended = NULL;
		reply(request, SLICE("later"));
	}
	while (recv(peer, waste, sizeof waste, MSG_DONTWAIT) > 0)
		;
}

static void feed(struct fuzz *fuzz, int peer, struct slice stream, size_t piece)
{
	while (stream.len > 0 && http_server_connections(fuzz->server) > 0) {
		ssize_t sent = send(peer, stream.ptr, stream.len < piece ? stream.len : piece, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0)
			break;
		stream = (struct slice){ stream.ptr + sent, stream.len - (size_t)sent };
		turn(fuzz, peer);
	}
	int wait, round = 0;
	while ((wait = http_server_timeout(fuzz->server)) == 0 && round++ < ROUNDS_MAX)
		turn(fuzz, peer);
	HOLDS(wait != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct http_limits limits = { .connections = 10,
						   .header_timeout_ms = 60000,
						   .body_timeout_ms = 60000,
						   .transfer_timeout_ms = 60000,
						   .idle_timeout_ms = 60000,
						   .target_max = 4096,
						   .headers_max = 8192 };
	if (size < 1 || size > INPUT_LIMIT)
		return 0;
	struct arena arena;
	arena_init(&arena);
	struct fuzz fuzz = { .app = app_once(), .marked = memmem(data, size, "S3cret", 6) != NULL };
	struct http_callbacks callbacks = { .context = &fuzz, .begin = begin, .body = on_body, .end = end, .refused = refused };
	struct slice stream = with_tokens(fuzz.app, &arena, (struct slice){ (const char *)data + 1, size - 1 });
	strict_parse(stream, &fuzz.strict);
	int pair[2];
	HOLDS(http_server_new(-1, &limits, &callbacks, &fuzz.server) == 0);
	HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	struct sockaddr_in address = { .sin_family = AF_INET };
	HOLDS(MHD_add_connection(fuzz.server->daemon, pair[0], (struct sockaddr *)&address, sizeof address) == MHD_YES);
	feed(&fuzz, pair[1], stream, data[0] == 0 ? SIZE_MAX : data[0]);
	close(pair[1]);
	for (int round = 0; round < ROUNDS_MAX && http_server_connections(fuzz.server) > 0; round++)
		http_server_run(fuzz.server);
	http_server_free(fuzz.server);
	HOLDS(fuzz.begun == fuzz.ended);
	arena_done(&arena);
	return 0;
}
