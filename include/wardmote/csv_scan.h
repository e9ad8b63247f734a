/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* CSV (RFC 4180) of any length, fed in pieces and cut into rows: quotes, doubled quotes and line breaks inside of them, CRLF or LF, a byte order mark. */
#ifndef WARDMOTE_CSV_SCAN_H
#define WARDMOTE_CSV_SCAN_H

#include <stdint.h>

#include "wardmote/arena.h"

enum {
	CSV_COLUMNS_MAX = 64,
	CSV_CELL_MAX = 4000, /* characters of a cell; 4 bytes each at most */
};

struct csv_row {
	uint64_t line; /* where it begins, from 1 */
	const struct slice *cells; /* without quotes; they live until `emit` returns */
	size_t n;
	const char *fault; /* one sentence; NULL: none. The cells are then not to be used */
};

/* False: no more. Lines without any character are passed over. */
typedef bool (*csv_row_fn)(void *context, const struct csv_row *row);

struct csv_scan;

/* NULL: no memory. */
struct csv_scan *csv_new(csv_row_fn emit, void *context);
void csv_free(struct csv_scan *scan);
/* Takes the next piece. 0; -EINVAL: it cannot be cut into rows, and csv_fault says why; -ECANCELED: `emit` wants no more; -ENOMEM. After any of these no further
 * piece may come. */
int csv_feed(struct csv_scan *scan, struct slice piece);
/* The last row may lack its line break. 0, or as csv_feed. */
int csv_end(struct csv_scan *scan);
/* One sentence for people, with the line; in the arena. */
const char *csv_fault(const struct csv_scan *scan, struct arena *arena);

#endif
