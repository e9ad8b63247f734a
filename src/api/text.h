/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Strict text forms, private to src/api; those that others use too are in wardmote/validate.h. */
#ifndef WARDMOTE_API_TEXT_H
#define WARDMOTE_API_TEXT_H

#include <stdint.h>

#include "wardmote/arena.h"

enum { URL_MAX = 2000, NUMBER_EXPONENT_MAX = 30 };

/* Well-formed UTF-8, whatever it says. */
bool text_is_encoded(struct slice text);
/* Code points of well-formed UTF-8. */
size_t text_characters(struct slice text);
/* Like text_is_utf8, but one line: no tab, CR, LF or Unicode line separator. */
bool text_is_line(struct slice text);
/* Nothing but spaces, tabs, CR and LF (or nothing at all). */
bool text_is_blank(struct slice text);
/* An absolute http or https URL in the characters of RFC 3986, with a host and without user information. */
bool text_is_url(struct slice text);
/* -?(0|[1-9][0-9]*) that fits 64 bits. 0 or -EINVAL. */
int text_integer(struct slice text, int64_t *ret_value);
/* A JSON number literal within our limits (length, exponent): always finite. 0, or -EINVAL. */
int text_number(struct slice text, double *ret_value);
/* ASCII letters only; the rest of Unicode must be equal byte by byte. */
bool text_equal_ignoring_case(struct slice a, struct slice b);

/* The nearest of several names to one that was not found. Zero-initialise with `wanted`, offer each candidate; `name` is NULL when none is within an
 * edit distance of two (one for names of up to four characters). */
struct nearest {
	struct slice wanted;
	const char *name;
	size_t distance;
};

/* Could a name of this length be near enough? Each edit changes the length by one at most. */
bool nearest_may_be(const struct nearest *nearest, size_t len);
void nearest_offer(struct nearest *nearest, const char *candidate);
/* " Did you mean \"x\"?", or "". */
const char *nearest_hint(struct arena *arena, const struct nearest *nearest);

/* 64 bits of FNV-1a, for what is compared and never trusted. Start with HASH_START. */
#define HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t text_hash(uint64_t hash, struct slice text);

#endif
