/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* CSV means the same wherever it was cut into pieces; and rows that were read, written again with every cell in quotes, are read as the same rows. */
#include "fuzz.h"

#include <string.h>

#include "wardmote/csv_scan.h"

struct seen {
	struct arena arena;
	struct buffer again; /* the good rows as CSV */
	size_t good, bad;
};

static bool note(void *context, const struct csv_row *row)
{
	struct seen *seen = context;
	HOLDS(row->fault != NULL || row->n >= 1);
	seen->good += row->fault == NULL;
	seen->bad += row->fault != NULL;
	for (size_t i = 0; row->fault == NULL && i < row->n; i++) {
		buffer_text(&seen->again, i > 0 ? ",\"" : "\"");
		for (size_t c = 0; c < row->cells[i].len; c++) {
			if (row->cells[i].ptr[c] == '"')
				buffer_text(&seen->again, "\"");
			buffer_add(&seen->again, (struct slice){ row->cells[i].ptr + c, 1 });
		}
		buffer_text(&seen->again, "\"");
	}
	if (row->fault == NULL)
		buffer_text(&seen->again, "\r\n");
	return true;
}

static int feed(struct seen *seen, struct slice text, size_t length)
{
	*seen = (struct seen){ 0 };
	arena_init(&seen->arena);
	seen->again.arena = &seen->arena;
	struct csv_scan *scan = csv_new(note, seen);
	HOLDS(scan != NULL);
	int r = 0;
	for (size_t at = 0; r == 0 && at < text.len; at += length)
		r = csv_feed(scan, (struct slice){ text.ptr + at, length < text.len - at ? length : text.len - at });
	if (r == 0)
		r = csv_end(scan);
	csv_free(scan);
	return r;
}

static bool same(const struct seen *a, const struct seen *b)
{
	return a->good == b->good && a->again.len == b->again.len &&
	       (a->again.len == 0 || memcmp(a->again.ptr, b->again.ptr, a->again.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = { (const char *)data, size };
	struct seen whole, cut, again;
	int r = feed(&whole, text, size + 1), r_cut = feed(&cut, text, 1);
	HOLDS(r == r_cut && whole.bad == cut.bad && same(&whole, &cut));
	HOLDS(feed(&again, buffer_slice(&whole.again), size + 1) == 0);
	HOLDS(again.bad == 0 && same(&whole, &again));
	arena_done(&whole.arena);
	arena_done(&cut.arena);
	arena_done(&again.arena);
	return 0;
}
