/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Changes a request by its parts: line, header fields, claims of the token, members of the body, framing. What the descriptors know (paths, fields, examples) is
 * what it draws from; one change in eight is libFuzzer's own, of bytes. Content-Length follows the body, but for one time in eight. */
#include <string.h>

#include <jansson.h>

#include "fuzz.h"
#include "wardmote/catalog.h"
#include "wardmote/resources.h"

enum { FIELDS = 24 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size, uint8_t *out, size_t max_size,
				 unsigned seed);

struct message {
	struct arena *arena;
	uint64_t luck;
	char piece;
	struct slice method, target;
	struct slice fields[FIELDS];
	size_t n_fields;
	struct slice body;
};

static const char *const values[] = { "open",
				      "closed",
				      "2024-02-29",
				      "2026-11-21T12:00:00Z",
				      "12:30",
				      "null",
				      "true",
				      "false",
				      "0",
				      "-1",
				      "3",
				      "9223372036854775807",
				      "1.5",
				      "%00",
				      "%27",
				      "S3cret",
				      "a,b",
				      "",
				      "0193a2b0-0000-7000-8000-000000000001",
				      "*",
				      "%c3%a9",
				      "-updated_at",
				      "exact" };
static const char *const json_values[] = { "null",
					   "true",
					   "0",
					   "-1",
					   "3",
					   "1e30",
					   "1.5",
					   "\"\"",
					   "\"open\"",
					   "\"S3cret\"",
					   "\"2024-02-29\"",
					   "\"2026-11-21T12:00:00+01:00\"",
					   "\"0193a2b0-0000-7000-8000-000000000001\"",
					   "[]",
					   "{}",
					   "[\"0193a2b0-0000-7000-8000-000000000001\"]",
					   "[\"a\",\"a\"]",
					   "\"private\"",
					   "\"https://a.example/\"",
					   "\"\\u202e\"",
					   "[[[]]]",
					   "{\"type\":\"Point\",\"coordinates\":[1.2,52.6]}",
					   "{\"type\":\"Polygon\",\"coordinates\":[[[1.2,52.6],[1.3,52.6],[1.3,52.7],[1.2,52.6]]]}",
					   "[{\"partner_id\":\"0193a2b0-0000-7000-8000-000000000001\",\"right\":\"read\"}]" };
static const char *const lines[] = { "Accept: text/csv",
				     "Accept: application/geo+json;q=0.5, */*;q=0.1",
				     "If-Match: *",
				     "If-Match: \"3-0123456789abcdef\"",
				     "If-None-Match: *",
				     "Idempotency-Key: k1",
				     "Content-Type: application/json",
				     "Content-Type: application/merge-patch+json",
				     "Content-Type: application/x-www-form-urlencoded",
				     "Accept-Encoding: gzip",
				     "Expect: 100-continue",
				     "Connection: close",
				     "Transfer-Encoding: chunked",
				     "Content-Length: 0",
				     "Content-Length: 4294967296",
				     "Host: other",
				     "Prefer: x" };
static const char *const claims[] = { "iss",       "aud",     "exp",  "nbf",  "iat",   "sub", "jti",  "client_id",
				      "token_use", "partner", "role", "kind", "epoch", "sid", "scope" };
static const char *const claim_values[] = { "\"viewer\"",
					    "\"administrator\"",
					    "\"service\"",
					    "1800000600",
					    "1799999999",
					    "1.8e9",
					    "\"1800000600\"",
					    "\"\"",
					    "\"consultations:read\"",
					    "[\"https://w.example\"]",
					    "[\"https://w.example\",1]",
					    "2147483648",
					    "\"refresh\"" };
static const char *const suffixes[] = { "", ".ne", ".gte", ".lt", ".contains", ".null" };
static const char *const shared[] = { "limit", "cursor", "sort", "fields",  "include",    "q",
				      "count", "as_of",  "bbox", "dry_run", "external_id" };

#define PICK(message, list) ((list)[draw(message) % (sizeof(list) / sizeof *(list))])

static size_t draw(struct message *message)
{
	message->luck ^= message->luck << 13;
	message->luck ^= message->luck >> 7;
	message->luck ^= message->luck << 17;
	return (size_t)(message->luck >> 8);
}

/* libFuzzer has no set-up of its own: made at the first change and kept for the process. */
static const struct catalog *catalog_once(void)
{
	static struct catalog *catalog;
	const char *error = NULL;
	if (catalog == NULL)
		HOLDS(catalog_new(resources_all, resources_general, &catalog, &error) == 0);
	return catalog;
}

