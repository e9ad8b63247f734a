/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Part of src/api/catalog.c in the mutated copy: rows of operations and fields as they come from the descriptors, one of them weakened. */
#include "mutant.h"

static const struct operation *mutant_operation(struct arena *arena, const struct operation *operation)
{
	const char *change = mutant_of("operation", operation->id, "");
	if (change == NULL)
		return operation;
	struct operation *weak = arena_alloc(arena, sizeof *weak);
	*weak = *operation;
	if (strcmp(change, "no scope") == 0)
		weak->scope = NULL;
	else if (strcmp(change, "no If-Match") == 0)
		weak->flags &= ~(unsigned)OP_IF_MATCH;
	else
		weak->least = (enum caller)atoi(change);
	return weak;
}

static const struct field *mutant_field(struct arena *arena, const struct shape *shape, const struct field *field)
{
	const char *change = mutant_of("field", shape->resource->name, field->name);
	if (change == NULL)
		return field;
	struct field *weak = arena_alloc(arena, sizeof *weak);
	*weak = *field;
	if (strcmp(change, "public") == 0)
		weak->audience = A_PUBLIC;
	else if (strcmp(change, "partner") == 0)
		weak->audience = A_PARTNER;
	else if (strcmp(change, "writable") == 0)
		weak->flags &= ~(unsigned)F_READONLY;
	else if (strcmp(change, "changeable") == 0)
		weak->flags &= ~(unsigned)F_CREATE_ONLY;
	else if (strcmp(change, "any reference") == 0)
		weak->flags &= ~(unsigned)F_OWNED_REF;
	return weak;
}
