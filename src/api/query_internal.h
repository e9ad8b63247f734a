/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by query.c, query_filter.c and cursor.c. */
#ifndef WARDMOTE_API_QUERY_INTERNAL_H
#define WARDMOTE_API_QUERY_INTERNAL_H

#include "scalar.h"
#include "wardmote/query.h"

enum { PAIRS_MAX = 64 };

struct pair {
	struct slice name, value; /* decoded, well-formed UTF-8 without NUL, in the arena */
};

/* One form-urlencoded pair from the front of *text (without its '&'); empty ones are passed over. 1: a pair; 0: the end; -EILSEQ: a bad escape, NUL
 * or UTF-8 in it, with `name` set when that much can be told. Moves *text on in each case. */
int query_next_pair(struct arena *arena, struct slice *text, struct pair *ret_pair);

struct parse {
	struct arena *arena;
	const struct route *route;
	enum caller caller;
	struct query query;
	struct faults *faults;
	const char *name; /* of the parameter at hand */
	struct slice seen[PAIRS_MAX];
	size_t n_seen;
};

void query_fault(struct parse *parse, const char *code, const char *detail);
void query_verdict(struct parse *parse, struct verdict verdict);
/* May the caller know of this field of the shape? */
bool query_knows(const struct parse *parse, size_t field);
/* The next of a comma-separated list; false at its end. */
bool query_next_item(struct slice *list, struct slice *ret_item);

/* query_place.c: the parameters of what has a place */
bool query_takes_bbox(const struct parse *parse);
void query_parse_bbox(struct parse *parse, struct slice value);
bool query_takes_crs(const struct parse *parse);
void query_parse_crs(struct parse *parse, struct slice value);
bool query_takes_geometry(const struct parse *parse);
void query_parse_geometry(struct parse *parse, struct slice value);

/* Was there a parameter of this name, with whatever value? */
bool query_was_seen(const struct parse *parse, const char *name);

struct nearest;
/* Is the name a clause of the resource? Then takes its value, or adds a fault. */
bool query_clause(struct parse *parse, struct slice name, struct slice value);
void query_offer_clauses(const struct parse *parse, struct nearest *nearest);
/* Faults of clauses that need another parameter. */
void query_check_clauses(struct parse *parse);

/* Is the name a filter of the shape ("open_on.gte")? Then adds it, or a fault. */
bool query_filter(struct parse *parse, struct slice name, struct slice value);
/* Of everything but cursor and limit (cursor.c). */
uint64_t query_digest(const struct operation *operation, const struct query *query);
/* Puts the filters in the order that names the statement. */
void query_sort_filters(struct query *query, const struct shape *shape);
/* Offers all names of filters. */
void query_offer_filters(const struct parse *parse, struct nearest *nearest);

#endif