static const struct route *some_route(struct message *message)
{
	size_t n;
	const struct route *routes = catalog_routes(catalog_once(), &n);
	return &routes[draw(message) % n];
}

static const char *some_field(struct message *message)
{
	size_t n;
	const struct shape *const *shapes = catalog_shapes(catalog_once(), &n);
	const struct shape *shape = shapes[draw(message) % n];
	return shape->fields[draw(message) % shape->n_fields]->name;
}

/* --- to parts and back --- */

static struct slice cut(struct slice *rest, const char *separator)
{
	size_t len = strlen(separator);
	const char *at = rest->len == 0 ? NULL : memmem(rest->ptr, rest->len, separator, len);
	struct slice part = { rest->ptr, at == NULL ? rest->len : (size_t)(at - rest->ptr) };
	size_t used = at == NULL ? rest->len : part.len + len;
	*rest = (struct slice){ rest->ptr + used, rest->len - used };
	return part;
}

static bool take_apart(const uint8_t *data, size_t size, struct message *message)
{
	struct slice rest = { (const char *)data + 1, size == 0 ? 0 : size - 1 };
	if (size < 8 || memmem(rest.ptr, rest.len, "\r\n\r\n", 4) == NULL)
		return false;
	message->piece = (char)data[0];
	struct slice head = cut(&rest, "\r\n\r\n"), line = cut(&head, "\r\n");
	message->method = cut(&line, " ");
	message->target = cut(&line, " ");
	while (head.len > 0 && message->n_fields < FIELDS - 2)
		message->fields[message->n_fields++] = cut(&head, "\r\n");
	message->body = rest;
	return true;
}

static bool is_field(struct slice line, const char *name)
{
	return line.len > strlen(name) && memcmp(line.ptr, name, strlen(name)) == 0;
}

static size_t put_together(struct message *message, uint8_t *out, size_t max_size)
{
	struct buffer text = { .arena = message->arena };
	bool follow = draw(message) % 8 > 0, chunked = false;
	buffer_add(&text, (struct slice){ &message->piece, 1 });
	buffer_add(&text, message->method);
	buffer_text(&text, " ");
	buffer_add(&text, message->target);
	buffer_text(&text, " HTTP/1.1\r\n");
	for (size_t i = 0; i < message->n_fields; i++) {
		chunked = chunked || is_field(message->fields[i], "Transfer-Encoding:");
		if (follow && is_field(message->fields[i], "Content-Length:"))
			continue;
		buffer_add(&text, message->fields[i]);
		buffer_text(&text, "\r\n");
	}
	if (follow && !chunked && message->body.len > 0)
		buffer_format(&text, "Content-Length: %zu\r\n", message->body.len);
	buffer_text(&text, "\r\n");
	buffer_add(&text, message->body);
	size_t size = text.len < max_size ? text.len : max_size;
	memcpy(out, text.ptr, size);
	return size;
}

static struct slice change_bytes(struct message *message, struct slice text)
{
	size_t room = text.len + 64;
	uint8_t *space = arena_alloc(message->arena, room + 1);
	memcpy(space, text.ptr, text.len);
	return (struct slice){ (char *)space, LLVMFuzzerMutate(space, text.len, room) };
}

/* --- changes of one part --- */

static void change_target(struct message *message)
{
	const struct route *route = some_route(message);
	struct buffer target = { .arena = message->arena };
	struct slice rest = slice_of(route->operation->path);
	buffer_add(&target, cut(&rest, "{"));
	if (rest.len > 0) {
		bool id = cut(&rest, "}").len == 2;
		buffer_text(&target, id ? "0193a2b0-0000-7000-8000-00000000000a" : "not-found");
		buffer_add(&target, rest);
	}
	if (draw(message) % 8 == 0)
		buffer_text(&target, draw(message) % 2 ? ".csv" : ".geojson");
	message->target = buffer_slice(&target);
	message->method = slice_of(route->operation->method);
	if (route->operation->body_kind != BODY_NONE && route->shape != NULL && route->shape->resource->example != NULL)
		message->body = slice_of(route->shape->resource->example);
}

static void change_query(struct message *message)
{
	struct buffer target = { .arena = message->arena };
	const char *name = draw(message) % 2 ? some_field(message) : PICK(message, shared);
	buffer_add(&target, message->target);
	buffer_format(&target, "%s%s%s=%s", memchr(message->target.ptr, '?', message->target.len) == NULL ? "?" : "&", name,
		      PICK(message, suffixes), draw(message) % 8 ? PICK(message, values) : some_field(message));
	message->target = buffer_slice(&target);
}

