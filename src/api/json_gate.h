/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One pass over the bytes of a body before jansson sees them. It bounds what a tree could cost (depth, nodes, number literals) and cuts the
 * value of one top-level member out, so that a geometry of many megabytes never becomes a tree. It does not check the syntax of what stays: jansson does. */
#ifndef WARDMOTE_API_JSON_GATE_H
#define WARDMOTE_API_JSON_GATE_H

#include "wardmote/validate.h"

struct json_gate {
	struct slice json; /* the bytes, with the cut value replaced by null */
	struct slice cut; /* the value as received, a view of the bytes; ptr NULL: no such member */
};

/* `cut_name` may be NULL. 0, or -EINVAL after one fault was added. */
int json_gate(struct arena *arena, struct slice bytes, const char *cut_name, struct json_gate *ret_gate, struct faults *faults);

/* Is a string literal (without its quotes, escapes as received) equal to this ASCII name? */
bool json_string_is(struct slice literal, const char *name);
/* The offset behind the string whose opening quote is at `at`; 0 when it does not end. */
size_t json_string_end(struct slice bytes, size_t at);
bool json_is_number_character(char c);
size_t json_skip_space(struct slice bytes, size_t at);
/* "line L, column C" (both from 1; columns in bytes) of an offset. */
const char *json_place(struct arena *arena, struct slice bytes, size_t offset);

#endif
