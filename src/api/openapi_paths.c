/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Operation objects from routes. */
#include "openapi_internal.h"

#include <string.h>

static const char *const caller_names[] = {
	[CALLER_ANONYMOUS] = "anonymous",         [CALLER_VIEWER] = "viewer", [CALLER_OFFICER] = "officer", [CALLER_MANAGER] = "manager",
	[CALLER_ADMINISTRATOR] = "administrator",
};

/* The resource's name, or what follows /v1/, or the first segment of a longer path: "sessions", "oauth"; "service" for the rest. */
static const char *tag_of(struct arena *arena, const struct operation *operation)
{
	if (operation->resource != NULL)
		return operation->resource->name;
	const char *segment = operation->path + 1;
	bool versioned = strncmp(segment, "v1/", 3) == 0;
	if (versioned)
		segment += 3;
	size_t len = strcspn(segment, "/");
	if (segment[0] == '.' || (!versioned && segment[len] == '\0') || strchr(segment, '{') != NULL)
		return "service";
	return arena_copy(arena, (struct slice){ segment, len });
}

static void add_tag(struct openapi *doc, const struct operation *operation, const char *tag)
{
	json_t *tags = json_object_get(doc->root, "tags");
	size_t i;
	json_t *known;
	json_array_foreach(tags, i, known)
	{
		if (strcmp(json_string_value(json_object_get(known, "name")), tag) == 0)
			return;
	}
	const char *text = operation->resource != NULL ? operation->resource->doc : "Operations of no one resource.";
	openapi_add(tags, openapi_pack("{ss,ss}", "name", tag, "description", text));
}

static json_t *security_of(const struct operation *operation)
{
	json_t *security = openapi_pack("[]");
	if (operation->flags & OP_OAUTH) {
		/* An assertion and a secret in the body are no scheme that OpenAPI knows. */
		openapi_add(security, openapi_pack("{s[]}", "client"));
		openapi_add(security, openapi_pack("{}"));
	} else if (operation->least > CALLER_ANONYMOUS || operation->scope != NULL) {
		json_t *scopes = operation->scope == NULL ? openapi_pack("[]") : openapi_pack("[s]", operation->scope);
		openapi_add(security, openapi_pack("{so}", "oauth2", scopes));
		openapi_add(security, openapi_pack("{s[]}", "bearer"));
		if (operation->least == CALLER_ANONYMOUS)
			openapi_add(security, openapi_pack("{}"));
	}
	return security;
}

static bool is_file(enum body_kind kind)
{
	return kind == BODY_GEOJSON || kind == BODY_CSV;
}

static json_t *file_schema(enum body_kind kind)
{
	if (kind == BODY_CSV)
		return openapi_pack("{ss,si,ss,ss}", "type", "string", "maxLength", 1 << 28, "pattern", "^[^\\x00-\\x08]*$", "description",
				    "RFC 4180 with a header row, in UTF-8.");
	return openapi_pack("{ss,ss,s[ss],s{s{ss},s{ss,si,s{ss}}}}", "type", "object", "description",
			    "GeoJSON feature collection (RFC 7946).", "required", "type", "features", "properties", "type", "const",
			    "FeatureCollection", "features", "type", "array", "maxItems", 1 << 24, "items", "type", "object");
}

static json_t *input_schema(const struct openapi *doc, const struct route *route)
{
	const struct operation *operation = route->operation;
	if (is_file(operation->body_kind))
		return file_schema(operation->body_kind);
	if (operation->body == NULL && route->shape != NULL)
		return openapi_ref(doc->arena, "schemas",
				   openapi_name(doc->arena, route->shape->resource->thing, operation->verb == V_PATCH ? "Patch" : "Input"));
	json_t *schema = openapi_object(doc, operation->body, FOR_INPUT);
	if (operation->body_kind == BODY_FORM)
		json_object_del(schema, "additionalProperties"); /* RFC 6749: unknown ones are ignored */
	return schema;
}

static json_t *input_example(const struct openapi *doc, const struct route *route)
{
	const struct operation *operation = route->operation;
	if (operation->body_kind == BODY_CSV)
		return openapi_pack("s", operation->body_example);
	if (operation->body_kind == BODY_GEOJSON)
		return openapi_load(operation->body_example, operation->id);
	if (operation->body == NULL && route->shape != NULL) {
		json_t *example = openapi_load(route->shape->resource->example, route->shape->resource->name);
		if (operation->verb != V_PATCH)
			return example;
		const char *first = json_object_iter_key(json_object_iter(example));
		json_t *change = openapi_pack("{sO}", first, json_object_get(example, first));
		json_decref(example);
		return change;
	}
	json_t *example = openapi_pack("{}");
	for (const struct field *field = operation->body; field != NULL && field->name != NULL; field++)
		if (field->flags & F_REQUIRED || field->example != NULL)
			openapi_set(example, field->name, openapi_field_example(field));
	(void)doc;
	return example;
}

