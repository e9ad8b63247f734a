/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The admin listener: /livez, /readyz, /metrics. It runs on the main thread, needs no database and no token, and is bound to loopback by
 * default. */
#include <errno.h>
#include <stdlib.h>

#include "server.h"

struct admin {
	struct server *server;
	struct http_server *http;
};

static void answer(struct http_exchange *exchange, int status, const char *media_type, struct slice body)
{
	struct http_answer reply = { .status = status, .body = { body }, .n_body = 1 };
	reply.fields[reply.n_fields++] = (struct http_field){ "Content-Type", media_type };
	reply.fields[reply.n_fields++] = (struct http_field){ "Cache-Control", "no-store" };
	if (arena_lacking(http_arena(exchange))) {
		reply.status = 503;
		reply.body[0] = SLICE("{\"short_of_memory\":true}\n");
	}
	http_reply(exchange, &reply);
}

static void ready(const struct admin *admin, struct http_exchange *exchange)
{
	struct server *server = admin->server;
	size_t workers_ready = 0;
	for (size_t i = 0; i < server->n_workers; i++)
		workers_ready += atomic_load(&server->workers[i]->ready) ? 1 : 0;
	bool draining = atomic_load(&server->draining), database = atomic_load(&server->database_ok);
	bool migrations = atomic_load(&server->migrations_current), lanes = workers_ready == server->n_workers;
	bool all = !draining && database && migrations && lanes;
	const char *text =
	    arena_printf(http_arena(exchange),
			 "{\"ready\":%s,\"draining\":%s,\"database_reachable\":%s,\"migrations_current\":%s,\"lanes_connected\":%s}\n",
			 all ? "true" : "false", draining ? "true" : "false", database ? "true" : "false", migrations ? "true" : "false",
			 lanes ? "true" : "false");
	answer(exchange, all ? 200 : 503, "application/json", slice_of(text));
}

static void *admin_begin(void *context, struct http_exchange *exchange, size_t *ret_body_max)
{
	const struct admin *admin = context;
	*ret_body_max = 0;
	struct slice path = http_path(exchange);
	if (!slice_is(http_method(exchange), "GET") && !slice_is(http_method(exchange), "HEAD"))
		answer(exchange, 405, "text/plain; charset=utf-8", SLICE("Only GET and HEAD.\n"));
	else if (slice_is(path, "/livez"))
		answer(exchange, 200, "application/json", SLICE("{\"alive\":true}\n"));
	else if (slice_is(path, "/readyz"))
		ready(admin, exchange);
	else if (slice_is(path, "/metrics"))
		answer(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", metrics_render(http_arena(exchange), admin->server));
	else
		answer(exchange, 404, "text/plain; charset=utf-8", SLICE("Here are /livez, /readyz and /metrics.\n"));
	return exchange;
}

static void admin_body(void *request, struct slice body)
{
	(void)request;
	(void)body; /* every answer was given in begin */
}

static void admin_end(void *request, bool sent)
{
	(void)request;
	(void)sent;
}

static struct slice admin_refused(void *context, struct arena *arena, enum problem problem, const char *rule, const char *detail)
{
	(void)context;
	(void)rule;
	return problem_render(arena, problem, &(struct problem_context){ .base_url = "", .request_id = "admin" }, detail, NULL, NULL);
}

int admin_new(struct server *server, int listen_fd, struct admin **ret_admin)
{
	struct admin *admin = calloc(1, sizeof *admin);
	if (admin == NULL)
		return -ENOMEM;
	admin->server = server;
	struct http_limits limits = { .connections = 100,
				      .header_timeout_ms = 5000,
				      .body_timeout_ms = 5000,
				      .transfer_timeout_ms = 10000,
				      .idle_timeout_ms = 30000,
				      .target_max = 1024,
				      .headers_max = 8192 };
	struct http_callbacks callbacks = {
		.context = admin,
		.begin = admin_begin,
		.body = admin_body,
		.end = admin_end,
		.reserve = server->reserve,
		.lacking = SLICE("{\"short_of_memory\":true}\n"),
		.refused = admin_refused,
	};
	int error = http_server_new(listen_fd, &limits, &callbacks, &admin->http);
	if (error < 0) {
		free(admin);
		return error;
	}
	*ret_admin = admin;
	return 0;
}

int admin_fd(const struct admin *admin)
{
	return http_server_fd(admin->http);
}

int admin_timeout(struct admin *admin)
{
	return http_server_timeout(admin->http);
}

void admin_run(struct admin *admin)
{
	http_server_run(admin->http);
}

void admin_free(struct admin *admin)
{
	if (admin == NULL)
		return;
	http_server_free(admin->http);
	free(admin);
}
