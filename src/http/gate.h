/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The gate: what must hold before a request is routed. Pure functions over the request's head, so that unit tests and fuzzers need no socket.
 * libmicrohttpd 0.9.75 parses loosely; two parsers that disagree on where a request ends are a hole, so whatever is not plainly well-formed is
 * refused and the connection closed. Each rule has a name, which docs/http-gate.md lists and the tests provoke. */
#ifndef WARDMOTE_HTTP_GATE_H
#define WARDMOTE_HTTP_GATE_H

#include <stdint.h>

#include "wardmote/problem.h"

struct gate_field {
	struct slice name;
	struct slice value; /* as received: white space at its end is still there */
};

struct gate_head {
	struct slice method;
	struct slice target; /* raw; cut short to one byte more than target_max when longer */
	struct slice version;
	const struct gate_field *fields;
	size_t n_fields;
	size_t target_max;
	size_t headers_max;
};

struct gate_verdict {
	enum problem problem;
	int status;
	const char *rule;
	const char *detail;
};

/* What the head says about the body. */
struct gate_body {
	bool chunked;
	uint64_t length; /* of Content-Length; 0 without one */
};

/* NULL: passed, and *ret_body is set. Else the first rule that was broken. */
const struct gate_verdict *gate_check(const struct gate_head *head, struct gate_body *ret_body);

/* Where the library found the parts of the head. It parses in place, so in a plain head each part follows the one before it at a known distance;
 * a folded line, a line ended by a bare LF, a NUL byte or a second space breaks the sequence. `end` is the first byte after the head. */
struct gate_layout {
	const char *method;
	const char *target;
	size_t target_len;
	const char *version;
	const char *end;
};

const struct gate_verdict *gate_check_layout(const struct gate_layout *layout, const struct gate_field *fields, size_t n_fields);

/* Refusals that no head shows. */
extern const struct gate_verdict gate_body_too_large;
extern const struct gate_verdict gate_body_memory;
extern const struct gate_verdict gate_body_disk;
extern const struct gate_verdict gate_connection_limit;
extern const struct gate_verdict gate_header_timeout;
extern const struct gate_verdict gate_body_timeout;

/* Without white space at both ends. */
struct slice gate_trim(struct slice value);
bool gate_name_equal(struct slice a, struct slice b); /* ignoring case */

#endif