static const char *media_of(enum body_kind kind)
{
	switch (kind) {
	case BODY_NONE:
		return NULL;
	case BODY_JSON:
		return "application/json";
	case BODY_MERGE_PATCH:
		return "application/merge-patch+json";
	case BODY_FORM:
		return "application/x-www-form-urlencoded";
	case BODY_GEOJSON:
		return "application/geo+json";
	case BODY_CSV:
		return "text/csv";
	}
	return NULL;
}

static json_t *request_body(const struct openapi *doc, const struct route *route)
{
	const struct operation *operation = route->operation;
	json_t *input = openapi_pack("{so,so}", "schema", input_schema(doc, route), "example", input_example(doc, route));
	json_t *content = openapi_pack("{so}", media_of(operation->body_kind), input);
	if (operation->body_kind == BODY_MERGE_PATCH || operation->body_kind == BODY_GEOJSON)
		openapi_set(content, "application/json", json_incref(input)); /* taken for the same */
	const char *length = "At most 1 MiB.";
	if (operation->flags & OP_GEOMETRY)
		length = "At most 16 MiB, of which 1 MiB beside the geometry.";
	if (operation->flags & OP_SPOOL)
		length = "At most 512 MiB, where the server does not set another length.";
	json_t *body = openapi_pack("{ss,sb,so}", "description", length, "required", 1, "content", content);
	if (operation->flags & OP_SPOOL)
		openapi_set(body, "x-max-bytes", openapi_pack("i", 512 << 20));
	return body;
}

/* What is said of an operation beyond its own documentation. */
static const char *description_of(const struct openapi *doc, const struct operation *operation)
{
	struct buffer text = { .arena = doc->arena };
	buffer_text(&text, operation->doc != NULL ? operation->doc : operation->summary);
	if (operation->least > CALLER_ANONYMOUS)
		buffer_format(&text, "\n\nFor accounts of role %s or above.", caller_names[operation->least]);
	if (operation->scope != NULL)
		buffer_format(&text, "%s A token with scopes needs `%s`.", operation->least > CALLER_ANONYMOUS ? "" : "\n\n",
			      operation->scope);
	if (operation->verb == V_LIST || operation->verb == V_GET)
		buffer_text(&text,
			    "\n\nAs CSV and, where records have a place, GeoJSON: by Accept or by `.csv` or `.geojson` after the path.");
	if (operation->flags & OP_SECRET)
		buffer_text(&text, "\n\nThe secret is shown this once; a replay of the answer has null in its place.");
	return text.ptr;
}

static json_t *operation_object(struct openapi *doc, const struct route *route)
{
	const struct operation *operation = route->operation;
	const char *tag = tag_of(doc->arena, operation);
	add_tag(doc, operation, tag);
	json_t *object = openapi_pack("{ss,ss,ss,s[s],ss,so}", "operationId", operation->id, "summary", operation->summary, "description",
				      description_of(doc, operation), "tags", tag, "x-role", caller_names[operation->least], "security",
				      security_of(operation));
	json_t *parameters = openapi_parameters(doc, route);
	if (json_array_size(parameters) > 0)
		openapi_set(object, "parameters", parameters);
	else
		json_decref(parameters);
	if (operation->body_kind != BODY_NONE)
		openapi_set(object, "requestBody", request_body(doc, route));
	openapi_set(object, "responses", openapi_answers(doc, route));
	return object;
}

static const char *lower(struct arena *arena, const char *method)
{
	char *text = arena_copy(arena, slice_of(method));
	for (char *c = text; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return text;
}

void openapi_paths(struct openapi *doc)
{
	json_t *paths = json_object_get(doc->root, "paths");
	size_t n;
	const struct route *routes = catalog_routes(doc->catalog, &n);
	for (size_t i = 0; i < n; i++) {
		const struct operation *operation = routes[i].operation;
		json_t *path = json_object_get(paths, operation->path);
		if (path == NULL) {
			path = openapi_pack("{}");
			openapi_set(paths, operation->path, path);
		}
		openapi_set(path, lower(doc->arena, operation->method), operation_object(doc, &routes[i]));
	}
}
