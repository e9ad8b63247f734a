/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by the files of the statement builder. The text holds names from descriptors and numbers of parameters, nothing that a client sent; what
 * varies with the call is which clauses there are. Conventions in the text: `t` is a row of the source, `r` a row about to be rendered. */
#ifndef WARDMOTE_API_SQL_INTERNAL_H
#define WARDMOTE_API_SQL_INTERNAL_H

#include "catalog_internal.h"
#include "wardmote/sql.h"

struct sql {
	struct arena *arena;
	const struct call *call;
	const struct shape *shape;
	struct buffer text;
	struct statement *statement;
	/* numbers of parameters; 0: there is none */
	int as_of;
	int body, key, expected, geometry; /* of a write; key: id, or external_id of a PUT */
	bool overflow;
};

/* sql.c */
/* The number of a new parameter. */
int sql_parameter(struct sql *sql, const char *value);
void sql_add(struct sql *sql, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A string literal of a descriptor's constant. */
void sql_literal(struct sql *sql, const char *text);
/* "api.thing" or "api.thing_version", and the condition on `alias` that picks the version of the moment asked for (" AND ..." or ""). */
const char *sql_source(const struct sql *sql, const struct resource *resource);
const char *sql_moment(const struct sql *sql, const char *alias);
const char *sql_type(const struct field *field);
/* Does the caller's partner own the row `alias`? */
const char *sql_is_own(const struct sql *sql, const char *alias);
/* Stores a good answer under the Idempotency-Key, then ends the statement after the CTE `answer`. */
void sql_tail(struct sql *sql);

/* The answer's errors[]: the rows (pointer, code, detail) of a source. */
#define SQL_ERRORS "(SELECT json_agg(json_build_object('pointer', e.pointer, 'code', e.code, 'detail', e.detail))::text FROM %s e)"

/* sql_render.c: expressions over the row `r` */
/* What the call shows: fields that the caller may see, those asked for, or the default set. */
uint64_t sql_shown(const struct sql *sql);
void sql_render_object(struct sql *sql, uint64_t fields);
void sql_render_feature(struct sql *sql, uint64_t fields);
void sql_render_csv_header(struct sql *sql, uint64_t fields);
void sql_render_csv(struct sql *sql, uint64_t fields);

/* sql_list.c */
void sql_list(struct sql *sql);
void sql_get(struct sql *sql);
/* sql_write.c */
void sql_create_or_change(struct sql *sql);
void sql_delete(struct sql *sql);
/* sql_faults.c: rows (pointer, code, detail) over `new` and `cur` */
void sql_faults(struct sql *sql);
void sql_forbidden(struct sql *sql);
/* A field that others may not see, and so may not set either, even where a grant lets them change the record. */
bool sql_is_owners_alone(const struct sql *sql, const struct field *field);
/* A CTE of such rows from the resource's own text; no row when it has none. */
void sql_own_faults(struct sql *sql, const char *name, const char *text);
/* sql_history.c */
void sql_history(struct sql *sql);

#endif
