/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shapes (a resource's own fields between the common ones) and the standard operations that follow from a resource. */
#include <errno.h>
#include <stdlib.h>

#include "catalog_internal.h"

enum { STANDARD_OPERATIONS = 7 };

#define BIT(i) (UINT64_C(1) << (i))

/* --- the common fields --- */

static const char *const visibilities[] = { "private", "shared", "public", NULL };
static const char *const rights[] = { "read", "write", NULL };

static const struct field grant_members[] = {
	{ .name = "partner_id",
	  .type = T_REF,
	  .flags = F_REQUIRED,
	  .refers = "partners",
	  .doc = "The partner that is let in.",
	  .example = "\"019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708\"" },
	{ .name = "right",
	  .type = T_ENUM,
	  .flags = F_REQUIRED,
	  .values = rights,
	  .doc = "read: may see the record; write: may also change it, but not its visibility or grants, and not delete it.",
	  .example = "\"read\"" },
	{ 0 },
};

static const struct field id_field = { .name = "id",
				       .type = T_UUID,
				       .flags = F_READONLY | F_FILTER | F_SELECTIVE,
				       .doc = "Identifier, a UUID of version 7.",
				       .example = "\"019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708\"" };

static const struct field own_partner = {
	.name = "partner_id",
	.type = T_REF,
	.flags = F_CREATE_ONLY | F_LEAVE | F_FILTER | F_INCLUDE,
	.refers = "partners",
	.include_name = "partner",
	.initial = "@partner",
	.doc = "Partner that owns the record; by default the caller's.",
	.example = "\"019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708\"",
};
static const struct field shareable_partner = {
	.name = "partner_id",
	.type = T_REF,
	.flags = F_CREATE_ONLY | F_LEAVE | F_FILTER | F_INCLUDE | F_NULLABLE,
	.refers = "partners",
	.include_name = "partner",
	.initial = "@partner",
	.doc = "Partner that owns the record, by default the caller's; null: shared by the network and run by administrators.",
	.example = "\"019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708\"",
};

static const struct field private_visibility = {
	.name = "visibility",
	.type = T_ENUM,
	.flags = F_LEAVE | F_FILTER,
	.values = visibilities,
	.initial = "\"private\"",
	.doc = "Who sees the record: private (the default), its partner; shared, every partner of the network; public, anyone. Grants let "
	       "further partners in.",
	.example = "\"private\"",
};
static const struct field public_visibility = {
	.name = "visibility",
	.type = T_ENUM,
	.flags = F_LEAVE | F_FILTER,
	.values = visibilities,
	.initial = "\"public\"",
	.doc = "Who sees the record: private, its partner; shared, every partner of the network; public (the default), anyone.",
	.example = "\"public\"",
};

static const struct field owned_fields[] = {
	{ .name = "grants",
	  .type = T_OBJECTS,
	  .flags = F_LEAVE,
	  .audience = A_OWNER,
	  .max = 100,
	  .members = grant_members,
	  .initial = "[]",
	  .doc = "Partners let in by name; set by managers of the owner.",
	  .example = "[]" },
	{ .name = "external_id",
	  .type = T_TEXT,
	  .flags = F_NULLABLE | F_FILTER | F_SELECTIVE,
	  .audience = A_OWNER,
	  .min = 1,
	  .max = 200,
	  .names = NAMES_PERHAPS,
	  .doc = "The owner's own reference, unique among its records of this kind; PUT finds the record by it.",
	  .example = "\"crm/4711\"" },
	{ .name = "source",
	  .type = T_TEXT,
	  .flags = F_NULLABLE,
	  .min = 1,
	  .max = 2000,
	  .names = NAMES_PERHAPS,
	  .doc = "Where the record comes from: a document with its place, or a data set.",
	  .example = "\"Council minutes, 12 May 2026, item 4\"" },
};

static const struct field last_fields[] = {
	{ .name = "created_at",
	  .type = T_TIMESTAMP,
	  .flags = F_READONLY | F_FILTER,
	  .doc = "When the record was made.",
	  .example = "\"2026-05-12T09:30:00.000000Z\"" },
	{ .name = "updated_at",
	  .type = T_TIMESTAMP,
	  .flags = F_READONLY | F_FILTER,
	  .doc = "When it last changed.",
	  .example = "\"2026-05-12T09:30:00.000000Z\"" },
	{ .name = "created_by",
	  .type = T_UUID,
	  .flags = F_READONLY | F_NULLABLE,
	  .audience = A_OWNER,
	  .names = NAMES_BY_ID,
	  .doc = "Account that made it; shown to the owner.",
	  .example = "\"019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708\"" },
	{ .name = "updated_by",
	  .type = T_UUID,
	  .flags = F_READONLY | F_NULLABLE,
	  .audience = A_OWNER,
	  .names = NAMES_BY_ID,
	  .doc = "Account that last changed it; shown to the owner.",
	  .example = "\"019ab3c4-5d6e-7f80-91a2-b3c4d5e6f708\"" },
	{ .name = "version",
	  .type = T_INT,
	  .flags = F_READONLY,
	  .min = 1,
	  .max = INT32_MAX,
	  .doc = "1, and one more with each change; part of the ETag.",
	  .example = "1" },
};

enum { N_OWNED = sizeof owned_fields / sizeof *owned_fields, N_LAST = sizeof last_fields / sizeof *last_fields };

/* --- shapes --- */

static void shape_add(struct arena *arena, struct shape *shape, const struct field *field)
{
	if (shape->n_fields == FIELDS_MAX)
		return; /* the self-check counts again and says so */
	uint64_t bit = BIT(shape->n_fields);
	for (enum audience a = field->audience; a <= A_OWNER; a++)
		shape->visible[a] |= bit;
	if (field->flags & F_HEAVY)
		shape->heavy |= bit;
	if (field->flags & F_PERSONAL)
		shape->personal |= bit;
	if (field->flags & F_LOGGED)
		shape->logged |= bit;
	shape->keys[shape->n_fields] = slice_of(arena_printf(arena, "\"%s\":", field->name));
	shape->fields[shape->n_fields++] = field;
}

static void shape_fill(struct arena *arena, struct shape *shape, const struct resource *resource)
{
	shape->resource = resource;
	shape_add(arena, shape, &id_field);
	if (resource->flags & R_OWNED) {
		shape_add(arena, shape, resource->flags & R_SHAREABLE ? &shareable_partner : &own_partner);
		shape_add(arena, shape,
			  resource->visibility != NULL && strcmp(resource->visibility, "public") == 0 ? &public_visibility
												      : &private_visibility);
		for (size_t i = 0; i < N_OWNED; i++)
			shape_add(arena, shape, &owned_fields[i]);
	}
	for (size_t i = 0; i < resource->n_fields; i++)
		shape_add(arena, shape, &resource->fields[i]);
	for (size_t i = 0; i < N_LAST; i++)
		shape_add(arena, shape, &last_fields[i]);
	while (resource->sorts != NULL && resource->sorts[shape->n_sorts].name != NULL)
		shape->n_sorts++;
}

int shape_field(const struct shape *shape, struct slice name)
{
	for (size_t i = 0; i < shape->n_fields; i++)
		if (slice_is(name, shape->fields[i]->name))
			return (int)i;
	return -1;
}

int shape_geometry(const struct shape *shape)
{
	for (size_t i = 0; i < shape->n_fields; i++)
		if (field_is_geometry(shape->fields[i]))
			return (int)i;
	return -1;
}

const struct field *field_reference(const struct field *field)
{
	if (field->type == T_REF || field->type == T_REFS)
		return field;
	if (field->type != T_OBJECTS)
		return NULL;
	for (const struct field *member = field->members; member != NULL && member->name != NULL; member++)
		if (member->refers != NULL)
			return member;
	return NULL;
}

/* --- the standard operations of a resource --- */

struct standard {
	enum verb verb;
	const char *method, *suffix, *id, *summary;
	unsigned flags;
	enum lane lane;
	enum body_kind body_kind;
	bool writes, plural;
	unsigned needs, unless; /* flags of the resource */
};

/* clang-format off: one operation a row */
static const struct standard standards[STANDARD_OPERATIONS] = {
	{ V_LIST, "GET", "", "list_%s", "List %s", OP_AS_OF, LANE_READ, BODY_NONE, false, true, 0, 0 },
	{ V_CREATE, "POST", "", "create_%s", "Create a %s", OP_IDEMPOTENT | OP_DRY_RUN | OP_CREATES, LANE_WRITE, BODY_JSON, true, false, 0,
	  R_READ_ONLY },
	{ V_PUT, "PUT", "", "put_%s", "Create or replace the %s with an external_id", OP_DRY_RUN, LANE_WRITE, BODY_JSON, true, false,
	  R_OWNED, R_READ_ONLY },
	{ V_GET, "GET", "/{id}", "get_%s", "Get a %s", OP_ITEM | OP_AS_OF, LANE_READ, BODY_NONE, false, false, 0, 0 },
	{ V_PATCH, "PATCH", "/{id}", "patch_%s", "Change a %s", OP_ITEM | OP_IF_MATCH | OP_DRY_RUN, LANE_WRITE, BODY_MERGE_PATCH, true,
	  false, 0, R_READ_ONLY },
	{ V_DELETE, "DELETE", "/{id}", "delete_%s", "Delete a %s", OP_ITEM | OP_IF_MATCH | OP_DRY_RUN | OP_NO_CONTENT, LANE_WRITE,
	  BODY_NONE, true, false, 0, R_NO_DELETE | R_READ_ONLY },
	{ V_HISTORY, "GET", "/{id}/history", "list_%s_history", "List the versions of a %s", OP_ITEM, LANE_READ, BODY_NONE, false, false, 0,
	  0 },
};
/* clang-format on */

static const char *const docs[] = {
	[V_LIST] = "Records that the caller may see, page by page.",
	[V_CREATE] = "Checks everything that needs data at once. With an Idempotency-Key a repeated request gets the first answer.",
	[V_PUT] = ("Replaces the caller's record with this external_id, creates it where there is none, and writes nothing where nothing "
		   "differs. "
		   "visibility, grants and what is set once stay where the body leaves them out."),
	[V_GET] = "One record. With as_of: as it was then.",
	[V_PATCH] = "A merge patch (RFC 7396): members that are there replace, null clears, arrays are replaced whole.",
	[V_DELETE] = "Deletes the record; its history keeps a tombstone for its owner. What others refer to stays: 409 says what does.",
	[V_HISTORY] = "Versions that the caller may see, the newest first, each with what changed since the one before it.",
};

static const char *snake(struct arena *arena, const char *kebab)
{
	char *text = arena_copy(arena, slice_of(kebab));
	for (char *c = text; *c != '\0'; c++)
		if (*c == '-')
			*c = '_';
	return text;
}

static const char *spaced(struct arena *arena, const char *snake_case)
{
	char *text = arena_copy(arena, slice_of(snake_case));
	for (char *c = text; *c != '\0'; c++)
		if (*c == '_' || *c == '-')
			*c = ' ';
	return text;
}

/* Puts the name into a template of ours that has one %s. */
static const char *insert(struct arena *arena, const char *template, const char *name)
{
	struct buffer text = { .arena = arena };
	const char *mark = strstr(template, "%s");
	buffer_add(&text, (struct slice){ template, (size_t)(mark - template) });
	buffer_text(&text, name);
	buffer_text(&text, mark + 2);
	return text.ptr;
}

static const struct operation *standard_operation(struct arena *arena, const struct shape *shape, const struct standard *standard)
{
	const struct resource *resource = shape->resource;
	const char *name = standard->plural ? resource->name : resource->thing;
	struct operation *operation = arena_alloc(arena, sizeof *operation);
	unsigned geometry = standard->writes && standard->body_kind != BODY_NONE && shape_geometry(shape) >= 0 ? OP_GEOMETRY : 0;
	*operation = (struct operation){
		.id = insert(arena, standard->id, snake(arena, name)),
		.method = standard->method,
		.path = arena_printf(arena, "/v1/%s%s", resource->name, standard->suffix),
		.verb = standard->verb,
		.resource = resource,
		.least = standard->writes ? resource->write : resource->read,
		.scope = arena_printf(arena, "%s:%s", resource->name, standard->writes ? "write" : "read"),
		.lane = standard->lane,
		.flags = standard->flags | geometry,
		.body_kind = standard->body_kind,
		.summary = insert(arena, standard->summary, spaced(arena, name)),
		.doc = docs[standard->verb],
	};
	return operation;
}

static const struct operation *own_operation(const struct resource *resource, const char *method, const char *path)
{
	for (const struct operation *own = resource->operations; own != NULL && own->id != NULL; own++)
		if (strcmp(own->method, method) == 0 && strcmp(own->path, path) == 0)
			return own;
	return NULL;
}

static void add_route(struct catalog *catalog, const struct operation *operation, const struct shape *shape)
{
	catalog->routes[catalog->n_routes++] = (struct route){ operation, shape };
}

static void add_resource_routes(struct catalog *catalog, const struct shape *shape)
{
	const struct resource *resource = shape->resource;
	for (size_t i = 0; i < STANDARD_OPERATIONS; i++) {
		const struct standard *standard = &standards[i];
		if ((resource->flags & standard->needs) != standard->needs || (resource->flags & standard->unless))
			continue;
		const struct operation *derived = standard_operation(&catalog->arena, shape, standard);
		/* A row of the resource's own takes its place. */
		if (own_operation(resource, derived->method, derived->path) == NULL)
			add_route(catalog, derived, shape);
	}
	for (const struct operation *own = resource->operations; own != NULL && own->id != NULL; own++)
		add_route(catalog, own, shape);
}

static size_t count_operations(const struct resource *const *resources, const struct operation *general, size_t *ret_resources)
{
	size_t n = 0, n_resources = 0;
	for (; resources[n_resources] != NULL; n_resources++) {
		n += STANDARD_OPERATIONS;
		for (const struct operation *own = resources[n_resources]->operations; own != NULL && own->id != NULL; own++)
			n++;
	}
	for (; general != NULL && general->id != NULL; general++)
		n++;
	*ret_resources = n_resources;
	return n;
}

static void catalog_fill(struct catalog *catalog, const struct resource *const *resources, const struct operation *general)
{
	size_t n_routes = count_operations(resources, general, &catalog->n_shapes);
	catalog->shapes = arena_alloc(&catalog->arena, catalog->n_shapes * sizeof *catalog->shapes);
	catalog->shape_list = arena_alloc(&catalog->arena, catalog->n_shapes * sizeof *catalog->shape_list);
	catalog->routes = arena_alloc(&catalog->arena, n_routes * sizeof *catalog->routes);
	for (size_t i = 0; i < catalog->n_shapes; i++) {
		shape_fill(&catalog->arena, &catalog->shapes[i], resources[i]);
		catalog->shape_list[i] = &catalog->shapes[i];
		add_resource_routes(catalog, &catalog->shapes[i]);
	}
	for (; general != NULL && general->id != NULL; general++)
		add_route(catalog, general, general->resource == NULL ? NULL : catalog_shape(catalog, general->resource->name));
}

int catalog_new(const struct resource *const *resources, const struct operation *general, struct catalog **ret_catalog,
		const char **ret_error)
{
	struct catalog *catalog = calloc(1, sizeof *catalog);
	if (catalog == NULL)
		return -ENOMEM;
	arena_init(&catalog->arena);
	catalog_fill(catalog, resources, general);
	/* The message outlives a refused catalog: it is for the process that then ends. */
	static const char unnamed[] = "the catalog is faulty";
	const char *error = unnamed;
	int r = catalog_check(catalog, &catalog->arena, &error);
	if (r == 0)
		r = catalog_index(catalog, &error);
	if (r < 0) {
		*ret_error = strdup(error);
		if (*ret_error == NULL)
			*ret_error = unnamed;
		catalog_free(catalog);
		return r;
	}
	*ret_catalog = catalog;
	return 0;
}

void catalog_free(struct catalog *catalog)
{
	if (catalog == NULL)
		return;
	arena_done(&catalog->arena);
	free(catalog);
}

const struct shape *catalog_shape(const struct catalog *catalog, const char *resource_name)
{
	for (size_t i = 0; i < catalog->n_shapes; i++)
		if (strcmp(catalog->shapes[i].resource->name, resource_name) == 0)
			return &catalog->shapes[i];
	return NULL;
}

const struct route *catalog_routes(const struct catalog *catalog, size_t *ret_n)
{
	*ret_n = catalog->n_routes;
	return catalog->routes;
}

const struct shape *const *catalog_shapes(const struct catalog *catalog, size_t *ret_n)
{
	*ret_n = catalog->n_shapes;
	return catalog->shape_list;
}
