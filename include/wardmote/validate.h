/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Bodies: the gate over raw bytes, then the tree against the descriptor. Everything that the request alone shows is found here, all at once. */
#ifndef WARDMOTE_VALIDATE_H
#define WARDMOTE_VALIDATE_H

#include "wardmote/catalog.h"
#include "wardmote/problem.h"

enum {
	JSON_DEPTH_MAX = 32,
	JSON_NODES_MAX = 10000,
	JSON_NUMBER_MAX = 32, /* characters of a number literal; its exponent at most +-30 */
	GEOMETRY_VERTICES_MAX = 250000,
	BODY_MAX = 1 << 20, /* bytes; with a geometry GEOMETRY_BODY_MAX; anonymous ANONYMOUS_BODY_MAX */
	GEOMETRY_BODY_MAX = 16 << 20,
	ANONYMOUS_BODY_MAX = 64 << 10,
};

enum body_mode { MODE_CREATE, MODE_REPLACE, MODE_MERGE };

/* A body that passed. `json` is the bytes received (with geometry members cut out and replaced by null); SQL gets it as jsonb. Each member of
 * the body that is a geometry is handed over as the text of its GeoJSON. */
struct body {
	struct slice json;
	uint64_t present; /* bits of the shape's fields that the body has (resource bodies) */
	struct slice geometry; /* GeoJSON of the T_GEOMETRY or T_POINT member; ptr NULL: absent; len 0 with ptr: null */
	uint64_t hash; /* of the bytes, for Idempotency-Key */
	const char *visibility; /* the body's own, or NULL: what the statement needs to know */
};

/* Checks a body for a resource. `mode` says which fields must be there. A F_CREATE_ONLY field passes in each mode: only the statement knows whether it is
 * changed. 0, or -EINVAL when faults were added. */
int body_validate(struct arena *arena, const struct shape *shape, enum body_mode mode, struct slice bytes, struct body *ret_body,
		  struct faults *faults);
/* The same for a body whose geometry is in another reference system (wardmote/query.h: SRID_*). */
int body_validate_in(struct arena *arena, const struct shape *shape, enum body_mode mode, int srid, struct slice bytes,
		     struct body *ret_body, struct faults *faults);
/* Checks a body for an operation with its own fields (ended by a row without name). */
int body_validate_fields(struct arena *arena, const struct field *fields, struct slice bytes, struct body *ret_body, struct faults *faults);
/* One top-level string member of a body that passed; NULL when absent or null. */
const char *body_text(struct arena *arena, const struct body *body, const char *name);

/* Strict text forms, shared with the query parser. */
bool text_is_uuid(struct slice text); /* 36 characters, lower or upper case */
bool text_is_date(struct slice text); /* YYYY-MM-DD, a real day, year 1000..9999 */
bool text_is_time(struct slice text); /* HH:MM or HH:MM:SS */
/* RFC 3339 date-time with offset, to UTC text "YYYY-MM-DDTHH:MM:SS.ffffffZ". */
int text_timestamp(struct arena *arena, struct slice text, const char **ret_utc);
bool text_is_utf8(struct slice text); /* well-formed, no NUL, no C0/C1 control but tab, CR and LF, no non-character, no bidi control */

#endif
