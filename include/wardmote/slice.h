/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* A slice is a view of bytes owned by somebody else: it carries its length and need not end in NUL. */
#ifndef WARDMOTE_SLICE_H
#define WARDMOTE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

/* A slice of a string literal. */
#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })

/* A slice of a C string; NULL gives the empty slice. */
static inline struct slice slice_of(const char *text)
{
	return (struct slice){ text, text == NULL ? 0 : strlen(text) };
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Is the slice exactly this C string? */
static inline bool slice_is(struct slice s, const char *text)
{
	return slice_equal(s, slice_of(text));
}

#endif
