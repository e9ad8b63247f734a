/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Numbers and formats without printf, which takes a thousand instructions for what most texts of a request consist of. Private to src/base. */
#ifndef WARDMOTE_FORMAT_H
#define WARDMOTE_FORMAT_H

#include <stdarg.h>
#include <stdint.h>

#include "wardmote/slice.h"

enum { FORMAT_PARTS_MAX = 32, FORMAT_DIGITS_MAX = 256, DECIMAL_MAX = 20 };

/* A text in parts: some lie in the format, some in the arguments, and numbers in `digits`. */
struct format_parts {
	struct slice parts[FORMAT_PARTS_MAX];
	size_t n, len, used;
	char digits[FORMAT_DIGITS_MAX];
};

/* What printf makes of it: %s %.*s %d %ld %zu %u %lu %lx %016lx %%. False: there is another conversion, a NULL, or too much of it all; `args` is used up. */
bool format_split(struct format_parts *parts, const char *format, va_list args);
/* Writes all parts, without a NUL. */
void format_join(const struct format_parts *parts, char *ret_text);
/* Writes the number, at most DECIMAL_MAX characters without a NUL; its length. */
size_t format_decimal(int64_t value, char *ret_text);
/* So many digits of a small number, with leading zeros. */
void format_digits(unsigned value, size_t n, char *ret_text);

#endif