static void change_field(struct message *message)
{
	size_t at = message->n_fields == 0 ? 0 : draw(message) % message->n_fields;
	switch (draw(message) % 4) {
	case 0:
		if (message->n_fields < FIELDS)
			message->fields[message->n_fields++] = slice_of(PICK(message, lines));
		break;
	case 1:
		if (message->n_fields > 0)
			message->fields[at] = message->fields[--message->n_fields];
		break;
	case 2:
		if (message->n_fields > 0 && message->n_fields < FIELDS)
			message->fields[message->n_fields++] = message->fields[at];
		break;
	default:
		if (message->n_fields > 0)
			message->fields[at] = change_bytes(message, message->fields[at]);
		break;
	}
}

/* One member set or left out; bytes where it is no object. */
static struct slice change_object(struct message *message, struct slice text, const char *name, const char *value)
{
	json_t *object = json_loadb(text.ptr, text.len, 0, NULL);
	if (!json_is_object(object)) {
		json_decref(object);
		return change_bytes(message, text);
	}
	if (draw(message) % 4 == 0)
		json_object_del(object, name);
	else
		json_object_set_new(object, name, json_loads(value, JSON_DECODE_ANY, NULL));
	char *dumped = json_dumps(object, JSON_COMPACT);
	struct slice copy = slice_of(arena_copy(message->arena, slice_of(dumped)));
	free(dumped);
	json_decref(object);
	return copy;
}

static void change_token(struct message *message)
{
	for (size_t i = 0; i < message->n_fields; i++) {
		if (!is_field(message->fields[i], "Authorization: Bearer "))
			continue;
		struct slice payload = { message->fields[i].ptr + 22, message->fields[i].len - 22 };
		payload = draw(message) % 8 ? change_object(message, payload, PICK(message, claims), PICK(message, claim_values))
					    : change_bytes(message, payload);
		struct buffer field = { .arena = message->arena };
		buffer_text(&field, "Authorization: Bearer ");
		buffer_add(&field, payload);
		message->fields[i] = buffer_slice(&field);
	}
}

static void change_body(struct message *message)
{
	if (draw(message) % 4 == 0)
		message->body = change_bytes(message, message->body);
	else
		message->body = change_object(message, message->body.len == 0 ? SLICE("{}") : message->body, some_field(message),
					      PICK(message, json_values));
}

/* The body in chunks, or a second request behind it. */
static void change_framing(struct message *message)
{
	struct buffer body = { .arena = message->arena };
	if (draw(message) % 2) {
		size_t first = message->body.len == 0 ? 0 : 1 + draw(message) % message->body.len;
		if (message->n_fields == FIELDS || first == 0)
			return;
		message->fields[message->n_fields++] = SLICE("Transfer-Encoding: chunked");
		buffer_format(&body, "%zx\r\n%.*s\r\n", first, (int)first, message->body.ptr);
		if (message->body.len > first)
			buffer_format(&body, "%zX;a=b\r\n%.*s\r\n", message->body.len - first, (int)(message->body.len - first),
				      message->body.ptr + first);
		buffer_text(&body, "0\r\n\r\n");
	} else {
		buffer_add(&body, message->body);
		buffer_text(&body, "GET /v1/me HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	message->body = buffer_slice(&body);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	static void (*const changes[])(struct message *) = { change_target, change_query, change_query, change_field, change_field,
							     change_token,  change_token, change_body,  change_body,  change_framing };
	struct arena arena;
	arena_init(&arena);
	struct message message = { .arena = &arena, .luck = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1) };
	if (draw(&message) % 8 == 0 || !take_apart(data, size, &message)) {
		size = LLVMFuzzerMutate(data, size, max_size);
	} else {
		PICK(&message, changes)(&message);
		size = put_together(&message, data, max_size);
	}
	arena_done(&arena);
	return size;
}

/* The head of one request with the body of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *two, size_t two_size, uint8_t *out, size_t max_size,
				 unsigned seed)
{
	struct arena arena;
	arena_init(&arena);
	struct message head = { .arena = &arena, .luck = UINT64_C(0x9e3779b97f4a7c15) * (seed + 1) }, body = head;
	size_t size = 0;
	if (take_apart(one, one_size, &head) && take_apart(two, two_size, &body)) {
		head.body = body.body;
		size = put_together(&head, out, max_size);
	}
	arena_done(&arena);
	return size;
}
