/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The vocabulary of the contract. One const `struct resource` states what a client may send, filter, sort and see; validation, the standard SQL
 * statements and the OpenAPI document are derived from it. Pure data: nothing here does I/O. */
#ifndef WARDMOTE_RESOURCE_H
#define WARDMOTE_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
	T_UUID, /* uuid */
	T_TEXT, /* text; min..max in characters */
	T_ENUM, /* text with CHECK; one of `values` */
	T_BOOL, /* boolean */
	T_INT, /* integer or bigint; min..max */
	T_DATE, /* date, YYYY-MM-DD, year 1000..9999 */
	T_TIME, /* time, HH:MM */
	T_TIMESTAMP, /* timestamptz, RFC 3339; always rendered in UTC with Z */
	T_REF, /* uuid of a `refers` record that the caller can see */
	T_REFS, /* uuid[] of those; min..max items, no repeats; PATCH replaces it */
	T_CODES, /* text[] of codes in list `code_list` that the caller can see; min..max items, no repeats */
	T_TEXTS, /* text[]; min..max items of 1..200 characters */
	T_OBJECTS, /* jsonb array of objects described by `members`; min..max items */
	T_OBJECT, /* jsonb object described by `members`, stored as it is sent */
	T_GEOMETRY, /* geometry(MultiPolygon,4326); GeoJSON Polygon or MultiPolygon in, MultiPolygon out */
	T_POINT, /* geometry(Point,4326); GeoJSON Point */
	T_URL, /* text; absolute http or https URL, at most 2,000 characters */
	T_DECIMAL, /* numeric; min..max in whole numbers, `scale` decimals */
	T_POSITION, /* of parameters and clauses alone: "lon,lat" in degrees */
	T_BOX, /* of parameters and clauses alone: "west,south,east,north" in degrees; with max 6 also "west,south,low,east,north,high" */
};

enum {
	F_REQUIRED = 1 << 0, /* must be in a POST or PUT body, and may not be null */
	F_READONLY = 1 << 1, /* set by the server; sending it is an error */
	F_CREATE_ONLY = 1 << 2, /* may be sent on create; a PATCH or PUT that changes it is an error */
	F_NULLABLE = 1 << 3, /* null is a value; without it absent means `initial` */
	F_FILTER = 1 << 4, /* offers the filters of its type as query parameters */
	F_SEARCH = 1 << 5, /* part of the text that q= searches (the column `search` of the table) */
	F_SUMMARY = 1 << 6, /* shown where the record is embedded by another's include= (id always is) */
	F_PERSONAL = 1 << 7, /* can hold personal data: `purpose` and `retention` say why and how long; answers get no-store */
	F_OWNED_REF = 1 << 8, /* the referenced record must be one that the caller may write */
	F_INCLUDE = 1 << 9, /* a T_REF, T_REFS or T_OBJECTS that include= can embed under `include_name` */
	F_LEAVE = 1 << 10, /* PUT leaves the stored value where the body does not have it (visibility, grants) */
	F_HEAVY = 1 << 11, /* in a list only when named by fields= (geometry) */
	F_SELECTIVE = 1 << 12, /* few records share a value (of a million at most 10,000): an index answers equality */
	F_LOGGED = 1 << 13, /* personal, and who reads it of another partner is noted */
};

/* The widest audience that sees a field. Filters, sort, q, include, CSV, history and as_of obey it. */
enum audience {
	A_PUBLIC, /* anyone who sees the record */
	A_PARTNER, /* any signed-in account that sees the record */
	A_OWNER, /* accounts of the partner that owns the record */
};

/* What can tell who somebody is is F_PERSONAL. Every other text and point says here whether it may do so all the same (`wardmote privacy`). */
enum naming {
	NAMES_UNDECIDED,
	NAMES_NOBODY, /* codes, names of places and bodies, what the server sets */
	NAMES_PERHAPS, /* free words about something else: a person may get into them by mistake */
	NAMES_BY_ID, /* an account's id: whoever may see the account sees whose */
};

