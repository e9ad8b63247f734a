/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The query string of a request, parsed against a shape: typed, bounded, all faults at once. No client byte reaches SQL text: filters carry
 * the descriptor's column and a parameter value. */
#ifndef WARDMOTE_QUERY_H
#define WARDMOTE_QUERY_H

#include "wardmote/catalog.h"
#include "wardmote/problem.h"

enum filter_op {
	FILTER_ANY_OF, /* scalar = ANY(values), where there are several; for array fields: overlaps. value is a PostgreSQL array literal */
	FILTER_NONE_OF, /* .ne */
	FILTER_EQUAL, /* one value */
	FILTER_NOT_EQUAL,
	FILTER_GT,
	FILTER_GTE,
	FILTER_LT,
	FILTER_LTE,
	FILTER_CONTAINS, /* .contains on text: case-insensitive substring; value with LIKE's wildcards escaped by backslash, without the % around */
	FILTER_NULL,
	FILTER_NOT_NULL, /* .null=true|false: no value */
};

enum { SRID_WGS84 = 4326, SRID_NATIONAL = 27700 };

/* geometry= of a list: how its areas are given. */
enum geometry_form {
	GEOMETRY_AS_ASKED /* where fields= names it, or the format is GeoJSON */,
	GEOMETRY_FULL,
	GEOMETRY_SIMPLIFIED,
	GEOMETRY_NONE
};

enum { FILTERS_MAX = 16, SORT_KEYS_MAX = 2, FILTER_VALUES_MAX = 50, OPERATION_VALUES_MAX = 16, CLAUSES_MAX = 16 };

struct filter {
	const struct field *field;
	enum filter_op op;
	const char *value; /* text form for a cast to the column's type */
};

enum count_kind { COUNT_NONE, COUNT_EXACT, COUNT_ESTIMATED };

struct query {
	struct filter filters[FILTERS_MAX]; /* sorted by field position, then op: the set names the statement */
	size_t n_filters;
	const char *clauses
	    [CLAUSES_MAX]; /* values of the resource's clauses, in the order of its table; NULL: not there, or one that changes nothing */
	const struct sort *sort;
	bool descending;
	long limit; /* 1..500; or no limit: */
	bool all; /* not a page but the whole list (src/server/export.c) */
	uint64_t fields; /* bits of the shape's fields that fields= named; 0: the default set */
	uint64_t include; /* bits of the fields whose include_name was named */
	enum count_kind count;
	const char *search; /* q=; NULL: none */
	const char *bbox[4]; /* west, south, east, north as numbers in text; bbox[0] NULL: none. west > east crosses the antimeridian */
	int srid; /* crs=: of the coordinates in body and answer; 0: not named, as SRID_WGS84 */
	enum geometry_form geometry;
	const char *as_of; /* RFC 3339 in UTC; NULL: now */
	struct slice cursor; /* sealed, as received; empty: first page */
	const char *keys[SORT_KEYS_MAX]; /* from the cursor: sort key and id of the last row seen; keys[0] NULL: none */
	bool dry_run;
	const char *external_id;
	const char *values[OPERATION_VALUES_MAX]; /* the operation's own parameters, in the order of its table; NULL where absent */
	uint64_t digest; /* of everything but cursor and limit: a cursor is bound to it */
};

/* Parses `text` (the part after '?', not decoded) for an operation. `caller` decides which fields exist (A_PARTNER fields
 * are unknown to the anonymous; a filter on an A_OWNER field is known to any partner and makes the list one of the caller's own records).
 * Repeated, unknown and ill-typed parameters are faults. 0, or -EINVAL when faults were added. */
int query_parse(struct arena *arena, const struct route *route, struct slice text, enum caller caller, struct query *ret_query,
		struct faults *faults);

/* A fault for each position that lies outside of `extent` ("west,south,east,north"; empty: not known), and inside once longitude and latitude are changed over. */
void query_check_positions(const struct query *query, const struct route *route, const char *extent, struct faults *faults);

/* A filter that few records pass (F_SELECTIVE), whose index a list is to begin with; NULL: there is none. */
const struct filter *query_leading(const struct query *query);

bool query_has_clauses(const struct query *query);
/* Has it a clause that few records meet? */
bool query_is_selective(const struct query *query, const struct resource *resource);

/* The operators that a filter on this field offers, as bits 1 << enum filter_op (FILTER_NULL stands for both of its kind); 0: no filter. ANY_OF, EQUAL
 * are the field's bare name, NONE_OF and NOT_EQUAL its name with .ne, the others with the operator's name. A list has at most FILTER_VALUES_MAX values. */
unsigned query_operators(const struct field *field);

/* Binds cursors also to what the path names. */
void query_bind(struct query *query, const char *const *names, size_t n);
/* The plain text of a cursor (before sealing) and back. Decoding fails with -EINVAL when the digest is another query's. */
struct slice cursor_encode(struct arena *arena, const struct query *query, struct slice keys);
int cursor_decode(struct arena *arena, struct slice plain, struct query *query);
/* The same query as a relative target with another cursor (for links): "/v1/consultations?status=open&limit=50&cursor=..." */
const char *query_link(struct arena *arena, struct slice path, struct slice query_text, const char *cursor);

/* application/x-www-form-urlencoded for the token endpoint: decoded value of a name, NULL when absent. -EINVAL: repeated name or bad escape. */
int form_value(struct arena *arena, struct slice form, const char *name, const char **ret_value);

#endif
