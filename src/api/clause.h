/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Conditions that a list offers beside the filters of its fields (`struct clause`): what their texts refer to. */
#ifndef WARDMOTE_API_CLAUSE_H
#define WARDMOTE_API_CLAUSE_H

#include "wardmote/query.h"

/* How many a resource has. */
size_t clause_count(const struct resource *resource);
/* The position of the one with this name, or -1. */
int clause_find(const struct resource *resource, struct slice name);
/* The field whose rules its value follows. */
struct field clause_field(const struct clause *clause);

/* The next @ or @name in a clause's text: what is before it, and the name (empty for @ alone). An @ that touches another character of an operator (@>, <@,
 * @@) or stands in quotes is none. False at the end: `before` is then the rest. Moves *text on. */
bool clause_next_mark(const char **text, struct slice *ret_before, struct slice *ret_name);

#endif
