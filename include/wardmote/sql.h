/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The standard statements, derived from a shape. Lists and single records yield a row for each record (wardmote/view.h). Every other statement is
 * `WITH ..., answer AS (SELECT status, body, etag, link) ` and the tail; it returns zero or one row, the uniform one:
 *   status int    HTTP status; zero rows is 404
 *   body   text   the representation; from 400 on the errors[] array, which C wraps into the problem
 *   etag   text   the record's version as text; NULL for a history
 *   link   text   Location of a created record; for a history, and with OP_PAGED, the keys of the last row when there is a further page (a key, 0x1f, another: the id
 *                 where the path has one, so that a cursor goes with its record)
 * The body of these is `{"items":[...]` without the closing brace: C appends `,"links":[...]}`.
 *
 * Hand-written statements (operation.sql) have the same form and end after the CTE `answer`; their parameters are
 *   $1 jsonb body   $2 uuid id   $3 int expected version (NULL: any)   $4.. as text: the path's parameters other than {id}, then the operation's own, in the order of
 *   its table, then with OP_PAGED the limit and the two keys of the page before (NULL on the first), with OP_CONDITIONAL what struct call's `known` has. Such a
 *   one gives its own text as etag (of which none may come back for another answer), and 304 without a body for one that is known
 * and `@record` in them stands for the JSON of a row `r` of the resource, as GET shows it to the caller.
 */
#ifndef WARDMOTE_SQL_H
#define WARDMOTE_SQL_H

#include "wardmote/query.h"
#include "wardmote/validate.h"

enum { STATEMENT_PARAMETERS_MAX = 48 };

/* A page with boundaries ends before the record with which they would have more positions than this, but not before its first. Simplified ones are counted as they
 * are stored, and there may be more of them: little of each is shown. */
enum { PAGE_POSITIONS_MAX = 500000, PAGE_POSITIONS_SIMPLIFIED_MAX = 8 * PAGE_POSITIONS_MAX };

struct sql_text;

struct statement {
	const char *text;
	uint64_t hash; /* of the text (wardmote/hash.h); 0: not known */
	struct sql_text *held; /* where the text lies in a cache: see sql_release */
	bool records; /* yields rows of records (wardmote/view.h), not the uniform row */
	size_t n_parameters;
	const char *parameters[STATEMENT_PARAMETERS_MAX]; /* text format; NULL is SQL null */
};

enum format { FORMAT_JSON, FORMAT_CSV, FORMAT_GEOJSON };

/* One parsed and validated request, ready to become a statement. */
struct call {
	const struct route *route;
	const struct catalog *catalog;
	enum caller caller;
	enum format format;
	const char *id;
	const char *names[PATH_NAMES_MAX]; /* of the path (struct match) */
	const char *expected_version; /* from If-Match; NULL: any (If-Match: *, or PUT without If-Match) */
	const char *known_version; /* of a GET: the client has this version, so that of the same one the geometry may be null; NULL: none */
	struct query query;
	struct body body;
	const char *known; /* OP_CONDITIONAL: the etags that the client has, as the statement gave them, with spaces between; NULL: none */
	bool create_only; /* If-None-Match: * of a PUT: 412 where the record exists */
	const char *idempotency_key; /* NULL: none */
};

/* 0; -E2BIG when the call needs more parameters than a statement has; -EINVAL when it is not one for a statement (a native operation, GeoJSON of what has
 * no geometry). */
int sql_build(struct arena *arena, const struct call *call, struct statement *ret_statement);
/* The same, with texts that were made before. A text that lies in the cache stays there until sql_release, even where the cache drops it meanwhile. */
struct sql_cache;
/* Keeps the texts used last, up to so many bytes of them. 0 or -ENOMEM. Not for sharing between threads. */
int sql_cache_new(size_t bytes_max, struct sql_cache **ret_cache);
/* After all that is held has been released. */
void sql_cache_free(struct sql_cache *cache);
int sql_build_cached(struct sql_cache *cache, struct arena *arena, const struct call *call, struct statement *ret_statement);
/* Does the statement note a read? One record is read by somebody who is signed in, with fields that are logged (F_LOGGED): where it is another partner's and not
 * public they are shown, and that they were is a row in wardmote.personal_read. So the statement writes. Every other answer withholds them. */
bool sql_notes(const struct call *call);
/* The statement is not used any more. Accepts a zeroed one, and one twice. */
void sql_release(struct statement *statement);
/* The probe of a refused caller: a row (403) where the caller sees the record, none where not. */
int sql_probe(struct arena *arena, const struct call *call, struct statement *ret_statement);
/* The answer stored under the call's Idempotency-Key, where the caller may still see the version that it showed; zero rows: not any more. */
int sql_replay(struct arena *arena, const struct call *call, struct statement *ret_statement);
/* `wardmote sql`: the five standard statements of one resource, for the golden file. */
struct slice sql_describe(struct arena *arena, const struct catalog *catalog, const struct shape *shape);

#endif
