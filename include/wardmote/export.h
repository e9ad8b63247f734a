/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A list that is not cut into pages (limit=all). Its statement yields a row for each record, in the list's order; as CSV a column for each field, since
 * putting a line together in SQL takes three times as long as all the rest. What comes out is what the pages would say, byte for byte. */
#ifndef WARDMOTE_EXPORT_H
#define WARDMOTE_EXPORT_H

#include "wardmote/sql.h"

struct export
{
	struct statement statement;
	struct slice head, tail; /* before the first record, and after the last; JSON then still lacks `,"links":[...]}` */
	const char *between; /* two records */
	unsigned char cells[FIELDS_MAX]; /* what each column is */
	size_t n_cells;
	bool begun; /* a record was put */
};

/* For a call whose query says `all`; 0, or as sql_build says. */
int export_build(struct arena *arena, const struct call *call, struct export *ret_export);
/* The most bytes that a row can make. A cell without ptr is null. */
size_t export_room(const struct slice *cells, size_t n);
/* Puts the bytes of a row, which is the next; how many. */
size_t export_put(struct export *export, const struct slice *cells, size_t n, char *to);

#endif
