/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Texts that differ from request to request: `{n}` is the request's number, `{1}` to `{9}` are columns of the row of a table that the number picks. */
#ifndef WARDMOTE_BENCH_TEMPLATE_H
#define WARDMOTE_BENCH_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

enum { TEMPLATE_COLUMNS = 9, TEMPLATE_PIECES = 64 };

/* Rows of a file, columns parted by tabs. Rows are taken in turn: a shuffled file gives random ones, each once. */
struct table {
	char **cells; /* TEMPLATE_COLUMNS for each row; "" where the row has fewer */
	size_t n_rows;
};

struct template
{
	struct {
		const char *text;
		size_t len;
		int column; /* -1: text; 0: the number */
	} pieces[TEMPLATE_PIECES];
	size_t n;
	size_t len; /* of its text pieces */
};

/* NULL or an empty path: no rows. Ends the process when the file cannot be read. */
void table_read(const char *path, struct table *ret_table);
/* The pieces lie in `text`. Ends the process when there are too many. */
void template_parse(const char *text, size_t len, struct template *ret_template);
/* Writes it, without a NUL; returns its length, which is at most `room`. */
size_t template_fill(const struct template *template, const struct table *table, uint64_t number, char *out, size_t room);
/* Is it the same for every request? */
static inline int template_is_constant(const struct template *template)
{
	return template->n == 1 && template->pieces[0].column < 0;
}

#endif
