/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The catalog joins the resources into what a running server needs: per resource the full field array (common fields first), and the
 * list of all operations with their routes. Built once at start by catalog_new, const afterwards, shared by all workers. */
#ifndef WARDMOTE_CATALOG_H
#define WARDMOTE_CATALOG_H

#include "wardmote/arena.h"
#include "wardmote/operation.h"

enum { FIELDS_MAX = 64, INCLUDES_MAX = 16, PATH_NAMES_MAX = 4 };

/* A resource with all its fields, in the order in which they are rendered: id, the common ones, its own, then created_at, updated_at, version. */
struct shape {
	const struct resource *resource;
	const struct field *fields[FIELDS_MAX];
	struct slice keys[FIELDS_MAX]; /* "name": in JSON, with its colon */
	size_t n_fields;
	size_t n_sorts;
	uint64_t visible[3]; /* by enum audience: bit i set when fields[i] is shown to it (A_OWNER: all) */
	uint64_t heavy; /* fields left out of a list unless named */
	uint64_t personal;
	uint64_t logged; /* F_LOGGED: see sql_notes */
};

struct route {
	const struct operation *operation;
	const struct shape *shape; /* NULL for general operations */
};

struct catalog;

/* `resources` is NULL-terminated; `general` are operations of no resource, ended by a row without id.
 * 0, or -EINVAL with the first fault of the self-check in *ret_error (a name twice, min > max, no doc, an unknown reference, no role...). */
int catalog_new(const struct resource *const *resources, const struct operation *general, struct catalog **ret_catalog,
		const char **ret_error);
void catalog_free(struct catalog *catalog);

const struct shape *catalog_shape(const struct catalog *catalog, const char *resource_name);
/* All operations in a stable order (resource by resource; general ones last). */
const struct route *catalog_routes(const struct catalog *catalog, size_t *ret_n);
const struct shape *const *catalog_shapes(const struct catalog *catalog, size_t *ret_n);
/* -1 when there is none. */
int shape_field(const struct shape *shape, struct slice name);
/* The index of the shape's geometry, or -1. */
int shape_geometry(const struct shape *shape);
/* What a T_REF, T_REFS or T_OBJECTS refers to: the field itself, or the member that holds the id; NULL when it refers to nothing. */
const struct field *field_reference(const struct field *field);

/* How many parameters other than {id} the path of the operation has. */
size_t operation_names(const struct operation *operation);

/* What a method and a path lead to. */
struct match {
	const struct route *route; /* NULL when the path exists but not with this method */
	const char *suffix; /* "csv", "geojson", or NULL */
	const char *id; /* decoded {id}, canonical lower-case UUID text; NULL when the path has none */
	const char *names[PATH_NAMES_MAX]; /* decoded parameters other than {id}, in their order; of {y}.mvt what is before .mvt */
	size_t n_names;
	const char *name; /* the last of them ({slug} of problems), or NULL */
	const char *allow; /* for 405 and OPTIONS: "GET, HEAD, POST, OPTIONS" */
	const char *pattern; /* route template for logs and metrics */
};

/* Decodes and routes a raw request target (path part only). A segment that should be a UUID and is not leads nowhere (404).
 * HEAD finds GET. 0; -ENOENT: no such path; -EILSEQ: the path has a non-canonical escape, a dot segment, an empty segment, NUL or bad UTF-8. */
int catalog_match(const struct catalog *catalog, struct arena *arena, struct slice method, struct slice path, struct match *ret_match);

#endif
