/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Operations that C answers itself: entrances and documents. Those of identity are in native_auth.c, the change feed in native_changes.c. */
#include <stdio.h>

#include "native.h"

static const char *base_url(const struct request *request)
{
	return request->worker->server->config->public_url;
}

static void link_to(struct buffer *body, const struct request *request, const char *rel, const char *path, const char *type)
{
	buffer_format(body, "%s{\"rel\":\"%s\",\"href\":", body->ptr[body->len - 1] == '[' ? "" : ",", rel);
	buffer_json(body, slice_of(arena_printf(request->arena, "%s%s", base_url(request), path)));
	buffer_format(body, ",\"type\":\"%s\"}", type);
}

static void run_root(struct request *request)
{
	struct buffer body = { .arena = request->arena };
	buffer_format(&body, "{\"name\":\"Wardmote\",\"version\":\"%s\",\"links\":[", WARDMOTE_VERSION);
	link_to(&body, request, "self", "/", "application/json");
	link_to(&body, request, "current-version", "/v1", "application/json");
	link_to(&body, request, "service-desc", "/openapi.json", "application/vnd.oai.openapi+json;version=3.1");
	link_to(&body, request, "ogc", "/ogc", "application/json");
	link_to(&body, request, "hsds", "/hsds", "application/json");
	link_to(&body, request, "hsds-services", "/hsds/services", "application/json");
	link_to(&body, request, "hsds-organizations", "/hsds/organizations", "application/json");
	link_to(&body, request, "problems", "/problems", "application/json");
	link_to(&body, request, "oauth-authorization-server", "/.well-known/oauth-authorization-server", "application/json");
	link_to(&body, request, "jwks", "/.well-known/jwks.json", "application/jwk-set+json");
	buffer_text(&body, "]}");
	respond_body(request, 200, "application/json", buffer_slice(&body), "public, max-age=300");
}

static void run_v1(struct request *request)
{
	size_t n;
	const struct shape *const *shapes = catalog_shapes(request->worker->server->catalog, &n);
	struct buffer body = { .arena = request->arena };
	buffer_format(&body, "{\"name\":\"Wardmote\",\"version\":\"%s\",\"links\":[", WARDMOTE_VERSION);
	link_to(&body, request, "self", "/v1", "application/json");
	link_to(&body, request, "service-desc", "/openapi.json", "application/vnd.oai.openapi+json;version=3.1");
	for (size_t i = 0; i < n; i++) {
		const char *name = shapes[i]->resource->name;
		link_to(&body, request, name, arena_printf(request->arena, "/v1/%s", name), "application/json");
	}
	link_to(&body, request, "changes", "/v1/changes", "application/json");
	link_to(&body, request, "personal-reads", "/v1/personal-reads", "application/json");
	link_to(&body, request, "me", "/v1/me", "application/json");
	link_to(&body, request, "sessions", "/v1/me/sessions", "application/json");
	buffer_text(&body, "]}");
	respond_body(request, 200, "application/json", buffer_slice(&body), "public, max-age=300");
}

static void run_openapi(struct request *request)
{
	struct server *server = request->worker->server;
	struct http_answer answer;
	struct slice text;
	const char *etag;
	if (document_take(&server->openapi, server->config->public_url, &text, &etag) < 0)
		arena_lack(request->arena);
	if (http_accepts_gzip(request->exchange))
		etag = arena_printf(request->arena, "\"%.16s-gzip\"", etag + 1);
	bool same = respond_unchanged(request, etag);
	respond_start(request, &answer, same ? 304 : 200);
	respond_field(&answer, "ETag", etag);
	respond_field(&answer, "Cache-Control", "public, max-age=300");
	answer.compress = true;
	if (!same) {
		respond_field(&answer, "Content-Type", "application/vnd.oai.openapi+json;version=3.1");
		answer.body[answer.n_body++] = text;
	}
	respond_send(request, &answer);
}

static void add_problem(struct buffer *body, const struct request *request, const struct problem_kind *kind)
{
	buffer_text(body, "{\"type\":");
	buffer_json(body, slice_of(arena_printf(request->arena, "%s/problems/%s", base_url(request), kind->slug)));
	buffer_text(body, ",\"title\":");
	buffer_json(body, slice_of(kind->title));
	buffer_format(body, ",\"status\":%d,\"doc\":", kind->status);
	buffer_json(body, slice_of(kind->doc));
	buffer_text(body, "}");
}

static void run_problems(struct request *request)
{
	struct buffer body = { .arena = request->arena };
	buffer_text(&body, "{\"items\":[");
	for (int i = 0; i < PROBLEMS; i++) {
		if (i > 0)
			buffer_text(&body, ",");
		add_problem(&body, request, problem_kind((enum problem)i));
	}
	buffer_text(&body, "],\"links\":[");
	link_to(&body, request, "self", "/problems", "application/json");
	buffer_text(&body, "]}");
	respond_body(request, 200, "application/json", buffer_slice(&body), "public, max-age=300");
}

static void run_problem(struct request *request)
{
	enum problem problem = problem_find(slice_of(request->match.name));
	if (problem == PROBLEMS) {
		respond_problem(request, PROBLEM_NOT_FOUND, NULL);
		return;
	}
	struct buffer body = { .arena = request->arena };
	add_problem(&body, request, problem_kind(problem));
	respond_body(request, 200, "application/json", buffer_slice(&body), "public, max-age=300");
}

static void run_security_txt(struct request *request)
{
	const struct config *config = request->worker->server->config;
	if (config->security_contact == NULL || config->security_contact[0] == '\0') {
		respond_problem(request, PROBLEM_NOT_FOUND, "No security contact is configured (security_contact).");
		return;
	}
	const char *text = arena_printf(request->arena, "Contact: %s\r\nExpires: %s\r\nCanonical: %s/.well-known/security.txt\r\n",
					config->security_contact, native_year_ahead(request->arena), base_url(request));
	respond_body(request, 200, "text/plain; charset=utf-8", slice_of(text), "public, max-age=86400");
}

typedef void (*native_fn)(struct request *request);

void native_run(struct request *request, struct slice body)
{
	static const native_fn simple[] = {
		[NATIVE_ROOT] = run_root,          [NATIVE_V1] = run_v1,           [NATIVE_OPENAPI] = run_openapi,
		[NATIVE_PROBLEMS] = run_problems,  [NATIVE_PROBLEM] = run_problem, [NATIVE_SECURITY_TXT] = run_security_txt,
		[NATIVE_CHANGES] = native_changes,
	};
	enum native native = request_operation(request)->native;
	if ((size_t)native < sizeof simple / sizeof simple[0] && simple[native] != NULL)
		simple[native](request);
	else
		native_auth(request, body);
}
