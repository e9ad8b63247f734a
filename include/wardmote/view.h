/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Records as bytes. A statement that reads records yields a row for each with a column for each field, as PostgreSQL writes it; what these become as JSON, as a
 * GeoJSON feature or as a line of CSV is put together here. (In SQL, row_to_json looks up the type of each column for each row: a page takes three times as
 * long.) The columns are
 *   VIEW_KEY    of a list the sort key of the row as text, of a record its version; NULL in a list that is not cut into pages, and in the row that begins the next
 *               page where boundaries made this one shorter
 *   VIEW_COUNT  of a list with count=: how many records there are; the first row may then have no record
 *   VIEW_OWN    whether the caller's partner owns the record; NULL where nothing depends on it
 * and from VIEW_LEAD on those of the view. */
#ifndef WARDMOTE_VIEW_H
#define WARDMOTE_VIEW_H

#include "wardmote/sql.h"

enum { VIEW_SHOWN_MAX = 2 }; /* members that clauses show */
enum { VIEW_KEY, VIEW_COUNT, VIEW_OWN, VIEW_LEAD, VIEW_COLUMNS_MAX = FIELDS_MAX + INCLUDES_MAX + VIEW_SHOWN_MAX };

/* What a value is, which says how it is written. */
enum cell {
	CELL_PLAIN, /* as it comes: a number, JSON without white space */
	CELL_JSON, /* JSON, which loses its white space */
	CELL_WORD, /* in quotes, with nothing to escape: a UUID, a date */
	CELL_TEXT,
	CELL_BOOLEAN,
	CELL_TIME,
	CELL_TIMESTAMP,
	CELL_ARRAY,
};

struct view_column {
	const struct field *field; /* NULL: it is what a clause shows: */
	const struct clause *shown;
	struct slice key; /* in JSON, with its colon */
	enum cell cell;
	bool owners; /* of others' records it is null, and the member is left out */
	bool withheld; /* of others' records that are not public it is null */
	bool included; /* what include= embeds for the field */
};

struct view {
	enum format format;
	struct slice head, between, tail; /* of a list; JSON then still lacks `,"links":[...]}` */
	int geometry; /* the column that is the geometry of a feature; -1: none */
	size_t n;
	struct view_column columns[VIEW_COLUMNS_MAX];
};

/* Of a call of V_LIST or V_GET. */
void view_of(struct arena *arena, const struct call *call, struct view *ret_view);
/* Bytes that grow, on the heap and not in an arena: a body is let go when it has been sent, or when a shorter coding of it has been made. Zero-initialise; free(ptr). */
struct view_bytes {
	char *ptr;
	size_t len, capacity;
};

/* 0 or -ENOMEM. */
int view_add(struct view_bytes *bytes, struct slice text);
/* Adds the bytes of a row, of which all columns are given. A cell without ptr is null. 0 or -ENOMEM. */
int view_put(const struct view *view, const struct slice *cells, struct view_bytes *out);

/* Takes the white space between the tokens of a JSON text away, in place; returns what is left. PostgreSQL writes some functions' JSON with spaces and some without. */
size_t json_compact(char *text, size_t len);

/* All rows of an answer. */
struct view_rows {
	size_t n, columns;
	size_t bytes; /* about what they take, which is about what they make; 0: not known */
	void (*row)(const void *context, size_t at, struct slice *cells);
	const void *context;
};

struct view_answer {
	struct view_bytes body; /* memory_give(ptr) */
	const char *etag; /* of one record: its version */
	const char *link; /* of a list with a further page: the keys of the last row (sort key, 0x1f, id) */
};

/* 0; -ENOENT: there is no such record; -EINVAL: these are no rows of this call; -ENOMEM. */
int view_render(struct arena *arena, const struct call *call, const struct view_rows *rows, struct view_answer *ret_answer);

#endif
