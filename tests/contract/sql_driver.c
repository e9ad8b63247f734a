/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The pure part of a request, from target to statement, for test_sql.py: reads lines of JSON
 *   {"method", "target", "caller" (0..4), "body" (text), "version", "key", "keys": [..], "replay": bool}
 * and writes for each {"text", "parameters", "records"}, {"faults": [[name, code, detail]]} or {"status"}; with "rows": [[text or null]] what the statement of a read
 * yielded, {"status", "body", "etag", "link"}. With `describe NAME` prints the statements of a
 * resource. Its resources are those of demo.c, with `all` the server's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "demo.h"
#include "wardmote/resources.h"
#include "wardmote/view.h"

static json_t *faults_json(const struct faults *faults)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < faults->n; i++)
		json_array_append_new(rows, json_pack("[sss]", faults->rows[i].name, faults->rows[i].code, faults->rows[i].detail));
	return json_pack("{so}", "faults", rows);
}

static json_t *statement_json(const struct statement *statement)
{
	json_t *parameters = json_array();
	for (size_t i = 0; i < statement->n_parameters; i++)
		json_array_append_new(parameters, statement->parameters[i] == NULL ? json_null() : json_string(statement->parameters[i]));
	return json_pack("{sssosb}", "text", statement->text, "parameters", parameters, "records", statement->records);
}

static int read_body(struct arena *arena, const struct route *route, const char *text, struct body *body, struct faults *faults)
{
	const struct operation *operation = route->operation;
	if (operation->body_kind == BODY_NONE)
		return 0;
	if (operation->body != NULL)
		return body_validate_fields(arena, operation->body, slice_of(text), body, faults);
	enum body_mode mode = operation->verb == V_PATCH ? MODE_MERGE : operation->verb == V_PUT ? MODE_REPLACE : MODE_CREATE;
	return body_validate(arena, route->shape, mode, slice_of(text), body, faults);
}

static const char *member(const json_t *request, const char *name)
{
	return json_string_value(json_object_get(request, name));
}

static void take_row(const void *context, size_t at, struct slice *cells)
{
	const json_t *row = json_array_get(context, at), *cell;
	size_t i;
	json_array_foreach(row, i, cell) cells[i] = (struct slice){ json_string_value(cell), json_string_length(cell) };
}

static json_t *rendered_json(struct arena *arena, const struct call *call, const json_t *cells)
{
	struct view_rows rows = { json_array_size(cells), json_array_size(json_array_get(cells, 0)), 0, take_row, cells };
	struct view_answer answer;
	int r = view_render(arena, call, &rows, &answer);
	if (r < 0)
		return json_pack("{si}", "status", r == -ENOENT ? 404 : 500);
	json_t *json =
	    json_pack("{siss%ss?ss?}", "status", 200, "body", answer.body.ptr, answer.body.len, "etag", answer.etag, "link", answer.link);
	free(answer.body.ptr);
	return json;
}

static json_t *answer(struct arena *arena, const struct catalog *catalog, const json_t *request)
{
	struct faults faults = { .arena = arena };
	struct slice target = slice_of(member(request, "target"));
	const char *mark = memchr(target.ptr, '?', target.len);
	size_t path_len = mark == NULL ? target.len : (size_t)(mark - target.ptr);
	struct slice query = mark == NULL ? SLICE("") : (struct slice){ mark + 1, target.len - path_len - 1 };
	struct match match;
	int r = catalog_match(catalog, arena, slice_of(member(request, "method")), (struct slice){ target.ptr, path_len }, &match);
	if (r < 0 || match.route == NULL)
		return json_pack("{si}", "status", r == 0 ? 405 : 404);
	struct call call = { .route = match.route,
			     .catalog = catalog,
			     .id = match.id,
			     .expected_version = member(request, "version"),
			     .idempotency_key = member(request, "key") };
	memcpy(call.names, match.names, sizeof match.names);
	call.caller = (enum caller)json_integer_value(json_object_get(request, "caller"));
	if (match.suffix != NULL)
		call.format = match.suffix[0] == 'c' ? FORMAT_CSV : FORMAT_GEOJSON;
	query_parse(arena, match.route, query, call.caller, &call.query, &faults);
	query_bind(&call.query, match.names, match.n_names);
	read_body(arena, match.route, member(request, "body"), &call.body, &faults);
	if (faults.n > 0)
		return faults_json(&faults);
	for (size_t i = 0; i < SORT_KEYS_MAX; i++)
		call.query.keys[i] = json_string_value(json_array_get(json_object_get(request, "keys"), i));
	const json_t *rows = json_object_get(request, "rows");
	if (rows != NULL)
		return rendered_json(arena, &call, rows);
	struct statement statement;
	bool replay = json_is_true(json_object_get(request, "replay"));
	r = replay ? sql_replay(arena, &call, &statement) : sql_build(arena, &call, &statement);
	return r < 0 ? json_pack("{si}", "status", 500) : statement_json(&statement);
}

int main(int argc, char **argv)
{
	struct catalog *catalog;
	const char *error = NULL;
	bool all = argc == 2 && strcmp(argv[1], "all") == 0;
	if (catalog_new(all ? resources_all : demo_resources, all ? resources_general : demo_general, &catalog, &error) < 0) {
		fprintf(stderr, "%s\n", error);
		return EXIT_FAILURE;
	}
	if (argc == 3) {
		struct arena arena;
		arena_init(&arena);
		struct slice text = sql_describe(&arena, catalog, catalog_shape(catalog, argv[2]));
		fwrite(text.ptr, 1, text.len, stdout);
		arena_done(&arena);
	}
	char *line = NULL;
	size_t capacity = 0;
	while (argc < 3 && getline(&line, &capacity, stdin) > 0) {
		struct arena arena;
		arena_init(&arena);
		json_t *request = json_loads(line, 0, NULL);
		json_t *reply = answer(&arena, catalog, request);
		json_dumpf(reply, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(reply);
		json_decref(request);
		arena_done(&arena);
	}
	free(line);
	catalog_free(catalog);
	return EXIT_SUCCESS;
}