struct field {
	const char *name; /* also the column's name */
	enum field_type type;
	unsigned flags;
	enum audience audience;
	int64_t min, max; /* text: characters; int, decimal: value; arrays: items. max 0: the type's own limit */
	int scale; /* T_DECIMAL: decimals that are kept */
	const char *const *values; /* T_ENUM: NULL-terminated */
	const char *refers; /* T_REF, T_REFS, and the uuid member of T_OBJECTS: name of the resource ("localities") */
	const char *code_list; /* T_CODES: name of the list ("topic") */
	const struct field *members; /* T_OBJECTS, T_OBJECT: fields of one object, ended by a row without name */
	const char *include_name; /* F_INCLUDE: "partner", "localities" */
	const char *
	    common; /* T_ENUM: the value that lists ask for most. Indexes of its own hold these records alone, so it stands in a statement's text */
	const char *initial; /* value when a create leaves it out: JSON text ("\"private\"", "[]", "false"); NULL: null.
	                                   * "@partner": the caller's partner */
	const char *purpose, *retention; /* F_PERSONAL */
	const char *subjects,
	    *basis; /* F_PERSONAL: whose data it is; the lawful basis that the model supposes, which the controller confirms */
	enum naming names; /* of what is not F_PERSONAL */
	const char *doc; /* one sentence; the unit, the formula's source */
	const char *example; /* JSON text for the OpenAPI document; required unless the type speaks for itself */
};

/* A sort order that a list offers. All columns are NOT NULL (a nullable one sorts by a generated column named in `columns`), all in one
 * direction; `id` is the tie-break. There is an index after `audience` for each. */
struct sort {
	const char *name; /* as in sort=name and sort=-name: a field's name */
	const char *column; /* the column compared; same as name when NULL */
	const char *type; /* SQL type of the column: "text", "timestamptz", "date", "integer" */
	enum audience audience;
};

/* A condition that a list offers beside the filters of its fields. In `sql` a row is `t`; @ is the clause's value and @name that of another clause, cast to its
 * type; an absent one is null. */
struct clause {
	const char *name; /* of the parameter */
	enum field_type type;
	int64_t min, max;
	const char *const *values; /* T_ENUM */
	const char *needs; /* another clause that must be there too: near needs radius */
	const char *sql; /* NULL: it only carries a value for another */
	bool selective; /* few records meet it: they are found first, and sorted then */
	const char *
	    widens; /* a T_REFS field whose filter has this array in its place: in `sql` @ is the filter's own. The clause itself is an enum */
	const char *neutral; /* the value that changes nothing */
	const char *shows; /* a member that each record has while the clause is there, in JSON alone: */
	const char *shows_sql; /* its value as json, over a record `r`; @ is the widened filter's array, or the clause's value */
	const char *shows_schema; /* its JSON Schema */
	const char *doc;
	const char *example; /* as in the query */
};

enum {
	R_OWNED = 1 << 0, /* has partner_id, visibility, grants, external_id, source, and the generated audience, readers, writers */
	R_ADMIN = 1 << 1, /* only administrators create, change and delete (for any partner_id) */
	R_SHAREABLE = 1 << 2, /* partner_id may be null: shared by the network, run by administrators (codes) */
	R_NO_DELETE = 1 << 3, /* has no DELETE */
	R_UNIQUE = 1 << 4, /* has a uniqueness rule besides external_id's, so that PUT too can answer 409 */
	R_READ_ONLY = 1 << 5, /* made by operations of its own: no POST, PUT, PATCH and DELETE */
};

/* The roles, in order: each may do all that the ones before it may. */
enum caller { CALLER_ANONYMOUS, CALLER_VIEWER, CALLER_OFFICER, CALLER_MANAGER, CALLER_ADMINISTRATOR };

struct operation;

struct resource {
	const char *name; /* plural, kebab-case: the path segment and scope name, "boundary-sets" */
	const char *thing; /* singular, snake_case: the table and the prefix of references, "boundary_set" */
	const char *doc; /* one paragraph */
	unsigned flags;
	enum caller read, write; /* least role to read, and to create, change, delete */
	const char *visibility; /* R_OWNED: "private" or "public", the default */
	const struct field *fields; /* its own fields; the common ones are added by the catalog */
	size_t n_fields;
	const struct sort *sorts; /* the first is the default; ended by a row without name */
	const struct clause *clauses; /* ended by a row without name; NULL: none */
	/* A query over `new` (the record as it would be stored; columns of the table) and `cur` (the stored one; no row on create), yielding
	 * rows (pointer text, code text, detail text): faults that need data. 422. NULL: none. It sees what the caller sees: it reads api.* views. */
	const char *check_sql;
	/* The same, for states and gates: 409. */
	const char *gate_sql;
	/* The same over `cur` alone, asked before DELETE: 409. */
	const char *delete_sql;
	/* Two fields of which the second may not be before the first when both are in one body (400); pairs, NULL-terminated. */
	const char *const *ordered;
	const struct operation *operations; /* beyond the standard ones; ended by a row without id */
	const char *example; /* JSON of a good create body */
};

#endif
