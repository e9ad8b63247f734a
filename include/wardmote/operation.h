/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* An operation is one row: method, path, who may, what goes in, which lane, what it can answer. Routing, authorisation and the OpenAPI
 * document read the same rows. */
#ifndef WARDMOTE_OPERATION_H
#define WARDMOTE_OPERATION_H

#include "wardmote/resource.h"

enum verb {
	V_LIST, /* GET  /v1/things */
	V_GET, /* GET  /v1/things/{id} */
	V_CREATE, /* POST /v1/things */
	V_PUT, /* PUT  /v1/things?external_id= */
	V_PATCH, /* PATCH /v1/things/{id} */
	V_DELETE, /* DELETE /v1/things/{id} */
	V_HISTORY, /* GET  /v1/things/{id}/history */
	V_SQL, /* a hand-written statement: `sql` */
	V_NATIVE, /* answered or driven by C: `native` */
};

enum lane { LANE_READ, LANE_WRITE, LANE_HEAVY, LANE_STREAM, LANES };

/* What V_NATIVE operations exist; src/server maps each to its handler. */
enum native {
	NATIVE_NONE,
	NATIVE_ROOT,
	NATIVE_V1,
	NATIVE_OPENAPI,
	NATIVE_PROBLEMS,
	NATIVE_PROBLEM,
	NATIVE_JWKS,
	NATIVE_METADATA,
	NATIVE_SECURITY_TXT,
	NATIVE_TOKEN,
	NATIVE_REVOKE,
	NATIVE_INTROSPECT,
	NATIVE_SESSION_CREATE,
	NATIVE_ENROL,
	NATIVE_LOGOUT,
	NATIVE_ME,
	NATIVE_ME_PASSWORD,
	NATIVE_ME_SESSIONS,
	NATIVE_ME_SESSIONS_DELETE,
	NATIVE_SECRET_CREATE,
	NATIVE_ENROLMENT_CREATE,
	NATIVE_ACCOUNT_CREATE,
	NATIVE_CHANGES,
};

enum body_kind { BODY_NONE, BODY_JSON, BODY_MERGE_PATCH, BODY_FORM, BODY_GEOJSON, BODY_CSV };

enum {
	OP_IF_MATCH = 1 << 0, /* If-Match is required: 428, 412 */
	OP_IDEMPOTENT = 1 << 1, /* takes Idempotency-Key */
	OP_DRY_RUN = 1 << 2, /* takes dry_run=true */
	OP_NO_STORE = 1 << 3, /* Cache-Control: no-store */
	OP_OAUTH = 1 << 4, /* errors in OAuth's own form (RFC 6749 section 5.2) */
	OP_ITEM = 1 << 5, /* the path has {id} of `resource`; who may not do it but sees the record gets 403, else 404 */
	OP_AS_OF = 1 << 6, /* takes as_of= */
	OP_GEOMETRY = 1 << 7, /* the body may hold a geometry: 16 MiB instead of 1 MiB */
	OP_CREATES = 1 << 8, /* success is 201 */
	OP_SECRET = 1 << 9, /* the answer shows a secret once; a replay shows null */
	OP_NO_CONTENT = 1 << 10, /* success is 204 */
	OP_PAGED = 1 << 11, /* V_SQL: takes limit and cursor, and answers a page (wardmote/sql.h) */
	OP_SPOOL = 1 << 12, /* the body goes to a file first */
	OP_BINARY = 1 << 13, /* the body is bytes, which the statement gives in hexadecimal after \x */
	OP_CONDITIONAL = 1 << 14, /* the ETag is the text that the statement gives, and If-None-Match goes to the statement */
	OP_TRIED = 1 << 15, /* dear for few records: a short time in its lane, then the heavy one */
};

/* A query parameter of an operation that is not derived from the fields. */
struct parameter {
	const char *name;
	enum field_type type;
	bool required;
	int64_t min, max;
	const char *const *values;
	const char *doc;
};

struct operation {
	const char *id; /* operationId: "list_consultations" */
	const char *method; /* GET, POST, PUT, PATCH, DELETE; HEAD follows GET, OPTIONS is general */
	const char *path; /* "/v1/consultations/{id}/transitions" */
	enum verb verb;
	enum native native;
	const struct resource *resource; /* NULL for general ones */
	enum caller least; /* least role */
	const char *scope; /* "consultations:read"; NULL: none needed */
	enum lane lane;
	unsigned flags;
	enum body_kind body_kind;
	const struct field *body; /* V_SQL and V_NATIVE: fields of the body, ended by a row without name */
	const char *body_example; /* BODY_GEOJSON, BODY_CSV: text */
	const struct parameter *parameters; /* ended by a row without name */
	const char *sql; /* V_SQL: see wardmote/sql.h for the form */
	const char *answer; /* JSON Schema of the answer; NULL: derived */
	const char *media; /* its media type; NULL: application/json */
	const int *statuses; /* further statuses it can answer, beyond those derived from verb and flags; 0-terminated */
	const char *summary;
	const char *doc;
};

#endif
