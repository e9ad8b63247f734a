/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "wardmote/csv_scan.h"

#include <errno.h>
#include <stdlib.h>

#include "text.h"
#include "wardmote/memory.h"
#include "wardmote/validate.h"

enum { CELL_BYTES = CSV_CELL_MAX * 4, START_CAPACITY = 4 << 10 };

enum state {
	AT_CELL, /* nothing of it yet */
	IN_CELL, /* without quotes */
	IN_QUOTES,
	AFTER_QUOTE, /* a second quote, or the end of the cell */
	AFTER_RETURN, /* only a line feed may follow */
};

struct csv_scan {
	csv_row_fn emit;
	void *context;
	enum state state;
	unsigned mark; /* bytes of a byte order mark at the very front */
	bool begun;
	uint64_t line, row_line; /* at hand, and where the row began */
	char *text; /* of the row's cells, one after another */
	size_t len, capacity;
	size_t ends[CSV_COLUMNS_MAX]; /* of the cells in `text` */
	size_t n;
	bool quoted; /* the row has a cell in quotes: "" is a row, an empty line is none */
	const char *row_fault, *fault;
};

struct csv_scan *csv_new(csv_row_fn emit, void *context)
{
	struct csv_scan *scan = calloc(1, sizeof *scan);
	if (scan == NULL)
		return NULL;
	scan->emit = emit;
	scan->context = context;
	scan->line = scan->row_line = 1;
	return scan;
}

void csv_free(struct csv_scan *scan)
{
	if (scan == NULL)
		return;
	free(scan->text);
	free(scan);
}

const char *csv_fault(const struct csv_scan *scan, struct arena *arena)
{
	return arena_printf(arena, "%s (line %llu)", scan->fault, (unsigned long long)scan->line);
}

static int fail(struct csv_scan *scan, const char *fault)
{
	scan->fault = fault;
	return -EINVAL;
}

static size_t cell_start(const struct csv_scan *scan)
{
	return scan->n == 0 ? 0 : scan->ends[scan->n - 1];
}

/* A row with a fault is not kept, but its end is looked for. */
static int add(struct csv_scan *scan, char c)
{
	if (scan->row_fault != NULL)
		return 0;
	if (scan->len - cell_start(scan) == CELL_BYTES) {
		scan->row_fault = "A cell has at most 4,000 characters.";
		return 0;
	}
	if (scan->len == scan->capacity) {
		size_t capacity = scan->capacity == 0 ? START_CAPACITY : scan->capacity * 2;
		char *grown = memory_realloc(scan->text, capacity);
		if (grown == NULL)
			return -ENOMEM;
		scan->text = grown;
		scan->capacity = capacity;
	}
	scan->text[scan->len++] = c;
	return 0;
}

static void end_cell(struct csv_scan *scan)
{
	if (scan->row_fault != NULL)
		return;
	if (scan->n == CSV_COLUMNS_MAX)
		scan->row_fault = "A row has at most 64 columns.";
	else
		scan->ends[scan->n++] = scan->len;
}

static const char *cells_fault(const struct slice *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!text_is_utf8(cells[i]))
			return "A cell is not UTF-8, or holds control characters.";
		if (text_characters(cells[i]) > CSV_CELL_MAX)
			return "A cell has at most 4,000 characters.";
	}
	return NULL;
}

static int end_row(struct csv_scan *scan)
{
	bool empty = scan->n == 0 && scan->len == 0 && !scan->quoted && scan->row_fault == NULL;
	end_cell(scan);
	struct slice cells[CSV_COLUMNS_MAX];
	for (size_t i = 0, start = 0; i < scan->n; start = scan->ends[i++])
		cells[i] = (struct slice){ scan->text == NULL ? "" : scan->text + start, scan->ends[i] - start };
	struct csv_row row = { .line = scan->row_line, .cells = cells, .n = scan->n, .fault = scan->row_fault };
	if (row.fault == NULL)
		row.fault = cells_fault(cells, scan->n);
	scan->n = scan->len = 0;
	scan->quoted = false;
	scan->row_fault = NULL;
	scan->state = AT_CELL;
	return empty || scan->emit(scan->context, &row) ? 0 : -ECANCELED;
}

/* The byte ends a cell that has no open quote. */
static int plain(struct csv_scan *scan, char c)
{
	switch (c) {
	case ',':
		end_cell(scan);
		scan->state = AT_CELL;
		return 0;
	case '\n':
		return end_row(scan);
	case '\r':
		scan->state = AFTER_RETURN;
		return 0;
	case '"':
		if (scan->state != AT_CELL)
			return fail(scan, "A quote stands in the middle of a cell: quote the whole cell and double the quotes in it.");
		scan->state = IN_QUOTES;
		scan->quoted = true;
		return 0;
	default:
		if (scan->state == AFTER_QUOTE)
			return fail(scan, "Something follows the closing quote of a cell.");
		scan->state = IN_CELL;
		return add(scan, c);
	}
}

static int step(struct csv_scan *scan, char c)
{
	switch (scan->state) {
	case IN_QUOTES:
		scan->state = c == '"' ? AFTER_QUOTE : IN_QUOTES;
		return c == '"' ? 0 : add(scan, c);
	case AFTER_QUOTE:
		if (c != '"')
			return plain(scan, c);
		scan->state = IN_QUOTES;
		return add(scan, c);
	case AFTER_RETURN:
		return c == '\n' ? end_row(scan) : fail(scan, "A carriage return stands without its line feed.");
	case AT_CELL:
	case IN_CELL:
		break;
	}
	return plain(scan, c);
}

/* One byte, with the count of lines. */
static int take(struct csv_scan *scan, char c)
{
	int r = step(scan, c);
	if (c == '\n' && r == 0) {
		scan->line++;
		if (scan->state == AT_CELL && scan->n == 0)
			scan->row_line = scan->line;
	}
	return r;
}

/* A byte order mark at the very front; half of one is no UTF-8. */
static int skip_mark(struct csv_scan *scan, struct slice piece, size_t *at)
{
	static const char mark[] = "\xef\xbb\xbf";
	while (!scan->begun && *at < piece.len) {
		scan->begun = scan->mark == 3 || piece.ptr[*at] != mark[scan->mark];
		if (scan->begun && scan->mark % 3 != 0)
			return fail(scan, "The document is not UTF-8.");
		scan->mark += !scan->begun;
		*at += !scan->begun;
	}
	return 0;
}

int csv_feed(struct csv_scan *scan, struct slice piece)
{
	size_t at = 0;
	int r = skip_mark(scan, piece, &at);
	while (r == 0 && at < piece.len)
		r = take(scan, piece.ptr[at++]);
	return r;
}

int csv_end(struct csv_scan *scan)
{
	if (!scan->begun && scan->mark % 3 != 0)
		return fail(scan, "The document is not UTF-8.");
	if (scan->state == IN_QUOTES)
		return fail(scan, "The document ends within quotes.");
	if (scan->state == AFTER_RETURN)
		return fail(scan, "A carriage return stands without its line feed.");
	return end_row(scan);
}
