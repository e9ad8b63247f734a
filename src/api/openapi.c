/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The document as a whole: the static half, filled in from the catalog. */
#include "wardmote/openapi.h"

#include <stdlib.h>
#include <string.h>

#include "openapi_internal.h"

/* Every scope that an operation asks for, with the operations that it opens. */
static void add_scopes(struct openapi *doc)
{
	json_t *oauth2 = json_object_get(json_object_get(json_object_get(doc->root, "components"), "securitySchemes"), "oauth2");
	json_t *flow = json_object_get(json_object_get(oauth2, "flows"), "clientCredentials");
	openapi_set(flow, "tokenUrl", openapi_pack("s", arena_printf(doc->arena, "%s/oauth/token", doc->base_url)));
	json_t *scopes = json_object_get(flow, "scopes");
	size_t n;
	const struct route *routes = catalog_routes(doc->catalog, &n);
	for (size_t i = 0; i < n; i++) {
		const char *scope = routes[i].operation->scope;
		if (scope == NULL || json_object_get(scopes, scope) != NULL)
			continue;
		const char *colon = strchr(scope, ':');
		const char *what = colon != NULL && strcmp(colon, ":write") == 0 ? "Create, change and delete" : "Read";
		int len = colon != NULL ? (int)(colon - scope) : (int)strlen(scope);
		openapi_set(scopes, scope, openapi_pack("s", arena_printf(doc->arena, "%s %.*s.", what, len, scope)));
	}
}

static bool in_a_path(const struct openapi *doc, const char *name)
{
	const char *place = arena_printf(doc->arena, "{%s}", name);
	size_t n;
	const struct route *routes = catalog_routes(doc->catalog, &n);
	for (size_t i = 0; i < n; i++)
		if (strstr(routes[i].operation->path, place) != NULL)
			return true;
	return false;
}

/* A catalog need not have a path for each parameter of paths that is described. */
static void drop_unused(const struct openapi *doc, json_t *parameters)
{
	const char *name;
	json_t *parameter;
	void *next;
	json_object_foreach_safe(parameters, next, name, parameter)
	{
		if (strcmp(json_string_value(json_object_get(parameter, "in")), "path") == 0 && !in_a_path(doc, name))
			json_object_del(parameters, name);
	}
}

static void merge_native(struct openapi *doc)
{
	json_t *native = openapi_load(openapi_native, "openapi_native.json");
	openapi_must(json_object_update(doc->schemas, native) == 0 ? native : NULL, "schemas", "out of memory");
	json_decref(native);
}

static void fill(struct openapi *doc, const char *version)
{
	json_t *components = json_object_get(doc->root, "components");
	doc->schemas = json_object_get(components, "schemas");
	doc->responses = json_object_get(components, "responses");
	openapi_set(json_object_get(doc->root, "info"), "version", openapi_pack("s", version));
	openapi_add(json_object_get(doc->root, "servers"), openapi_pack("{ss,ss,sb}", "url", doc->base_url, "description",
									"This installation, in production or local.", "x-internal", 0));
	add_scopes(doc);
	drop_unused(doc, json_object_get(components, "parameters"));
	merge_native(doc);
	openapi_problems(doc);
	size_t n;
	const struct shape *const *shapes = catalog_shapes(doc->catalog, &n);
	for (size_t i = 0; i < n; i++)
		openapi_shape(doc, shapes[i]);
	openapi_paths(doc);
}

struct slice openapi_render(struct arena *arena, const struct catalog *catalog, const char *base_url, const char *version)
{
	struct openapi doc = {
		.arena = arena, .catalog = catalog, .base_url = base_url, .root = openapi_load(openapi_base, "openapi_base.json")
	};
	fill(&doc, version);
	char *text = openapi_must(json_dumps(doc.root, JSON_INDENT(2)), "text", "out of memory");
	struct slice document = slice_of(arena_copy(arena, slice_of(text)));
	free(text);
	json_decref(doc.root);
	return document;
}
