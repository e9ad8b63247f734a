/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One member of a body, as a tree, against its field. */
#ifndef WARDMOTE_API_VALUE_H
#define WARDMOTE_API_VALUE_H

#include <jansson.h>

#include "wardmote/validate.h"

/* Where in the body a value is: rendered only when there is a fault to tell. */
struct path {
	const struct path *up; /* NULL: the body itself */
	const char *name; /* a member; NULL: an item */
	size_t index;
};

struct check {
	struct arena *arena;
	struct faults *faults;
	/* The one field whose value is not in the tree, where a null stands for it, but was cut out of the bytes; NULL: none. */
	const struct field *cut_field;
	struct slice cut;
	int srid; /* of its coordinates */
};

/* The fields of an object, in any storage. */
struct fieldset {
	const struct field *const *rows;
	size_t n;
};

void check_fault(const struct check *check, const struct path *path, const char *code, const char *detail);
/* All members of an object: known, settable, there if required, good. `ret_present` (may be NULL) gets a bit for each field that it has. */
void check_object(const struct check *check, const struct fieldset *fields, enum body_mode mode, json_t *object, const struct path *path,
		  uint64_t *ret_present);

#endif
