/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Shared by the files of the statement builder. The text holds names from descriptors and numbers of parameters, nothing that a client sent; what
 * varies with the call is which clauses there are. Conventions in the text: `t` is a row of the source, `r` a row about to be rendered.
 *
 * Parameters come first (sql_parameters.c), then the text refers to them by their numbers: so a text that was made before (sql_cache.c) needs nothing but
 * parameters made in the same way. What the text may depend on beside the route is `struct sql_form`. */
#ifndef WARDMOTE_API_SQL_INTERNAL_H
#define WARDMOTE_API_SQL_INTERNAL_H

#include "catalog_internal.h"
#include "wardmote/sql.h"
#include "wardmote/view.h"

/* The path's, the operation's own, and those of a page. */
enum { GIVEN_MAX = PATH_NAMES_MAX + OPERATION_VALUES_MAX + 2 + SORT_KEYS_MAX };

struct sql {
	struct arena *arena;
	const struct call *call;
	const struct shape *shape;
	struct buffer text;
	struct statement *statement;
	/* numbers of parameters; 0: there is none */
	int as_of, limit, id, known;
	int clauses[CLAUSES_MAX]; /* of a list, like the next */
	int filters[FILTERS_MAX], search, corners[4], keys[SORT_KEYS_MAX];
	int body, key, expected, geometry; /* of a write; key: id, or external_id of a PUT */
	int given[GIVEN_MAX]; /* of a hand-written statement, after the first three */
	size_t n_given;
	struct {
		int key, method, path, hash, id;
	} saved; /* under the Idempotency-Key */
	bool overflow;
	bool versions; /* `r` may be an earlier one */
};

/* sql_parameters.c */
/* The number of a new parameter. */
int sql_parameter(struct sql *sql, const char *value);
/* Not where it has no value, or the common one of its field, which is a constant of the text. */
bool sql_has_parameter(const struct filter *filter);
/* All that the statement of the call has. */
void sql_parameters(struct sql *sql);
/* The target as stored with a key: the template, and the record's id where it has one. */
const char *sql_keyed_path(struct arena *arena, const struct call *call);

/* sql_cache.c */
enum { FORM_WORDS_MAX = 7 + 2 * FILTERS_MAX };
/* All of a call that its text depends on. */
struct sql_form {
	size_t n_words;
	uint64_t words[FORM_WORDS_MAX];
};
void sql_form_of(const struct call *call, struct sql_form *ret_form);
/* The text of a form for a statement, which holds it. */
bool sql_cache_find(struct sql_cache *cache, const struct sql_form *form, struct statement *statement);
/* Keeps the text (it ends in NUL) and lets the statement hold it; without memory, or for one that is too long, nothing happens. */
void sql_cache_add(struct sql_cache *cache, const struct sql_form *form, struct slice text, struct statement *statement);

/* sql.c */
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
/* Those that a caller sees of a record that is not his partner's. */
uint64_t sql_visible_to_others(const struct sql *sql);
/* Is `r`, of whoever it is, a public record? One whose earlier versions alone were public is none. */
const char *sql_is_open(const struct sql *sql);
/* Logged fields that the call does not show of others' records unless these are public. */
uint64_t sql_withheld(const struct sql *sql);
/* The record as one value of JSON. */
void sql_render_object(struct sql *sql, uint64_t fields);
/* The columns of a view but for those that lead. `r.is_own` is there where one of them is the owner's alone, and in a page `r.row_n` where one is dear: those are null in the
 * row after the last one that is shown. */
void sql_render_columns(struct sql *sql, const struct view *view);
bool view_has_owners(const struct view *view);
bool view_has_dear(const struct sql *sql, const struct view *view);

/* sql_clause.c */
/* " AND (...)" for each clause that is a condition of its own. */
void sql_clauses(struct sql *sql);
/* The array in the place of the filter's own, where a clause widens it; false: none does. */
bool sql_widened(struct sql *sql, const struct filter *filter);
/* The clause at this position, where it shows a member in the answer of this call; NULL: it does not. */
const struct clause *sql_showing(const struct sql *sql, size_t at);
void sql_render_shown(struct sql *sql, const struct clause *clause);
/* Is the field's column needed for what clauses show? */
bool sql_shown_needs(const struct sql *sql, const struct field *field);

/* sql_weigh.c: how many positions a page has. The rows between the two have `at`, their place, and those that come out have `row_n`: the same, or null in the one row
 * with which there would be too many. Those behind it are left out. */
void sql_weigh_begin(struct sql *sql, int most);
void sql_weigh_end(struct sql *sql, int most);
/* The positions that a page of the call may have in areas; 0: no areas are shown. */
int sql_positions_most(const struct sql *sql, uint64_t fields);

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
