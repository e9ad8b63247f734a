/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by the files that make the OpenAPI document, and by nothing else. openapi_base.json holds what no descriptor changes; the rest is derived:
 * schemas from shapes (openapi_schema.c), parameters and bodies (openapi_paths.c) and answers (openapi_answers.c) from routes. Building fails only
 * when memory does or when a descriptor holds broken JSON, a mistake of ours: both end the process with a message. */
#ifndef WARDMOTE_OPENAPI_INTERNAL_H
#define WARDMOTE_OPENAPI_INTERNAL_H

#include <jansson.h>

#include "wardmote/catalog.h"

struct openapi {
	struct arena *arena;
	const struct catalog *catalog;
	const char *base_url;
	json_t *root, *schemas, *responses; /* the last two are borrowed from root */
};

enum purpose {
	FOR_ANSWER, /* as rendered */
	FOR_INPUT, /* create and replace */
	FOR_PATCH, /* merge-patch */
};

/* --- openapi_build.c: jansson without return values --- */
void *openapi_must(void *value, const char *what, const char *why); /* not NULL, else the process ends with a message */
json_t *openapi_pack(const char *format, ...); /* json_pack */
json_t *openapi_load(const char *text, const char *what);
void openapi_set(json_t *object, const char *key, json_t *value); /* takes the reference */
void openapi_add(json_t *array, json_t *value); /* takes the reference */
json_t *openapi_ref(struct arena *arena, const char *kind, const char *name); /* {"$ref": "#/components/<kind>/<name>"} */
/* "boundary_set" with "List" gives "BoundarySetList". */
const char *openapi_name(struct arena *arena, const char *thing, const char *suffix);

/* --- openapi_schema.c --- */
/* The schema of one value; `nullable` adds null. Without title, flags or documentation: also good for parameters. */
json_t *openapi_value(const struct openapi *doc, const struct field *field, enum purpose purpose, bool nullable);
/* An object of fields (ended by a row without name): bodies of operations, members of T_OBJECTS. */
json_t *openapi_object(const struct openapi *doc, const struct field *fields, enum purpose purpose);
/* The component schemas of one resource: Thing, ThingInput, ThingPatch, ThingList, ThingHistory and, with a place, ThingFeature, ThingFeatures. */
void openapi_shape(struct openapi *doc, const struct shape *shape);
/* A T_GEOMETRY or T_POINT field of the shape, or NULL. */
const struct field *openapi_place(const struct shape *shape);

/* --- openapi_example.c --- */
json_t *openapi_example(const struct shape *shape);
json_t *openapi_field_example(const struct field *field);

/* --- openapi_paths.c --- */
void openapi_paths(struct openapi *doc);

/* --- openapi_parameters.c --- */
json_t *openapi_parameters(const struct openapi *doc, const struct route *route);
/* Does the answer have an ETag that If-None-Match can name? */
bool openapi_is_conditional(const struct operation *operation);

/* --- openapi_answers.c --- */
/* The component answers: one for each status of the problem registry. */
void openapi_problems(struct openapi *doc);
json_t *openapi_answers(const struct openapi *doc, const struct route *route);

/* Embedded JSON: what no descriptor changes; the schemas that each resource has; those of resources with a place; answers of native operations. */
extern const char openapi_base[], openapi_resource[], openapi_features[], openapi_native[];

#endif
