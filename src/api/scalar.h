/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One value in text form against its field: shared by bodies, filters and parameters, so that a value means the same everywhere. */
#ifndef WARDMOTE_API_SCALAR_H
#define WARDMOTE_API_SCALAR_H

#include "wardmote/arena.h"
#include "wardmote/resource.h"

enum {
	TEXT_MAX = 10000, /* characters, where the descriptor states no limit */
	LINE_MAX_MAX = 500, /* texts of at most so many characters are one line: names, titles, codes */
	ITEMS_MAX = 500,
	ITEM_MAX = 200, /* characters of one of T_CODES and T_TEXTS */
};

struct verdict {
	const char *code; /* NULL: good */
	const char *detail;
};

/* The greatest value, length or number of items: the descriptor's, or the type's own limit. */
int64_t field_max(const struct field *field);
/* Text between min and max characters, not blank when it may not be empty; one line where max is short. */
struct verdict text_verdict(struct arena *arena, struct slice text, int64_t min, int64_t max);
struct verdict integer_verdict(struct arena *arena, const struct field *field, int64_t value);
struct verdict decimal_verdict(struct arena *arena, const struct field *field, double value);
/* One value of a field of any type but T_OBJECTS, T_GEOMETRY and T_POINT; of T_REFS, T_CODES and T_TEXTS one element. */
struct verdict scalar_verdict(struct arena *arena, const struct field *field, struct slice text);

#endif
